"""What an experiment is: it measures and records raw rows; a pure function makes figures of them."""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from loadtest.client import Client, Strategy, control_of
from loadtest.cluster.protocol import Cluster
from loadtest.generator import Generator
from loadtest.results import Config, Figure, Row
from loadtest.statistics.estimates import Interval, Rng, centre
from loadtest.statistics.orders import balanced_orders, in_turns


class WrongAnswer(Exception):  # noqa: N818 - the name is what happened
    """The cluster gave a wrong answer, so it is not measured."""


class Progress(Protocol):
    """Where an experiment says how far it is."""

    def expect(self, seconds: float) -> None:
        """Say that all that is left of the run will take about so many *seconds*."""

    def start(self, what: str, steps: int) -> None:
        """Begin *what*, which has so many *steps*; whatever was going on before is done."""

    def advance(self) -> None:
        """One step is done."""


class Silent:
    """A `Progress` that tells nobody."""

    def expect(self, seconds: float) -> None:
        """Ignore it."""

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
    warmup: float = 0.2
    closed_rounds: int = 4
    closed_seconds: float = 0.4
    traffic_rounds: int = 4
    traffic_seconds: float = 0.7
    traffic_low: float = 0.1
    traffic_high: float = 0.5
    idle_seconds: float = 2.0
    turn_warm_up: int = 128
    turn_requests: int = 128
    turn_connections: int = 32
    turn_logins: int = 4
    cost_cycles: int = 2
    cost_rounds_direct: int = 20
    cost_rounds_nginx: int = 36
    cost_idle_seconds: float = 0.3
    cost_restarts: bool = False
    algorithm_rounds: int = 40
    login_rounds: int = 6
    logins: int = 8
    token_rounds: int = 12
    token_logins: int = 48
    survival_users: int = 15
    survival_passes: int = 1
    after_kill_seconds: float = 2.0


QUICK = Plan()
FULL = Plan(
    name="full",
    closed_rounds=12,
    closed_seconds=0.8,
    traffic_rounds=12,
    traffic_seconds=1.5,
    idle_seconds=10.0,
    cost_cycles=6,
    cost_rounds_direct=60,
    cost_rounds_nginx=54,
    cost_idle_seconds=1.0,
    cost_restarts=True,
    algorithm_rounds=120,
    login_rounds=15,
    logins=12,
    survival_passes=3,
    token_rounds=30,
    token_logins=96,
)


SpareCluster = Callable[[Mapping[str, str]], AbstractContextManager[Cluster]]
"""One replica and one auth process, with these settings (by their names in `.env`)."""


@dataclass
class Context:
    """What an experiment may use, and where it records what it measures. *logs*: a directory for generators' logs."""

    cluster: Cluster
    strategies: Sequence[Strategy]
    plan: Plan
    progress: Progress
    rng: Rng
    logs: Path
    spare_cluster: SpareCluster | None = None
    """Starts a further, small cluster with settings of its own, for a `with` block; None where none can be started."""
    generators: dict[str, Generator] = field(default_factory=dict)
    """Locust's processes, by strategy: started by the first experiment that needs them."""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is to be closed when the run ends."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The raw rows of the experiment that is running, in the order in which they were measured."""

    def control(self) -> Strategy | None:
        """Return the strategy that all others are compared with, if there is one."""
        return control_of(self.strategies)

    def logins(self) -> list[Strategy]:
        """Return the strategies that one can log in to."""
        return [strategy for strategy in self.strategies if not strategy.is_control]

    def client(self, strategy: Strategy, connector: aiohttp.BaseConnector, *, affinity: bool = True) -> Client:
        """Return a new device that talks to the listener with or without affinity."""
        return Client(self.cluster.url if affinity else self.cluster.url_no_affinity, strategy, connector)

    def record(self, **row: Any) -> None:
        """Record one raw row at once, so that an interrupted run keeps it. Values are what JSON has.

        Numbers are rounded to 9 places: nanoseconds, where they are seconds.
        """
        self.rows.append({name: round(value, 9) if isinstance(value, float) else value for name, value in row.items()})

    def recorded(self, turn: Callable[[], Awaitable[Row]], **labels: Any) -> Callable[[], Awaitable[None]]:
        """Return *turn* as one that records the row it gives, with *labels* and the number of its round (from 0)."""
        rounds = itertools.count()

        async def block() -> None:
            row = await turn()
            self.record(round=next(rounds), **labels, **row)

        return block

    async def take_turns(self, blocks: Mapping[Any, Callable[[], Awaitable[None]]], rounds: int) -> None:
        """Run each of *blocks* once per round, in balanced orders, and advance the progress after each."""
        await in_turns(blocks, balanced_orders(list(blocks), rounds, self.rng), self.progress.advance)


def figure(experiment: str, strategy: str, metric: str, unit: str, interval: Interval, **labels: str) -> Figure:
    """Return *interval* as a figure."""
    return Figure(experiment, strategy, metric, unit, interval.value, interval.low, interval.high, interval.n, labels)


def tier_seconds(row: Row) -> dict[str, float]:
    """Return the CPU seconds in *row* (`cpu_TIER`) by tier, and their sum as `total`."""
    tiers = {name.removeprefix("cpu_"): value for name, value in row.items() if name.startswith("cpu_")}
    return tiers | {"total": sum(tiers.values())}


def cost_figures(experiment: str, strategy: str, metric: str, rows: Sequence[Row], per: str) -> list[Figure]:
    """Return CPU microseconds by tier for one of what each row counts as *per*."""
    costs = [{tier: 1e6 * used / row[per] for tier, used in tier_seconds(row).items()} for row in rows]
    return [
        figure(experiment, strategy, metric, "us", centre([cost[tier] for cost in costs]), tier=tier)
        for tier in sorted(costs[0])
    ]


def whole_rounds(rows: Sequence[Row], order: Iterable[str] = (), key: str = "strategy") -> list[dict[str, Row]]:
    """Return, round by round, the rows by their *key*: only the rounds in which everybody had a turn.

    An interrupted run ends within a round, which would compare those who had their turn with other rounds. *order* (of
    names) is that of the answer, as far as it goes.
    """
    rounds: dict[int, dict[str, Row]] = {}
    for row in rows:
        rounds.setdefault(row["round"], {})[row[key]] = row
    seen = dict.fromkeys(row[key] for row in rows)
    everybody = list(dict.fromkeys([*(name for name in order if name in seen), *seen]))
    return [{name: one[name] for name in everybody} for one in rounds.values() if len(one) == len(everybody)]


@dataclass(frozen=True)
class Experiment:
    """A question put to a cluster. *measure* records rows in the context; *analyse* makes figures of them.

    *analyse* is pure and takes the rows of an interrupted run as well; the same rows always give the same figures.
    *measure* may raise: `WrongAnswer`, `GeneratorError`, `ClusterError`. What it has recorded is kept. *seconds*: about
    how long it takes on two cores, under the quick and under the full plan.
    """

    name: str
    question: str
    measure: Callable[[Context], Awaitable[None]]
    analyse: Callable[[Sequence[Row], Config], list[Figure]]
    seconds: tuple[int, int] = (10, 60)
