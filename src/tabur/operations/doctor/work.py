"""Whether what is dispatched and scheduled is worked by anybody."""

from __future__ import annotations

from collections.abc import Iterator

from tabur.drivers.contract import Driver
from tabur.model.beats import BEATS, SchedulerBeat, read_beat
from tabur.model.clock import SECOND
from tabur.model.findings import Finding, Level
from tabur.operations.doctor.patient import Patient
from tabur.operations.health import is_alive
from tabur.operations.reading import Reading

#: Connections without workers: what is dispatched there runs in the process that dispatches it.
INLINE = ("sync", "memory")
#: Seconds after which a schedule that is due and undecided tells that no scheduler runs. The note
#: of one is written anew every so often as it says; one that is older by far is of a dead one.
OVERDUE = 180
BEATS_MISSED, SHORTEST = 3, 60


def about_workers(patient: Patient, driver: Driver) -> Iterator[Finding]:
    if driver.name in INLINE:
        return
    default = driver.name == patient.settings.connection
    work = "tabur queue:work" if default else f"tabur queue:work {driver.name}"
    known = driver.workers.list()
    working = [each for each in known if is_alive(each) is not False]
    if gone := len(known) - len(working):
        noun = "worker process is" if gone == 1 else "worker processes are"
        yield Finding(
            "workers-gone",
            Level.ERROR,
            f"{gone} {noun} gone without a word; what they held waits for another worker.",
            f"Start one: {work} (it takes the jobs over after 30 s). Then look why: killed by the "
            "system for its memory (dmesg), or by a deployment that did not wait?",
        )
    worked = {queue for each in working for queue in each.queues}
    waits = {each.queue: each.pending for each in driver.inspection.queues() if each.pending}
    for queue, pending in waits.items():
        if queue not in worked:
            noun = "job waits" if pending == 1 else "jobs wait"
            yield Finding(
                "queue-unworked",
                Level.ERROR,
                f"{pending:,} {noun} on queue {queue}, and no worker works it.",
                f"Start one: {work} --queue={queue}",
            )
    if not working:
        yield Finding(
            "no-worker",
            patient.grave,
            f"No worker runs for {driver.name}: what is dispatched there waits.",
            f"Start one: {work} --queue={','.join(patient.queues.get(driver.name, ('default',)))}",
        )
        return
    for queue in patient.queues.get(driver.name, ()):
        if queue not in worked and queue not in waits:
            jobs = ", ".join(_jobs_of(patient, queue)) or "what names no queue"
            yield Finding(
                "code-unworked",
                Level.WARNING,
                f"No worker works queue {queue}, to which these go: {jobs}.",
                f"Start one: {work} --queue={queue}, or add it to --queue of one that runs.",
            )
    yield from _about_versions(patient, [each.version for each in working])


def _jobs_of(patient: Patient, queue: str) -> list[str]:
    return [each.name for each in patient.registry if each.options.queue == queue]


def _about_versions(patient: Patient, versions: list[str]) -> Iterator[Finding]:
    here = patient.settings.version
    others = sorted({each for each in versions if each and each != here})
    if here and others:
        yield Finding(
            "workers-old",
            Level.WARNING,
            f"Workers run version {', '.join(others)} of the code, and here is {here}.",
            "tabur queue:restart (whoever started them starts them anew), or deploy here.",
        )


def about_rest(patient: Patient, driver: Driver) -> Iterator[Finding]:
    for each in Reading(driver).resting():
        name = "held" if each.kind == "hold" else "paused"
        yield Finding(name, Level.WARNING, each.told, each.todo)


def _lives(beat: SchedulerBeat | None, now: int) -> bool:
    return beat is not None and now - beat.at < max(SHORTEST, BEATS_MISSED * beat.every) * SECOND


def about_scheduler(patient: Patient, driver: Driver) -> Iterator[Finding]:
    """Whether anybody looks after the schedules. A scheduler leaves a note while it runs; and what
    nobody has decided minutes after it was due tells that none does."""
    if driver.name in INLINE:
        return
    declared = patient.schedules.get(driver.name, ())
    stored = driver.schedules.list(limit=1000)
    active = [each.name for each in stored if each.is_active and each.next_run_at is not None]
    if not active and not declared:
        return
    found = driver.schedules.due(limit=1)
    late = (found.now - (found.due[0].next_run_at or found.now)) / SECOND if found.due else 0.0
    beats = [read_beat(each.value) for each in driver.notes.read(BEATS)]
    if late < OVERDUE and any(_lives(each, found.now) for each in beats):
        return
    many = str(len(active) or len(declared))
    noun = "schedule waits" if many == "1" else "schedules wait"
    since = f" ({found.due[0].name} has been due for {late:,.0f} s)" if late >= OVERDUE else ""
    yield Finding(
        "scheduler-not-running",
        Level.ERROR if patient.in_production or late >= OVERDUE else Level.NOTE,
        f"No scheduler runs, and {many} {noun} for one{since}.",
        "tabur schedule:work, kept running as a worker is; or once a minute from crontab: "
        "tabur schedule:run",
    )
