"""Each rule that is about a store, on each store: it fires, and is resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.receivers import SECRET, Receiver
from tests.alerts.shop import Shop
from tests.alerts.stores import MakeDriver
from tests.alerts.test_every_rule import CASES


@pytest.mark.parametrize("rule", [rule for rule in CASES if rule != "disk"])
def test_fires_and_is_resolved(
    rule: str,
    make_driver: MakeDriver,
    http: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shop = Shop(make_driver)
    try:
        shop.only(rule)
        shop.app.alerts.webhook(http.url, secret=SECRET)
        story = CASES[rule].make(shop)
        next(story)
        (alert,) = shop.look().firing
        assert alert.rule == rule
        next(story, None)
        for _ in range(7):
            shop.look()
        assert [each.json["type"] for each in http.requests] == ["alert.fired", "alert.resolved"]
        assert shop.look().alerts == ()
    finally:
        shop.store.driver.close()
