"""Computes the console's counts again, from the file that `--history` writes: another program with the same answers.

It looks at all of a login's requests at once, where the console keeps only what it needs to go on.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.history import Act, Operation, faults

Row = dict[str, Any]
SHOWN = ("page", "visit")
GIVE_UP_SECONDS = 2.0


def read(text: str, length: int | None = None) -> list[Row]:
    """Return the first *length* happenings; a line that is still being written is none."""
    return [json.loads(line) for line in text.split("\n")[:-1][:length]]


@dataclass(frozen=True)
class Seat:
    """How the one in a seat is, after some of the happenings."""

    logged_in: bool
    logged_out: bool
    silent: bool
    lost: bool


def seats(happenings: Iterable[Row], row: str) -> dict[int, Seat]:
    """Return everybody in *row* who has ever been there, without thieves."""
    by_seat: dict[int, list[Row]] = defaultdict(list)
    for one in happenings:
        if _of_user(one, row):
            by_seat[one["seat"]].append(one)
    found = {seat: _seat(operations) for seat, operations in by_seat.items()}
    return {seat: one for seat, one in found.items() if one}


def counts(happenings: Sequence[Row], row: str) -> dict[str, int]:
    """Return what the page shows beside *row*."""
    everybody = seats(happenings, row).values()
    return {
        "logged_in": sum(seat.logged_in for seat in everybody),
        "logged_out": sum(seat.logged_out for seat in everybody),
        "silent": sum(seat.silent for seat in everybody),
        "lost": sum(seat.lost for seat in everybody),
    }


@dataclass(frozen=True)
class Suffered:
    """What a click without a person did to the users of one row."""

    of: int
    out: frozenset[int]
    silent: frozenset[int]


def suffered(happenings: Sequence[Row], click: int, row: str) -> Suffered:
    """Return what became, until the next click, of those in *row* who were logged in at the one numbered *click*.

    A 401 that somebody's logout explains is not the doing of a click after that.
    """
    start = next(i for i, one in enumerate(happenings) if one["kind"] == "entry" and one["number"] == click)
    end = next((i for i, one in enumerate(happenings[start + 1 :], start + 1) if one["kind"] == "entry"), None)
    before = {seat for seat, one in seats(happenings[:start], row).items() if one.logged_in}
    doomed, told = set(_doomed(happenings[:start], row)), dict.fromkeys(before, 200)
    out: set[int] = set()
    silent: set[int] = set()
    for one in _asked(happenings[start:end], row):
        seat = one["seat"]
        if seat not in before:
            continue
        if one["status"] == 401 and told[seat] != 401:
            (doomed.remove if seat in doomed else out.add)(seat)
        elif _failed(one):
            silent.add(seat)
        told[seat] = one["status"]
    return Suffered(len(before), frozenset(out), frozenset(silent))


def unasked(happenings: Iterable[Row], rows: Collection[str]) -> list[str]:
    """Return a line for each answer to users of *rows* that no strategy may give, whatever was broken."""
    return _faults(one for one in happenings if one["kind"] == "operation" and one["row"] in rows)


def _of_user(one: Row, row: str) -> bool:
    return bool(one["kind"] == "operation" and one["row"] == row and not one["thief"])


def _seat(operations: Sequence[Row]) -> Seat | None:
    login = next((one["login"] for one in reversed(operations) if one["act"] == "login" and one["status"] == 200), "")
    if not login and any(one["act"] == "login" for one in operations):
        return None
    mine = [one for one in operations if one["login"] == login or not login]
    last = next((one["status"] for one in reversed(mine) if one["act"] in SHOWN), 200)
    return Seat(200 <= last < 300, last == 401, not 200 <= last < 300 and last != 401, _lost(mine))


def _lost(operations: Sequence[Row]) -> bool:
    return any(line.startswith(("a write", "another's")) for line in _faults(operations))


def _faults(operations: Iterable[Row]) -> list[str]:
    return faults(_operation(one) for one in operations if not one["waiting"] and one["act"] in tuple(Act))


def _operation(one: Row) -> Operation:
    """Return it as other tests know it. The console does not write down what `Retry-After` said."""
    names = ("login", "user", "began", "ended", "status", "shown", "count", "replica")
    return Operation(Act(one["act"]), **{name: one[name] for name in names}, retry_after=1)


def _asked(happenings: Iterable[Row], row: str) -> Iterator[Row]:
    """Yield what users of *row* were told with the login that they had at that time."""
    logins: dict[int, str] = {}
    for one in happenings:
        if not _of_user(one, row):
            continue
        if one["act"] == "login" and one["status"] == 200:
            logins[one["seat"]] = one["login"]
        elif one["act"] in SHOWN and one["login"] == logins.get(one["seat"], one["login"]):
            yield one


def _failed(one: Row) -> bool:
    slow = one["waiting"] and one["ended"] - one["began"] < GIVE_UP_SECONDS
    return not slow and one["status"] != 401 and not 200 <= one["status"] < 300


def _doomed(happenings: Sequence[Row], row: str) -> Iterator[int]:
    """Yield the seats of those whose login somebody has ended, and who have not felt it yet."""
    ended: set[int] = set()
    for one in happenings:
        if one["kind"] == "entry" and one["ends"]:
            ended.add(one["seat"])
        elif _of_user(one, row) and (one["status"] == 401 or (one["act"], one["status"]) == ("login", 200)):
            ended.discard(one["seat"])
    yield from ended
