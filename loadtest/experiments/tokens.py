"""What do a refresh and an introspection cost at the auth service? CPU by tier, beside login and my page.

An introspection (RFC 7662) is what an API asks that does not verify tokens itself: it pays this on every request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import aiohttp

from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, Experiment, WrongAnswer, expect
from loadtest.experiments.rows import cost_figures, whole_rounds
from loadtest.load.client import Client, register
from loadtest.load.generator import cpu_between, cpu_row
from loadtest.report.differences import Compared
from loadtest.report.drawing import Axes, bars_by_tier
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import number, with_interval
from loadtest.results.view import View
from loadtest.statistics.orders import in_turns

NAME = "tokens"
AT_ONCE = 8
DEVICES_OF_A_USER = 10  # far below SESSION_LIMIT: above it, each login ends another one
CLIENT_ID, CLIENT_SECRET = "app", "app-client-secret"

Call = Callable[[Client], Awaitable[None]]


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of rounds, and of logins, each of which refreshes once per round."""

    rounds: int = 12
    logins: int = 48


async def measure(context: Context, plan: Plan) -> None:
    """Refresh and introspect the tokens of many logins; the two take turns.

    Each login refreshes once per round, as devices do: many devices, not one that refreshes without pause. The first
    round is warm-up, and is not recorded.
    """
    strategy = next((strategy for strategy in context.strategies if strategy.kind == "token"), None)
    if strategy is None:
        return
    calls: dict[str, Call] = {"refresh": refresh, "introspection": _introspection(context.cluster)}
    async with aiohttp.TCPConnector() as connector:
        devices = [context.client(strategy, connector) for _ in range(plan.logins)]
        try:
            await log_in(context, devices)
            context.progress.start("refreshes and introspections", (1 + plan.rounds) * len(calls))
            turns = {what: partial(one_call_each, context.cluster, call, devices) for what, call in calls.items()}
            await in_turns(turns, [list(turns)], context.progress.advance)
            blocks = {w: context.recorded(turn, strategy=strategy.name, what=w) for w, turn in turns.items()}
            await context.take_turns(blocks, plan.rounds)
        finally:
            await asyncio.gather(*(device.close() for device in devices))


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return CPU per refresh and per introspection, by tier."""
    rounds, found = whole_rounds(rows, key="what"), []
    for what in rounds[0] if rounds else ():
        mine = [one[what] for one in rounds]
        found += cost_figures(NAME, mine[0]["strategy"], f"cpu_per_{what}", mine, "calls")
    return found


async def log_in(context: Context, devices: Sequence[Client]) -> None:
    """Log in all *devices*, a few at a time; each user has some of them."""
    context.progress.start("logging in devices", len(devices))
    accounts = [await register(device) for device in devices[::DEVICES_OF_A_USER]]
    owner = {device: accounts[number // DEVICES_OF_A_USER] for number, device in enumerate(devices)}

    async def one(device: Client) -> None:
        expect(device.strategy, "login", await device.login(owner[device]))
        context.progress.advance()

    await _each(one, devices)


async def one_call_each(cluster: Cluster, call: Call, devices: Sequence[Client]) -> Row:
    """Return a row: one call of every device, and what they cost (CPU seconds by tier)."""
    before = cluster.cpu()
    await _each(call, devices)
    return {"calls": len(devices), **cpu_row(cpu_between(before, cluster.cpu()))}


async def _each(call: Call, devices: Sequence[Client]) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(device: Client) -> None:
        async with limit:
            await call(device)

    await asyncio.gather(*map(one, devices))


async def refresh(device: Client) -> None:
    """Trade the refresh token of *device* for new tokens. Raises `WrongAnswer`."""
    old = device.access_token
    expect(device.strategy, "refresh", await device.refresh())
    if device.access_token == old:
        raise WrongAnswer(f"{device.strategy.name}: refresh: the same access token as before")


def _introspection(cluster: Cluster) -> Call:
    headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, cluster.secret(CLIENT_SECRET))}

    async def introspect(device: Client) -> None:
        answer = await device.call("POST", "/auth/introspect", form={"token": device.access_token}, headers=headers)
        expect(device.strategy, "introspection", answer)
        if answer.body.get("active") is not True:
            raise WrongAnswer(f"{device.strategy.name}: introspection: a good token is not active")

    return introspect


def sentences(view: View) -> Iterator[str]:
    """What a refresh and an introspection cost, in pages of the same strategy."""
    parts = []
    for what, metric in (("a refresh", "cpu_per_refresh"), ("an introspection", "cpu_per_introspection")):
        for total in view.figures(metric, tier="total"):
            page = view.one("cpu_per_request", total.strategy, tier="total", path="nginx")
            pages = f", as much as {number(total.value / page.value)} pages" if page and page.value else ""
            parts.append(f"{what} {with_interval(total)}{pages}")
    if parts:
        yield f"CPU per refresh and introspection: {'; '.join(parts)}."


def draw(axes: Axes, view: View) -> None:
    """Stacked bars by tier: a page, a refresh and an introspection of the strategy that was asked about."""
    (name,) = view.strategies("cpu_per_refresh", tier="total")[:1]
    bars = {"page": "cpu_per_request", "refresh": "cpu_per_refresh", "introspection": "cpu_per_introspection"}
    bars_by_tier(axes, view, {bar: (metric, name) for bar, metric in bars.items() if view.figures(metric, name)})
    axes.set_xlabel(f"CPU per call of {view.named(name)}, all tiers")


PLOT = Plot(
    NAME,
    "cpu_per_refresh",
    "CPU per refresh and per introspection",
    "CPU of one refresh and of one introspection, next to a page that is requested with an access token.",
    draw,
    2.4,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What do a refresh and an introspection cost?",
    quick=Plan(),
    full=Plan(rounds=30, logins=96),
    seconds=(5, 40),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    compared=(
        Compared("cpu_per_refresh", "CPU per refresh", {"tier": "total"}),
        Compared("cpu_per_introspection", "CPU per introspection", {"tier": "total"}),
    ),
)
