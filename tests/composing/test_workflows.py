"""Workflows: graphs, results by name, parts, drawings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from tabur import ConfigError, JobContext, State, TaburError, Workflow, WorkflowHandle
from tests.composing.mill import Mill


def nightly(mill: Mill) -> Workflow:
    """extract → two parts beside each other → load, and tidy after extract."""
    flow = mill.jobs.workflow("nightly")
    flow.add("extract", mill.count(1))
    flow.add("parts", [mill.grind("p1"), mill.grind("p2")], after="extract")
    flow.add("clean", mill.grind("clean"), after=["extract"])
    return flow.add("load", mill.look("load"), after=["parts", "clean"])


def states(handle: WorkflowHandle) -> dict[str, State | None]:
    return {each.name: each.state for each in handle.steps()}


def test_a_step_begins_when_all_it_waits_for_has_completed(mill: Mill) -> None:
    handle = nightly(mill).dispatch()
    waits = State.BLOCKED
    assert states(handle) == {
        "extract": State.PENDING,
        "parts": waits,
        "clean": waits,
        "load": waits,
    }
    ran = mill.work()
    assert (ran[0], ran[-1]) == ("1", "load")
    assert sorted(ran[1:-1]) == ["clean", "p1", "p2"]
    assert set(states(handle).values()) == {State.COMPLETED}
    assert handle.status().succeeded


def test_results_are_handed_over_by_name(mill: Mill) -> None:
    nightly(mill).dispatch()
    mill.work()
    assert mill.seen["load"]["results"] == {"parts": ["P1", "P2"], "clean": "CLEAN"}


def test_a_failure_cancels_what_waits_for_it_and_nothing_else(mill: Mill) -> None:
    mill.broken = {"p2"}
    flow = nightly(mill).catch(mill.grind("caught")).finally_(mill.grind("finally"))
    handle = flow.dispatch()
    assert "clean" in mill.work()
    assert mill.ran.count("caught") == mill.ran.count("finally") == 1
    assert states(handle)["parts"] is State.FAILED
    assert states(handle)["load"] is State.CANCELLED
    assert states(handle)["clean"] is State.COMPLETED

    mill.broken.clear()
    assert handle.retry() == 1
    assert states(handle)["load"] is State.BLOCKED
    assert mill.work() == ["p2", "load"]
    assert handle.status().succeeded


def test_a_part_is_cancelled_and_tried_again_by_its_name(mill: Mill) -> None:
    handle = nightly(mill).dispatch()
    assert handle.cancel("clean")
    assert not handle.cancel("clean")
    assert "clean" not in mill.work()
    assert states(handle)["load"] is State.CANCELLED
    assert states(handle)["parts"] is State.COMPLETED
    assert handle.retry("clean") == 1
    assert mill.work() == ["clean", "load"]
    with pytest.raises(ConfigError, match="No step is called 'cleam'; there are: extract"):
        handle.retry("cleam")


def test_cancelled_as_a_whole(mill: Mill) -> None:
    handle = nightly(mill).dispatch()
    assert handle.cancel()
    assert mill.work() == []
    assert set(states(handle).values()) == {State.CANCELLED}


def test_a_workflow_within_a_workflow(mill: Mill) -> None:
    inner = mill.jobs.workflow("inner")
    inner.add("one", mill.look("one")).add("two", mill.grind("two"), after="one")
    inner.add("beside", mill.count(7))
    flow = mill.jobs.workflow("outer").add("first", mill.count(1))
    flow.add("sub", inner, after="first").add("last", mill.look("last"), after="sub")
    handle = flow.dispatch()
    assert [each.name for each in handle.steps()] == [
        "first",
        "sub.one",
        "sub.two",
        "sub.beside",
        "last",
    ]
    ran = mill.work()
    assert (ran[0], ran[-1]) == ("1", "last")
    assert mill.seen["one"]["previous"] == 1
    assert mill.seen["last"]["previous"] == {"two": "TWO", "beside": 7}
    assert mill.seen["last"]["results"] == {"sub": {"two": "TWO", "beside": 7}}
    after = {each.name: each.after for each in handle.steps()}
    assert after["sub.one"] == after["sub.beside"] == ("first",)
    assert after["last"] == ("sub.two", "sub.beside")
    assert handle.cancel("sub") is False


def test_previous_is_for_one_and_an_unknown_name_says_which_there_are(mill: Mill) -> None:
    said: list[str] = []

    def ask(ctx: JobContext) -> None:
        with pytest.raises(TaburError) as several:
            _ = ctx.previous
        with pytest.raises(KeyError) as unknown:
            _ = ctx.results["c"]
        said.extend([str(several.value), str(unknown.value)])

    job = mill.jobs.job(name="ask")(ask)
    flow = mill.jobs.workflow("two").add("a", mill.count(1)).add("b", mill.count(2))
    flow.add("ask", job(), after=["a", "b"]).dispatch()
    mill.work()
    assert "ask ctx.results for one of a, b" in said[0]
    assert "c is not among the steps that this one waits for: a, b" in said[1]


def test_wrong_graphs_are_refused_at_once(mill: Mill) -> None:
    flow, grind = nightly(mill), mill.grind
    batch: Any = mill.jobs.batch([grind("x")])
    wrong: dict[str, Callable[[], object]] = {
        "no step is called so": lambda: flow.add("x", grind("x"), after="lod"),
        "waits for itself: a cycle": lambda: flow.add("x", grind("x"), after=["x"]),
        "step of itself: a cycle": lambda: flow.add("x", flow),
        "stands for one step": lambda: flow.add("load", grind("x")),
        "no dot": lambda: flow.add("a.b", grind("x")),
        "a list of no jobs": lambda: flow.add("x", []),
        "a workflow of no steps": lambda: flow.add("x", mill.jobs.workflow("empty")),
        "has no steps": lambda: mill.jobs.workflow("empty").dispatch(),
        "is no job": lambda: flow.add("x", batch),
    }
    for said, do in wrong.items():
        with pytest.raises(ConfigError, match=said):
            do()
    assert [each.name for each in flow.parts] == ["extract", "parts", "clean", "load"]


def test_what_a_workflow_holds_is_fixed_when_it_is_added(mill: Mill) -> None:
    inner = mill.jobs.workflow("inner").add("one", mill.count(1))
    outer = mill.jobs.workflow("outer").add("sub", inner)
    inner.add("late", mill.count(2))
    inner.add("back", outer)
    assert [each.name for each in outer.dispatch().steps()] == ["sub.one"]


def test_the_text_before_and_after(mill: Mill) -> None:
    flow = nightly(mill)
    assert flow.text().splitlines() == [
        "○ extract  count(n=1)",
        "○ parts    2 × grind  after extract",
        "○ clean    grind(what='clean')  after extract",
        "○ load     look(what='load')  after parts, clean",
    ]
    mill.broken = {"p1"}
    handle = flow.dispatch()
    mill.work()
    assert handle.text().splitlines() == [
        "✔ extract  completed  count(n=1)",
        "✘ parts    failed     2 × grind  after extract",
        "✔ clean    completed  grind(what='clean')  after extract",
        "⊘ load     cancelled  look(what='load')  after parts, clean",
    ]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  # our own


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_is_well_formed_and_says_what_it_shows(mill: Mill) -> None:
    flow = mill.jobs.workflow('<"nightly" & more>')
    flow.add("a<b>", mill.grind("</svg><script>")).add("then", mill.grind("x" * 99), after="a<b>")
    for drawn, state in ((flow.svg(), "planned"), (flow.dispatch().svg(), "blocked")):
        picture = parsed(drawn)
        assert picture.get("role") == "img"
        assert picture.get("aria-label") == '<"nightly" & more>'
        title, desc = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
        assert title is not None
        assert title.text == '<"nightly" & more>'
        assert desc is not None
        assert desc.text is not None
        assert "then" in desc.text
        boxes = picture.findall(f"{SVG}g")
        assert [each.get("class") for each in boxes][1] == state
        assert "<script>" not in drawn
        assert "prefers-color-scheme: dark" in drawn


def test_each_box_stands_right_of_what_it_waits_for(mill: Mill) -> None:
    picture = parsed(nightly(mill).svg())
    across: dict[str, float] = {}
    places: list[tuple[str | None, str | None]] = []
    for box in picture.findall(f"{SVG}g"):
        title, rect = box.find(f"{SVG}title"), box.find(f"{SVG}rect")
        assert title is not None
        assert rect is not None
        across[str(title.text).partition(":")[0]] = float(str(rect.get("x")))
        places.append((rect.get("x"), rect.get("y")))
    assert across["extract"] < across["parts"] == across["clean"] < across["load"]
    assert len(set(places)) == 4, "none upon another"


def test_after_retention_the_graph_still_stands(mill: Mill) -> None:
    from tabur.drivers.contract import Filter

    handle = nightly(mill).dispatch()
    mill.work()
    mill.jobs.driver.dispatching.forget(Filter())
    assert set(states(handle).values()) == {None}
    assert "○ load" in handle.text()


def test_it_is_found_by_its_id(mill: Mill) -> None:
    handle = nightly(mill).dispatch()
    found = mill.jobs.find_workflow(handle.id)
    assert found is not None
    assert [each.total for each in found.steps()] == [1, 2, 1, 1]
