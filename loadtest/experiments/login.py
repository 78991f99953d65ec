"""What does a login cost under each strategy? CPU by tier and logins/s; the password's hash should dwarf the rest."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import aiohttp

from loadtest.experiments.experiment import Context, WrongAnswer, cost_figures, figure, whole_rounds
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.load.generator import cpu_between, cpu_row
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import centre

EXPERIMENT = "login"
AT_ONCE = 4


async def measure(context: Context) -> None:
    """Log in the same accounts under each strategy, which take turns."""
    strategies = context.logins()
    context.progress.start("logins", context.plan.login_rounds * len(strategies))
    async with aiohttp.TCPConnector() as connector:
        accounts = await _accounts(context, connector)
        blocks = {
            one.name: context.recorded(partial(_block, context, one, connector, accounts), strategy=one.name)
            for one in strategies
        }
        await context.take_turns(blocks, context.plan.login_rounds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return CPU per login by tier, and logins/s."""
    rounds, found = whole_rounds(rows, config["strategies"]), []
    for name in rounds[0] if rounds else ():
        mine = [one[name] for one in rounds]
        rate = centre([row["logins"] / row["seconds"] for row in mine])
        found.append(figure(EXPERIMENT, name, "logins_per_second", "logins/s", rate, at_once=str(AT_ONCE)))
        found += cost_figures(EXPERIMENT, name, "cpu_per_login", mine, "logins")
    return found


async def _accounts(context: Context, connector: aiohttp.BaseConnector) -> list[Account]:
    async with context.client(context.strategies[0], connector) as client:
        return [await register(client) for _ in range(context.plan.logins)]


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
    if answer.status != 200:
        raise WrongAnswer(f"{client.strategy.name}: login: status {answer.status or 'none'}, must be 200")
