"""What the report says of ways to keep a user at a replica."""

from collections.abc import Iterator

from loadtest.experiments.affinity.figures import ADDED, REMOVED
from loadtest.report.drawing import BLUE, GREEN, RED, Axes, dots, panels
from loadtest.results.model import Figure
from loadtest.results.numbers import listed
from loadtest.results.view import View

KEPT = 5.0
"""Percent of users: a method that moves fewer keeps users where they are."""


def sentences(view: View) -> Iterator[str]:
    """Who moves when a replica is added or removed, who comes to a new one, and who can choose."""
    for when in (ADDED, REMOVED):
        moved = view.figures("users_moved", when=when)
        if moved:
            parts = listed([f"{f.value:.0f} % under {f.labels['method']}" for f in moved])
            least = _had_to_move(view) if when == REMOVED else ""
            yield f"When a replica is {when}, users move to another one: {parts}{least}."
    returning = view.figures("new_replica_share", of="returning users")
    empty = [f.labels["method"] for f in returning if f.value < KEPT]
    if empty:
        yield f"A new replica gets only new users under {listed(empty)}: its share grows as old logins end."
    chosen = [f.labels["method"] for f in view.figures("replica_chosen") if f.ci_low is not None and f.ci_low > 50]
    if chosen:
        yield (
            f"Under {listed(chosen)}, a client can choose its replica: it sends the cookies of somebody who is there."
        )


def _had_to_move(view: View) -> str:
    must = [f.value for f in view.figures("users_had_to_move", when=REMOVED)]
    return f" ({min(must):.0f} to {max(must):.0f} % were at the removed replica and had to)" if must else ""


def draw(axes: Axes, view: View) -> None:
    """Three panels: users moved when a replica is added and removed, and the busiest replica's load."""
    shown = [
        (view.figures("users_moved", when=ADDED), "% of users moved,\nreplica added"),
        (view.figures("users_moved", when=REMOVED), "% of users moved,\nreplica removed"),
        (view.figures("imbalance"), "busiest replica's users,\nfair share = 1"),
    ]
    for panel, (figures, what) in zip(panels(axes, len(shown)), shown, strict=True):
        dots(panel, figures, [f.labels["method"] for f in figures], [_tint(f) for f in figures])
        panel.set_xlim(0, 135 if figures and figures[0].unit == "%" else 2.4)
        panel.set_xlabel(what, fontsize="small")


def _tint(figure: Figure) -> str:
    if figure.unit != "%":
        return BLUE
    return GREEN if figure.value < KEPT else RED if figure.value > 50 else BLUE
