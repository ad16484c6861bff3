"""How an alert goes on: told once, repeated, resolved once, never flapping. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tabur.alerts.readings import Finding
from tabur.alerts.state import Alert, Phase, Policy, Told, claim, go_on, told
from tabur.model.clock import SECOND

MINUTE = 60 * SECOND
POLICY = Policy(repeat=240 * MINUTE, calm=3 * MINUTE, channels=("mail", "slack"))
FINDING = Finding("backlog", "database", "mail", "mail", {"size": 1})


@dataclass
class Story:
    """Looks once a minute; what it decides to tell is told at once by all channels."""

    policy: Policy = POLICY
    after: int = 0
    now: int = 1_750_000_000 * SECOND
    alert: Alert | None = None
    said: list[tuple[int, Told]] = field(default_factory=list)
    """The minute, and what was told then."""
    minute: int = 0

    def look(self, there: bool, *, muted: bool = False) -> None:
        self.alert = go_on(
            self.alert,
            FINDING if there else None,
            self.policy,
            now=self.now,
            after=self.after,
            muted=muted,
        )
        if self.alert is not None:
            claimed = claim(
                self.alert, self.policy.channels, now=self.now, lasting=MINUTE, muted=muted
            )
            if claimed is not None:
                assert claimed.news is not None
                self.said.append((self.minute, claimed.news.told))
                self.alert = told(claimed, claimed.news.id, self.policy.channels)
        self.now += MINUTE
        self.minute += 1

    def looks(self, there: str) -> list[Told]:
        """`x` where it is found, `.` where not, `m` where it is found and muted."""
        for each in there:
            self.look(each in "xm", muted=each == "m")
        return [what for _, what in self.said]


F, R, O = Told.FIRED, Told.REPEATED, Told.RESOLVED  # noqa: E741  # for O: over


def test_told_once_and_resolved_once() -> None:
    story = Story()
    assert story.looks("..xxxxx......") == [F, O]
    assert story.alert is None
    assert story.said == [(2, F), (10, O)]


def test_what_comes_and_goes_is_one_alert() -> None:
    assert Story().looks("x.x..x...x.x..x...x") == [F]
    assert Story().looks("x.x.x.....") == [F, O]


def test_repeated_while_it_lasts() -> None:
    story = Story()
    story.looks("x" * 481)
    assert story.said == [(0, F), (240, R), (480, R)]
    story = Story(Policy(repeat=None, calm=0, channels=("mail",)))
    assert story.looks("x" * 1_000 + "..") == [F, O]


def test_it_has_to_last_before_it_is_told() -> None:
    story = Story(after=2 * MINUTE)
    assert story.looks("xx.xx.") == []
    assert story.looks("xxx") == [F]
    assert story.said[-1][0] == 8


def test_nobody_is_told_of_what_is_muted() -> None:
    assert Story().looks("mmmm....") == []
    story = Story()
    assert story.looks("mmmx") == [F]
    assert story.said == [(3, F)]
    story = Story()
    assert story.looks("x" + "m" * 300 + "x") == [F, R], "repeated when the mute has ended"
    assert Story().looks("xmmm.....") == [F, O], "who knows of it is told that it is over"


def test_one_is_told_anew_when_it_comes_back_after_its_end() -> None:
    assert Story().looks("x.....x.....") == [F, O, F, O]


@given(st.text("x.", max_size=60))
def test_fired_and_resolved_take_turns(there: str) -> None:
    story = Story()
    said = [what for what in story.looks(there + "......") if what is not R]
    assert said == [F, O] * (len(said) // 2)
    assert ("x" in there) == bool(said)
    assert story.alert is None
    assert len(said) // 2 == len([part for part in there.split("." * 4) if "x" in part])


@given(st.text("x.m", max_size=60))
def test_nothing_fires_in_a_mute(there: str) -> None:
    story = Story()
    story.looks(there)
    assert all(there[minute] == "x" for minute, what in story.said if what is not O)


def test_what_a_channel_missed_is_claimed_again_under_the_same_id() -> None:
    alert = go_on(None, FINDING, POLICY, now=0)
    assert alert is not None
    first = claim(alert, POLICY.channels, now=0, lasting=MINUTE, muted=False)
    assert first is not None
    assert first.news is not None
    assert first.news.to == ("mail", "slack")
    assert claim(first, POLICY.channels, now=MINUTE - 1, lasting=MINUTE, muted=False) is None

    half = told(first, first.news.id, ["slack"])
    assert half is not None
    again = claim(half, POLICY.channels, now=1, lasting=MINUTE, muted=False)
    assert again is not None
    assert again.news is not None
    assert (again.news.id, again.news.to) == (first.news.id, ("mail",))

    crashed = claim(first, POLICY.channels, now=MINUTE, lasting=MINUTE, muted=False)
    assert crashed is not None, "who claimed it has died"
    assert told(crashed, "another", ["mail"]) == crashed


def test_the_end_is_forgotten_when_all_have_told_it_or_after_a_day() -> None:
    alert: Alert | None = None
    for minute in range(10):
        found = FINDING if minute == 0 else None
        alert = go_on(alert, found, POLICY, now=minute * MINUTE)
    assert alert is not None
    assert alert.phase is Phase.RESOLVED
    assert alert.news is not None
    assert alert.news.told is Told.RESOLVED
    assert told(alert, alert.news.id, ["mail", "slack"]) is None
    kept = go_on(alert, None, POLICY, now=23 * 60 * MINUTE)
    assert kept is not None
    assert go_on(kept, None, POLICY, now=25 * 60 * MINUTE) is None
    gone = Policy(POLICY.repeat, POLICY.calm, ("another",))
    assert go_on(alert, None, gone, now=10 * MINUTE) is None, "no such channels any more"


def test_without_channels_it_is_the_same_but_for_news() -> None:
    policy = Policy(repeat=None, calm=0)
    alert = go_on(None, FINDING, policy, now=0)
    assert alert is not None
    assert (alert.phase, alert.news) == (Phase.FIRING, None)
    alert = go_on(alert, None, policy, now=1)
    alert = go_on(alert, None, policy, now=2)
    assert alert is not None
    assert alert.phase is Phase.RESOLVED
    assert go_on(alert, None, policy, now=3) is None
