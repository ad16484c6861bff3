"""Declaring upcasters: what is refused is refused where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from tabur import ConfigError, Job, JobContext, Tabur


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="memory")


def _same(old: dict[str, Any]) -> dict[str, Any]:
    return old


@pytest.mark.parametrize("version", [0, 3, 4, -1, True, "1", None])
def test_a_version_that_is_not_before_its_own(jobs: Tabur, version: Any) -> None:
    @jobs.job(version=3)
    def order() -> None: ...

    with pytest.raises(ConfigError, match=r"^order: upcast\(.*\) is from no version before its"):
        order.upcast(version)(_same)


def test_a_job_of_one_version_has_none(jobs: Tabur) -> None:
    @jobs.job()
    def order() -> None: ...

    with pytest.raises(ConfigError, match="Declare the new arguments with version=2"):
        order.upcast(1)(_same)


def test_two_for_one_version(jobs: Tabur) -> None:
    @jobs.job(version=2)
    def order() -> None: ...

    assert order.upcast(1)(_same) is _same
    with pytest.raises(ConfigError, match="order: version 1 has two upcasters"):
        order.upcast(1)(_same)


def test_a_class_is_registered_before(jobs: Tabur) -> None:
    class Sync(Job[None], version=2):
        def handle(self, ctx: JobContext) -> None: ...

    with pytest.raises(ConfigError, match="Sync belongs to no app yet"):
        Sync.upcast(1)(_same)
    jobs.register(Sync)
    assert Sync.upcast(1)(_same) is _same


def test_a_version_that_never_was_goes_all_the_way(jobs: Tabur) -> None:
    @jobs.job(version=3)
    def order(steps: list[int]) -> None: ...

    @order.upcast(2)
    def second(old: dict[str, Any]) -> dict[str, Any]:
        return {"steps": [*old["steps"], 2]}

    @order.upcast(1)
    def first(old: dict[str, Any]) -> dict[str, Any]:
        return {"steps": [*old["steps"], 1]}

    assert order.definition.decode(b'{"steps": []}', -(10**18)).steps == [1, 2]


def test_a_payload_of_this_version_is_left_alone(jobs: Tabur) -> None:
    @jobs.job(version=2)
    def order(number: int) -> None: ...

    @order.upcast(1)
    def never(old: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("it is not old")

    assert order.definition.decode(b'{"number": 1}', 2).number == 1
