"""Bad input that is refused where it is made, by an error that a person understands."""

from __future__ import annotations

from typing import Any

import pytest

from tabur import ConfigError, JobContext, PayloadError, Tabur, TaburError
from tabur.drivers.contract import Filter
from tests.bad_input.trial import assert_readable
from tests.bad_input.values import DECLARED, MIB, OPTIONS
from tests.worker.workshop import Workshop


def test_absurd_options_are_refused_by_name() -> None:
    app = Tabur(connection="memory")

    @app.job()
    def work() -> None: ...

    for option, values in OPTIONS.items():
        for value in values:
            with pytest.raises((ConfigError, PayloadError)) as refused:
                work.options(**{option: value}).dispatch()
            assert option in str(refused.value), (option, value)
            assert_readable(str(refused.value))
    assert app.driver.inspection.count(Filter(), at_most=10) == 0


def test_absurd_declarations_are_refused_by_name() -> None:
    app = Tabur(connection="memory")

    def work() -> None: ...

    for option, values in DECLARED.items():
        for value in values:
            with pytest.raises(ConfigError) as refused:
                app.job(**{option: value})(work)
            shown = str(refused.value)
            assert option.removesuffix("es") in shown or "plain def" in shown, (option, value)
            assert_readable(shown)


def test_a_hundred_mebibytes_are_refused_where_they_are_made(shop: Workshop) -> None:
    with pytest.raises(PayloadError, match=r"104,857,6\d\d bytes, and 1,048,576 are allowed"):
        shop.module.echo.dispatch(value="x" * (100 * MIB))
    assert shop.jobs.driver.inspection.count(Filter(), at_most=1) == 0


def test_a_context_refuses_what_no_page_could_show() -> None:
    app = Tabur(connection="sync")
    seen: list[Any] = []

    @app.job()
    def work(ctx: JobContext) -> None:
        for make in (lambda: ctx.progress("x"), lambda: ctx.attach(b"x")):  # type: ignore[arg-type]  # the point
            try:
                make()
            except (TypeError, ValueError, TaburError) as error:
                seen.append(error)

    work.dispatch()
    assert len(seen) == 2
