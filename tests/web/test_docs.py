"""docs/status-and-progress.md does what it says: its application, run as a reader would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

PAGE = Path(__file__).parents[2] / "docs" / "status-and-progress.md"
HEADERS = {"X-Requested-With": "test"}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The names that the page's Python leaves behind, on the `sync` connection."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEUE_CONNECTION", "sync")
    monkeypatch.setenv("TABUR_KEY", "a secret of these tests")
    names: dict[str, Any] = {"__name__": "example"}
    for block in re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)  # noqa: S102 # our own

    def sign_in(request: Request, user: str) -> None:
        request.session.update(business="acme", user=user)

    names["app"].post("/sign-in")(sign_in)
    return names


@pytest.fixture
def client(example: dict[str, Any]) -> TestClient:
    client = TestClient(example["app"])
    client.post("/sign-in?user=7")
    return client


def test_an_import_goes_from_202_to_its_rejected_rows(
    example: dict[str, Any], client: TestClient
) -> None:
    answer = client.post("/imports", json=["Tea", " ", "Sugar"])

    assert answer.status_code == 202
    status = client.get(answer.json()["data"]["check_url"]).json()
    assert (status["status"], status["warnings"], status["done"]) == ("completed", 1, 3)
    assert status["result"] == {"imported": 2}
    assert client.get(status["result_url"]).content == b" "
    link = example["mail_link"](example["jobs"].handle(status["job_id"]))
    nobody = TestClient(example["app"])
    assert nobody.get(link.removeprefix("https://shop.example")).content == b" "
    assert nobody.get(status["result_url"]).status_code == 404


def test_a_list_without_names_fails_in_words(client: TestClient) -> None:
    check_url = client.post("/imports", json=[" "]).headers["location"]

    status = client.get(check_url).json()

    assert status["status"] == "failed"
    assert status["error"] == "No row of this list has a name. Is it the right file?"
    assert client.post(f"{check_url}/retry", headers=HEADERS).status_code == 202


def test_the_same_request_sent_twice_makes_one_job(client: TestClient) -> None:
    def post(names: list[str]) -> Any:
        return client.post("/v2/imports", json=names, headers={"Idempotency-Key": "a1"})

    assert post(["Tea"]).json() == post(["Tea"]).json()
    assert post(["Rice"]).status_code == 422


def test_the_status_of_the_page_is_the_status_of_the_program(client: TestClient) -> None:
    check_url = client.post("/imports", json=["Tea"]).headers["location"]
    table = PAGE.read_text("utf-8").partition("| field | |")[2]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    documented = re.findall(r"`(\w+)`", " ".join(first_cells))

    assert sorted(documented) == sorted(client.get(check_url).json())
