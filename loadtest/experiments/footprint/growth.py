"""Adds logins, and reads the memory of each tier after each step."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus

import aiohttp

from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import Context, expect, refusal, together
from loadtest.experiments.footprint.plan import LOGINS_OF_A_USER, Plan
from loadtest.load.client import TIMEOUT, Account, Client, Strategy, register
from loadtest.load.own_auth import own_auth

AT_ONCE = 8
PASSWORD = "accepted by our own auth service"  # noqa: S105  # by nobody else
OF_SESSIONS = ("app", "redis")
"""Where the state of a session may be; the auth service of these logins is the experiment's own."""


async def sessions(context: Context, plan: Plan, strategies: Sequence[Strategy]) -> None:
    """Add many sessions to one replica of a small cluster, whose passwords an auth service of our own accepts.

    A process that has just started has freed a lot of memory, which the first logins fill: they are not counted.
    """
    if not strategies:
        return
    if context.spare_cluster is None:
        context.not_measured("bytes per session", "no further cluster can be started here")
        return
    async with (
        own_auth(f"{context.cluster.url}/auth/jwks.json") as auth,
        in_thread(context.spare_cluster({"AUTH_URL": auth})) as cluster,
        aiohttp.ClientSession(
            next(iter(cluster.replica_urls().values())),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
            timeout=TIMEOUT,
        ) as http,
    ):
        await _log_in(http, strategies[0], "warm-up", plan.warm_up)
        for strategy in strategies:
            for step in range(plan.steps + 1):
                if step:
                    await _log_in(http, strategy, str(step), plan.sessions)
                _read(context, cluster, strategy, step * plan.sessions, OF_SESSIONS)
                context.progress.advance()


async def _log_in(http: aiohttp.ClientSession, strategy: Strategy, name: str, number: int) -> None:
    """Let *number* devices log in, as users who are called after *name*."""

    async def login(place: int) -> None:
        account = Account(f"{name}-{strategy.name}-{place // LOGINS_OF_A_USER}", PASSWORD)
        async with http.post(strategy.login or "", json=account.credentials()) as answer:
            if answer.status != HTTPStatus.OK:
                raise refusal(f"{strategy.name}: login: status {answer.status}, must be 200", answer.status)

    places = iter(range(number))

    async def one_after_the_other() -> None:
        for place in places:
            await login(place)

    await together(*(one_after_the_other() for _ in range(AT_ONCE)))


async def tokens(context: Context, plan: Plan, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Add logins with tokens at the cluster, password checks included. The first ones warm up."""
    for step in range(plan.steps + 1):
        async with AsyncExitStack() as stack:
            devices = [await stack.enter_async_context(context.client(strategy, connector)) for _ in range(plan.tokens)]
            await log_in_devices(strategy, devices)
        _read(context, context.cluster, strategy, step * plan.tokens)
        context.progress.advance()


async def log_in_devices(strategy: Strategy, devices: Sequence[Client]) -> None:
    """Let all *devices* log in, a few at a time and several as one user. They stay logged in."""
    accounts = [await register(device) for device in devices[::LOGINS_OF_A_USER]]
    limit = asyncio.Semaphore(AT_ONCE)

    async def login(place: int, device: Client) -> None:
        async with limit:
            answer = await device.login(accounts[place // LOGINS_OF_A_USER])
        expect(strategy, "login", answer)

    await asyncio.gather(*(login(place, device) for place, device in enumerate(devices)))


def _read(
    context: Context, cluster: Cluster, strategy: Strategy, logins: int, tiers: Iterable[str] | None = None
) -> None:
    """Record the bytes of each of *tiers* (all by default) with so many *logins*."""
    memory: dict[str, int] = {}
    for process in cluster.memory().values():
        if tiers is None or process.tier in tiers:
            name = f"bytes_{process.tier}"
            memory[name] = memory.get(name, 0) + process.bytes
    context.record(strategy=strategy.name, what="growth", logins=logins, **memory)
