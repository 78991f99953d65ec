"""Counts the store's commands per login and per request, and finds the longest credential that arrives."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import aiohttp

from loadtest.attacks.thief import Thief
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import Context, expect, together
from loadtest.experiments.footprint import growth
from loadtest.experiments.footprint.plan import Plan
from loadtest.experiments.people import log_in
from loadtest.load.client import Strategy, register

LONGEST = 1 << 17


async def measure(context: Context, plan: Plan) -> None:
    """Measure every strategy; logins with tokens are the same under all that have them, so one stands for all."""
    strategies = context.logins()
    with_tokens = [strategy for strategy in strategies if strategy.kind == "token"][:1]
    with_sessions = [strategy for strategy in strategies if strategy.kind == "session"]
    growing = len(with_tokens) + len(with_sessions)
    context.progress.start("adding logins", len(strategies) + growing * (plan.steps + 1))
    await together(_counts(context, plan, strategies, with_tokens), growth.sessions(context, plan, with_sessions))


async def _counts(
    context: Context, plan: Plan, strategies: Sequence[Strategy], with_tokens: Sequence[Strategy]
) -> None:
    """Measure what takes the cluster itself: nothing else may use it meanwhile."""
    async with aiohttp.TCPConnector(limit=growth.AT_ONCE) as connector:
        for strategy in strategies:
            await _requests(context, plan, strategy, connector)
            await _logins(context, plan, strategy, connector)
            await _longest(context, strategy, connector)
            context.progress.advance()
        for strategy in with_tokens:
            await growth.tokens(context, plan, strategy, connector)


async def _counted(cluster: Cluster, plan: Plan, work: Callable[[], Awaitable[None]]) -> float:
    """Return how many commands the stores carried out because of *work*: those of an idle time are subtracted."""
    start = _operations(cluster)
    await asyncio.sleep(plan.idle_seconds)
    before, began = _operations(cluster), time.monotonic()
    await work()
    elapsed = time.monotonic() - began
    idle = (before - start) * elapsed / plan.idle_seconds if plan.idle_seconds else 0.0
    return _operations(cluster) - before - idle


def _operations(cluster: Cluster) -> int:
    return sum(sum(commands.values()) for commands in cluster.store_operations().values())


async def _requests(context: Context, plan: Plan, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Count the store's commands while one login asks for my page again and again."""
    async with context.client(strategy, connector) as client:
        await log_in(client, await register(client))

        async def ask() -> None:
            for _ in range(plan.requests):
                expect(strategy, "my page", await client.mypage())

        operations = await _counted(context.cluster, plan, ask)
    context.record(strategy=strategy.name, what="requests", operations=operations / plan.requests)


async def _logins(context: Context, plan: Plan, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Count the store's commands while devices log in."""
    async with AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(context.client(strategy, connector)) for _ in range(plan.logins)]
        log_in_all = partial(growth.log_in_devices, strategy, devices)
        operations = await _counted(context.cluster, plan, log_in_all)
    context.record(strategy=strategy.name, what="logins", operations=operations / plan.logins)


async def _longest(context: Context, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Make the credential longer until it does not arrive: by halving, to the byte."""
    path = f"/{strategy.name}/mypage"
    async with context.client(strategy, connector) as client, Thief(context.cluster.url, connector) as thief:
        await log_in(client, await register(client))
        genuine = client.credential(path)
        header = "Authorization" if "Authorization" in genuine else "Cookie"
        filler = "" if header == "Authorization" else "; filler="

        async def status(size: int) -> tuple[int, str]:
            padding = max(0, size - len(genuine[header]) - len(filler))
            answer = await thief.send("GET", path, {**genuine, header: genuine[header] + filler + "A" * padding})
            return answer.status, str((answer.body or {}).get("type", ""))

        size = len(genuine[header]) + len(filler)
        arrives = (await status(size + 1))[0]
        if (await status(LONGEST))[0] == arrives:
            context.not_measured(f"the longest credential of {strategy.name}", f"{LONGEST} bytes arrive, too")
            return
        low, high = size + 1, LONGEST
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if (await status(middle))[0] == arrives else (low, middle)
        beyond, problem = await status(high)
    context.record(
        strategy=strategy.name, what="longest", bytes=low, own=len(genuine[header]), beyond=beyond, problem=problem
    )
