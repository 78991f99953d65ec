"""What the report says of logins that were ended: a plot, sentences, and the verdict on claim C1."""

from collections.abc import Iterator

from loadtest.experiments.revocation.endings import FORCED, MEANS
from loadtest.report.drawing import BLUE, ORANGE, PINK, SKY, Axes, errors, legend, name_delays, rows
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, listed, number
from loadtest.results.view import View

COLOURS = dict(zip(MEANS, (SKY, BLUE, ORANGE, PINK), strict=True))
AFTER = dict(zip(MEANS, ("a logout", "a forced logout", "a new password", "the end of the account"), strict=True))
SHORTEST_MS = 1.0
"""Below, the axis is linear: nothing at all may have been accepted."""


def draw(axes: Axes, view: View) -> None:
    """Draw by strategy and means when a login that had ended was last accepted; arrows are those that never stopped."""
    names = view.strategies("revocation_held", life="")
    for place, means in enumerate(MEANS):
        up, labels = 0.18 * (place - 1.5), {"means": means, "life": ""}
        ended = [f for name in names for f in view.figures("revocation_ms", name, **labels)]
        places = [names.index(f.strategy) + up for f in ended]
        tint = COLOURS[means]
        axes.errorbar([f.value for f in ended], places, xerr=errors(ended), fmt="o", color=tint, capsize=2, label=means)
        going_on = [f for name in names for f in view.figures("watched", name, **labels)]
        axes.plot([1000 * f.value for f in going_on], [names.index(f.strategy) + up for f in going_on], ">", color=tint)
    axes.set_xscale("symlog", linthresh=SHORTEST_MS)
    axes.set_xlim(left=0)
    name_delays(axes.xaxis, axes.get_xlim()[1])
    axes.tick_params(axis="x", labelsize="small")
    axes.set_xlabel("time to the last accepted request")
    rows(axes, [view.named(name) for name in names])
    legend(axes, 2)


def sentences(view: View) -> Iterator[str]:
    """What does not end a login, and when tokens with another life ended."""
    accepted: dict[str, list[str]] = {}
    for means in MEANS:
        if going_on := [f.strategy for f in _held(view, means) if f.value < 100]:
            accepted.setdefault(listed(going_on), []).append(AFTER[means])
    for names, ways in accepted.items():
        yield f"After {' or '.join(ways)}, {names} went on accepting the login, which ends only when it expires."
    for life in sorted({f.labels["life"] for f in view.figures("revocation_ms", means=FORCED) if "life" in f.labels}):
        ended = [f for f in view.figures("revocation_ms", means=FORCED, life=life) if f.value > 0]
        if ended:
            until = listed([f"{f.strategy} for {amount(f.value / 1000, 's')}" for f in ended])
            yield f"Where access tokens live for {life} s, requests were accepted after a forced logout: {until}."


def _held(view: View, means: str = FORCED) -> list[Figure]:
    return view.figures("revocation_held", means=means, life="")


def knows_who_is_logged_in(view: View) -> tuple[str, str] | None:
    """C1 holds for a session strategy if each of its forced logouts held at every replica."""
    found = {f.strategy: f for f in _held(view)}
    if not found:
        return None
    figures = "last accepted request after a forced logout: " + listed([_last(view, name) for name in found])
    ends = [name for name, figure in found.items() if figure.value == 100]
    sessions, tokens = ([name for name in found if view.kind(name) == kind] for kind in ("session", "token"))
    parts = [
        _said("holds for", [name for name in sessions if name in ends]),
        _said("does not hold for", [name for name in sessions if name not in ends]),
        _said("tokens can do the same under", [name for name in tokens if name in ends]),
        _said("tokens cannot under", [name for name in tokens if name not in ends]),
    ]
    return figures, "; ".join(part for part in parts if part)


def _said(words: str, names: list[str]) -> str:
    return f"{words} {listed(names)}" if names else ""


def _last(view: View, name: str) -> str:
    labels = {"means": FORCED, "life": ""}
    if ended := view.one("revocation_ms", name, **labels):
        return f"{name} {number(round(ended.value, 1))} ms ({ended.n} logouts)"
    watched = view.one("watched", name, **labels)
    return f"{name} still accepted after {amount(watched.value, 's')}" if watched else name
