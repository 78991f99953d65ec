"""The trust line: can a reader trust this run? It shows the verdicts of the self-audit with their figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.results.model import Figure
from loadtest.results.view import View


@dataclass(frozen=True)
class Check:
    """One check. *passed* is None if the run did not make it. *title*: its question and the answer."""

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
        """Return the same in words, for screen readers."""
        return "not measured" if self.passed is None else "passed" if self.passed else "failed"


@dataclass(frozen=True)
class Kind:
    """A kind of check, about the figure of *metric* that is *farthest* off."""

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
    Kind("Null test", "null_test", "null_ratio", "Two clients of one strategy must cost the same.", _off, _from_one),
    Kind("Placebo", "placebo", "placebo_ratio", "For the same work, nginx must cost the same.", _off, _from_one),
    Kind("Steal", "steal", "steal", "The machine's host must not give its CPU to other machines.",
         lambda figure: f"{figure.value:.1f} %", lambda figure: figure.value),
    Kind("Drift", "drift", "drift", "The machine must be as fast at the end as at the beginning.", _off, _from_one),
)  # fmt: skip


def trust(view: View) -> list[Check]:
    """Return the checks in order, each with its worst figure."""
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
