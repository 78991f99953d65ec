"""What the report says and draws about `footprint`, and its verdict on claim C3."""

from collections.abc import Iterator
from dataclasses import replace

from loadtest.report.drawing import Axes, colour, dots, highest, panels
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, listed, number, with_interval
from loadtest.results.view import View

LEAST_OPERATIONS = 0.5
"""Fewer commands per request than this are those that replicas send anyway."""
LEAST_BYTES = 16
"""Fewer bytes per login than this are no login's: its id alone takes as many."""
STATE = ("app", "redis")
"""The tiers that may keep the state of a login."""


def sentences(view: View) -> Iterator[str]:
    """How much longer a credential may get, and what its user sees beyond."""
    longest = view.figures("longest_credential")
    by_end: dict[tuple[float, str], list[Figure]] = {}
    for one in longest:
        by_end.setdefault((one.value, one.labels["beyond"]), []).append(one)
    for (size, beyond), of in by_end.items():
        senders = listed([f"{f.strategy} (which sends {f.labels['own']})" for f in of])
        yield f"Headers of {amount(size, 'bytes')} arrive from {senders}; beyond, users see {beyond}."
    if longest:
        yield "Browsers keep cookies of up to 4,096 bytes each (RFC 6265bis, section 5.6), whatever servers allow."


def _grows(view: View, name: str) -> list[str]:
    """Return what grows with the logins of a strategy, as far as intervals allow to say so.

    Accounts and password checks take memory under every strategy: what counts is what a tier takes beyond the strategy
    for which it takes least.
    """
    found = []
    for slope in _slopes(view, name):
        least = min(view.figures("bytes_per_login", tier=slope.labels["tier"]), key=lambda figure: figure.value)
        if slope.ci_low is not None and least.ci_high is not None and slope.ci_low > max(LEAST_BYTES, least.ci_high):
            found.append(f"{slope.labels['tier']} {with_interval(slope)} per login")
    asks = view.one("store_operations", name, per="request")
    if asks and asks.value >= LEAST_OPERATIONS:
        found.append(f"{_rounded(asks)} store {'command' if _rounded(asks) == '1' else 'commands'} per request")
    return found


def _slopes(view: View, name: str) -> list[Figure]:
    """Return the bytes of a login by tier; with tokens, those of the one strategy that was measured for all."""
    return view.figures("bytes_per_login", name) or [
        slope for slope in view.figures("bytes_per_login") if view.kind(name) == view.kind(slope.strategy) == "token"
    ]


def _rounded(figure: Figure) -> str:
    return number(round(figure.value, 1) + 0.0)  # not "-0"


def draw(axes: Axes, view: View) -> None:
    """Two panels: bytes that a login takes up in replicas and Redis, and commands of the store per request."""
    asked = view.figures("store_operations", per="request")
    names = [figure.strategy for figure in asked]
    colours = [colour(view, name) for name in names]
    bytes_ = [
        Figure("", name, "", "B", round(sum(max(0, f.value) for f in _slopes(view, name) if f.labels["tier"] in STATE)))
        for name in names
    ]
    commands = [replace(figure, value=round(figure.value, 2) + 0.0) for figure in asked]  # not "-0"
    shown = [(bytes_, "bytes per login"), (commands, "store commands per request")]
    shown = shown if view.figures("bytes_per_login") else shown[1:]
    for panel, (figures, what) in zip(panels(axes, len(shown)), shown, strict=True):
        dots(panel, figures, names, colours)
        most = max(1.0, highest(figures))
        panel.set_xlim(-0.1 * most, 1.7 * most)
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel(what, fontsize="small")


def grows_with_users(view: View) -> tuple[str, str] | None:
    """C3 holds for session strategies whose logins take memory that can be told from noise, or ask the store."""
    names = [f.strategy for f in view.figures("store_operations", per="request")]
    if not names:
        return None
    requests, logins = _commands(view, "request"), _commands(view, "login")
    figures = f"store commands per request: {requests}; per login: {logins or 'not counted'}"
    growing: dict[str, list[str]] = {}
    for name in names:
        growing.setdefault(", ".join(_grows(view, name)), []).append(name)
    rest = growing.pop("", [])
    steady, unknown = ([name for name in rest if bool(_slopes(view, name)) is known] for known in (True, False))
    parts = [
        f"holds for {listed([f'{listed(of)} ({what})' for what, of in growing.items()])}" if growing else "",
        f"no growth that so few logins could show for {listed(steady)}" if steady else "",
        f"memory per login was not measured for {listed(unknown)}" if unknown else "",
    ]
    return figures, "; ".join(part for part in parts if part)


def _commands(view: View, per: str) -> str:
    return listed([f"{f.strategy} {_rounded(f)}" for f in view.figures("store_operations", per=per)])
