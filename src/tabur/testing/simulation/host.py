"""Hosts: each with clocks and a disk of its own, and a supervisor that is started whenever there is
none. Supervisor and children are the worker's own code."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tabur.errors import StoreError
from tabur.testing.simulation.link import Link
from tabur.testing.simulation.primitives import ChildProcess, Pipe
from tabur.testing.simulation.timeline import Process, Standstill
from tabur.worker.board import Board, Doing
from tabur.worker.child import Child
from tabur.worker.protocol import Hello
from tabur.worker.supervision.folder import RunFolder
from tabur.worker.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from tabur.testing.simulation.world import World

#: Seconds until whoever keeps a supervisor running starts it again.
AGAIN = 1.0
#: Seconds that a child takes at most until it has loaded the app.
LOADING = 1.5


class HostProcess(Process):
    """A supervisor, one of its children, or an application that dispatches."""

    def __init__(self, host: Host, name: str, *, supervisor: HostProcess | None = None) -> None:
        super().__init__(host.world.timeline, name)
        self.host = host
        self.supervisor = supervisor
        """Of a child."""
        self.pid = host.world.next_pid()
        self.input: Pipe | None = None if supervisor is None else Pipe(self.timeline, supervisor)
        self.link: Any = Link(host.world, self)
        self.folder: RunFolder | None = None
        """Of a supervisor."""
        self.has_called = False
        self.answered_at = 0.0
        """When its last slow call came to its end."""
        self.has_ended_well = False
        """It came to its end by itself."""
        self.is_frozen = self.has_been_held = self._is_held = False
        host.world.processes.append(self)
        if host.is_stopped:
            self.stop()

    def hold(self) -> None:
        """It alone stands still, until `wake`."""
        if not self._is_held:
            self._is_held = self.has_been_held = True
            self.stop()

    def wake(self) -> None:
        if self._is_held:
            self._is_held = False
            self.go_on()


class Host:
    """`up_for`, `wall`: what its monotonic clock and its wall clock show in the beginning, in
    seconds."""

    def __init__(self, world: World, name: str, *, up_for: float, wall: float) -> None:
        self.world = world
        self.name = name
        self.up_for = up_for
        self.wall = wall
        self.has_new_code = True
        self.is_up = self.is_stopped = False
        self.standstill = Standstill(world.timeline)
        self.main: HostProcess | None = None
        """That of its supervisor."""
        self.children: list[HostProcess] = []
        self._supervisor: Supervisor | None = None
        self._disk = _Disk()
        self._boards: dict[str, Board] = {}

    @property
    def processes(self) -> list[HostProcess]:
        return [*self.children, self.main] if self.main is not None else [*self.children]

    # what happens to it

    def boot(self) -> None:
        self.is_up = True
        if self.main is None:
            self.main = HostProcess(self, f"{self.name} supervisor")
            self.main.on_exit.append(self._supervisor_gone)
            self.world.note(self.main, "starts")
            self.main.start(self._supervise)

    def crash(self) -> None:
        self.is_up = False
        self.go_on()
        for process in self.processes:
            process.exit(-9)
        self._boards.clear()

    def stop(self) -> None:
        self.is_stopped = True
        self.standstill.begin()
        for process in self.processes:
            process.stop()

    def go_on(self) -> None:
        if self.is_stopped:
            self.is_stopped = False
            self.standstill.end()
            for process in self.processes:
                process.go_on()

    def terminate(self) -> None:
        """SIGTERM to its supervisor; a second one ends everything now."""
        if self.main is not None and self._supervisor is not None:
            self.main.soon(partial(self._supervisor.stop, "interrupted"))

    # what its processes do

    def _supervise(self) -> None:
        world, process = self.world, self.world.timeline.process
        process.folder = _Folder(self._disk)
        code = 1
        try:
            self._supervisor = Supervisor(
                "simulated:jobs",
                process.link,
                world.plan.options,
                warm=False,
                prune=lambda: None,
                say=partial(world.note, process),
                folder=process.folder,
                store="simulated",
            )
            code = self._supervisor.run()
        except StoreError as error:
            world.note(process, f"cannot work: {error}")
        except Exception as error:
            world.broken(f"a supervisor ended with {error!r}")
        process.exit(code)

    def _supervisor_gone(self) -> None:
        self.world.note(self.main, "is gone")
        self.main = self._supervisor = None
        self.world.timeline.after(AGAIN, lambda: self.boot() if self.is_up else None)

    def start_child(self) -> ChildProcess:
        supervisor: HostProcess = self.world.timeline.process
        process = HostProcess(self, f"{self.name} child", supervisor=supervisor)
        process.on_exit.append(partial(self._child_gone, process))
        self.children.append(process)
        process.start(self._work)
        assert process.input is not None
        return ChildProcess(process, process.pid, process.input)

    def _child_gone(self, process: HostProcess) -> None:
        self.children.remove(process)
        self.world.ledger.died(process)
        self.world.note(process, f"is gone ({process.code})")

    def _work(self) -> None:
        """As `main()` of the worker's child."""
        world = self.world
        process: HostProcess = world.timeline.process
        assert process.input is not None
        world.timeline.thread.sleep(world.chance.uniform(0.1, LOADING))
        line = process.input.readline()
        if line:
            hello = msgspec.json.decode(line, type=Hello)
            process.name = hello.worker
            board = self._boards[hello.board]
            code = Child(hello, board, orders=0).run()
            board.does(Doing.ENDED)
            process.has_ended_well = True
            process.exit(code)
        process.exit(0)

    def runtime_of(self, connection: str) -> Any:
        """What the app that a process has loaded gives to its worker."""
        apps, link = self.world.apps, self.world.timeline.process.link
        app = apps.new if self.has_new_code else apps.old
        return replace(app.runtime, open=lambda: link)

    def board_above(self, process: HostProcess) -> Board | None:
        above = process.supervisor
        return above.folder.board if above is not None and above.folder is not None else None

    def board(self, path: Any, *, slots: int) -> Board:
        board = self._boards[str(path)] = _Board(path, slots=slots)
        return board


class _Board(Board):
    """One that is no file."""

    def __init__(self, path: Any, *, slots: int) -> None:
        super().__init__(slots=slots)
        self.path = path

    def remove(self) -> None:
        self.close()


class _Folder(RunFolder):
    """One on a disk that is none."""

    def __init__(self, disk: _Disk) -> None:
        self.base: Any = disk
        self.path: Any = disk
        self.board = Board()

    def remove(self) -> None:
        self.board.close()


class _Disk:
    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def __truediv__(self, name: str) -> _File:
        return _File(self, name)


class _File:
    def __init__(self, disk: _Disk, name: str) -> None:
        self.name = name
        self._disk = disk

    def __str__(self) -> str:
        return self.name

    def read_text(self, _: str) -> str:
        if self.name not in self._disk.files:
            raise FileNotFoundError(self.name)
        return self._disk.files[self.name]

    def write_text(self, text: str, _: str) -> None:
        self._disk.files[self.name] = text

    def with_name(self, name: str) -> _File:
        return _File(self._disk, name)

    def replace(self, target: _File) -> None:
        self._disk.files[target.name] = self._disk.files.pop(self.name)
