"""Ten thousand odd payloads and options, against dispatch and against a running worker.

None kills the worker or holds its neighbours back. Each is refused where it is made, or fails in
the store with a reason that a person understands, or is valid and comes out as it went in.
"""

from __future__ import annotations

import sqlite3
import uuid

from tabur import State
from tests.bad_input.odd_jobs import stored_job
from tests.bad_input.trial import Trial
from tests.bad_input.values import MIB
from tests.worker.workshop import Workshop

SEED = 20261122
CASES = 10_000


def test_ten_thousand_odd_jobs_and_their_neighbours(shop: Workshop) -> None:
    trial = Trial(shop, SEED)
    while trial.cases < CASES:
        trial.add_batch(200)
    trial.add_runs()
    trial.add_stored(stored_job("echo", b'{"value":"' + b"x" * (100 * MIB) + b'"}'), "huge")
    ended = trial.judge()
    # the generator is worth its name: much of each kind
    assert trial.accepted.refused["PayloadError"] > 1000
    assert len(trial.accepted.jobs) > 1000
    assert ended[State.FAILED] > 3000


def test_rows_written_by_hand_do_not_stop_a_worker(shop: Workshop) -> None:
    """Somebody edited the tables: types and texts that Tabur never writes."""
    handles = [shop.module.echo.dispatch(value=n) for n in range(12)]
    neighbours = [shop.module.neighbour.dispatch(n=n) for n in range(5)]
    ids = [uuid.UUID(handle.id).bytes for handle in handles]
    edits = (
        "UPDATE job_records SET payload = CAST(x'7b2276616c7565223aff7d' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET payload = 7 WHERE id = ?",
        "UPDATE job_records SET payload = '{\"value\": 5}' WHERE id = ?",
        "UPDATE job_records SET name = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET name = 7 WHERE id = ?",
        "UPDATE job_records SET options = 7 WHERE id = ?",
        "UPDATE job_records SET options = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET tenant = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET isolation = 'spaceship' WHERE id = ?",
        "UPDATE job_ready SET attempts = -5 WHERE id = ?",
        "UPDATE job_ready SET crashes = 99 WHERE id = ?",
        "UPDATE job_ready SET worker = 7 WHERE id = ?",
    )
    file = sqlite3.connect(shop.folder / "jobs.sqlite3")
    with file:
        for job_id, edit in zip(ids, edits, strict=True):
            file.execute(edit, (job_id,))
    file.close()
    shop.work("--unknown-for=0")
    assert [each.result() for each in neighbours] == [0, 2, 4, 6, 8]
    unfinished = (State.PENDING, State.PROCESSING, State.SCHEDULED)
    for handle, edit in zip(handles, edits, strict=True):
        assert handle.status().state not in unfinished, edit


def test_the_hook_of_a_bad_job_is_not_needed_for_its_end(shop: Workshop) -> None:
    job = stored_job("Hooked", b'{"n":"seven"}')
    shop.jobs.driver.dispatching.dispatch([job])
    shop.work("--unknown-for=0")
    record = shop.jobs.driver.inspection.find(job.id)
    assert record is not None
    assert record.error is not None
    assert record.error.message == "Hooked: Expected `int`, got `str` - at `$.n`"
