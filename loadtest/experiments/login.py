"""What does a login cost under each strategy? CPU by tier and logins/s; the password's hash should dwarf the rest."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

import aiohttp

from loadtest.client import Account, Client, Strategy, register
from loadtest.experiments.experiment import Context, WrongAnswer
from loadtest.generator import cpu_between
from loadtest.interleave import interleaved
from loadtest.intervals import mean_interval

EXPERIMENT = "login"
AT_ONCE = 4

Sample = Mapping[str, float]


async def run(context: Context) -> None:
    """Log in the same accounts under each strategy, strategies in random order within each round."""
    strategies = context.logins()
    context.progress.start("logins", context.plan.login_rounds * len(strategies))
    async with aiohttp.TCPConnector() as connector:
        accounts = await _accounts(context, connector)
        blocks = {strategy.name: partial(_block, context, strategy, connector, accounts) for strategy in strategies}
        rounds = await interleaved(blocks, context.plan.login_rounds, context.rng, context.progress.advance)
    for name in blocks:
        _figures(context, name, [one[name] for one in rounds])


async def _accounts(context: Context, connector: aiohttp.BaseConnector) -> list[Account]:
    async with context.client(context.strategies[0], connector) as client:
        return [await register(client) for _ in range(context.plan.logins)]


async def _block(
    context: Context, strategy: Strategy, connector: aiohttp.BaseConnector, accounts: Sequence[Account]
) -> Sample:
    """Return CPU seconds per login by tier, and logins/s."""
    clients = [context.client(strategy, connector) for _ in accounts]
    limit = asyncio.Semaphore(AT_ONCE)
    before, began = context.cluster.cpu(), time.perf_counter()
    try:
        await asyncio.gather(*(_login(limit, *pair) for pair in zip(clients, accounts, strict=True)))
        took, after = time.perf_counter() - began, context.cluster.cpu()
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    tiers = {tier: seconds / len(accounts) for tier, seconds in cpu_between(before, after).items()}
    return tiers | {"total": sum(tiers.values()), "rate": len(accounts) / took}


async def _login(limit: asyncio.Semaphore, client: Client, account: Account) -> None:
    async with limit:
        answer = await client.login(account)
    if answer.status != 200:
        raise WrongAnswer(f"{client.strategy.name}: login: status {answer.status or 'none'}, must be 200")


def _figures(context: Context, name: str, rounds: Sequence[Sample]) -> None:
    rate = mean_interval([one["rate"] for one in rounds], context.rng)
    context.add(EXPERIMENT, name, "logins_per_second", "logins/s", rate, at_once=str(AT_ONCE))
    for tier in sorted(rounds[0].keys() - {"rate"}):
        cost = mean_interval([1e6 * one[tier] for one in rounds], context.rng)
        context.add(EXPERIMENT, name, "cpu_per_login", "us", cost, tier=tier)
