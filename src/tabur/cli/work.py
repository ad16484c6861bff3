"""`tabur queue:work`: a supervisor and its worker processes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tabur.cli.balancing import balance, balancing_options, check_together
from tabur.cli.completion import keep_names, queue_names
from tabur.cli.group import Command, Session
from tabur.cli.opening import connection_of, declared_queues, open_at
from tabur.cli.values import COUNT, SECONDS, WAITS
from tabur.drivers.contract import Driver, Relaying
from tabur.errors import ConfigError
from tabur.jobs.logs import install_logging
from tabur.jobs.options import check_name
from tabur.maintenance.retention import Pruner, prune
from tabur.model.retry import Policy
from tabur.model.states import Isolation
from tabur.worker.balancing.balancing import slots_by_queue
from tabur.worker.load import find_app
from tabur.worker.options import WorkOptions
from tabur.worker.stacks import dump_stacks_on_signal
from tabur.worker.supervision.companion import Companion
from tabur.worker.supervision.folder import About, RunFolder
from tabur.worker.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from tabur.app import Tabur

#: Seconds between two looks into the outbox, for what its dispatcher did not live to relay.
RELAY = 1.0


@click.command("queue:work", cls=Command)
@click.argument("connection", required=False)
@click.option(
    "--queue",
    metavar="NAME,…",
    shell_complete=queue_names,
    help="Queues in strict order: high,default.",
)
@click.option(
    "--all-queues", is_flag=True, help="Every queue that a job of the app goes to by itself."
)
@click.option("--processes", type=click.IntRange(1, 256), help="Worker processes. [1]")
@balancing_options
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    help="Jobs at once in each. [100 async, 10 in threads]",
)
@click.option(
    "--tries",
    type=click.IntRange(0, 1_000_000),
    default=1,
    show_default=True,
    help="Attempts where a job says nothing itself; 0: no limit.",
)
@click.option(
    "--backoff", type=WAITS, default="0", show_default=True, help="Wait before trying again."
)
@click.option(
    "--timeout",
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="How long a job may run where it says nothing itself; 0: for ever.",
)
@click.option(
    "--sleep", type=SECONDS, default=1.0, show_default=True, help="Longest wait of an idle worker."
)
@click.option("--rest", type=SECONDS, default=0.0, help="Pause between batches of jobs.")
@click.option(
    "--grace", type=SECONDS, default=30.0, show_default=True, help="Time to finish when stopped."
)
@click.option("--max-jobs", type=COUNT, default=0, help="Stop after so many jobs in each process.")
@click.option("--max-time", type=SECONDS, default=0.0, help="Stop after so long.")
@click.option("--memory", type=COUNT, default=0, help="Replace a process above so many MB.")
@click.option("--once", is_flag=True, help="Run one job, then stop.")
@click.option("--stop-when-empty", is_flag=True, help="Stop when nothing is left to run.")
@click.option(
    "--stop-when-empty-for",
    type=SECONDS,
    default=0.0,
    help="Stop when nothing was left for so long.",
)
@click.option(
    "--unknown-for",
    type=SECONDS,
    default=600.0,
    show_default=True,
    help="Leave jobs that this app does not know to other workers for so long; then they fail.",
)
@click.option("--schedule", is_flag=True, help="Watch the schedules too, as schedule:work does.")
@click.option("--name", help="A name for this worker, in its first line.")
@click.option("--daemon", is_flag=True, help="Accepted, without effect: it always is one.")
@click.option("--force", is_flag=True, help="Accepted, without effect: no maintenance mode here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line. [TABUR_LOG]")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing for jobs.")
@click.pass_obj
def work(session: Session, /, connection: str | None, **given: Any) -> None:
    """Run jobs until stopped.

    Ctrl-C or SIGTERM: finish what runs, then stop; a second time: stop now, what was cut off runs
    again. USR2: claim nothing, until CONT. USR1: print the stacks of all threads. With -v each line
    also has the job's id, connection, queue and the memory in use.
    """
    check_together(given)
    if given["all_queues"] and given["queue"]:
        raise click.UsageError("--all-queues and --queue: which ones?")
    run(session, connection, given)


def run(session: Session, connection: str | None, given: dict[str, Any]) -> NoReturn:
    """Work as the options say that were `given`; ends the process."""
    spec = find_app(session.app)
    app = open_at(spec)
    driver = _driver(app, connection_of(app, connection))
    options = _options(app, driver.name, given, verbose=session.verbose)
    install_logging(options.output, options.log_level)
    told = driver.check()
    if isinstance(driver, Relaying):
        driver.keep_relaying(RELAY)
    stores = [*app.drivers, driver]
    pruner = Pruner(lambda: prune(driver, stores, app.settings, app.registry))
    supervisor = Supervisor(
        spec,
        driver,
        options,
        warm=any(each.isolation is Isolation.PROCESS for each in app.registry),
        prune=pruner.start,
        say=_say,
        folder=_folder(app, spec, driver, options),
        store=str(told["store"]),
        version=app.settings.version,
        slots=slots_by_queue(app.registry, options, default=app.settings.queue_on(driver.name)),
        companion=_scheduler(spec) if given["schedule"] else None,
    )
    obey(supervisor)
    if options.output == "lines":
        _announce(app, options, given["name"])
    code = supervisor.run()
    pruner.stop()
    app.close()
    sys.exit(code)


def obey(supervisor: Supervisor) -> None:
    """Let signals reach the supervisor, those that this system knows."""

    def stop(number: int, frame: Any) -> None:
        supervisor.stop(signal.Signals(number).name)

    def pause(number: int, frame: Any) -> None:
        supervisor.pause()

    def resume(number: int, frame: Any) -> None:
        supervisor.resume()

    handlers = dict.fromkeys(("SIGTERM", "SIGINT", "SIGQUIT", "SIGBREAK"), stop)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers["SIGHUP"] = stop  # the terminal is gone; under nohup it is ignored
    for name, handler in (handlers | {"SIGUSR2": pause, "SIGCONT": resume}).items():
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)
    dump_stacks_on_signal(supervisor.dump)


def _scheduler(spec: str) -> Companion:
    command = (sys.executable, "-m", "tabur", "schedule:work", "--beside", "--whisper")
    return Companion((*command, f"--app={spec}"), what="The scheduler", say=_say)


def _folder(app: Tabur, spec: str, driver: Driver, options: WorkOptions) -> RunFolder:
    about = About(
        os.getpid(),
        spec,
        driver.name,
        options.queues,
        sum(options.groups.values()),
        pause=max(options.sleep, options.rest),
        beat=options.beat,
    )
    folder = RunFolder(app.settings.run, about)
    keep_names(app)
    if not folder.is_seen:
        _say(
            f"Note: {app.settings.run} cannot be written; `tabur health` will not see this worker."
        )
    return folder


def _driver(app: Tabur, connection: str) -> Driver:
    """The store to work for. Raises ConfigError for a connection that no worker can work for."""
    if connection == "failover":
        each = " and ".join(f"tabur queue:work {name}" for name in app.settings.failover)
        raise ConfigError(
            f"failover is a list of connections, and a worker works for one. Start {each}."
        )
    if connection in ("sync", "memory"):
        raise ConfigError(
            f"QUEUE_CONNECTION={connection} keeps jobs in the process that dispatches them, "
            "where no worker can see them. Set QUEUE_CONNECTION=database."
        )
    return app.driver_of(connection)


def _options(app: Tabur, connection: str, given: dict[str, Any], *, verbose: bool) -> WorkOptions:
    concurrency = given["concurrency"]
    every = ",".join(app.queues_of(connection)) if given["all_queues"] else None
    queues: str = given["queue"] or every or app.settings.queue_on(connection)
    names = [check_name(name.strip(), "--queue") for name in queues.split(",")]
    balanced = balance(names, given) if given["balance"] == "auto" else None
    return WorkOptions(
        queues=tuple(dict.fromkeys(names if balanced is None else balanced.limits)),
        processes=1 if given["once"] else given["processes"] or 1,
        divided=given["balance"] == "simple",
        balance=balanced,
        async_slots=concurrency or 100,
        thread_slots=concurrency or 10,
        policy=Policy(tries=given["tries"], backoff=given["backoff"]),
        timeout=given["timeout"],
        sleep=given["sleep"],
        rest=given["rest"],
        grace=given["grace"],
        max_jobs=given["max_jobs"],
        max_time=given["max_time"],
        memory=given["memory"],
        once=given["once"],
        stop_when_empty=given["stop_when_empty"],
        stop_when_empty_for=given["stop_when_empty_for"],
        unknown_for=given["unknown_for"],
        beat=app.settings.beat,
        lost=app.settings.lost,
        output="json" if given["as_json"] else "quiet" if given["quiet"] else app.settings.log,
        verbose=verbose,
        log_level=app.settings.log_level,
    )


def _announce(app: Tabur, options: WorkOptions, name: str | None) -> None:
    queues = ",".join(options.queues)
    called = f" as [{name}]" if name else ""
    _say(f"Processing jobs from the [{queues}] {'queues' if ',' in queues else 'queue'}{called}.")
    if options.balance is not None:
        _say(f"Balancing: {options.balance}.")
    declared = declared_queues(app)
    for queue in options.queues:
        if queue not in declared:
            known = ", ".join(sorted(declared))
            _say(f"Note: no job of this app declares the queue {queue!r}; declared are: {known}.")


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal is gone
        click.echo(f"  {text}", err=True)
