"""A dispatched workflow: how far each step is, and what can be done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from tabur.drivers.contract import CancelAnswer, Driver
from tabur.errors import ConfigError
from tabur.jobs.composing.drawing import Drawn, svg_of, text_of
from tabur.jobs.composing.handle import BatchHandle, jobs_of, record_of
from tabur.jobs.seals import Seals
from tabur.model.compositions import Kind, Step, decode_composition
from tabur.model.ids import id_text
from tabur.model.states import State

#: A step of several jobs stands where the first of these is found among them.
_SHOWN_FIRST = (
    State.FAILED,
    State.CANCELLED,
    State.PROCESSING,
    State.PENDING,
    State.SCHEDULED,
    State.BLOCKED,
    State.COMPLETED,
)


class StepStatus(msgspec.Struct, frozen=True):
    """One look at a step. `state` is None where retention has removed its jobs; a step of several
    jobs has failed as soon as one of them has."""

    name: str
    label: str
    after: tuple[str, ...]
    state: State | None
    jobs: tuple[str, ...]
    """Their ids."""
    total: int
    completed: int


class WorkflowHandle(BatchHandle):
    """A workflow's id with what can be asked of it, step by step."""

    __slots__ = ()

    def steps(self) -> list[StepStatus]:
        """In the order in which they were added; those of a workflow within it as `outer.inner`.
        Raises BatchNotFound."""
        states = {job.id: job.state for job in jobs_of(self._driver, self._record().id)}
        return [_look(step, states) for step in self._steps()]

    def cancel(self, step: str | None = None) -> bool:
        """Let no more of its jobs begin; or call back those of one step, and with them what waits
        for it. False where there is nothing to cancel. Raises BatchNotFound, ConfigError."""
        if step is None:
            return super().cancel()
        cancel = self._driver.dispatching.cancel
        answers = {cancel(job) for each in self._named(step) for job in each.jobs}
        return bool(answers & {CancelAnswer.CANCELLED, CancelAnswer.CANCELLING})

    def retry(self, step: str | None = None) -> int:
        """Run again what has failed, or only that of one step, and what waits for it. Answers how
        many jobs were brought back by themselves. Raises BatchNotFound, ConfigError."""
        if step is None:
            return self.retry_failed()
        jobs = [job for each in self._named(step) for job in each.jobs]
        return self._driver.dispatching.retry(jobs)

    def text(self) -> str:
        """One line for each step, with its state."""
        return text_of(self._drawn())

    def svg(self) -> str:
        """A picture of the graph with the states of its steps, readable in light and dark."""
        return svg_of(self._record().name, self._drawn())

    def _drawn(self) -> list[Drawn]:
        return [Drawn(each.name, each.label, each.after, each.state) for each in self.steps()]

    def _steps(self) -> Sequence[Step]:
        return decode_composition(self._record().options).steps

    def _named(self, name: str) -> list[Step]:
        """The step of this name, or those of the workflow that was added under it."""
        steps = self._steps()
        found = [each for each in steps if each.name == name or each.name.startswith(f"{name}.")]
        if not found:
            known = ", ".join(each.name for each in steps)
            raise ConfigError(f"No step is called {name!r}; there are: {known}.")
        return found


def find_workflow(
    drivers: Sequence[Driver], workflow_id: str, seals: Seals
) -> WorkflowHandle | None:
    found = record_of(drivers, workflow_id)
    if found is None or decode_composition(found[1].options).kind is not Kind.WORKFLOW:
        return None
    return WorkflowHandle([found[0]], found[1].id, seals=seals)


def _look(step: Step, states: dict[bytes, State]) -> StepStatus:
    count = Counter(states[job] for job in step.jobs if job in states)
    return StepStatus(
        name=step.name,
        label=step.label,
        after=step.after,
        state=next((each for each in _SHOWN_FIRST if count[each]), None),
        jobs=tuple(map(id_text, step.jobs)),
        total=len(step.jobs),
        completed=count[State.COMPLETED],
    )
