"""The counts on the screen, and what they put down to which click."""

import pytest

from loadtest.console.history import KEPT_ENTRIES, Act, Counts, Happening, History, Operation, Removal, State
from tests.unit.loadtest.console.made_up import MadeUp


def counts(made_up: MadeUp, row: str) -> Counts:
    return made_up.history.counts()[row]


def test_nobody_is_counted_before_they_have_logged_in() -> None:
    made_up = MadeUp(people=0)
    made_up.told("memory", 0, 503, act=Act.LOGIN)
    assert counts(made_up, "memory") == Counts()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Counts(users=3, logged_in=3)),
        (401, Counts(users=3, logged_in=2, logged_out=1)),
        (503, Counts(users=3, logged_in=2, silent=1)),
        (0, Counts(users=3, logged_in=2, silent=1)),
    ],
)
def test_the_last_answer_decides(status: int, expected: Counts) -> None:
    made_up = MadeUp()
    made_up.told("memory", 1, status)
    assert counts(made_up, "memory") == expected
    made_up.told("memory", 1, 200)
    assert counts(made_up, "memory") == Counts(users=3, logged_in=3)


def test_a_late_answer_to_an_earlier_login_says_nothing_of_the_new_one() -> None:
    made_up = MadeUp()
    made_up.told("memory", 0, 200, act=Act.LOGIN, login="memory/0/2")
    made_up.told("memory", 0, 401, login="memory/0/1")
    assert counts(made_up, "memory").logged_out == 0


def test_anothers_page_is_a_lost_state_until_the_next_login() -> None:
    made_up = MadeUp()
    made_up.told("memory", 0, 200, shown="u2")
    made_up.told("memory", 0, 200)
    assert made_up.history.dots["memory"][0].state is State.LOST
    made_up.told("memory", 0, 200, act=Act.LOGIN, login="memory/0/2")
    assert counts(made_up, "memory").lost == 0


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        ([1, 2, 3], False),
        ([1, 2, 2], True),  # the same number twice: one of two writes is missing
        ([1, 2, 1], True),  # an older state has come back
        ([1, 2, 9], True),  # somebody else's counter
    ],
)
def test_counters_show_whether_the_state_of_a_login_was_lost(numbers: list[int], lost: bool) -> None:
    made_up = MadeUp()
    for number in numbers:
        made_up.visited("redis", 0, number)
    assert counts(made_up, "redis").lost == lost


def test_a_visit_without_an_answer_may_have_been_counted_or_not() -> None:
    for number in (2, 3):
        made_up = MadeUp()
        made_up.visited("redis", 0, 1)
        made_up.visited("redis", 0, 0, status=503)
        made_up.visited("redis", 0, number)
        assert counts(made_up, "redis").lost == 0


def test_two_tabs_may_be_acknowledged_in_any_order() -> None:
    made_up = MadeUp()
    began = made_up.now
    made_up.history.record(Operation(Act.VISIT, "redis", 0, "redis/0/1", "u0", began, began + 0.5, 200, count=2))
    made_up.history.record(Operation(Act.VISIT, "redis", 0, "redis/0/1", "u0", began, began + 0.6, 200, count=1))
    assert counts(made_up, "redis").lost == 0


def test_what_happens_is_put_down_to_the_last_click() -> None:
    made_up = MadeUp()
    first, second = made_up.click(), None
    made_up.told("memory", 0, 401)
    second = made_up.click()
    made_up.told("memory", 1, 401)
    made_up.told("redis", 1, 503)
    assert {row: set(effect.out) for row, effect in first.effects.items()} == {"memory": {0}, "redis": set()}
    assert set(second.effects["memory"].out) == {1}
    assert second.effects["redis"].silent == {1}
    assert second.effects["memory"].before == {1, 2}  # who is out already cannot be thrown out


def test_who_comes_back_is_no_longer_out_but_has_been() -> None:
    made_up = MadeUp()
    entry = made_up.click()
    made_up.told("memory", 0, 401)
    made_up.told("memory", 0, 200)
    assert (set(entry.effects["memory"].out), entry.effects["memory"].back) == ({0}, {0})
    made_up.told("memory", 0, 401)
    assert entry.effects["memory"].back == set()


def test_an_ordered_logout_is_put_down_to_its_order_however_late_it_comes() -> None:
    made_up = MadeUp()
    order = made_up.click("force-logout", seat=1, ends=True)
    kill = made_up.click("kill", target="app-1")
    made_up.told("redis", 1, 401)
    made_up.told("redis", 2, 401)
    assert set(order.effects["redis"].out) == {1}
    assert set(kill.effects["redis"].out) == {2}


def test_a_login_begun_after_the_order_is_not_its_business() -> None:
    made_up = MadeUp()
    order = made_up.click("force-logout", seat=1, ends=True)
    made_up.told("redis", 1, 401)
    made_up.told("redis", 1, 200, act=Act.LOGIN, login="redis/1/2")
    kill = made_up.click("kill")
    made_up.told("redis", 1, 401, login="redis/1/2")
    assert set(kill.effects["redis"].out) == {1}
    assert order.effects["redis"].out.keys() == {1}


def test_a_slow_answer_is_shown_at_once_but_blamed_on_nobody_yet() -> None:
    made_up = MadeUp()
    entry = made_up.click("pause")
    began = made_up.now
    slow = Operation(Act.PAGE, "redis", 0, "redis/0/1", "u0", began, began + 0.7, 0, waiting=True)
    made_up.history.record(slow)
    assert counts(made_up, "redis").silent == 1
    assert entry.effects["redis"].silent == set()
    made_up.history.record(Operation(Act.PAGE, "redis", 0, "redis/0/1", "u0", began, began + 2.1, 0, waiting=True))
    assert entry.effects["redis"].silent == {0}


def test_first_logins_are_no_effect_and_returns_are() -> None:
    made_up = MadeUp()
    made_up.told("memory", 0, 401)
    entry = made_up.click("log-in-again")
    made_up.told("memory", 7, 200, act=Act.LOGIN)
    made_up.told("memory", 0, 200, act=Act.LOGIN, login="memory/0/2")
    assert entry.effects["memory"].returned == {0}


def test_a_thief_is_nobody_of_ours_and_lives_until_refused() -> None:
    made_up = MadeUp()
    entry = made_up.click("steal", seat=0)
    made_up.history.stolen(entry, "redis", 30)
    made_up.told("redis", 30, 200, thief=True, login="redis/0/1", user="u0", shown="u0")
    assert counts(made_up, "redis") == Counts(users=3, logged_in=3, thieves=1)
    later = made_up.click("force-logout", seat=0, ends=True)
    made_up.told("redis", 30, 401, thief=True, login="redis/0/1")
    assert counts(made_up, "redis").thieves == 0
    assert later.effects["redis"].out == {}
    loot = entry.loot["redis"]
    assert loot.over is not None
    assert loot.used < loot.over


def test_everything_is_told_in_order_and_counted() -> None:
    told: list[Happening] = []
    made_up = MadeUp(1, told.append)
    entry = made_up.click()
    made_up.told("redis", 30, 200, thief=True)
    made_up.history.remove("redis", 30)
    made_up.history.remove("redis", 30)  # nobody is there any more
    assert len(told) == made_up.history.length
    assert told[-3] is entry
    assert told[-1] == Removal("redis", 30)


def test_old_clicks_are_forgotten() -> None:
    made_up = MadeUp(1)
    for _ in range(KEPT_ENTRIES + 5):
        made_up.click()
    assert len(made_up.history.entries) == KEPT_ENTRIES
    assert made_up.history.entries[0].number == 6


def test_without_a_click_nothing_has_an_effect() -> None:
    history = History(["redis"])
    history.record(Operation(Act.LOGIN, "redis", 0, "redis/0/1", "u0", 0.0, 0.1, 200))
    history.record(Operation(Act.PAGE, "redis", 0, "redis/0/1", "u0", 0.2, 0.3, 401))
    assert history.counts()["redis"].logged_out == 1
