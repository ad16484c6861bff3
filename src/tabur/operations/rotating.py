"""Bringing all that is encrypted or signed under the current key, while workers run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from tabur.drivers.contract import Body, Driver, Filter, Relaying, Rewrite
from tabur.errors import SealError
from tabur.jobs.seals import Seals
from tabur.model.ids import id_text
from tabur.model.records import JobRecord

#: Jobs looked at, and rewritten in one transaction.
CHUNK = 200
#: Of what no key opens, so many are told by id.
TOLD = 5


class Rotated(msgspec.Struct):
    """What a rotation has done in one store. `unopened`: ids of the first jobs with something that
    no key opens, and why; `left`: how many there are."""

    looked: int = 0
    rewritten: int = 0
    left: int = 0
    unopened: dict[str, str] = {}


def rotate(
    driver: Driver, seals: Seals, *, vouch: bool = False, tell: Callable[[Rotated], None]
) -> Rotated:
    """Look at every job of a store, in chunks, and put its payload and its result under the current
    key. Safe to end at any moment and to repeat: each body is replaced only where it stands as it
    was read. `vouch` signs what nobody has signed. `tell` hears after each chunk how far it is.
    Raises StoreUnavailable, ConfigError."""
    if isinstance(driver, Relaying):
        driver.relay()  # what waits in an outbox is in no list
    done = Rotated()
    for page in _pages(driver):
        changes = [change for each in page for change in _changes(each, seals, done, vouch=vouch)]
        done.rewritten += driver.transfer.rewrite(changes) if changes else 0
        done.looked += len(page)
        tell(done)
    return done


def _pages(driver: Driver) -> Iterator[Sequence[JobRecord]]:
    """Every job with its payload, newest first."""
    inspection, after = driver.inspection, None
    while page := inspection.list(Filter(), limit=CHUNK, after=after):
        found = (inspection.find(each.id) for each in page)
        yield [each for each in found if each is not None]  # some are gone by now
        after = page[-1].id


def _changes(record: JobRecord, seals: Seals, done: Rotated, *, vouch: bool) -> Iterator[Rewrite]:
    try:
        payload = seals.renewed_payload(record, vouch=vouch)
        if payload != record.payload:
            yield Rewrite(record.id, Body.PAYLOAD, record.payload, payload)
        result = seals.renewed_result(record)
        if record.result is not None and result is not None and result != record.result:
            yield Rewrite(record.id, Body.RESULT, record.result, result)
    except SealError as error:
        done.left += 1
        if len(done.unopened) < TOLD:
            done.unopened[id_text(record.id)] = str(error)
