"""Turns at replicas whose tokens are signed with different algorithms, and refreshes at their auth services.

The page is that of the strategy that verifies each token anew: our own verifier in a replica that is kept busy. Every
algorithm has a small cluster. Two processes of the same code differ by a few percent, so each of these replicas serves
the control, too. One of them also serves the stores that tokens are compared with.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import aiohttp

from loadtest.cluster.cores import on_last_core
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.algorithms.figures import REFERENCE, contestant
from loadtest.experiments.cost.contestants import Contestant, Place, TurnPlan, open_accounts
from loadtest.experiments.cost.figures import DIRECT
from loadtest.experiments.experiment import Context
from loadtest.experiments.tokens import log_in, one_call_each, refresh
from loadtest.load.client import Client, Strategy
from loadtest.load.turns import Turns
from loadtest.statistics.orders import in_turns

ALGORITHMS: Mapping[str, Mapping[str, str]] = {
    "HS256": {"AUTH_ALGORITHM": "HS256"},
    "RS256-2048": {"AUTH_ALGORITHM": "RS256", "AUTH_RSA_BITS": "2048"},
    "RS256-3072": {"AUTH_ALGORITHM": "RS256", "AUTH_RSA_BITS": "3072"},
    "EdDSA": {"AUTH_ALGORITHM": "EdDSA"},
    "ES256": {"AUTH_ALGORITHM": "ES256"},
}
"""The settings of each cluster. 2048 bits are the fewest that RFC 7518 (section 3.3) allows, 3072 our own default."""
ON_SERVER = "forced-logout"
"""The capability of sessions that are kept in a store: what is there can be ended."""


@dataclass(frozen=True)
class Plan(TurnPlan):
    """The number of rounds of turns, and of refreshes, in which each of the *devices* refreshes once."""

    rounds: int = 20
    refresh_rounds: int = 30
    devices: int = 8


async def measure(context: Context, plan: Plan) -> None:
    """Start a cluster for each algorithm, let their devices refresh and then their replicas take turns.

    Nothing is measured where there is no token strategy, or where no further cluster can be started. First rounds warm
    up, and are not recorded.
    """
    token = next((one for one in context.strategies if one.kind == "token"), None)
    if token is None or context.spare_cluster is None:
        return
    context.progress.start("a cluster for each algorithm", len(ALGORITHMS))
    async with AsyncExitStack() as stack:
        clusters: dict[str, Cluster] = {}
        for algorithm, settings in ALGORITHMS.items():
            clusters[algorithm] = stack.enter_context(context.spare_cluster(settings))
            context.progress.advance()
        await _refreshes(context, plan, token, clusters)
        await _pages(context, plan, token, clusters, stack)


async def _refreshes(context: Context, plan: Plan, token: Strategy, clusters: Mapping[str, Cluster]) -> None:
    """Record what it costs to refresh: apart from the signature, all auth services do the same."""
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(aiohttp.TCPConnector())
        turns = {}
        for algorithm, cluster in clusters.items():
            clients = [Client(cluster.url, token, connector) for _ in range(plan.devices)]
            devices = [await stack.enter_async_context(client) for client in clients]
            await log_in(context, devices)
            turns[algorithm] = partial(one_call_each, cluster, refresh, devices)
        context.progress.start("refreshes with each algorithm", (1 + plan.refresh_rounds) * len(turns))
        blocks = {
            algorithm: context.recorded(turn, kind="refresh", strategy=token.name, algorithm=algorithm)
            for algorithm, turn in turns.items()
        }
        with on_last_core(_servers(clusters.values())):
            await in_turns(turns, [list(turns)], context.progress.advance)
            await context.take_turns(blocks, plan.refresh_rounds)


def _servers(clusters: Iterable[Cluster]) -> Iterator[int]:
    """Yield all processes of *clusters* that a refresh costs CPU: one core, so that all find the same speed."""
    for cluster in clusters:
        yield from (one.pid for one in cluster.cpu().processes.values() if one.tier != "loadgen")


async def _pages(
    context: Context, plan: Plan, token: Strategy, clusters: Mapping[str, Cluster], stack: AsyncExitStack
) -> None:
    """Record what a page costs with each algorithm, and beside it that of the control and of the stores."""
    control, turns = context.control(), {}
    stores = [one for one in context.strategies if one.kind == "session" and ON_SERVER in one.capabilities]
    context.progress.start("clients of each algorithm", len(clusters))
    for algorithm, cluster in clusters.items():
        who = [token, *([control] if control else []), *(stores if algorithm == REFERENCE else [])]
        contestants = [await _start(context, stack, algorithm, cluster, strategy) for strategy in who]
        place = await _seat(context, plan, algorithm, contestants)
        stack.enter_context(on_last_core({pid for one in contestants for pid in one.pids(place)}))
        for strategy, one in zip(who, contestants, strict=True):
            labels = {"strategy": strategy.name, "algorithm": algorithm, "contestant": one.name}
            turns[one.name] = partial(one.turn, place, plan), labels
        context.progress.advance()
    context.progress.start("pages with each algorithm", (1 + plan.rounds) * len(turns))
    await in_turns({name: turn for name, (turn, _) in turns.items()}, [list(turns)], context.progress.advance)
    blocks = {name: context.recorded(turn, kind="turn", **labels) for name, (turn, labels) in turns.items()}
    await context.take_turns(blocks, plan.rounds)


async def _start(
    context: Context, stack: AsyncExitStack, algorithm: str, cluster: Cluster, strategy: Strategy
) -> Contestant:
    name = contestant(strategy.name, algorithm)
    log = context.logs / f"turns-{algorithm}-{strategy.name}.log"
    return Contestant(name, await stack.enter_async_context(Turns(name, log)), cluster, strategy)


async def _seat(context: Context, plan: Plan, algorithm: str, contestants: Sequence[Contestant]) -> Place:
    """Log in, connect to the only replica, and record the size of a token and what the replica costs while idle."""
    first = contestants[0]
    assert first.strategy is not None  # noqa: S101  # the token's
    labels = {"strategy": first.strategy.name, "algorithm": algorithm}
    ((replica, url),) = first.cluster.replica_urls().items()
    place = Place(DIRECT, replica, url)
    accounts = await open_accounts(first.cluster, first.strategy, plan.logins)
    logins, *_ = [await one.connect(place, accounts, plan.connections) for one in contestants]
    size = max(len(login.headers["Authorization"].removeprefix("Bearer ")) for login in logins)
    context.record(kind="token", size=size, **labels)
    context.record(kind="idle", **labels, **await first.idle(place, plan.idle_seconds))
    return place
