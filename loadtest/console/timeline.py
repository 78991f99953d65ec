"""What each click did to every strategy, in words."""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from loadtest.console.history import Effect, Entry, History

SHOWN = 30
Translate = Callable[..., str]


@dataclass
class Group:
    """Strategies that fared alike. *bad*: whether somebody suffered."""

    what: str
    bad: bool
    rows: list[str] = field(default_factory=list)
    who: str = ""


@dataclass(frozen=True)
class Line:
    """One click, as it is shown."""

    number: int
    iso: str
    time: str
    what: str
    problem: str
    done: bool
    groups: list[Group]


def lines(history: History, controls: Collection[str], t: Translate) -> list[Line]:
    """Return the last clicks, the latest first, in the language of *t*. Nobody is logged in under *controls*."""
    return [_line(entry, controls, t) for entry in islice(reversed(history.entries), SHOWN)]


def _line(entry: Entry, controls: Collection[str], t: Translate) -> Line:
    at = datetime.fromtimestamp(entry.at, UTC).astimezone()
    return Line(
        entry.number,
        at.isoformat(timespec="seconds"),
        at.strftime("%H:%M:%S"),
        named(entry, t),
        t("problem.unexpected") if entry.problem == "unexpected" else entry.problem,
        entry.done,
        list(_groups(entry, controls, t)),
    )


def named(entry: Entry, t: Translate) -> str:
    """Return what was clicked: "Kill -9 app-2", "Force logout of person 7"."""
    person = "" if entry.seat is None else t("person", number=entry.seat + 1)
    return t(f"did.{entry.action}", target=entry.target, person=person)


def _groups(entry: Entry, controls: Collection[str], t: Translate) -> Iterator[Group]:
    """Yield strategies that fared alike, with those that lost something first, and all that felt nothing last."""
    groups: dict[str, Group] = {}
    for row, effect in entry.effects.items():
        if entry.seat is not None and row in controls:
            continue
        said = _said(entry, row, effect, t)
        bad = bool(said) and bool(effect.out or effect.silent or effect.lost)
        groups.setdefault(said, Group(said, bad)).rows.append(row)
    nothing = groups.pop("", None)
    for group in sorted(groups.values(), key=lambda group: not group.bad):
        group.who = ", ".join(group.rows)
        yield group
    if nothing:
        nothing.who = t("all-others") if groups else t("everybody")
        nothing.what = t("effect.nobody")
        yield nothing


def _said(entry: Entry, row: str, effect: Effect, t: Translate) -> str:
    """Return what happened to the users of one row, or nothing if nothing happened."""
    others = effect if entry.seat is None else _without(effect, entry.seat)
    facts = [*_about_seat(entry, effect, t), *_about_loot(entry, row, t), *_about_all(others, t)]
    return t("and").join(facts)


def _about_seat(entry: Entry, effect: Effect, t: Translate) -> Iterator[str]:
    """Yield what became of the one whom the click was about."""
    seat = entry.seat
    if seat is None or seat not in effect.before:
        return
    if seat in effect.out:
        back = "effect.person-out-and-back" if seat in effect.back else "effect.person-out"
        yield t(back, seconds=max(1, math.ceil(effect.out[seat])))
    elif entry.ends:
        yield t("effect.person-in")
    if seat in effect.lost:
        yield t("effect.person-lost")


def _about_loot(entry: Entry, row: str, t: Translate) -> Iterator[str]:
    loot = entry.loot.get(row)
    if loot:
        over = loot.over is not None
        yield t("effect.thief-out", seconds=max(1, math.ceil(loot.used))) if over else t("effect.thief-in")


def _about_all(effect: Effect, t: Translate) -> Iterator[str]:
    of = len(effect.before)
    if effect.out:
        key = "effect.out-and-back" if effect.back else "effect.out"
        yield t(key, number=len(effect.out), of=of, back=len(effect.back))
    if effect.silent:
        yield t("effect.silent", number=len(effect.silent), of=of)
    if effect.lost:
        yield t("effect.lost", number=len(effect.lost), of=of)
    if effect.returned:
        yield t("effect.returned", number=len(effect.returned))


def _without(effect: Effect, seat: int) -> Effect:
    one = {seat}
    return Effect(
        effect.before - one,
        {other: after for other, after in effect.out.items() if other != seat},
        effect.back - one,
        effect.silent - one,
        effect.lost - one,
        effect.returned - one,
    )
