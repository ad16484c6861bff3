"""Bytes and texts: what goes in comes out."""

from __future__ import annotations

from tabur.model.records import ErrorInfo
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, move

ODD_BYTES = (
    b"",
    b"\x00",
    b"\x00\xff\xfe not utf-8 \x80",
    b"null",
    b"[]",
    b"{}",
    b"9223372036854775809",
    "قائمة المنتجات 🛒".encode(),
    b"'; DROP TABLE job_records; --",
    bytes(range(256)) * 4096,
)
ODD_TEXTS = (
    "المنتجات",
    "🛒🇮🇶",
    "a'b\"c`d;--",
    "%s {} ${x} \\",
    " spaces around ",
    "n" * 200,
)


def payloads_are_kept_byte_for_byte(store: Subject) -> None:
    jobs = [store.put(payload=payload, options=payload[:4096]) for payload in ODD_BYTES]
    claimed = store.claim()
    assert [each.payload for each in claimed] == list(ODD_BYTES)
    for job, each in zip(jobs, claimed, strict=True):
        assert each.options == job.options
        record = store.find(job.id)
        assert (record.payload, record.options) == (job.payload, job.options)


def results_are_kept_byte_for_byte(store: Subject) -> None:
    for payload in ODD_BYTES:
        claimed = store.running()
        store.settle(move(claimed, State.COMPLETED, result=payload[:65_536]))
        assert store.find(claimed.id).result == payload[:65_536]


def names_and_queues_are_kept_letter_for_letter(store: Subject) -> None:
    for text in ODD_TEXTS:
        fields = {"name": text, "queue": text, "tenant": text, "user": text, "locale": text}
        job = store.put(**fields)
        (claimed,) = store.claim(text)
        record = store.find(job.id)
        for name, value in fields.items():
            assert (getattr(claimed, name), getattr(record, name)) == (value, value)


def queues_that_look_alike_are_apart(store: Subject) -> None:
    names = ("mail", "Mail", "mail ", "mái", "mai")
    jobs = {name: store.put(queue=name) for name in names}
    for name in names:
        assert [each.id for each in store.claim(name)] == [jobs[name].id]


def errors_are_kept_letter_for_letter(store: Subject) -> None:
    for text in ODD_TEXTS:
        claimed = store.running()
        error = ErrorInfo(text, text * 3, "\n".join([text] * 20))
        store.settle(move(claimed, State.FAILED, error=error))
        assert store.find(claimed.id).error == error


def empty_owners_are_not_no_owners(store: Subject) -> None:
    job = store.put(tenant="", user=None)
    record = store.find(job.id)
    assert (record.tenant, record.user) == ("", None)
