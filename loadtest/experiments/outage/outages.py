"""What still works while Redis, the auth service or the database is away (C8), and how soon all of it works again.

Everybody goes on calling before, during and after each fault. Some present what must never be accepted: the credential
of a login that has ended, or a wrong password.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from loadtest.cluster.faults import in_thread, killed
from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import BasePlan, Context, together
from loadtest.experiments.outage.callers import PAGE, Caller, afterwards, now, until_all_succeed
from loadtest.experiments.outage.crowd import Crowd, Numbers
from loadtest.experiments.outage.faults import Fault, possible
from loadtest.experiments.people import AUTH
from loadtest.load.client import Client
from loadtest.results.model import Row

KEYS = "keys"
"""The auth service as who publishes the keys that tokens are verified with."""
LIMITS = {"DENYLIST_MAX_STALE_SECONDS": "1.5", "JWKS_REFRESH_SECONDS": "1", "JWKS_MAX_STALE_SECONDS": "3"}
"""How long replicas go on without news: short enough to see the end of it."""
START_SECONDS = 20.0
KEYLESS_SECONDS = 0.7


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of *passes* over all faults, each of which lasts for *fault_seconds*.

    *back_seconds*: how long to wait for everybody to succeed again. *endure_seconds*: how long tokens are watched on a
    cluster with short `LIMITS`, without each service.
    """

    passes: int = 1
    fault_seconds: float = 1.2
    back_seconds: float = 15.0
    users: int = 3
    refreshers: int = 3
    pause: float = 0.1
    login_pause: float = 0.5
    endure_seconds: tuple[tuple[str, float], ...] = (("redis", 2.5), ("auth", 5.0))


async def measure(context: Context, plan: Plan) -> None:
    """Let each fault happen, and record what came of every kind of call."""
    faults = list(possible(context.cluster))
    context.progress.start("taking services away", plan.passes * len(faults))
    await together(_break(context, plan, faults), _endure(context, plan))


async def _break(context: Context, plan: Plan, faults: Sequence[Fault]) -> None:
    async with AsyncExitStack() as stack:
        numbers = Numbers(plan.users, plan.refreshers, plan.pause, plan.login_pause)
        crowd = await Crowd.gathered(context.cluster, context.logins(), numbers, stack)
        for number in range(plan.passes):
            for fault in faults:
                await _away(context, plan, number, fault, crowd)
                context.progress.advance()


async def _away(context: Context, plan: Plan, number: int, fault: Fault, crowd: Crowd) -> None:
    """Let *fault* happen while everybody calls, and wait until everybody succeeds again."""
    if fault.needs not in context.cluster.capabilities():
        context.not_measured(str(fault), f"{context.cluster.engine} cannot {fault.needs}")
        return
    found: list[Row] = []
    with context.attempt(str(fault)):
        async with AsyncExitStack() as stack:
            async with in_thread(fault.happens(context.cluster)):
                await stack.enter_async_context(_calling(crowd.callers))
                await asyncio.sleep(plan.fault_seconds)
                away = now(crowd.callers)
                if fault.service == AUTH.name:
                    found += [{"service": KEYS, **row} for row in await _start_without_keys(crowd)]
                ended = time.perf_counter()
            await until_all_succeed(crowd.callers, ended, plan.back_seconds)
        pairs = zip(away, afterwards(crowd.callers, ended), strict=True)
        found += [{"service": fault.service, **during, **later} for during, later in pairs]
    for row in found:  # empty if the fault did not happen
        context.record(kind="call", round=number, fault=fault.how, **row)


@asynccontextmanager
async def _calling(callers: Sequence[Caller]) -> AsyncIterator[None]:
    """Let everybody call during the block; at its end, their last calls are over."""
    over = asyncio.Event()
    calling = [asyncio.create_task(caller.run(over)) for caller in callers]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*calling)


async def _start_without_keys(crowd: Crowd) -> list[Row]:
    """Let a replica be started anew, which cannot fetch keys, and return whose logins it accepts.

    Nobody's, where there is but one replica, or where none can be asked past the load balancer.
    """
    url = crowd.cluster.replica_urls().get(crowd.doomed)
    if url is None:
        return []
    await asyncio.to_thread(crowd.cluster.kill, crowd.doomed)
    everywhere = [user for user in crowd.users if "any-replica" in user.strategy.capabilities]
    await _until_alive(everywhere[0], url)
    askers = [
        Caller((user.strategy.name,), PAGE, partial(user.call, "GET", f"{url}/{user.strategy.name}/mypage"), 0.1)
        for user in everywhere
    ]
    async with _calling(askers):
        await asyncio.sleep(KEYLESS_SECONDS)
        return now(askers)


async def _until_alive(client: Client, url: str) -> None:
    """Return when the process at *url* answers, whether or not it is ready."""
    deadline = time.perf_counter() + START_SECONDS
    while (await client.call("GET", f"{url}/healthz")).status != HTTPStatus.OK:
        if time.perf_counter() > deadline:
            raise ClusterError(f"the replica at {url} does not start within {START_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def _endure(context: Context, plan: Plan) -> None:
    """See for how long tokens are accepted without each service, on a cluster whose limits are short."""
    if context.spare_cluster is None:
        context.not_measured("how long tokens are accepted", "no further cluster can be started here")
        return
    tokens = [one for one in context.logins() if one.kind == "token"]
    async with in_thread(context.spare_cluster(LIMITS)) as cluster, AsyncExitStack() as stack:
        crowd = await Crowd.gathered(cluster, tokens, Numbers(1, 0, plan.pause, plan.login_pause), stack)
        readers = [caller for caller in crowd.callers if caller.what == PAGE and not caller.forbidden]
        for service, seconds in plan.endure_seconds:
            with context.attempt(f"how long tokens are accepted without {service}"):
                async with in_thread(killed(cluster, service)):
                    began = time.perf_counter()
                    async with _calling(readers):
                        await asyncio.sleep(seconds)
                    found = [_endured(reader, began) for reader in readers]
                for row in found:
                    context.record(kind="endured", service=service, **row)


def _endured(reader: Caller, began: float) -> Row:
    """Return when the last page was sent that *reader* got, and whether any later one was refused."""
    last = max((one.sent for one in reader.calls if one.status == HTTPStatus.OK), default=began)
    ended = any(one.sent > last for one in reader.calls)
    return {"strategy": reader.strategies[0], "seconds": last - began, "ended": ended}
