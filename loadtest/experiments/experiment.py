"""What an experiment is, what it may use, and how it hands in its figures."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from loadtest.client import Client, Strategy, control_of
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
    """How long (seconds) and how often to measure. The defaults are the quick plan.

    Blocks are short and rounds many: what disturbs a ratio lasts longer than a block, so that for the same time twice
    the rounds say more than twice the seconds.
    """

    name: str = "quick"
    users: int = 24
    rounds: int = 20
    warmup: float = 0.2
    seconds: float = 0.6
    open_rounds: int = 5
    open_seconds: float = 1.6
    open_fraction: float = 0.5
    floor_rounds: int = 20
    algorithm_rounds: int = 15
    algorithm_seconds: float = 0.02
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
    rounds=50,
    seconds=0.8,
    open_rounds=8,
    open_seconds=4.0,
    floor_rounds=50,
    algorithm_rounds=40,
    algorithm_seconds=0.05,
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

    def control(self) -> Strategy | None:
        """Return the strategy that all others are compared with, if there is one."""
        return control_of(self.strategies)

    def logins(self) -> list[Strategy]:
        """Return the strategies that one can log in to."""
        return [strategy for strategy in self.strategies if not strategy.is_control]

    def client(self, strategy: Strategy, connector: aiohttp.BaseConnector, *, affinity: bool = True) -> Client:
        """Return a new device that talks to the listener with or without affinity."""
        return Client(self.cluster.url if affinity else self.cluster.url_no_affinity, strategy, connector)

    def add(self, experiment: str, strategy: str, metric: str, unit: str, interval: Interval, **labels: str) -> None:
        """Hand in one figure."""
        self.figures.append(figure(experiment, strategy, metric, unit, interval, **labels))


def figure(experiment: str, strategy: str, metric: str, unit: str, interval: Interval, **labels: str) -> Figure:
    """Return *interval* as a figure."""
    return Figure(experiment, strategy, metric, unit, interval.value, interval.low, interval.high, interval.n, labels)


@dataclass(frozen=True)
class Experiment:
    """A question put to a cluster. *run* appends its figures to the context, or raises and leaves none."""

    name: str
    question: str
    run: Callable[[Context], Awaitable[None]]
