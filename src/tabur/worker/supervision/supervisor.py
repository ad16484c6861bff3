"""The supervisor: starts children, watches them whatever they do, and mends what a dead one leaves.

Its own thread only looks at processes and their boards, and never waits for the store: `Upkeep`
does that beside it. So a store that does not answer keeps nobody from being killed in time.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from random import random
from time import monotonic, sleep

from tabur.drivers.contract import Driver
from tabur.model.clock import now_us
from tabur.model.ids import new_worker_id
from tabur.model.records import ALL_QUEUES, Crash, ErrorInfo, Pace, Pause
from tabur.model.states import Isolation
from tabur.worker.balancing.balancing import Balancing, Lookout, Manned
from tabur.worker.balancing.flow import Paces
from tabur.worker.board import Doing
from tabur.worker.options import WorkOptions
from tabur.worker.protocol import (
    EXIT_BROKEN,
    EXIT_DONE,
    EXIT_MEMORY,
    EXIT_STUCK,
    Hello,
    Order,
    What,
    said,
)
from tabur.worker.supervision.children import Child, Life
from tabur.worker.supervision.companion import Companion
from tabur.worker.supervision.folder import RunFolder
from tabur.worker.supervision.groups import Group
from tabur.worker.supervision.moments import Moments
from tabur.worker.supervision.notify import Notifier
from tabur.worker.supervision.orphans import reap_orphans
from tabur.worker.supervision.upkeep import Registration, Release, Upkeep
from tabur.worker.supervision.verdict import EXIT_TIME, Verdict, judged

#: Seconds between two looks at the children.
LOOK = 0.1
#: Without a look for so long, it has stood still (a suspended machine, SIGSTOP), and its children
#: with it: what they have not done meanwhile is not held against them.
STOOD_STILL = 2.0
#: After a child that lived shorter than this and ended no job, the next one starts after a pause
#: that grows (seconds).
SHORT_LIFE, FIRST_PAUSE, LONGEST_PAUSE = 5.0, 0.5, 30.0
#: Seconds that a registration may have taken for its worker to begin before its first beat.
QUICK = 2.0
#: Seconds that the store has, after a second signal, to take back what a dead child held.
LAST_WORD = 2.0


class Supervisor:
    """Runs `options.processes` children of the app at `spec` until told to stop.

    It imports no job code itself: whoever starts it has found the app and gives its driver, whether
    some job wants a process of its own (`warm`), what to do once an hour (`prune`), and where to
    `say` what happens. `store` names the store among all that this host may know, `version` is that
    of the app's code; `slots` says for each queue that is balanced how many of its jobs one process
    runs at once; `companion` is kept running beside them.
    """

    def __init__(
        self,
        spec: str,
        driver: Driver,
        options: WorkOptions,
        *,
        warm: bool,
        prune: Callable[[], object],
        say: Callable[[str], None],
        folder: RunFolder,
        store: str,
        version: str = "",
        slots: Mapping[str, int] | None = None,
        companion: Companion | None = None,
    ) -> None:
        self._spec = spec
        self._driver = driver
        self._options = options
        self._warm = int(warm)
        self._say = say
        self._folder = folder
        self._version = version
        self._companion = companion
        self._host = socket.gethostname()
        self._id = new_worker_id(self._host)
        self._groups = [Group(queues, wanted) for queues, wanted in options.groups.items()]
        self._balancing: Balancing | None = None
        if options.balance is not None:
            lookout = Lookout(driver, options.balance.limits, supervisor=self._id)
            self._balancing = Balancing(lookout, options.balance, slots=slots or {}, say=say)
        self._upkeep = Upkeep(
            driver,
            options,
            alive=lambda: [child.worker for child in self._children if child.is_known],
            moments=Moments(folder.base, store),
            prune=prune,
            say=say,
        )
        self._paces = Paces()
        self._measured = monotonic()
        self._notifier = Notifier()
        self._looked = self._awake_since = monotonic()
        """When it last looked, and since when it has looked all the time."""
        self._reason: str | None = None
        """Why it stops."""
        self._signals = 0
        self._paused_here = False
        self._dump_wanted = False
        self._to_dump: list[Child] = []
        self._restarts = 0
        self._told_paused = Order(What.WORK)
        self._code = EXIT_DONE

    @property
    def _children(self) -> Sequence[Child]:
        return [child for group in self._groups for child in group.children]

    def run(self) -> int:
        """Work until stopped or nothing is left to do. Answers the exit code; raises StoreError
        where the store cannot be used at all."""
        try:
            self._upkeep.start()
            signals = self._upkeep.signals
            assert signals is not None
            self._restarts = signals.restarts
            if self._balancing is not None:
                self._balancing.lookout.start()
            self._look()
            while self._children or self._goes_on():
                sleep(LOOK)
                self._look()
        finally:
            for child in self._children:
                child.kill()
            if self._companion is not None:
                self._companion.stop()
            self._upkeep.stop()
            if self._balancing is not None:
                self._balancing.lookout.stop()
            self._folder.remove()
        if self._options.output == "lines":
            self._say(f"Stopped: {self._reason or 'nothing is left to run'}.")
        return self._code

    def _goes_on(self) -> bool:
        """Without children: where none is needed just now, none may start yet, or one queue is done
        and another one gets its room."""
        if self._signals:
            return False
        if self._balancing is not None and (
            self._balancing.has_work or not self._options.ends_when_empty
        ):
            return True
        return any(group.wanted > 0 for group in self._groups)

    # from signal handlers

    def stop(self, reason: str) -> None:
        """Let the children finish what runs; a second time: end now."""
        self._signals += 1
        self._reason = self._reason or reason

    def pause(self) -> None:
        """Claim nothing, until `resume`; what runs goes on."""
        self._paused_here = True

    def resume(self) -> None:
        self._paused_here = False

    def dump(self) -> None:
        """Let every process print the stacks of its threads."""
        self._dump_wanted = True

    # its own thread

    def _look(self) -> None:
        now = monotonic()
        if now - self._looked > STOOD_STILL:
            self._awake_since = now
        self._looked = now
        self._obey_signals()
        for group in self._groups:
            for child in list(group.children):
                self._watch(group, child, now)
        if self._balancing is not None and not self._signals:
            self._balance(self._balancing)
        for group in self._groups:
            self._keep_up(group, now)
        if now - self._measured >= self._options.beat:
            self._measured = now
            self._upkeep.paces = self._measure(now)
        own = {child.pid for child in self._children}
        if self._companion is not None:
            if not self._signals:
                self._companion.look(now)
            own.add(self._companion.pid)
        reap_orphans(own)
        self._folder.board.looked(now)
        self._folder.board.turned(self._upkeep.last_beat)
        self._folder.board.does(
            Doing.ENDING if self._signals else Doing.WORKING, self._reason or ""
        )
        if self._notifier.is_heard:
            self._notify()

    def _notify(self) -> None:
        seen = [child.board.seen() for child in self._children if child.lives]
        running = sum(each.running for each in seen)
        jobs = f"{running} {'job' if running == 1 else 'jobs'}"
        processes = f"{len(seen)} {'process' if len(seen) == 1 else 'processes'}"
        paused = ", paused" if self._told_paused.leave else ""
        self._notifier.tell(
            working=any(each.turned_at for each in seen),
            stopping=self._signals > 0,
            status=f"Finishing {jobs}" if self._signals else f"{processes}, {jobs} running{paused}",
        )

    def _obey_signals(self) -> None:
        signals = self._upkeep.signals
        assert signals is not None
        if self._signals == 0 and signals.restarts != self._restarts:
            self._say("Restart asked for: finishing what runs.")
            self.stop("restart asked for")
        pauses = list(signals.pauses)
        if signals.hold is not None:
            pauses = [
                Pause(ALL_QUEUES, signals.hold.since, reason=f"on hold: {signals.hold.reason}")
            ]
        if self._paused_here:
            pauses.append(Pause(ALL_QUEUES, 0, reason="by signal"))
        order = Order(What.WORK, tuple(sorted({pause.queue for pause in pauses})))
        if order != self._told_paused:
            self._told_paused = order
            self._say(_paused(pauses) if pauses else "Nothing is paused any more.")
        if self._dump_wanted:
            self._dump_wanted = False
            self._to_dump = [child for child in self._children if child.lives]
        if self._to_dump:  # one at a time: they write to one place
            child = self._to_dump.pop(0)
            self._say(f"Stacks of the worker process {child.pid}:")
            child.signal(signal.SIGUSR1)

    def _watch(self, group: Group, child: Child, now: float) -> None:
        match child.life:
            case Life.RUNNING:
                if (code := child.poll()) is not None:
                    self._ended(group, child, code)
                elif (verdict := self._judged(child, now)) is not None:
                    self._say(f"A worker process is ended: {verdict.why}.")
                    child.crash = verdict.crash
                    child.kill()
                else:
                    self._instruct(child, now)
                    self._drift(child, now)
            case Life.DYING:
                seen = child.board.seen()  # it goes with its process
                if child.is_gone():
                    child.life = Life.BURIED
                    child.release = Release(child.worker, child.crash)
                    self._upkeep.owe(child.release)
                    child.buried_at = now
                    if not child.surplus:
                        group.left_behind = seen.running
                        short = now - child.started < SHORT_LIFE and not seen.ended
                        self._rest(group, now, short=short)
            case Life.BURIED:
                assert child.release is not None
                # Who is told twice to end does not wait long for a store: others find it lost.
                hurried = self._signals > 1 and now - child.buried_at > LAST_WORD
                if child.release.done or hurried:
                    group.children.remove(child)

    def _judged(self, child: Child, now: float) -> Verdict | None:
        if child.worker in self._upkeep.expelled:
            return Verdict("others have found it lost, and run its jobs")
        return judged(
            child.board.seen(),
            child.board.overdue,
            child.board.shared,
            self._options,
            now=now,
            last_beat=self._upkeep.last_beat,
            kill_by=child.kill_by,
            awake_since=self._awake_since,
        )

    def _instruct(self, child: Child, now: float) -> None:
        if self._signals:
            child.tell(Order(What.STOP if self._signals == 1 else What.NOW))
            left = self._options.grace if self._signals == 1 else 0.0
            latest = now + left + EXIT_TIME
            if child.kill_by is None or (self._signals > 1 and child.kill_by > latest):
                child.kill_by = latest
        elif self._may_work(child):
            child.tell(Order(What.DRAIN) if child.surplus else self._told_paused)

    def _may_work(self, child: Child) -> bool:
        """Once the store knows it, and has not known it for long without a beat: others count from
        when they first see it, and `_drift` from the last beat of all."""
        registration = child.registration
        if registration is None or not registration.done:
            return False
        return registration.took <= QUICK or child.worker in self._upkeep.beaten

    def _drift(self, child: Child, now: float) -> None:
        """The store takes no beat: what runs here is ended before others may take it over, be it in
        a stop that would give it longer."""
        if now - self._upkeep.last_beat <= self._options.adrift:
            return
        latest = now + (self._options.lost - self._options.adrift) / 2
        if child.kill_by is None or child.kill_by > latest:
            self._say("The store takes no beat. What runs here is ended, before others run it too.")
            child.kill_by = latest
            child.tell(Order(What.NOW))

    def _ended(self, group: Group, child: Child, code: int) -> None:
        child.code = code
        # An exit code proves nothing: a job may have called os._exit(0).
        if child.board.seen().doing is not Doing.ENDED:
            error = ErrorInfo("JobCrashed", _DIED.format(said(code)))
            # Who runs in a process of its own has not ended this one; where there is nobody else,
            # it is one of them all the same.
            child.crash = Crash(error, blamed=child.board.shared() or None)
            self._say(f"A worker process ended ({said(code)}); its jobs run again.")
        elif code == EXIT_BROKEN:
            self._code = EXIT_BROKEN
            self.stop("it cannot work, as said above")
        elif code in (EXIT_STUCK, EXIT_MEMORY):
            self._say(f"A worker process is replaced: {child.board.seen().why}.")
        elif code == EXIT_DONE and self._has_done_its_work(child):
            group.wanted -= 1
            self._reason = self._reason or child.board.seen().why
        child.kill()

    def _has_done_its_work(self, child: Child) -> bool:
        """Whether no other takes its place. (One that has run its --max-jobs is replaced where the
        queues say how many there are to be.)"""
        by_itself = child.told is None or child.told.what is What.WORK
        return (
            by_itself
            and not child.surplus
            and (self._balancing is None or self._options.ends_when_empty)
        )

    # balancing

    def _balance(self, balancing: Balancing) -> None:
        by_queue = {group.queues[0]: group for group in self._groups}
        changes = balancing.decide(
            {
                queue: Manned(
                    group.wanted, {each.worker: each.meter for each in group.children if each.lives}
                )
                for queue, group in by_queue.items()
            },
            ending=sum(child.is_on_its_way_out for child in self._children),
            paused=self._told_paused.leave,
        )
        for queue, wanted in changes.items():
            by_queue[queue].wanted = wanted
            by_queue[queue].let_go()

    def _measure(self, now: float) -> dict[str, Pace]:
        alive = [child for child in self._children if child.lives]
        paces = self._paces.look({child.worker: child.meter for child in alive}, now=now)
        if self._balancing is not None:  # which knows what arrives as well
            paces |= self._balancing.paces(
                {child.worker: (child.queues[0], child.meter) for child in alive}
            )
        return paces

    # starting

    def _rest(self, group: Group, now: float, *, short: bool) -> None:
        """The next one starts at once, unless lives have been short and of no use."""
        if not short:
            group.pause = 0.0
        group.not_before = now + group.pause
        group.pause = min(max(group.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def _keep_up(self, group: Group, now: float) -> None:
        adrift = now - self._upkeep.last_beat > self._options.adrift
        if self._signals or adrift or now < group.not_before:
            return
        while len(group.staying) < group.wanted:
            slots = self._options.slots()
            # What ran in the dead one runs in processes of their own now.
            warm = min(max(group.left_behind, self._warm), slots[Isolation.PROCESS])
            try:
                child = self._start(group, slots=sum(slots.values()), warm=warm)
            except OSError as error:  # no memory, no process number, no place on the disk
                self._rest(group, now, short=True)
                self._say(f"No worker process can be started, trying again: {error}.")
                return
            group.left_behind = 0
            group.children.append(child)
            child.registration = Registration(
                child.record(
                    supervisor=self._id, host=self._host, version=self._version, started_at=now_us()
                ),
                clock=monotonic,
            )
            self._upkeep.owe(child.registration)

    def _start(self, group: Group, *, slots: int, warm: int) -> Child:
        child = Child(host=self._host, folder=self._folder.path, queues=group.queues, slots=slots)
        try:
            child.start(
                Hello(
                    self._spec,
                    self._driver.name,
                    sys.path,
                    child.worker,
                    self._options.for_child(group.queues, random()),
                    board=str(child.board.path),
                    warm=warm,
                )
            )
        except OSError:
            child.board.remove()
            raise
        return child


def _paused(pauses: Sequence[Pause]) -> str:
    said = []
    for pause in pauses:
        queue = "all queues" if pause.queue == ALL_QUEUES else f"[{pause.queue}]"
        said.append(queue if pause.reason is None else f"{queue} ({pause.reason})")
    return f"Paused: {', '.join(said)}."


_DIED = "Its worker process ended while it ran ({})."
