"""What each click did, in words."""

from functools import partial

from loadtest.console.history import Act, Entry
from loadtest.console.texts import text
from loadtest.console.timeline import lines
from tests.unit.loadtest.console.made_up import MadeUp


def told(made_up: MadeUp, language: str = "en", place: int = 0) -> list[str]:
    """Return the groups of a line, by default the latest."""
    line = lines(made_up.history, {"anonymous"}, partial(text, language))[place]
    return [f"{group.who} {group.what}" for group in line.groups]


def test_a_kill_tells_who_lost_how_many() -> None:
    made_up = MadeUp()
    made_up.click("kill", target="app-2")
    made_up.told("memory", 0, 401)
    assert told(made_up) == ["memory 1 of 3 logged out", "all others: nobody noticed"]
    assert lines(made_up.history, (), partial(text, "en"))[0].what == "Kill -9 app-2"


def test_strategies_that_fared_alike_stand_together() -> None:
    made_up = MadeUp()
    made_up.click("stop", target="redis")
    for row in ("memory", "redis"):
        made_up.told(row, 0, 503)
    assert told(made_up) == ["memory, redis 1 of 3 got an error or no answer"]


def test_a_click_without_an_effect_says_so() -> None:
    made_up = MadeUp()
    made_up.click("rotate-keys")
    assert told(made_up) == ["all strategies: nobody noticed"]


def test_a_forced_logout_tells_of_the_one_it_is_about() -> None:
    made_up = MadeUp()
    made_up.click("force-logout", seat=1, ends=True)
    made_up.told("redis", 1, 401)
    assert told(made_up) == ["redis logged out within 1 s", "memory still accepted"]
    assert lines(made_up.history, (), partial(text, "en"))[0].what == "Forced logout of person 2"


def test_others_who_suffer_beside_the_one_are_told_of() -> None:
    made_up = MadeUp()
    made_up.click("force-logout", seat=1, ends=True)
    made_up.told("redis", 2, 401)
    assert told(made_up) == ["redis still accepted, 1 of 2 logged out", "memory still accepted"]


def test_a_thief_is_in_until_refused() -> None:
    made_up = MadeUp()
    entry = made_up.click("steal", seat=0)
    for row in ("memory", "redis"):
        made_up.history.stolen(entry, row, 30)
        made_up.told(row, 30, 200, thief=True)
    made_up.told("redis", 30, 401, thief=True)
    assert told(made_up) == ["memory the thief is in", "redis the thief was in for 1 s"]


def test_who_is_in_again_is_told_of() -> None:
    made_up = MadeUp()
    made_up.click("forget-affinity")
    made_up.told("memory", 0, 401)
    made_up.told("memory", 1, 401)
    made_up.told("memory", 0, 200)
    assert told(made_up)[0] == "memory 2 of 3 logged out, 1 of them in again"
    made_up.click("log-in-again")
    made_up.told("memory", 1, 200, act=Act.LOGIN, login="memory/1/2")
    assert told(made_up)[0] == "memory 1 in again"


def test_the_same_in_korean() -> None:
    made_up = MadeUp()
    made_up.click("kill", target="app-2")
    made_up.told("memory", 0, 401)
    assert told(made_up, "ko") == ["memory 3명 중 1명 로그아웃됨", "나머지: 아무도 영향 없음"]


def test_the_latest_click_comes_first_and_problems_are_told() -> None:
    made_up = MadeUp()
    first: Entry = made_up.click("kill", target="app-1")
    made_up.click("kill", target="app-2")
    made_up.history.done(first, "app-1 is dead")
    found = lines(made_up.history, (), partial(text, "en"))
    assert [(line.what, line.problem, line.done) for line in found] == [
        ("Kill -9 app-2", "", False),
        ("Kill -9 app-1", "app-1 is dead", True),
    ]
