"""What the report says of outages: a plot, sentences, and the verdict on claim C8."""

import math
from collections.abc import Iterator

from loadtest.experiments.outage.callers import LOGIN, PAGE, REFRESH
from loadtest.experiments.outage.faults import KILLED, PAUSED
from loadtest.experiments.outage.outages import KEYS, LIMITS
from loadtest.report.drawing import Axes, panels, percent_table
from loadtest.results.model import Figure
from loadtest.results.numbers import amount, listed, number
from loadtest.results.view import View

CALLS = (PAGE, LOGIN, REFRESH)
TITLES = {PAGE: "pages", LOGIN: "new logins", REFRESH: "refreshes"}
AWAY = {KILLED: "killed", PAUSED: "paused"}
WHEN = {
    "redis": "With Redis",
    "auth": "With the auth service",
    "database": "With the database",
    KEYS: "At a replica that starts while the auth service is",
}
WITHOUT = {"redis": "Redis", "auth": "the auth service"}


def draw(axes: Axes, view: View) -> None:
    """Draw a table for each kind of call: strategies by outages, with the percentage that succeeds."""
    outages = list(dict.fromkeys((f.labels["service"], f.labels["fault"]) for f in _successes(view)))
    for panel, call in zip(panels(axes, len(CALLS), stacked=True), CALLS, strict=True):
        names = view.strategies("outage_success", call=call)
        shares = {(f.strategy, f.labels["service"], f.labels["fault"]): f.value for f in _successes(view, call=call)}
        percent_table(panel, names, [[shares.get((name, *outage), math.nan) for outage in outages] for name in names])
        panel.set_xticks([across + 0.5 for across in range(len(outages))], [" ".join(outage) for outage in outages])
        panel.tick_params(axis="x", rotation=60)
        panel.set_title(f"% of {TITLES[call]}", fontsize="small")


def sentences(view: View) -> Iterator[str]:
    """What failed during the outages, what was accepted or refused wrongly, and how soon everything worked again."""
    alike: dict[tuple[str, str], list[str]] = {}
    for service, fault in dict.fromkeys((f.labels["service"], f.labels["fault"]) for f in _successes(view)):
        alike.setdefault((service, _failing(view, service, fault)), []).append(fault)
    for (service, failing), faults in alike.items():
        yield f"{WHEN[service]} {' or '.join(faults)}, {failing}."
    yield from _wrong(view)
    if again := view.figures("outage_recovery"):
        slowest = max(again, key=lambda figure: figure.value)
        yield (
            f"After each outage everything worked again within {amount(slowest.value, 's')}, "
            "the time to start a process included; "
            f"{TITLES[slowest.labels['call']]} of {slowest.strategy} took longest."
        )
    yield from _endured(view)


def _failing(view: View, service: str, fault: str) -> str:
    """Say which calls failed of whom: all of them, unless a share is named."""
    parts = []
    for call in CALLS:
        lost = [f for f in _successes(view, service=service, fault=fault, call=call) if f.value < 100]
        names = [f.strategy + (f" ({number(round(f.value))} % succeeded)" if f.value else "") for f in lost]
        if names:
            parts.append(f"{TITLES[call]} failed under {listed(names)}")
    return "; ".join(parts) or "nothing failed"


def _wrong(view: View) -> Iterator[str]:
    accepted = view.figures("wrongly_accepted")
    if wrong := [f"{f.strategy}, {f.labels['service']} {f.labels['fault']}" for f in accepted if f.value]:
        yield f"Calls were accepted that must not be: {listed(wrong)}."
    elif accepted:
        yield f"Of {number(sum(f.n for f in accepted))} calls during and after outages, none was accepted wrongly."
    if lost := sorted({f.strategy for f in view.figures("wrongly_refused") if f.value}):
        yield f"Under {listed(lost)}, good logins were refused instead of told to wait."


def _endured(view: View) -> Iterator[str]:
    limits = ", ".join(f"{name} {value}" for name, value in LIMITS.items())
    for service, name in WITHOUT.items():
        if found := view.figures("endured", service=service):
            until = listed([f"under {f.strategy} {_until(f)}" for f in found])
            yield f"With short limits ({limits}) and without {name}, tokens were accepted {until}."


def _until(figure: Figure) -> str:
    seconds = amount(round(figure.value, 1), "s")
    return f"for {seconds}" if figure.labels["ended"] == "true" else f"to the end ({seconds})"


def _successes(view: View, strategy: str | None = None, **labels: str) -> list[Figure]:
    return view.figures("outage_success", strategy, **labels)


def needs_no_store(view: View) -> tuple[str, str] | None:
    """C8 holds for the pages of a token strategy if all succeeded without Redis, and without the auth service."""
    names = [name for name in view.strategies("outage_success") if view.kind(name) == "token"]
    if not names:
        return None
    pages = {name: _worst(view, name, PAGE) for name in names}
    known = {name: figure for name, figure in pages.items() if figure}
    figures = "my page, the worst of Redis and auth killed and paused: " + listed(
        [f"{name} {number(round(figure.value))} %" for name, figure in known.items()]
    )
    return figures, "; ".join(_verdict(view, known))


def _verdict(view: View, pages: dict[str, Figure]) -> Iterator[str]:
    """Yield the parts of the verdict."""
    if keeping := [name for name in pages if not _lost(view, name, PAGE)]:
        yield f"holds for the pages of {listed(keeping)}"
    if losing := [name for name in pages if _lost(view, name, PAGE)]:
        yield f"does not hold for the pages of {listed(losing)}"
    failing = [TITLES[call] for call in (LOGIN, REFRESH) if any(_lost(view, name, call) for name in pages)]
    if failing:
        yield f"does not hold for {listed(failing)}"
    if any(f.value < 100 for name in pages for f in _successes(view, name, service=KEYS)):
        yield "a replica that starts without the auth service accepts no token"
    if ending := sorted({f.strategy for f in view.figures("endured", ended="true") if f.strategy in pages}):
        yield f"for {listed(ending)}, only until the limits on old keys and old news are reached"
    if sum(f.value for name in pages for f in view.figures("wrongly_accepted", name)):
        yield "what must not be accepted was accepted"


def _lost(view: View, name: str, call: str) -> bool:
    worst = _worst(view, name, call)
    return worst is not None and worst.value < 100


def _worst(view: View, name: str, call: str) -> Figure | None:
    """Return the lowest share of success while Redis or the auth service was killed or paused."""
    found = [f for service in ("redis", "auth") for fault in AWAY for f in
             _successes(view, name, service=service, fault=fault, call=call)]  # fmt: skip
    return min(found, key=lambda figure: figure.value, default=None)
