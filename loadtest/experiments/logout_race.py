"""Does a write in flight revive a login that ends? Writes are sent at the very moment of a logout."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from loadtest.experiments.experiment import BasePlan, Context, Experiment, expect
from loadtest.experiments.people import AT_ONCE, AUTH, Administrator, log_in, open_accounts
from loadtest.load.client import Account, Answer, Client, Strategy
from loadtest.report.drawing import GREEN, RED, Axes, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed
from loadtest.results.view import View

NAME = "logout_race"
LOGOUT, FORCED = "logout", "forced logout"
ENDED = (200, 204)
LOOKS = 3
"""Each replica is asked: nginx asks three in turn."""
SHOWN = 0.1
"""The part of the races in which writes must both have succeeded and been refused: otherwise they were no races."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of *races* for each strategy and each way to end a login, and of *writes* in each.

    The writes begin at random within *spread* seconds, and the login is ended in the middle of them. *settled*: seconds
    after which every replica must know (what is within them is counted apart).
    """

    races: int = 16
    writes: int = 8
    spread: float = 0.012
    settled: float = 1.2


@dataclass
class Race:
    """One login that ends, and what came of the writes: when each began, and its status."""

    client: Client
    account: Account
    strategy: Strategy
    means: str
    writes: list[tuple[float, int]]
    acknowledged: float = 0.0
    looks: int = 0

    async def run(self, administrator: Administrator, offsets: Sequence[float], middle: float) -> None:
        """Write and end the login. Raises `WrongAnswer` unless the end is acknowledged."""
        await asyncio.gather(*(self._write(offset) for offset in offsets), self._end(administrator, middle))

    async def _write(self, offset: float) -> None:
        await asyncio.sleep(offset)
        began = time.perf_counter()
        self.writes.append((began, (await self.client.visits()).status))

    async def _end(self, administrator: Administrator, moment: float) -> None:
        await asyncio.sleep(moment)
        answers = await self._answers(administrator)
        self.acknowledged = time.perf_counter()
        for answer in answers:
            expect(self.strategy, self.means, answer, *ENDED)

    async def _answers(self, administrator: Administrator) -> list[Answer]:
        if self.means == LOGOUT:
            return [await self.client.logout()]
        return await administrator.log_out(self.strategy, self.account)

    async def accepted(self) -> bool:
        """Return whether any of a few requests for my page, at each replica, is answered."""
        return any([(await self.client.mypage()).status == 200 for _ in range(LOOKS)])

    def row(self, *, revived: bool) -> Row:
        """Return what happened."""
        later = sum(status == 200 for began, status in self.writes if began > self.acknowledged)
        before = [status for began, status in self.writes if began <= self.acknowledged]
        return {
            "strategy": self.strategy.name,
            "means": self.means,
            "succeeded": before.count(200),
            "refused": sum(status == 401 for _, status in self.writes),
            "accepted_later": later,
            "accepted_soon": self.looks,
            "revived": revived,
        }


async def measure(context: Context, plan: Plan) -> None:
    """Race writes with a logout, and with a forced one where there is one, for every strategy that counts visits."""
    cases = [(one, means) for one in context.logins() for means in _means(one)]
    context.progress.start("logouts while writes are in flight", len(cases))
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
        administrator = await stack.enter_async_context(
            Administrator(context.cluster, list(dict.fromkeys(strategy for strategy, _ in cases)), connector)
        )
        accounts = await open_accounts(context.cluster, AUTH, plan.races, connector)
        races = []
        for strategy, means in cases:
            races += [
                Race(await stack.enter_async_context(context.client(strategy, connector)), account, strategy, means, [])
                for account in accounts
            ]
        for case in cases:
            mine = [race for race in races if (race.strategy, race.means) == case]
            await _log_in(mine)
            for race in mine:
                offsets = context.rng.uniform(0, plan.spread, plan.writes)
                await race.run(administrator, [float(one) for one in offsets], plan.spread / 2)
                race.looks = int(await race.accepted())
            context.progress.advance()
        await asyncio.sleep(plan.settled)
        for race in races:
            context.record(**race.row(revived=await race.accepted()))


def _means(strategy: Strategy) -> Iterator[str]:
    """Yield how a login that has state can be ended on the server."""
    if {"visits", "logout"} <= strategy.capabilities:
        yield LOGOUT
        if "forced-logout" in strategy.capabilities:
            yield FORCED


async def _log_in(races: Sequence[Race]) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(race: Race) -> None:
        async with limit:
            await log_in(race.client, race.account)

    await asyncio.gather(*map(one, races))


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return how many logins were revived, what was accepted after the end, and how many races were races."""
    found = []
    for strategy, means in dict.fromkeys((row["strategy"], row["means"]) for row in rows):
        mine = [row for row in rows if (row["strategy"], row["means"]) == (strategy, means)]
        raced = 100 * sum(bool(row["succeeded"] and row["refused"]) for row in mine) / len(mine)
        counts = {
            "revived_logins": sum(row["revived"] for row in mine),
            "accepted_soon_after": sum(bool(row["accepted_soon"]) for row in mine),
            "writes_after_end": sum(row["accepted_later"] for row in mine),
        }
        for metric, count in counts.items():
            found.append(Figure(NAME, strategy, metric, "count", count, n=len(mine), labels={"means": means}))
        found.append(Figure(NAME, strategy, "raced", "%", raced, n=len(mine), labels={"means": means}))
    return found


def sentences(view: View) -> Iterator[str]:
    """Which logins were revived, and which were accepted for a moment."""
    found = view.figures("revived_logins")
    races = [f for f in found if _raced(view, f) >= 100 * SHOWN]
    revived = [f"{f.strategy} ({f.value:.0f} of {f.n}, {f.labels['means']})" for f in races if f.value]
    if revived:
        yield f"A write in flight revives a login that has ended under {listed(revived)}."
    elif races:
        number, names = sum(f.n for f in races), listed(list(dict.fromkeys(f.strategy for f in races)))
        yield f"No write in flight has revived a login that ended, in {number} races under {names}."
    soon = [
        f"{f.strategy} ({f.value:.0f} of {f.n}, {f.labels['means']})"
        for f in view.figures("accepted_soon_after")
        if f.value
    ]
    if soon:
        yield f"Right after its end was acknowledged, some replica still accepted a login under {listed(soon)}."
    tame = listed([f"{f.strategy} ({f.labels['means']})" for f in found if f not in races])
    if tame:
        yield f"Too few writes were in flight at the end of logins to tell anything about {tame}."


def _raced(view: View, revived: Figure) -> float:
    figure = view.one("raced", revived.strategy, means=revived.labels["means"])
    return figure.value if figure else 0.0


def draw(axes: Axes, view: View) -> None:
    """Logins revived, by strategy and way to end them."""
    found = view.figures("revived_logins")
    names = [f"{f.strategy}, {f.labels['means']}" for f in found]
    dots(axes, found, names, [RED if f.value else GREEN for f in found])
    axes.set_xlim(-0.3, max(f.n for f in found))
    axes.set_xlabel(f"logins revived, of {found[0].n}")


PLOT = Plot(
    NAME,
    "revived_logins",
    "Logouts while writes are in flight",
    "How many logins a write in flight has revived: it read the session before the logout, and saved it afterwards.",
    draw,
    2.9,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Does a write in flight revive a login that ends?",
    quick=Plan(),
    full=Plan(races=100),
    seconds=(4, 20),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Logout race: visits are counted at random moments around the end of a login. A race in which every "
        "write succeeded, or none did, proves nothing: the share of real races is a figure, too.",
    ),
)
