"""What pages share with the code is made from the code."""

from __future__ import annotations

import re

import pytest

from scripts import simulated_day, states_table, workflow_picture
from tabur.alerts.rules import RULES
from tabur.jobs.options import DeclaredOptions, DispatchKeywords
from tabur.testing.conformance import ACROSS_PROCESSES, FENCING, OBLIGATIONS
from tests.docs.pages import ROOT


def test_the_table_of_states_is_current() -> None:
    page = states_table.PAGE.read_text(encoding="utf-8")
    assert page == states_table.current(page), "run python scripts/states_table.py"


def test_the_picture_of_a_balanced_day_is_current() -> None:
    picture, _ = simulated_day.day()
    current = simulated_day.PICTURE.read_text(encoding="utf-8")
    assert current == picture, "run python scripts/simulated_day.py"


def test_the_picture_of_a_workflow_is_current() -> None:
    current = workflow_picture.PICTURE.read_text(encoding="utf-8")
    assert current == workflow_picture.current(), "run python scripts/workflow_picture.py"


def test_every_option_is_in_the_table_of_options() -> None:
    page = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
    section = page.partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    named = {option: row[2].strip() for row in rows for option in re.findall(r"`(\w+)`", row[1])}
    declared, dispatched = (
        set(DeclaredOptions.__annotations__),
        set(DispatchKeywords.__annotations__),
    )
    assert set(named) == declared | dispatched
    assert {option for option, where in named.items() if where == "only"} == dispatched - declared
    assert {option for option, where in named.items() if where == "yes"} == dispatched & declared


def test_every_rule_of_the_alerts_is_in_the_table_of_rules() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    section = page.partition("\n## The rules\n")[2].partition("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    assert [row[1].strip(" `") for row in rows] == list(RULES)
    for row, rule in zip(rows, RULES.values(), strict=True):
        shown = dict(re.findall(r"`(\w+)`(?: \(([^)]*)\))?", row[3]))
        defaults = {field: getattr(rule(), field) for field in rule.__struct_fields__}
        assert set(shown) == set(defaults)
        for field, default in defaults.items():
            if isinstance(default, int | float):
                assert shown[field] == f"{default:g}"


PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
OWED = {
    f"{each.__module__.rpartition('.')[2]}.{each.__name__}"
    for each in (*OBLIGATIONS, *ACROSS_PROCESSES, *FENCING)
}


@pytest.mark.parametrize("proof", sorted(set(re.findall(r"`([a-z_]+\.[a-z_]+)`", PROMISES))))
def test_obligations_that_prove_a_promise_exist(proof: str) -> None:
    assert proof in OWED


@pytest.mark.parametrize("proof", sorted(set(re.findall(r"`(tests/[^`]+)`", PROMISES))))
def test_tests_that_prove_a_promise_exist(proof: str) -> None:
    path, _, name = proof.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).is_file() else ""
    assert (ROOT / path).exists()
    assert not name or f"def {name}(" in text or f"{name} = " in text
