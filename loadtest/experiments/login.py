"""What does a login cost under each strategy? CPU by tier and logins/s; the password's hash should dwarf the rest."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import aiohttp

from loadtest.experiments.experiment import BasePlan, Context, Experiment, expect
from loadtest.experiments.rows import cost_figures, figure, whole_rounds
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.load.generator import cpu_between, cpu_row
from loadtest.report.differences import Compared
from loadtest.report.drawing import Axes, bars_by_tier
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import amount, with_interval
from loadtest.results.view import View
from loadtest.statistics.estimates import centre

NAME = "login"
AT_ONCE = 4


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of rounds, and of logins in each."""

    rounds: int = 6
    logins: int = 8


async def measure(context: Context, plan: Plan) -> None:
    """Log in the same accounts under each strategy, which take turns."""
    strategies = context.logins()
    context.progress.start("logins", plan.rounds * len(strategies))
    async with aiohttp.TCPConnector() as connector:
        accounts = await _accounts(context, connector, plan.logins)
        blocks = {
            one.name: context.recorded(partial(_block, context, one, connector, accounts), strategy=one.name)
            for one in strategies
        }
        await context.take_turns(blocks, plan.rounds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return CPU per login by tier, and logins/s."""
    rounds, found = whole_rounds(rows, config["strategies"]), []
    for name in rounds[0] if rounds else ():
        mine = [one[name] for one in rounds]
        rate = centre([row["logins"] / row["seconds"] for row in mine])
        found.append(figure(NAME, name, "logins_per_second", "logins/s", rate, at_once=str(AT_ONCE)))
        found += cost_figures(NAME, name, "cpu_per_login", mine, "logins")
    return found


async def _accounts(context: Context, connector: aiohttp.BaseConnector, number: int) -> list[Account]:
    async with context.client(context.strategies[0], connector) as client:
        return [await register(client) for _ in range(number)]


async def _block(
    context: Context, strategy: Strategy, connector: aiohttp.BaseConnector, accounts: Sequence[Account]
) -> Row:
    """Return a row: how many logins, in how many seconds, and what they cost (CPU seconds by tier)."""
    clients = [context.client(strategy, connector) for _ in accounts]
    limit = asyncio.Semaphore(AT_ONCE)
    before, began = context.cluster.cpu(), time.perf_counter()
    try:
        await asyncio.gather(*(_login(limit, *pair) for pair in zip(clients, accounts, strict=True)))
        took, after = time.perf_counter() - began, context.cluster.cpu()
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return {"logins": len(accounts), "seconds": took, **cpu_row(cpu_between(before, after))}


async def _login(limit: asyncio.Semaphore, client: Client, account: Account) -> None:
    async with limit:
        answer = await client.login(account)
    expect(client.strategy, "login", answer)


def sentences(view: View) -> Iterator[str]:
    """What a login costs, and where."""
    totals = view.figures("cpu_per_login", tier="total")
    auth = [view.one("cpu_per_login", total.strategy, tier="auth") for total in totals]
    if not totals:
        return
    shares = [100 * ours.value / total.value for ours, total in zip(auth, totals, strict=True) if ours and total.value]
    where = f", at least {int(min(shares))} % of it in auth" if shares else ""
    values = [total.value for total in totals]
    cost = (
        with_interval(totals[0]) if len(totals) == 1 else f"{amount(min(values), 'us')} to {amount(max(values), 'us')}"
    )
    yield f"A login costs {cost} of CPU{', depending on the strategy' if len(totals) > 1 else ''}{where}."


def draw(axes: Axes, view: View) -> None:
    """Stacked bars by tier: CPU per login."""
    names = view.strategies("cpu_per_login", tier="total")
    bars_by_tier(axes, view, {view.named(name): ("cpu_per_login", name) for name in names})
    axes.set_xlabel("CPU per login, all tiers")


PLOT = Plot(
    NAME,
    "cpu_per_login",
    "CPU per login",
    "CPU that each tier spends on one login. Most of it is the password check, which is slow on purpose.",
    draw,
    2.5,
    0.27,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a login cost?",
    quick=Plan(),
    full=Plan(rounds=15, logins=12),
    seconds=(6, 40),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    compared=(Compared("cpu_per_login", "CPU per login", {"tier": "total"}),),
)
