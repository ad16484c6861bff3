"""queue:batches, queue:batches:show, queue:retry-batch and queue:prune-batches."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tabur import BatchHandle
from tests.cli.project import Project


@pytest.fixture
def shop(project: Project) -> Any:
    return import_module(project.module)


@pytest.fixture
def batch(project: Project, shop: Any) -> BatchHandle:
    """One of its three jobs fails for good."""
    members = [shop.greet("a"), shop.send(to="box 7"), shop.greet("b")]
    handle: BatchHandle = project.jobs.batch(members, name="Mailing").allow_failures().dispatch()
    project.work()
    return handle


def test_the_list_shows_each_with_its_counts(project: Project, shop: Any, batch: Any) -> None:
    chain = project.jobs.chain(shop.greet("a"), shop.greet("b")).dispatch()
    shown = project.run("queue:batches").stdout
    for word in (batch.id, "Mailing", "failed", "3 of 3", chain.id, "running", "0 of 2"):
        assert word in shown
    listed = project.json("queue:batches")
    assert [each["id"] for each in listed] == [chain.id, batch.id]
    assert (listed[0]["kind"], listed[1]["failed"], listed[1]["completed"]) == ("chain", 1, 2)
    assert len(project.json("queue:batches", "--limit=1")) == 1


def test_an_empty_list_says_so(project: Project) -> None:
    assert "No batches found." in project.run("queue:batches").stdout
    assert project.json("queue:batches") == []


def test_show_tells_what_has_failed(project: Project, batch: BatchHandle) -> None:
    shown = project.run("queue:batches:show", batch.id[:13]).stdout
    assert "FAILED" in shown
    assert "3: 2 completed, 1 failed, 0 cancelled, 0 to come" in shown
    assert "RuntimeError: no such box: box 7" in shown
    as_json = project.json("queue:batches:show", batch.id)
    assert as_json["failed"][0]["message"] == "no such box: box 7"
    assert as_json["status"]["name"] == "Mailing"


def test_show_draws_a_workflow(project: Project, shop: Any) -> None:
    flow = project.jobs.workflow("nightly").add("one", shop.greet("a"))
    handle = flow.add("two", shop.greet("b"), after="one").dispatch()
    project.work()
    shown = project.run("queue:batches:show", handle.id).stdout
    assert "✔ two  completed  greet(name='b')  after one" in shown


def test_what_has_failed_runs_again(project: Project, batch: BatchHandle) -> None:
    shown = project.run("queue:retry-batch", batch.id[:13]).stdout
    assert batch.id in shown
    assert "1 job" in shown
    assert batch.status().pending == 1
    project.work()
    assert batch.status().failed == 1, "again, and counted once"


def test_an_id_of_nothing_is_an_error(project: Project, batch: BatchHandle) -> None:
    assert "No batch with id" in project.error("queue:batches:show", "00000000")
    told = project.run("queue:retry-batch", "nothing", batch.id, code=1)
    assert "No batch has the id nothing." in told.stderr
    assert batch.id in told.stdout, "the others are done"


def test_old_ones_are_pruned(project: Project, shop: Any, batch: BatchHandle) -> None:
    waiting = project.jobs.batch([shop.greet("a")]).dispatch()
    assert "0 finished batches deleted." in project.run("queue:prune-batches").stdout
    assert "1 finished batch deleted." in project.run("queue:prune-batches", "--hours=0").stdout
    assert [each.id for each in project.jobs.batches()] == [waiting.id]
    shown = project.run("queue:prune-batches", "--hours=0", "--unfinished=0").stdout
    assert "1 unfinished batch deleted." in shown
    assert not project.jobs.batches()
