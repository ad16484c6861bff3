"""The catalogue is complete and the schema is what the models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import backoffice
from backoffice.kernel.database import Base
from backoffice.kernel.i18n import LOCALE_FOLDER, language
from backoffice.wiring import BackOffice

SOURCE = Path(backoffice.__file__).parent


@pytest.fixture(scope="module")
def arabic() -> Catalog:
    with (LOCALE_FOLDER / "ar" / "LC_MESSAGES" / "backoffice.po").open("rb") as file:
        return read_po(file, locale="ar")


def _texts() -> set[str | tuple[str, str]]:
    found = extract_from_dir(
        SOURCE,
        [("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        {"templates/**.html": {"trimmed": "true", "extensions": "jinja2.ext.i18n"}},
        {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)},
    )
    return {text if isinstance(text, str) else (text[0], text[1]) for _, _, text, _, _ in found}


def test_every_text_stands_in_the_arabic_catalogue_and_no_other(arabic: Catalog) -> None:
    there = {
        message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
        for message in arabic
        if message.id
    }

    assert there == _texts()


def test_every_text_is_translated_with_what_fills_it(arabic: Catalog) -> None:
    for message in arabic:
        if not message.id:
            continue
        string = message.string or ""
        forms = [string] if isinstance(string, str) else list(string)
        assert not message.fuzzy
        assert len(forms) == (6 if message.pluralizable else 1), message.id
        allowed = _fillings(message)
        for form in forms:
            assert form, message.id
            used = set(re.findall(r"%\((\w+)\)s", form))
            assert used <= allowed, form
            if not message.pluralizable:
                assert used == allowed, form


def _fillings(message: Message) -> set[str]:
    text = message.id if isinstance(message.id, str) else " ".join(message.id)
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (1, "لم يُستورد صف واحد."),
        (2, "لم يُستورد صفان."),
        (3, "لم تُستورد 3 صفوف."),
        (10, "لم تُستورد 10 صفوف."),
        (11, "لم يُستورد 11 صفًا."),
        (99, "لم يُستورد 99 صفًا."),
        (100, "لم يُستورد 100 صف."),
        (103, "لم تُستورد 103 صفوف."),
    ],
)
def test_arabic_counts_as_arabic_does(count: int, shown: str) -> None:
    text = language("ar").translations.ngettext(
        "%(n)s row was not imported. Correct it and upload it again.",
        "%(n)s rows were not imported. Correct them and upload them again.",
        count,
    )

    assert (text % {"n": count}).startswith(shown)


def test_the_migrations_make_what_the_models_say(backoffice: BackOffice) -> None:
    ours = set(Base.metadata.tables)
    with backoffice.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: kind != "table" or name in ours,
                "compare_type": False,
            },
        )
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_provisioning_again_changes_nothing(backoffice: BackOffice) -> None:
    backoffice.provision()
    backoffice.provision()

    assert backoffice.accounts.sign_in("owner@alnoor.example", "noor-demo-2026") is not None
