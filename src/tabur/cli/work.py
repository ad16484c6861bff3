"""`tabur queue:work`: a supervisor and its worker processes."""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from tabur.maintenance.retention import prune
from tabur.model.retry import parse_backoff
from tabur.model.states import Isolation
from tabur.worker.load import find_app, load_app
from tabur.worker.options import WorkOptions
from tabur.worker.supervisor import Supervisor


@click.command("queue:work")
@click.argument("connection", required=False)
@click.option("--queue", default=None, help="Queues in strict order: high,default.")
@click.option("--processes", default=1, show_default=True, help="Worker processes.")
@click.option("--concurrency", default=None, type=int, help="Jobs at once in each. [100 async, 10]")
@click.option("--tries", default=1, show_default=True, help="Where a job says nothing itself.")
@click.option("--backoff", default="0", show_default=True, help="Seconds, or a list: 30,60,120.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds; 0: none.")
@click.option("--sleep", default=1.0, show_default=True, help="Longest wait of an idle worker (s).")
@click.option("--rest", default=0.0, help="Seconds between batches of jobs.")
@click.option("--grace", default=30.0, show_default=True, help="Seconds to finish when stopped.")
@click.option("--max-jobs", default=0, help="Stop after so many. 0: no limit.")
@click.option("--max-time", default=0.0, help="Stop after so many seconds. 0: no limit.")
@click.option("--memory", default=0, help="Replace a process above so many MB. 0: no limit.")
@click.option("--once", is_flag=True, help="Run one job, then stop.")
@click.option("--stop-when-empty", is_flag=True, help="Stop when nothing is left.")
@click.option("--daemon", is_flag=True, help="Accepted, without effect.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing for jobs.")
@click.option("-v", "--verbose", is_flag=True, help="Also print id, connection and queue.")
@click.pass_obj
def work(app: str | None, connection: str | None, **given: Any) -> None:
    """Run jobs until stopped (Ctrl-C: finish what runs; twice: now)."""
    spec = find_app(app)
    jobs = load_app(spec)
    options = _options(jobs, given)
    jobs.driver.check()

    def say(text: str) -> None:
        click.echo(f"  {text}", err=True)

    warm = any(each.isolation is Isolation.PROCESS for each in jobs.registry)
    supervisor = Supervisor(
        spec,
        jobs.driver,
        options,
        warm=warm,
        prune=lambda: prune(jobs.driver, jobs.settings),
        say=say,
    )

    def stop(number: int, frame: Any) -> None:
        supervisor.stop("interrupted")

    for each in ("SIGTERM", "SIGINT", "SIGQUIT"):
        if hasattr(signal, each):
            signal.signal(getattr(signal, each), stop)
    if not given["quiet"] and not given["as_json"]:
        queues = ",".join(options.queues)
        say(f"Processing jobs from the [{queues}] {'queues' if ',' in queues else 'queue'}.")
    code = supervisor.run()
    jobs.close()
    sys.exit(code)


def _options(jobs: Any, given: dict[str, Any]) -> WorkOptions:
    concurrency = given["concurrency"]
    waits = [float(part) for part in given["backoff"].split(",")]
    return WorkOptions(
        queues=tuple((given["queue"] or jobs.settings.queue).split(",")),
        processes=given["processes"],
        async_slots=concurrency or 100,
        thread_slots=concurrency or 10,
        tries=given["tries"],
        backoff=parse_backoff(waits if len(waits) > 1 else waits[0]),
        timeout=given["timeout"],
        sleep=given["sleep"],
        rest=given["rest"],
        grace=given["grace"],
        max_jobs=given["max_jobs"],
        max_time=given["max_time"],
        memory=given["memory"],
        once=given["once"],
        stop_when_empty=given["stop_when_empty"],
        output="json" if given["as_json"] else "quiet" if given["quiet"] else "lines",
        verbose=given["verbose"],
    )
