"""What the report says of replicas that die, stop, come and go: plots, sentences, and the verdict on claim C4."""

import math
from collections.abc import Iterator

from loadtest.experiments.survival.figures import FAULTS, KILL, NAME
from loadtest.report.drawing import BLUE, INK, ORANGE, RED, Axes, errors, legend, percent_table, rows
from loadtest.report.need import KILLED
from loadtest.results.model import Figure
from loadtest.results.numbers import listed, number, with_interval
from loadtest.results.view import View

SERIES = {
    "killed, with affinity": (KILLED, BLUE, -0.17),
    "no fault, affinity forgotten": ({"fault": "none", "affinity": "false"}, ORANGE, 0.17),
}


def draw(axes: Axes, view: View) -> None:
    """Dots with intervals: the users who lost their login, and a small ring for each kill."""
    names = view.strategies("users_lost")
    for label, (labels, tint, offset) in SERIES.items():
        figures = [f for name in names for f in view.figures("users_lost", name, **labels)]
        if figures:
            places = [names.index(f.strategy) + offset for f in figures]
            values = [f.value for f in figures]
            axes.errorbar(values, places, xerr=errors(figures), fmt="o", color=tint, capsize=3, label=label)
    rings = [
        (share, names.index(name) + SERIES["killed, with affinity"][2] - 0.15) for name, share in kills(view, names)
    ]
    if rings:
        across, up = zip(*rings, strict=True)
        axes.plot(across, up, "o", color=INK, markersize=4, fillstyle="none", linestyle="", label="one kill", alpha=0.7)
    if expected := view.one("expected_users_lost", fault=KILL):
        axes.axvline(expected.value, color=RED, linestyle="--", linewidth=1.1, label=f"1 in {view.replicas} users")
    rows(axes, [view.named(name) for name in names])
    axes.set_xlim(-2, 102)
    axes.set_xlabel("% of users logged out")
    legend(axes, 2)


def kills(view: View, names: list[str]) -> list[tuple[str, float]]:
    """Return, for each kill behind affinity, whose users it was and the share that it logged out, in percent."""
    found = []
    for row in view.results.rounds.get(NAME, ()):
        users = row["users"] - row["lost_before"] if row["fault"] == KILL else 0
        if row["affinity"] and row["strategy"] in names and users:
            found.append((row["strategy"], 100 * row["lost_after"] / users))
    return found


def draw_faults(axes: Axes, view: View) -> None:
    """Draw a table of strategies by faults, behind affinity; the last row is what state in one replica predicts."""
    faults = [fault for fault in FAULTS if view.figures("expected_users_lost", fault=fault)]
    lost = {(f.strategy, f.labels["fault"]): f.value for f in view.figures("users_lost", affinity="true")}
    expected = {("expected", f.labels["fault"]): f.value for f in view.figures("expected_users_lost")}
    names = view.strategies("users_lost", affinity="true")
    shown = {**dict(zip(names, names, strict=True)), "expected": "state in one replica"}
    cells = [[(lost | expected).get((name, fault), math.nan) for fault in faults] for name in shown]
    percent_table(axes, list(shown.values()), cells, more_is_worse=True)
    axes.set_xticks([across + 0.5 for across in range(len(faults))], [fault.replace(" ", "\n") for fault in faults])


def sentences(view: View) -> Iterator[str]:
    """What happens without affinity, whom other faults than kills log out, and what users saw of all of them."""
    yield from _forgotten_affinity(view)
    yield from _faults(view)
    yield from _state(view)
    yield from _errors(view)


def _forgotten_affinity(view: View) -> Iterator[str]:
    """What happens without affinity, even if nothing fails."""
    for figure in view.figures("users_lost", fault="none", affinity="false"):
        if figure.value > 0:
            yield (
                f"Without affinity at the load balancer, {with_interval(figure)} of the users of {figure.strategy} "
                "lost their login within a few requests, although nothing failed."
            )


def _faults(view: View) -> Iterator[str]:
    """Whom other faults than kills log out behind affinity, beside what is expected of state in one replica."""
    for expected in (f for f in view.figures("expected_users_lost") if f.labels["fault"] != KILL):
        fault = expected.labels["fault"]
        lost = [f for f in view.figures("users_lost", fault=fault, affinity="true") if f.value > 0]
        if lost or expected.value:
            who = listed([f"{number(round(f.value))} % of the users of {f.strategy}" for f in lost]) or "nobody"
            predicted = f"state in one replica predicts {number(round(expected.value))} %"
            yield f"{fault.capitalize()}: {who} lost their login ({predicted})."


def _state(view: View) -> Iterator[str]:
    """Whether state was lost or mixed up while the login went on."""
    lost = sorted({f.strategy for f in view.figures("users_with_lost_state") if f.value})
    mixed = sorted({f.strategy for f in view.figures("mixed_up_users") if f.value})
    if lost:
        yield f"Under {listed(lost)}, users stayed logged in but lost what their session had counted."
    if mixed:
        yield f"Under {listed(mixed)}, users saw another user's data, or more visits than there were."
    if view.figures("users_with_lost_state") and not lost and not mixed:
        yield "Nobody who stayed logged in lost state or saw another user's."


def _errors(view: View) -> Iterator[str]:
    """Errors that users saw meanwhile, by fault."""
    for metric, method in (("http_5xx", "GETs"), ("failed_visits", "POSTs")):
        counts = {}
        for fault in FAULTS:
            figures = view.figures(metric, fault=fault)
            counts[fault] = (sum(f.value for f in figures), sum(f.n for f in figures))
        failed = [f"{number(wrong)} of {number(all_)} ({fault})" for fault, (wrong, all_) in counts.items() if wrong]
        sent = sum(all_ for _, all_ in counts.values())
        if sent:
            yield f"{method} that failed meanwhile (5xx or no answer): {listed(failed) or f'none of {number(sent)}'}."


def scaling_sessions(view: View) -> tuple[str, str] | None:
    """C4 holds where kills of replicas log users out. Kills without a loss do not prove that there never is one."""
    lost = {f.strategy: f for f in view.figures("users_lost", **KILLED) if view.kind(f.strategy) == "session"}
    kills = {f.strategy: f for f in view.figures("kills_with_losses", **KILLED) if f.strategy in lost}
    if not kills:
        return None
    figures = "users lost per kill -9: " + listed([f"{name} {with_interval(lost[name])}" for name in kills])
    losing = [_of_kills(figure) + _also(view, figure.strategy) for figure in kills.values() if figure.value > 0]
    keeping = [figure for figure in kills.values() if figure.value == 0]
    parts = [
        f"holds for {listed(losing)}" if losing else "",
        f"no loss seen for {listed([_of_kills(f) + _also(view, f.strategy) for f in keeping])}" if keeping else "",
    ]
    return figures, "; ".join(part for part in parts if part)


def _also(view: View, strategy: str) -> str:
    """Say which other faults log users out, behind affinity."""
    lost = [f for f in view.figures("users_lost", strategy, affinity="true") if f.value > 0]
    others = [f.labels["fault"] for f in lost if f.labels["fault"] not in (KILL, "none")]
    return f", also after: {listed(others)}" if others else ""


def _of_kills(figure: Figure) -> str:
    """Return `redis (0 of 3 kills; up to 71 % of kills could lose logins)`: what so few kills cannot exclude, too."""
    count = f"{round(figure.value * figure.n / 100)} of {figure.n} {'kill' if figure.n == 1 else 'kills'}"
    if figure.value or figure.ci_high is None:
        return f"{figure.strategy} ({count})"
    return f"{figure.strategy} ({count}; up to {number(round(figure.ci_high))} % of kills could lose logins)"
