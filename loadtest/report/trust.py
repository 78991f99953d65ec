"""The trust line: may a reader believe this run? The self-audit judges; here its judgement is put beside the figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.results.model import Figure
from loadtest.results.view import View


@dataclass(frozen=True)
class Check:
    """One check. *passed* is None if the run did not make it. *title*: what it asks, and how it was answered."""

    name: str
    passed: bool | None
    value: str
    title: str

    @property
    def sign(self) -> str:
        """Return a tick, a cross, or a dash."""
        return "\N{EN DASH}" if self.passed is None else "✓" if self.passed else "✗"

    @property
    def said(self) -> str:
        """Return the same for those who cannot see the sign."""
        return "not measured" if self.passed is None else "passed" if self.passed else "failed"


@dataclass(frozen=True)
class Kind:
    """How a check finds the figure that it is about: the one that is *farthest* of *metric*."""

    name: str
    rule: str
    metric: str
    question: str
    value: Callable[[Figure], str]
    farthest: Callable[[Figure], float]


def _from_one(figure: Figure) -> float:
    return abs(figure.value - 1)


def _off(figure: Figure) -> str:
    return f"{100 * (figure.value - 1):+.1f} %".replace("-", "\N{MINUS SIGN}")


KINDS = (
    Kind("Null test", "null_test", "null_ratio", "Two clients of the same strategy cost the same.", _off, _from_one),
    Kind("Placebo", "placebo", "placebo_ratio", "Where nginx does the same work, it cost the same.", _off, _from_one),
    Kind("Steal", "steal", "steal", "The machine's host must not give our CPU to others.",
         lambda figure: f"{figure.value:.1f} %", lambda figure: figure.value),
    Kind("Drift", "drift", "drift", "The machine must be as fast at the end as at the beginning.", _off, _from_one),
)  # fmt: skip


def trust(view: View) -> list[Check]:
    """Return the checks in order, each with the figure that deviates most."""
    return [_check(view, kind) for kind in KINDS]


def _check(view: View, kind: Kind) -> Check:
    figures = view.figures(kind.metric)
    if not figures:
        return Check(kind.name, None, "not measured", kind.question)
    worst, messages = max(figures, key=kind.farthest), _messages(view, kind.rule)
    said = "; ".join(messages) or "Passed."
    return Check(kind.name, not messages, kind.value(worst), f"{kind.question} {said}")


def _messages(view: View, rule: str) -> Sequence[str]:
    return [warning["message"] for warning in view.results.warnings if warning["rule"] == rule]
