"""Workflows: jobs as a graph of steps with names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, Unpack

from msgspec.structs import replace

from tabur.config import ConnectionName
from tabur.errors import ConfigError
from tabur.jobs.composing.drawing import Drawn, svg_of, text_of
from tabur.jobs.composing.plan import AnyPending, Group, Piece, Plan, pending, pendings
from tabur.jobs.composing.running import WorkflowHandle
from tabur.jobs.composing.whole import WholeKeywords, merged
from tabur.jobs.options import NO_SETTINGS, check_name
from tabur.jobs.pending import PendingJob, Sender
from tabur.model.compositions import Kind, Source, Step
from tabur.model.text import storable

Content: TypeAlias = "AnyPending | Sequence[AnyPending] | Workflow"


@dataclass(frozen=True)
class Part:
    """A step as it was added: a job; with `many`, several beside each other; or the `steps` of
    another workflow."""

    name: str
    after: tuple[str, ...]
    jobs: tuple[PendingJob[Any], ...] = ()
    many: bool = False
    steps: tuple[Part, ...] = ()

    @property
    def label(self) -> str:
        if not self.many:
            return repr(self.jobs[0])
        names = dict.fromkeys(each.name for each in self.jobs)
        return f"{len(self.jobs)} × {', '.join(names)}"


class Workflow:
    """A graph of steps, in the making.

    ```python
    flow = jobs.workflow("nightly")
    flow.add("extract", extract(day=1))
    flow.add("parts", [transform(day=1, part=n) for n in range(4)], after="extract")
    flow.add("load", load(day=1), after=["parts"])
    flow.dispatch()
    ```

    A step begins when all that it waits for has completed, and finds their results as
    `ctx.results["extract"]`. Where one fails, what waits for it is cancelled; the rest goes on.
    """

    def __init__(self, name: str, sender: Sender) -> None:
        self.name = check_name(name, "name")
        self._sender = sender
        self._parts: dict[str, Part] = {}
        self._catches: tuple[PendingJob[Any], ...] = ()
        self._finals: tuple[PendingJob[Any], ...] = ()
        self._settings = NO_SETTINGS

    def add(self, name: str, step: Content, *, after: str | Iterable[str] = ()) -> Workflow:
        """Add a step: a job, a list of jobs beside each other (whose result is the list of theirs),
        or another workflow as it stands now (whose result is a dict of those of its last steps).

        `after`: the steps that it waits for, which have been added before: so there are no cycles.
        Raises ConfigError."""
        if "." in check_name(name, "name") or name in self._parts:
            raise ConfigError(f"Step {name!r}: a name stands for one step, and has no dot in it.")
        if step is self:
            raise ConfigError(f"Step {name!r}: a workflow cannot be a step of itself: a cycle.")
        waits_for = tuple(dict.fromkeys([after] if isinstance(after, str) else after))
        for each in waits_for:
            if each == name:
                raise ConfigError(f"Step {name!r} waits for itself: a cycle.")
            if each not in self._parts:
                known = ", ".join(self._parts) or "none yet"
                raise ConfigError(
                    f"Step {name!r} waits for {each!r}, and no step is called so. There are: "
                    f"{known}. What others wait for is added first."
                )
        self._parts[name] = _part(name, waits_for, step)
        return self

    def catch(self, *jobs: AnyPending) -> Workflow:
        """Jobs that run once, at its first failure."""
        self._catches += pendings(jobs)
        return self

    def finally_(self, *jobs: AnyPending) -> Workflow:
        """Jobs that run once its last job has ended, however."""
        self._finals += pendings(jobs)
        return self

    def on_queue(self, queue: str) -> Workflow:
        """The queue of jobs that are not given one by their own `options(queue=…)`."""
        return self.options(queue=queue)

    def on_connection(self, connection: ConnectionName) -> Workflow:
        """Where all of it goes."""
        return self.options(connection=connection)

    def options(self, **given: Unpack[WholeKeywords]) -> Workflow:
        """Options of the whole: with `session` it commits or vanishes with the caller's
        transaction. Raises ConfigError."""
        self._settings = merged(self._settings, given)
        return self

    def dispatch(self) -> WorkflowHandle:
        """Keep all of it, in one transaction. Raises ConfigError, StoreUnavailable,
        SchemaMissing."""
        plan = self._plan()
        drivers = self._sender.dispatch_plan(plan)
        return WorkflowHandle(drivers, plan.id, seals=self._sender.seals)

    async def dispatch_async(self) -> WorkflowHandle:
        """As `dispatch`, away from the caller's event loop; required for an AsyncSession."""
        plan = self._plan()
        drivers = await self._sender.dispatch_plan_async(plan)
        return WorkflowHandle(drivers, plan.id, seals=self._sender.seals)

    def text(self) -> str:
        """One line for each step, in an order in which they may run."""
        return text_of(self._drawn())

    def svg(self) -> str:
        """A picture of the graph, readable in light and dark."""
        return svg_of(self.name, self._drawn())

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(self._parts.values())

    def _drawn(self) -> list[Drawn]:
        return [Drawn(each.name, each.label, each.after) for each in self._plan().groups[0].steps]

    def _plan(self) -> Plan:
        if not self._parts:
            raise ConfigError(f"Workflow {self.name!r} has no steps.")
        plan = Plan(self._settings, made_from=self)
        group = plan.group(
            Group(self.name, Kind.WORKFLOW, allow_failures=True, settings=self._settings)
        )
        _Graph(plan, group).put(self.parts)
        group.catch += plan.callbacks(self._catches, group)
        group.finally_ += plan.callbacks(self._finals, group)
        plan.put_off(self._settings)
        return plan


class _Graph:
    """Puts parts into a plan."""

    def __init__(self, plan: Plan, group: Group) -> None:
        self._plan = plan
        self._group = group
        self._ends: dict[str, tuple[str, ...]] = {}
        """Of a step, those that an edge from it begins at: of a graph its last ones."""

    def put(
        self, parts: Sequence[Part], prefix: str = "", outside: tuple[str, ...] = ()
    ) -> dict[str, Piece]:
        """`outside`: steps that the first of these wait for."""
        pieces: dict[str, Piece] = {}
        for part in parts:
            name = prefix + part.name
            after = tuple(end for each in part.after for end in self._ends[prefix + each])
            put = self._put_graph if part.steps else self._put_jobs
            pieces[part.name] = put(part, name, after or outside)
            for each in part.after:
                pieces[each].followed_by(pieces[part.name], each)
        return pieces

    def _put_jobs(self, part: Part, name: str, after: tuple[str, ...]) -> Piece:
        settings = self._group.settings
        pieces = [self._plan.job(each, self._group.id, settings) for each in part.jobs]
        nodes = [piece.first[0] for piece in pieces]
        ids = tuple(node.id for node in nodes)
        self._ends[name] = (name,)
        self._group.steps.append(Step(name, storable(part.label, limit=200), ids, after))
        return Piece(nodes, [*nodes], Source(jobs=ids, many=part.many))

    def _put_graph(self, part: Part, name: str, after: tuple[str, ...]) -> Piece:
        pieces = self.put(part.steps, f"{name}.", after)
        waited_for = {each for inner in part.steps for each in inner.after}
        ends = [inner.name for inner in part.steps if inner.name not in waited_for]
        self._ends[name] = tuple(end for each in ends for end in self._ends[f"{name}.{each}"])
        return Piece(
            [node for inner in part.steps if not inner.after for node in pieces[inner.name].first],
            [node for each in ends for node in pieces[each].last],
            Source(parts=tuple(replace(pieces[each].result, name=each) for each in ends)),
        )


def _part(name: str, after: tuple[str, ...], step: Content) -> Part:
    if isinstance(step, Workflow):
        if not step.parts:
            raise ConfigError(f"Step {name!r}: a workflow of no steps.")
        return Part(name, after, steps=step.parts)
    if isinstance(step, list | tuple):
        if not step:
            raise ConfigError(f"Step {name!r}: a list of no jobs.")
        return Part(name, after, pendings(step), many=True)
    return Part(name, after, (pending(step),))
