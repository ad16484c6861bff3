"""What the fake queue knows of chains and batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tabur.drivers.contract import Driver
from tabur.jobs.composing.pending import PendingBatch, PendingChain
from tabur.jobs.composing.plan import Plan
from tabur.jobs.definition import JobDefinition
from tabur.jobs.function import FunctionJob
from tabur.jobs.job import Job
from tabur.jobs.pending import PendingJob

AnyJob: TypeAlias = "FunctionJob[..., Any] | type[Job[Any]]"
Expected: TypeAlias = "AnyJob | PendingJob[Any] | Job[Any]"
"""A kind of job, with whatever arguments; or a job with its arguments."""


class ComposedAssertions(ABC):
    """Part of the fake queue. What was rolled back was not dispatched."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._plans: list[Plan] = []

    @abstractmethod
    def pushed(self, job: AnyJob | None = None) -> list[PendingJob[Any]]: ...

    def record_plan(self, plan: Plan) -> None:
        if plan.groups:
            self._plans.append(plan)

    @property
    def chains(self) -> list[PendingChain]:
        """Those that were dispatched."""
        return [made for plan in self._there() if isinstance(made := plan.made_from, PendingChain)]

    @property
    def batches(self) -> list[PendingBatch]:
        """Those that were dispatched, not those within chains."""
        return [made for plan in self._there() if isinstance(made := plan.made_from, PendingBatch)]

    def assert_chained(self, jobs: Sequence[Expected]) -> None:
        """A chain of exactly these, in this order: `assert_chained([extract, load(day=1)])`."""
        if not any(_fits(chain.links, jobs) for chain in self.chains):
            raise AssertionError(f"{_named(jobs)} was not chained. {self._all_chains()}")

    def assert_pushed_with_chain(self, job: Expected, chain: Sequence[Expected]) -> None:
        """It was the first of a chain, and exactly these came after it."""
        self.assert_chained([job, *chain])

    def assert_pushed_without_chain(self, job: Expected) -> None:
        """It was pushed at least once with nothing chained behind it."""
        pushed = sum(_is(each, job) for each in self.pushed())
        if not pushed:
            raise AssertionError(f"{_named([job])} was not pushed.")
        if pushed == sum(len(each.links) > 1 and _is(each.links[0], job) for each in self.chains):
            raise AssertionError(f"{_named([job])} was pushed with a chain. {self._all_chains()}")

    def assert_batched(self, which: Callable[[PendingBatch], bool] | Sequence[Expected]) -> None:
        """A batch of exactly these jobs, or one of which a predicate holds:
        `assert_batched(lambda batch: batch.name == "Import" and len(batch.members) == 40)`."""
        if callable(which):
            found, what = any(map(which, self.batches)), "A batch of which the predicate holds"
        else:
            found = any(_fits(batch.members, which) for batch in self.batches)
            what = f"A batch of {_named(which)}"
        if not found:
            raise AssertionError(f"{what} was not dispatched. {self._all_batches()}")

    def assert_batch_count(self, count: int) -> None:
        if len(self.batches) != count:
            raise AssertionError(
                f"{len(self.batches)} batches were dispatched, not {count}. {self._all_batches()}"
            )

    def assert_nothing_batched(self) -> None:
        if self.batches:
            raise AssertionError(f"A batch was dispatched. {self._all_batches()}")

    def _there(self) -> list[Plan]:
        return [each for each in self._plans if self._driver.batches.find(each.id) is not None]

    def _all_chains(self) -> str:
        return "Chained: " + ("; ".join(map(_shown, self.chains)) or "nothing") + "."

    def _all_batches(self) -> str:
        return "Batched: " + ("; ".join(map(_shown, self.batches)) or "nothing") + "."


def definition_of(job: AnyJob) -> JobDefinition:
    found = job.definition if isinstance(job, FunctionJob) else job.__tabur_definition__
    if found is None:
        raise AssertionError(f"{job!r} belongs to no app: @jobs.register is missing.")
    return found


def _fits(given: Sequence[Any], expected: Sequence[Expected]) -> bool:
    return len(given) == len(expected) and all(map(_is, given, expected))


def _is(given: Any, expected: Expected) -> bool:
    if not isinstance(given, PendingJob):
        return False
    if isinstance(expected, Job):
        expected = expected.pending()
    if isinstance(expected, PendingJob):
        same = given.definition is expected.definition
        return same and given.payload == expected.payload
    return given.definition is definition_of(expected)


def _named(jobs: Sequence[Expected]) -> str:
    return ", ".join(
        definition_of(each).name if isinstance(each, FunctionJob | type) else repr(each)
        for each in jobs
    )


def _shown(made: PendingChain | PendingBatch) -> str:
    if isinstance(made, PendingChain):
        return " → ".join(map(_member, made.links))
    return f"{made.name or 'a batch'} of {', '.join(map(_member, made.members)) or 'no jobs'}"


def _member(each: PendingJob[Any] | PendingChain | PendingBatch) -> str:
    return repr(each) if isinstance(each, PendingJob) else f"({_shown(each)})"
