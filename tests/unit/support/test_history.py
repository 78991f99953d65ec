"""The history checker refuses impossible answers, and accepts every answer that a correct store can give."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.history import Act, Operation, Terms, faults


def did(act: Act, began: float, ended: float | None = None, status: int = 200, **what: Any) -> Operation:
    what = {"login": "ada's phone", "user": "ada", "shown": "ada" if act is Act.PAGE else ""} | what
    if act is Act.END and status == 200:
        status = 204
    return Operation(act, began=began, ended=began + 0.5 if ended is None else ended, status=status, **what)


def login(began: float, **what: Any) -> Operation:
    return did(Act.LOGIN, began, **what)


def page(began: float, **what: Any) -> Operation:
    return did(Act.PAGE, began, **what)


def visit(began: float, count: int = 0, **what: Any) -> Operation:
    return did(Act.VISIT, began, count=count, **what)


def end(began: float, **what: Any) -> Operation:
    return did(Act.END, began, **what)


LOST = 503
GOOD: dict[str, list[Operation]] = {
    "nothing at all": [],
    "a life": [login(0), page(1), visit(2, 1), visit(3, 2), end(4), page(5, status=401), visit(6, status=401)],
    "a page on its way when the logout is": [login(0), end(1, ended=3), page(2, ended=5)],
    "refused while the logout is on its way": [login(0), end(1, ended=3), page(2, ended=2.5, status=401)],
    "a logout that was not acknowledged": [login(0), end(1, status=LOST, retry_after=1), page(2)],
    "the same logout, which happened": [login(0), end(1, status=LOST, retry_after=1), page(2, status=401)],
    "another login ends": [login(0), login(0, login="her laptop"), end(1, login="her laptop"), page(2)],
    "writes at once, in another order": [login(0), visit(1, 2, ended=3), visit(1, 1, ended=4), visit(5, 3)],
    "a 503 that happened": [login(0), visit(1, status=LOST, retry_after=1), visit(2, 2)],
    "a 503 that did not": [login(0), visit(1, status=LOST, retry_after=1), visit(2, 1)],
    "no answer, and it happens late": [login(0), visit(1, status=0), visit(2, 1), visit(3, 3)],
    "a login that could not be": [login(0, status=LOST, retry_after=1), page(1, status=401)],
}

BAD: dict[str, tuple[str, list[Operation]]] = {
    "accepted after the logout": ("came back", [login(0), end(1), page(2)]),
    "written after the logout": ("came back", [login(0), end(1), visit(2, 1)]),
    "refused once, then accepted": ("came back", [login(0), end(1), page(2, status=401), page(3)]),
    "the first of two logouts counts": ("came back", [login(0), end(1), page(2), end(3)]),
    "another user's page": ("another's data", [login(0), page(1, shown="bob")]),
    "nobody's page": ("another's data", [login(0), page(1, shown="")]),
    "another user's page in between": ("another's data", [login(0), page(1), page(2, shown="eve"), page(3)]),
    "two got the same count": ("two got the same", [login(0), visit(1, 1, ended=3), visit(2, 1, ended=4)]),
    "a write that was overwritten": ("1 were acknowledged before", [login(0), visit(1, 1), visit(2, 1)]),
    "an old state came back": (
        "3 was told before",
        [login(0), *(visit(n, n) for n in (1, 2, 3)), visit(4, status=0), visit(5, 2)],
    ),
    "it went back among 503s": (
        "5 was told before",
        [login(0), *(visit(n, status=LOST, retry_after=1) for n in (1, 2, 3, 4)), visit(5, 5), visit(6, 3)],
    ),
    "the last count is too low": ("2 were acknowledged", [login(0), visit(1, 1, ended=3), visit(2, 2), visit(9, 2)]),
    "a write that happened twice": ("happened twice", [login(0), visit(1, 1), visit(2, 3)]),
    "a refused write that happened": ("happened twice", [login(0), visit(1, status=409), visit(2, 2)]),
    "logged out by nobody": ("logged out by nobody", [login(0), page(1), page(2, status=401)]),
    "logged out before the logout": ("logged out by nobody", [login(0), page(1, status=401), end(3)]),
    "a write refused as if logged out": ("logged out by nobody", [login(0), visit(1, status=401)]),
    "503 without Retry-After": ("without Retry-After", [login(0), page(1, status=503)]),
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_possible_histories_are_accepted(history: list[Operation]) -> None:
    assert faults(history) == []


@pytest.mark.parametrize(("said", "history"), BAD.values(), ids=BAD)
def test_impossible_histories_are_refused_with_a_reason(said: str, history: list[Operation]) -> None:
    assert any(said in fault for fault in faults(history)), faults(history)
    others = [replace(one, login="bob's", user="bob", shown=one.shown and "bob") for one in GOOD["a life"]]
    assert any(said in fault for fault in faults([*others, *history]))


def test_the_bound_is_how_long_a_login_may_live_on() -> None:
    history = [login(0), end(1, ended=2), page(2.9)]
    assert faults(history)
    assert faults(history, Terms(bound=1)) == []
    assert faults([*history, page(3.1)], Terms(bound=1))


def test_only_what_was_acknowledged_just_before_a_crash_may_be_lost() -> None:
    crash = Terms(lossy=[(10, 11)])
    assert faults([login(0), visit(1, 1), visit(10, 2), visit(12, 2)], crash) == []
    assert faults([login(0), visit(1, 1), visit(10, 2), visit(12, 1)], crash)  # this one was not just before
    assert faults([login(0), visit(1, 1), visit(10, 2), visit(12, 2), visit(13, 2)], crash)
    assert faults([login(0), end(10), page(12)], crash) == []
    assert faults([login(0), end(9), page(12)], crash)
    assert faults([login(10), page(12, status=401)], crash) == []
    assert faults([login(9), page(12, status=401)], crash)


def test_a_login_that_may_be_forgotten_may_be_forgotten_alone() -> None:
    gone = [login(0), page(1), page(2, status=401)]
    other = [replace(one, login="her laptop") for one in gone]
    assert faults(gone, Terms(forgetful={"ada's phone"})) == []
    assert len(faults([*gone, *other], Terms(forgetful={"ada's phone"}))) == 1
    assert faults([login(0), page(1, shown="bob")], Terms(forgetful={"ada's phone"}))


def test_an_end_refused_by_another_replica_does_not_count() -> None:
    begun = login(0, replica="app-1")
    assert faults([begun, end(1, replica="app-2", status=404), page(2)]) == []
    assert faults([begun, end(1, replica="app-2"), page(2)])


class Store:
    """A correct store: each request takes effect at one moment between its beginning and its end, or not at all."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.ended = False

    def answer(self, act: Act, began: float, at: float, ended: float) -> Operation:
        lost = self.chance.random() < 0.1
        status, happened = (self.chance.choice((0, 503)) if lost else 200), not lost or self.chance.random() < 0.5
        if happened and act is Act.END:
            self.ended = True
        if happened and act is Act.VISIT and not self.ended:
            self.count += 1
        if not lost and self.ended and act is not Act.END:
            return did(act, began, ended, status=401)
        return did(act, began, ended, status=status, count=self.count if act is Act.VISIT else 0, retry_after=1)

    def history(self, acts: list[Act]) -> list[Operation]:
        moments = sorted((self.chance.uniform(0, 20), act) for act in acts)
        late = self.chance.expovariate
        return [login(-1), *(self.answer(act, at - late(1), at, at + late(1)) for at, act in moments)]


@pytest.mark.parametrize("seed", range(50))
def test_no_history_of_a_correct_store_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    acts = [chance.choice((Act.PAGE, Act.VISIT, Act.VISIT)) for _ in range(60)] + [Act.END] * (seed % 3)
    assert faults(Store(chance).history(acts)) == []


@pytest.mark.parametrize("seed", range(50))
def test_a_store_that_loses_a_write_is_detected(seed: int) -> None:
    chance = random.Random(seed)
    store = Store(chance)
    history = [one for one in store.history([Act.VISIT] * 60) if one.status == 200]
    visits = [one for one in history if one.act is Act.VISIT]
    after = chance.choice(visits[:-1]).count
    wrong = [replace(one, count=one.count - 1) if one.count > after else one for one in history]
    assert faults(wrong)
