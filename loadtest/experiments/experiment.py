"""What an experiment is: it measures and records raw rows; pure functions make everything else of them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import aiohttp
import msgspec

from loadtest.cluster.protocol import Capability, Cluster, FaultError, Unavailable
from loadtest.load.client import UNAVAILABLE, Answer, Client, Strategy, control_of
from loadtest.load.generator import Generator
from loadtest.report.differences import Compared
from loadtest.report.plot import Plot
from loadtest.report.section import Table
from loadtest.results.model import NOT_MEASURED, Config, Figure, Row
from loadtest.results.view import View
from loadtest.statistics.estimates import Rng
from loadtest.statistics.orders import balanced_orders, in_turns
from loadtest.verdicts.claims import Claim


class WrongAnswer(Exception):  # noqa: N818 - the name is what happened
    """The cluster gave a wrong answer, so it is not measured."""


def refusal(message: str, *statuses: int) -> Exception:
    """Return what to raise with *message* because of *statuses* (0: no answer) that must not be.

    `Unavailable` if that may be overload, else `WrongAnswer`.
    """
    if UNAVAILABLE.intersection(statuses):
        return Unavailable(message)
    return WrongAnswer(message)


def expect(strategy: Strategy, what: str, answer: Answer, *statuses: int) -> None:
    """Raise `WrongAnswer` (or `Unavailable`) unless *answer* has one of these *statuses*: 200, if none is named."""
    allowed = statuses or (200,)
    if answer.status not in allowed:
        must = " or ".join(map(str, allowed))
        raise refusal(f"{strategy.name}: {what}: status {answer.status or 'none'}, must be {must}", answer.status)


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all this *work* at the same time. An error in one of them ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class Progress(Protocol):
    """Where an experiment says how far it is."""

    def expect(self, seconds: float) -> None:
        """Say that the rest of the run will take about this number of *seconds*."""

    def start(self, what: str, steps: int) -> None:
        """Begin *what*, which takes *steps* steps; what was going on before is done."""

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
class BasePlan:
    """How long (in seconds) and how often an experiment measures. The defaults of its subclass are the quick plan."""


SpareCluster = Callable[[Mapping[str, str]], AbstractContextManager[Cluster]]
"""One replica and one auth process, with these settings (by their names in `.env`)."""


@dataclass
class Context:
    """What an experiment may use, and where it records what it measures. *logs*: a directory for generators' logs."""

    cluster: Cluster
    strategies: Sequence[Strategy]
    progress: Progress
    rng: Rng
    logs: Path
    spare_cluster: SpareCluster | None = None
    """Starts a further, small cluster with settings of its own, for a `with` block; None where none can be started."""
    generators: dict[int, dict[str, Generator]] = field(default_factory=dict)
    """Locust's processes, by their number of users and by strategy: started by the first experiment that needs them."""
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

    def not_measured(self, what: str, reason: str) -> None:
        """Record that *what* could not be measured, and why."""
        self.record(kind=NOT_MEASURED, what=what, reason=reason)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Go on after the block if the fault that it needs did not happen: then *what* was not measured."""
        try:
            yield
        except FaultError as error:
            self.not_measured(what, str(error))

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


def no_sentences(_: View) -> Iterable[str]:
    """Say nothing."""
    return ()


def no_tables(_: View) -> Iterable[Table]:
    """Show nothing."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question put to a cluster, and everything that belongs to its answer.

    *measure* records rows in the context, as long and as often as its plan says: *quick* or *full*, which take about
    *seconds* on two cores. It may raise `WrongAnswer`, `GeneratorError` or `ClusterError`, which end the run, or
    `Unavailable`, which ends only the experiment; what it has recorded is kept. A *disruptive* experiment runs after
    all others, and the cluster is put right after it. Experiments that run *side_by_side* share the machine: they leave
    the cluster as it is, and measure neither CPU nor short times. Without the capabilities that it *needs* of the
    cluster an experiment is not measured, and the report says so.

    *analyse* turns rows into figures. It is pure: the same rows always give the same figures, and the rows of an
    interrupted run are enough.

    All else is made of figures. The report has *plots*, *tables*, *sentences* (what else was found; none without its
    figure), the verdicts on *claims*, and in *method* how this was measured. `diff` shows how the figures *compared*
    have changed.
    """

    name: str
    question: str
    quick: BasePlan
    full: BasePlan
    seconds: tuple[int, int]
    measure: Callable[[Context, Any], Awaitable[None]]
    analyse: Callable[[Sequence[Row], Config], list[Figure]]
    plots: tuple[Plot, ...] = ()
    tables: Callable[[View], Iterable[Table]] = no_tables
    sentences: Callable[[View], Iterable[str]] = no_sentences
    method: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    compared: tuple[Compared, ...] = ()
    disruptive: bool = False
    side_by_side: bool = False
    needs: frozenset[Capability] = frozenset()

    def plan(self, *, full: bool) -> BasePlan:
        """Return the full or the quick plan."""
        return self.full if full else self.quick

    def with_plan(self, name: str, value: str) -> "Experiment":
        """Return this experiment with *name* set to *value* (JSON) in both plans.

        Raises `ValueError` if the plans have no such name, or if the value is of another type or negative.
        """
        known = get_type_hints(type(self.quick))
        if name not in known:
            raise ValueError(f"{self.name} has no {name}. Choose from: {', '.join(known) or 'nothing'}.")
        try:
            wanted = msgspec.json.decode(value, type=known[name])
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
        if isinstance(wanted, int | float) and wanted < 0:
            raise ValueError("must not be negative")
        change = {name: wanted}
        return replace(self, quick=replace(self.quick, **change), full=replace(self.full, **change))
