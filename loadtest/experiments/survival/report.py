"""What the report says of kills: a plot, sentences, and the verdict on claim C4."""

from collections.abc import Iterator

from loadtest.report.drawing import BLUE, INK, ORANGE, RED, Axes, errors, legend, rows
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
    if expected := view.one("expected_users_lost"):
        axes.axvline(expected.value, color=RED, linestyle="--", linewidth=1.1, label=f"1 in {view.replicas} users")
    rows(axes, [view.named(name) for name in names])
    axes.set_xlim(-2, 102)
    axes.set_xlabel("% of users logged out")
    legend(axes, 2)


def kills(view: View, names: list[str]) -> list[tuple[str, float]]:
    """Return, for each kill behind affinity, whose users it was and the share that it logged out, in percent."""
    found = []
    for row in view.results.rounds.get("survival", ()):
        users = row["users"] - row["lost_before"]
        if row["affinity"] and row["strategy"] in names and users:
            found.append((row["strategy"], 100 * row["lost_after"] / users))
    return found


def sentences(view: View) -> Iterator[str]:
    """What happens without affinity, and what users saw of the kills."""
    yield from _forgotten_affinity(view)
    yield from _errors(view)


def _forgotten_affinity(view: View) -> Iterator[str]:
    """What happens without affinity, even if nothing fails."""
    for figure in view.figures("users_lost", fault="none", affinity="false"):
        if figure.value > 0:
            yield (
                f"Without affinity at the load balancer, {with_interval(figure)} of the users of {figure.strategy} "
                "lost their login within a few requests, although nothing failed."
            )


def _errors(view: View) -> Iterator[str]:
    """Errors that users saw while replicas died."""
    figures = view.figures("http_5xx")
    if figures:
        total, gets = sum(f.value for f in figures), sum(f.n for f in figures)
        count = "none" if not total else number(total)
        yield f"While replicas were killed and restarted, {count} of {number(gets)} GETs failed (5xx or no answer)."


def scaling_sessions(view: View) -> tuple[str, str] | None:
    """C4 holds where kills of replicas log users out. Kills without a loss do not prove that there never is one."""
    killed = {"fault": "kill -9", "affinity": "true"}
    lost = {f.strategy: f for f in view.figures("users_lost", **killed) if view.kind(f.strategy) == "session"}
    kills = {f.strategy: f for f in view.figures("kills_with_losses", **killed) if f.strategy in lost}
    if not kills:
        return None
    figures = "users lost per kill -9: " + listed([f"{name} {with_interval(lost[name])}" for name in kills])
    losing = [_of_kills(figure) for figure in kills.values() if figure.value > 0]
    keeping = [_of_kills(figure) for figure in kills.values() if figure.value == 0]
    parts = [f"holds for {listed(losing)}" if losing else "", f"no loss seen for {listed(keeping)}" if keeping else ""]
    return figures, "; ".join(part for part in parts if part)


def _of_kills(figure: Figure) -> str:
    """Return `redis (0 of 3 kills; up to 71 % of kills could lose logins)`: what so few kills cannot exclude, too."""
    count = f"{round(figure.value * figure.n / 100)} of {figure.n} {'kill' if figure.n == 1 else 'kills'}"
    if figure.value or figure.ci_high is None:
        return f"{figure.strategy} ({count})"
    return f"{figure.strategy} ({count}; up to {number(round(figure.ci_high))} % of kills could lose logins)"
