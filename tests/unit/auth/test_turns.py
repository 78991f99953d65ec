"""Turns at the hashing threads: in order, each exactly once, even if callers disconnect."""

import asyncio
from collections.abc import Callable

import pytest

from services.auth.accounts import turns as turns_module
from services.auth.accounts.turns import Asker, Turns
from services.common.http.problems import TooManyRequests, Unavailable

FLOOD, ANN, BOB = Asker("198.51.100.1", "mallory"), Asker("203.0.113.7", "ann"), Asker("203.0.113.8", "bob")
NEW = Asker("198.51.100.1", "new", registering=True)


class Line:
    """Callers waiting for *turns*; `served` names them in the order of their turns, which last until `next`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.served: list[str] = []

    async def add(self, asker: Asker) -> asyncio.Task[None]:
        """Let *asker* wait, and return once they do."""
        task = asyncio.ensure_future(self._wait(asker))
        await settled()
        return task

    async def next(self) -> None:
        """End a turn."""
        self._turns.done()
        await settled()

    async def _wait(self, asker: Asker) -> None:
        await self._turns.wait(asker)
        self.served.append(asker.account)


async def settled() -> None:
    """Run everything that can run now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_concurrent_turns_are_limited_and_the_next_caller_waits() -> None:
    line = Line(Turns(2, 8))
    for asker in (FLOOD, FLOOD, ANN, FLOOD):
        await line.add(asker)
    assert line.served == ["mallory", "mallory"]
    await line.next()
    assert line.served[2:] == ["ann"]
    await line.next()
    assert line.served[3:] == ["mallory"]


async def test_an_unused_turn_is_free_for_the_next_caller() -> None:
    line = Line(Turns(1, 8))
    await line.add(ANN)
    await line.next()
    await line.add(BOB)
    assert line.served == ["ann", "bob"]


async def test_registrations_and_other_calls_are_served_alternately() -> None:
    line = Line(Turns(1, 8))
    for asker in (NEW, NEW, NEW, NEW, FLOOD, ANN):
        await line.add(asker)
    for _ in range(5):
        await line.next()
    assert line.served == ["new", "mallory", "new", "ann", "new", "new"]


async def test_registrations_take_no_place_from_other_calls() -> None:
    line = Line(Turns(1, 2))
    for number in range(4):
        await line.add(Asker(f"address-{number}", f"new-{number}", registering=True))
    assert not (await line.add(ANN)).done()
    await line.next()
    await line.next()
    assert "ann" in line.served


async def test_the_caller_with_the_most_places_is_refused_and_the_other_one_waits() -> None:
    line = Line(Turns(1, 3))
    flood = [await line.add(FLOOD) for _ in range(4)]
    ann = await line.add(ANN)
    with pytest.raises(TooManyRequests) as refusal:
        await flood[-1]
    assert refusal.value.headers == {"Retry-After": "1"}
    await line.next()
    await line.next()
    assert ann.done()


async def test_when_nobody_holds_too_many_places_the_newcomer_is_refused_as_busy() -> None:
    line = Line(Turns(1, 2))
    for asker in (FLOOD, FLOOD, ANN):
        await line.add(asker)
    with pytest.raises(Unavailable) as refusal:
        await (await line.add(BOB))
    assert refusal.value.headers == {"Retry-After": "1"}


async def test_a_caller_that_disconnects_frees_its_place() -> None:
    line = Line(Turns(1, 1))
    await line.add(FLOOD)
    gone = await line.add(ANN)
    gone.cancel()
    await settled()
    assert not (await line.add(BOB)).done(), "the place is free"
    await line.next()
    assert line.served == ["mallory", "bob"]


def give_turn_then_cancel(task: asyncio.Task[None], turns: Turns) -> None:
    turns.done()
    task.cancel()


def cancel_then_give_turn(task: asyncio.Task[None], turns: Turns) -> None:
    task.cancel()
    turns.done()


@pytest.mark.parametrize("race", [give_turn_then_cancel, cancel_then_give_turn])
async def test_a_turn_that_arrives_as_its_caller_disconnects_is_passed_on(
    race: Callable[[asyncio.Task[None], Turns], None],
) -> None:
    turns = Turns(1, 8)
    line = Line(turns)
    for asker in (FLOOD, ANN, BOB):
        task = await line.add(asker)
        if asker is ANN:
            gone = task
    race(gone, turns)
    await settled()
    assert gone.cancelled()
    assert line.served == ["mallory", "bob"]


async def test_disconnecting_while_being_refused_ends_nobody_elses_turn() -> None:
    line = Line(Turns(1, 2))
    await line.add(BOB)
    await line.add(FLOOD)
    gone = await line.add(FLOOD)
    ann = asyncio.ensure_future(line._wait(ANN))
    await asyncio.sleep(0)  # their place is hers now, which they do not know yet
    gone.cancel()
    await settled()
    assert gone.cancelled()
    assert line.served == ["bob"]
    await line.next()
    await line.next()
    assert line.served == ["bob", "mallory", "ann"]
    assert ann.done()


async def test_nobody_waits_longer_than_clients_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "WAIT_SECONDS", 0.01)
    line = Line(Turns(1, 1))
    await line.add(FLOOD)
    with pytest.raises(Unavailable):
        await (await line.add(ANN))
    monkeypatch.undo()
    assert not (await line.add(BOB)).done(), "the place is free"
    await line.next()
    assert line.served == ["mallory", "bob"]
