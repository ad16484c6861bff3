"""Looking and telling: channels that fail, mutes, languages, hosts, and what is left alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tabur.alerts.overview import mute, overview, unmute
from tabur.alerts.watch import Watch
from tabur.drivers.contract import Driver
from tabur.errors import StoreUnavailable
from tests.alerts.receivers import SECRET, PostOffice, Receiver, free_port
from tests.alerts.shop import Shop, keys, mail_settings


def titles(http: Receiver, path: str = "/slack") -> list[str]:
    return [each.json["text"].partition("*\n")[0][8:] for each in http.at(path)]


@pytest.fixture
def told(shop: Shop, http: Receiver) -> Shop:
    """A shop of which only the backlog is watched; `/slack` is told."""
    shop.only("backlog")
    shop.app.alerts.backlog(max=5)
    shop.app.alerts.slack(f"{http.url}/slack")
    return shop


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        each.getMessage()
        for each in caplog.records
        if each.levelno >= logging.WARNING and each.name == "tabur.alerts"
    ]


def test_what_a_channel_missed_is_told_at_the_next_look_under_the_same_id(
    told: Shop, http: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told.app.alerts.webhook(f"{http.url}/signed", secret=SECRET)
    http.answers["/signed"] = 503
    told.fill(6)
    assert told.look().sent["webhook"].error == "It answered 503."
    assert set(told.look().sent) == {"webhook"}, "the other one has told it"
    told.look()
    assert len(titles(http)) == 1
    assert [each for each in warnings(caplog) if "webhook" in each] == [
        "alerts: channel webhook fails, what it missed is tried again: It answered 503."
    ], "said once, however often it fails"
    (channel,) = (each for each in overview(told.app).channels if each.name == "webhook")
    assert channel.error == "It answered 503."

    del http.answers["/signed"]
    assert told.look().sent["webhook"].error is None
    assert told.look().sent == {}
    assert len({each.headers["webhook-id"] for each in http.at("/signed")}) == 1
    assert len({each.headers["webhook-timestamp"] for each in http.at("/signed")}) >= 1
    assert "alerts: channel webhook works again" in caplog.messages
    assert overview(told.app).channels[1].error is None


def test_a_dead_mail_server_and_a_hanging_webhook_delay_nobody_else(
    told: Shop, http: Receiver
) -> None:
    settings = {"mail_port": free_port(), "mail_from": "tabur@shop.example"}
    for name, value in settings.items():
        object.__setattr__(told.app.settings, name, value)
    told.app.alerts.email("ops@shop.example")
    told.app.alerts.slack(f"{http.url}/hangs", name="hanging")
    http.hangs.add("/hangs")
    told.watch(patience=1.0)
    told.fill(6)
    sent = told.look().sent
    assert sent["slack"].error is None
    assert "Connection refused" in str(sent["email"].error)
    assert sent["hanging"].error == "It did not end within 1 s."
    assert titles(http) == ["Queue backlog detected: 6 jobs wait on queue mail"]


def test_who_missed_the_alert_is_told_of_its_end_alone(told: Shop, http: Receiver) -> None:
    http.answers["/slack"] = 500
    told.fill(6)
    told.look()
    told.empty()
    http.requests.clear()
    del http.answers["/slack"]
    http.answers["/slack"] = 200
    for _ in range(3):
        told.look()
    first = titles(http)
    for _ in range(3):
        told.look()
    assert first[0].startswith("Queue backlog detected")
    assert titles(http)[-1].startswith("Resolved: Queue backlog detected")


def test_it_is_repeated_after_four_hours(told: Shop, http: Receiver) -> None:
    told.fill(6)
    for _ in range(4 * 60):
        told.look()
    assert len(titles(http)) == 1
    told.fill(1)
    told.look()
    told.look()
    assert titles(http)[1:] == ["Still: Queue backlog detected: 7 jobs wait on queue mail"]


def test_the_repetition_is_declared(told: Shop, http: Receiver) -> None:
    told.app.alerts.timing(repeat=120, resolve_after=0)
    told.fill(6)
    for _ in range(5):
        told.look()
    assert len(titles(http)) == 3
    told.empty()
    told.look()
    told.look()
    assert titles(http)[-1].startswith("Resolved: ")


def test_a_queue_at_its_limit_does_not_flap(told: Shop, http: Receiver) -> None:
    for _ in range(20):
        told.fill(6)
        told.look()
        told.empty()
        told.look()
    assert len(titles(http)) == 1


def test_a_mute_holds_back_what_fires_and_lets_its_end_pass(told: Shop, http: Receiver) -> None:
    told.fill(6, "mail")
    told.look()
    mute(told.app, "backlog", queue=None, lasting=None, reason="we move house")
    told.fill(6, "files")
    looked = told.look()
    assert keys(looked.firing) == set()
    assert len(titles(http)) == 1
    told.empty("mail")
    for _ in range(6):
        told.look()
    assert titles(http)[1:] == ["Resolved: Queue backlog detected: 6 jobs wait on queue mail"]
    assert unmute(told.app, "backlog", queue=None)
    told.look()
    assert titles(http)[2:] == ["Queue backlog detected: 6 jobs wait on queue files"]


def test_a_mute_of_one_queue_ends_by_itself(told: Shop, http: Receiver) -> None:
    from datetime import timedelta

    mute(told.app, "backlog", queue="mail", lasting=timedelta(minutes=5), reason="")
    told.fill(6, "mail")
    told.fill(6, "files")
    told.look()
    assert titles(http) == ["Queue backlog detected: 6 jobs wait on queue files"]
    for _ in range(5):
        told.look()
    assert titles(http)[1:] == ["Queue backlog detected: 6 jobs wait on queue mail"]
    assert overview(told.app).mutes == ()


def test_a_window_that_comes_every_night(told: Shop, http: Receiver) -> None:
    day = 86_400_000_000
    told.clock.now += day - told.clock.now % day + 3_600_000_000  # one o'clock
    told.app.alerts.mute_daily("01:00", "02:00", queue="mail")
    told.fill(6, "mail")
    for _ in range(58):
        told.look()
    assert titles(http) == []
    (shown,) = overview(told.app).mutes
    assert (shown.every, shown.holds) == ("01:00-02:00 every day (UTC)", True)
    told.look()
    told.look()
    assert len(titles(http)) == 1


def test_in_arabic(post: PostOffice, http: Receiver) -> None:
    shop = Shop(**mail_settings(post), env="test", alert_locale="ar")
    shop.only("backlog")
    shop.app.alerts.backlog(max=5)
    shop.app.alerts.email("ops@shop.example")
    shop.app.alerts.slack(f"{http.url}/slack", locale="en")
    shop.fill(6)
    shop.look()
    assert post.mailbox.subjects == ["[test] تراكم في الطابور mail، عدد المهام المنتظرة: 6"]
    assert "عدد المهام المنتظرة: 6" in post.mailbox.texts()[0]
    assert titles(http) == ["Queue backlog detected: 6 jobs wait on queue mail"]


def test_the_log_is_told_even_where_nobody_else_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    shop = Shop()
    shop.only("backlog")
    shop.fill(1_234)
    shop.look()
    shop.look()
    assert caplog.messages == ["Queue backlog detected: 1,234 jobs wait on queue mail"]
    shop.empty()
    for _ in range(6):
        shop.look()
    assert caplog.messages[1:] == [
        "Resolved: Queue backlog detected: 1,234 jobs wait on queue mail"
    ]


def test_the_disks_of_each_host_are_its_own(shop: Shop) -> None:
    shop.only("disk")
    shop.app.alerts.disk(percent=0.000_1)
    shop.look(host="one")
    looked = shop.look(host="two")
    assert {each.partition("/")[2].partition("/")[0] for each in keys(looked.firing)} == {
        "host:one",
        "host:two",
    }
    shop.app.alerts.disk(percent=99.999_9)
    two = Watch(shop.app, host="two")
    for _ in range(6):
        shop.clock.advance(60)
        looked = two.look()
    assert {each.scope for each in looked.alerts} == {"host:one"}, "nobody else can tell"
    shop.clock.advance(86_400)
    assert two.look().alerts == (), "it has not been heard of for a day"


def test_a_rule_that_is_left_out_takes_its_alerts_along(told: Shop) -> None:
    told.fill(6)
    assert told.look().firing
    told.app.alerts.off("backlog")
    told.clock.advance(60)
    assert Watch(told.app).look().alerts == ()


def test_a_worker_on_another_host_counts_until_it_falls_silent(shop: Shop) -> None:
    shop.only("no_worker")
    shop.app.alerts.no_worker(after=0)
    shop.worker()
    shop.fill(1)
    for _ in range(5):
        shop.store.driver.workers.beat(["w1"])
        assert shop.look().firing == ()
    shop.look()
    assert keys(shop.look().firing) == {"no_worker/memory/mail"}
    shop.pause()
    for _ in range(6):
        shop.look()
    assert shop.look().alerts == (), "what is paused needs no worker"


def test_many_ends_are_judged_by_the_latest(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabur.alerts.looking.MOST_ENDED", 20)
    shop.only("failure_rate")
    shop.app.alerts.failure_rate(percent=50, min=2)
    for _ in range(30):
        shop.complete()
    shop.clock.advance(200)
    for _ in range(3):
        shop.fail()
    (alert,) = shop.look().firing
    assert (alert.values["failed"], alert.values["ended"]) == (3, 3)
    assert alert.values["seconds"] == 75


def test_a_note_that_cannot_be_read_counts_for_nothing(told: Shop) -> None:
    told.fill(6)
    told.look()
    notes = told.store.driver.notes
    for note in notes.read("alert/"):
        assert notes.write(note.name, b"\xffnonsense", revision=note.revision)
    assert keys(told.look().firing) == {"backlog/memory/mail"}


class Away:
    """A driver whose inspection does not answer."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.inspection = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def queues(self) -> Any:
        raise StoreUnavailable("The store does not answer.")


def test_what_cannot_be_looked_at_is_neither_over_nor_new(told: Shop, http: Receiver) -> None:
    told.fill(6)
    told.look()
    store = told.app._stores
    driver = store.get("memory")
    told.app._stores = type(store)(Away(driver))  # type: ignore[call-arg]  # one of a double
    for _ in range(6):
        looked = told.look()
        assert looked.unread == {"memory": "The store does not answer."}
        assert keys(looked.firing) == {"backlog/memory/mail"}
    told.app._stores = store
    assert keys(told.look().firing) == {"backlog/memory/mail"}
    assert len(titles(http)) == 1
