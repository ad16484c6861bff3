"""Whom jobs belong to: tenant, user and locale, carried from the dispatch into the run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tabur import ConfigError, JobContext, Tabur

Who = tuple[str | None, str | None, str | None]


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


def test_inside_the_scope_jobs_have_an_owner(jobs: Tabur) -> None:
    whose = jobs.job()(_whose)
    with jobs.scope(tenant="acme", user="7", locale="ar"):
        handle = whose.dispatch()
    status = handle.status()
    assert (status.tenant, status.user, status.locale) == ("acme", "7", "ar")
    assert handle.result() == ("acme", "7", "ar")
    assert whose.dispatch().result() == (None, None, None)


def test_scopes_replace_each_other(jobs: Tabur) -> None:
    whose = jobs.job()(_whose)
    with jobs.scope(tenant="acme", user="7"):
        with jobs.scope(tenant="basra"):
            assert whose.dispatch().result() == ("basra", None, None)
        assert whose.dispatch().result() == ("acme", "7", None)


def test_options_win_over_the_scope(jobs: Tabur) -> None:
    whose = jobs.job()(_whose)
    with jobs.scope(tenant="acme", user="7", locale="ar"):
        handle = whose.options(user="8", locale="en").dispatch()
    assert handle.result() == ("acme", "8", "en")


def test_jobs_dispatched_by_a_job_belong_to_the_same(jobs: Tabur) -> None:
    whose = jobs.job()(_whose)

    @jobs.job()
    def parent() -> Who:
        return whose.dispatch().result()

    with jobs.scope(tenant="acme", user="7", locale="ar"):
        handle = parent.dispatch()
    assert handle.result() == ("acme", "7", "ar")


def test_each_coroutine_and_thread_has_its_own(jobs: Tabur) -> None:
    whose = jobs.job()(_whose)

    async def request(tenant: str) -> str | None:
        with jobs.scope(tenant=tenant):
            await asyncio.sleep(0)
            return (await whose.dispatch_async()).status().tenant

    async def both() -> list[str | None]:
        return list(await asyncio.gather(request("acme"), request("basra")))

    assert asyncio.run(both()) == ["acme", "basra"]
    seen: list[Who] = []
    with jobs.scope(tenant="acme"):
        thread = threading.Thread(target=lambda: seen.append(whose.dispatch().result()))
        thread.start()
        thread.join()
    assert seen == [(None, None, None)]


def test_two_apps_do_not_share_a_scope(jobs: Tabur) -> None:
    other = Tabur(connection="sync").job()(_whose)
    with jobs.scope(tenant="acme"):
        assert other.dispatch().result() == (None, None, None)


@pytest.mark.parametrize("what", ["tenant", "user", "locale"])
@pytest.mark.parametrize("value", [7, "", "a\0b", "x" * 201])
def test_odd_owners_are_refused(jobs: Tabur, what: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{what}=.*: 1 to 200 printable characters are needed"):
        jobs.scope(**{what: value})


def _whose(ctx: JobContext) -> Who:
    return ctx.tenant, ctx.user, ctx.locale
