"""What an experiment is, what it may use, and how it hands in its figures."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from loadtest.client import Client, Strategy
from loadtest.cluster.protocol import Cluster
from loadtest.intervals import Interval, Rng
from loadtest.results import Figure


class WrongAnswer(Exception):  # noqa: N818 - the name is what happened
    """The cluster answered wrongly: it is not measured (DESIGN §6.1)."""


class Progress(Protocol):
    """Where an experiment says how far it is."""

    def start(self, what: str, steps: int) -> None:
        """Begin *what*, which has so many *steps*; whatever was going on before is done."""

    def advance(self) -> None:
        """One step is done."""


class Silent:
    """A `Progress` that tells nobody."""

    def start(self, what: str, steps: int) -> None:
        """Ignore it."""

    def advance(self) -> None:
        """Ignore it."""


@dataclass(frozen=True)
class Plan:
    """How long and how often to measure. The defaults are the quick plan."""

    name: str = "quick"
    users: int = 24
    rounds: int = 10
    warmup: float = 0.4
    seconds: float = 1.6
    open_rounds: int = 5
    open_seconds: float = 2.0
    open_fraction: float = 0.5
    login_rounds: int = 6
    logins: int = 8
    token_rounds: int = 12
    token_logins: int = 48
    survival_users: int = 40
    survival_passes: int = 1
    after_kill_seconds: float = 2.0


QUICK = Plan()
FULL = Plan(
    name="full",
    rounds=20,
    seconds=3.0,
    open_rounds=12,
    open_seconds=5.0,
    login_rounds=15,
    logins=12,
    survival_passes=3,
    token_rounds=30,
    token_logins=96,
)


@dataclass
class Context:
    """What an experiment may use. Figures are appended to *figures*; *logs* is a directory for the generators' logs."""

    cluster: Cluster
    strategies: Sequence[Strategy]
    plan: Plan
    progress: Progress
    rng: Rng
    logs: Path
    figures: list[Figure] = field(default_factory=list)

    def logins(self) -> list[Strategy]:
        """Return the strategies that one can log in to."""
        return [strategy for strategy in self.strategies if not strategy.is_control]

    def client(self, strategy: Strategy, connector: aiohttp.BaseConnector, *, affinity: bool = True) -> Client:
        """Return a new device that talks to the listener with or without affinity."""
        return Client(self.cluster.url if affinity else self.cluster.url_no_affinity, strategy, connector)

    def add(self, experiment: str, strategy: str, metric: str, unit: str, interval: Interval, **labels: str) -> None:
        """Hand in one figure."""
        figure = Figure(
            experiment, strategy, metric, unit, interval.value, interval.low, interval.high, interval.n, labels
        )
        self.figures.append(figure)


@dataclass(frozen=True)
class Experiment:
    """A question put to a cluster. *run* appends its figures to the context, or raises and leaves none."""

    name: str
    question: str
    run: Callable[[Context], Awaitable[None]]
