"""Jobs of odd values: made by the public names, put into the store by others, ended oddly."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from tabur import PendingJob
from tabur.model.ids import new_id
from tabur.model.records import NewJob
from tabur.model.states import Isolation
from tests.bad_input.values import OPTIONS, deep, endless, odd_value


def odd_pending(rng: Random, module: Any) -> PendingJob[Any]:
    """A job of odd arguments, made by the public names; most are refused."""
    kind = rng.random()
    if kind < 0.7:
        return module.echo(value=odd_value(rng))  # type: ignore[no-any-return]  # a module
    if kind < 0.8:
        names = ("n", "text", "price", "when", "unit", "path", "owner", "extra", "n\0")
        return module.typed(**{rng.choice(names): odd_value(rng) for _ in range(3)})  # type: ignore[no-any-return]  # a module
    if kind < 0.83:
        return module.echo(value=rng.choice((deep(10_000), deep(900), endless())))  # type: ignore[no-any-return]  # a module
    option = rng.choice(list(OPTIONS))
    options = {option: rng.choice(OPTIONS[option])}
    made: PendingJob[Any] = module.echo(value="ok").options(**options)
    if option in {"session", "after_commit"}:
        made.dispatch()
        raise AssertionError(f"{options} was accepted")
    return made


def tampered_job(rng: Random) -> tuple[NewJob, str]:
    """A job as somebody else might have written it into the store: bytes that are no JSON, fields
    renamed, missing or too many, names of nothing, options out of every bound."""
    name = rng.choice(("echo", "typed", "Hooked", "fails"))
    payload = rng.choice(
        (b'{"value":[1,2]}', b'{"n":7}', b'{"n":7,"text":"a"}', b'{"n":"7"}', b"{}", b'{"N":7}')
    )
    options = b""
    what = rng.randrange(5)
    if what == 0:
        payload = damaged(rng, payload)
    elif what == 1:
        name = rng.choice(("nosuch", "ECHO", "echo ", "os.system", "../../echo", "🛒", "a" * 200))
    elif what == 2:
        name = rng.choice(("echo", "typed"))  # a failing one might be told to try for ever
        options = damaged(rng, b'{"tries":3,"backoff":5,"timeout":9}')
    elif what == 3:
        option = rng.choice(("tries", "backoff", "timeout", "retry_until", "expires", "x"))
        name = "fails" if option == "backoff" else rng.choice(("echo", "typed"))
        value = rng.choice((-1, 0, 10**30, 1e308, -1e308, "3", None, [], [1e308], {"type": "x"}))
        options = msgspec.json.encode({option: value})
    else:
        payload = rng.choice(
            (
                b'{"value":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
                b'{"n":9223372036854775809}',
                b'{"n":1e400}',
                b'{"n":NaN}',
                b'{"value":"\\ud800"}',
                b'{"value":"\\u0000"}',
                b'{"n":1,"n":2}',
                b"\xef\xbb\xbf{}",
                rng.randbytes(rng.randrange(60)),
                b"[" * 200_000,
            )
        )
    job = stored_job(name, payload, options)
    return job, f"{name} {payload[:60]!r} {options!r}"


def damaged(rng: Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(3):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:]
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(4))
    return bytes(changed)


def odd_runs(module: Any) -> list[PendingJob[Any]]:
    """Jobs whose arguments are fine, and whose runs are not."""
    ways = [*module.ERRORS, "recursion"]
    return [
        *(module.raises(how=how) for how in ways),
        *(module.raises_lightly(how=how) for how in ways),
        *(module.returns(what=what) for what in module.RESULTS),
        *(module.reports(what=what) for what in [*module.PROGRESS, "message", "attachment"]),
    ]


def stored_job(name: str, payload: bytes, options: bytes = b"") -> NewJob:
    """As somebody else might write it into the store."""
    return NewJob(
        id=new_id(),
        name=name,
        queue="default",
        isolation=Isolation.THREAD,
        payload=payload,
        created_at=0,
        options=options,
    )
