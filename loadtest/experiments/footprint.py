"""What does a login take up on the server (C3), and what does it ask of the store? Where do headers end it?

Memory is read by tier while logins are added, and a line is fitted. Commands of the store are counted per login and per
request. A credential is made longer until it does not arrive any more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp
import scipy  # it loads what is used when it is used: `up` and `status` need not wait for a second

from loadtest.attacks.thief import Thief
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, Experiment, expect
from loadtest.experiments.rows import figure
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.report.drawing import Axes, colour, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import amount, listed, number, with_interval
from loadtest.results.view import View
from loadtest.statistics.estimates import Interval
from loadtest.verdicts.claims import Claim

NAME = "footprint"
LOGINS_OF_A_USER = 40
"""Below SESSION_LIMIT: above it, each login ends another one."""
AT_ONCE = 8
LONGEST = 1 << 17
LEAST_OPERATIONS = 0.5
"""Fewer commands per request than this are those that replicas send anyway."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of steps, of logins in each, and of requests during which the store's commands are counted."""

    steps: int = 3
    logins: int = 20
    requests: int = 200
    idle_seconds: float = 0.5


async def measure(context: Context, plan: Plan) -> None:
    """Measure every strategy's logins; those with tokens share theirs, so that the first one stands for all."""
    strategies = context.logins()
    tokens = [strategy for strategy in strategies if strategy.kind == "token"]
    growing = [strategy for strategy in strategies if strategy not in tokens[1:]]
    context.progress.start("adding logins", len(growing) * plan.steps + len(strategies))
    async with aiohttp.TCPConnector(limit=AT_ONCE) as connector:
        for strategy in strategies:
            await _requests(context, plan, strategy, connector)
            await _longest(context, strategy, connector)
            context.progress.advance()
        for strategy in growing:
            await _grow(context, plan, strategy, connector)


async def _grow(context: Context, plan: Plan, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Add logins step by step, and read the memory after each; the first one warms up, and is where the line starts."""
    for step in range(plan.steps + 1):
        operations = await _counted(context.cluster, plan, _logging_in(context, plan, strategy, connector))
        memory: dict[str, int] = {}
        for process in context.cluster.memory().values():
            memory[process.tier] = memory.get(process.tier, 0) + process.bytes
        memory = {f"bytes_{tier}": size for tier, size in memory.items()}
        row = {"strategy": strategy.name, "what": "logins", "logins": step * plan.logins}
        context.record(**row, operations=operations / plan.logins, **memory)
        if step:
            context.progress.advance()


def _logging_in(
    context: Context, plan: Plan, strategy: Strategy, connector: aiohttp.BaseConnector
) -> Callable[[], Awaitable[None]]:
    """Return what adds logins, as many as a step has. They stay logged in."""

    async def add() -> None:
        async with AsyncExitStack() as stack:
            devices = [await stack.enter_async_context(context.client(strategy, connector)) for _ in range(plan.logins)]
            accounts = [await register(device) for device in devices[::LOGINS_OF_A_USER]]
            limit = asyncio.Semaphore(AT_ONCE)

            async def login(device: Client, account: Account) -> None:
                async with limit:
                    answer = await device.login(account)
                expect(strategy, "login", answer)

            owners = (accounts[place // LOGINS_OF_A_USER] for place in range(plan.logins))
            await asyncio.gather(*map(login, devices, owners))

    return add


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
        await client.login(await register(client))

        async def ask() -> None:
            for _ in range(plan.requests):
                expect(strategy, "my page", await client.mypage())

        operations = await _counted(context.cluster, plan, ask)
    context.record(strategy=strategy.name, what="requests", operations=operations / plan.requests)


async def _longest(context: Context, strategy: Strategy, connector: aiohttp.BaseConnector) -> None:
    """Make the credential longer until it does not arrive: by halving, to the byte."""
    path = f"/{strategy.name}/mypage"
    async with context.client(strategy, connector) as client, Thief(context.cluster.url, connector) as thief:
        await client.login(await register(client))
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


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return bytes per login by tier (the slope of a line), the store's commands, and the longest credential."""
    found = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == name]
        grown = [row for row in mine if row["what"] == "logins"]
        if len(grown) > 2:
            found += _slopes(name, grown)
        later = [row["operations"] for row in grown[1:]]
        if later:
            mean = Interval(sum(later) / len(later), min(later), max(later), len(later))
            found.append(figure(NAME, name, "store_operations", "count", mean, per="login"))
        for row in mine:
            if row["what"] == "requests":
                found.append(
                    Figure(NAME, name, "store_operations", "count", row["operations"], labels={"per": "request"})
                )
            if row["what"] == "longest":
                labels = {"beyond": f"{row['beyond']} {row['problem']}".strip(), "own": str(row["own"])}
                found.append(Figure(NAME, name, "longest_credential", "bytes", row["bytes"], labels=labels))
    return found


def _slopes(name: str, grown: Sequence[Row]) -> list[Figure]:
    """Return bytes per login by tier: least squares, with Student's interval of the slope."""
    tiers = [key for key in grown[0] if key.startswith("bytes_")]
    logins, found = [row["logins"] for row in grown], []
    for tier in tiers:
        sizes = [row[tier] for row in grown]
        line = scipy.stats.linregress(logins, sizes)
        steady = len(set(sizes)) == 1  # the slope's error is not defined then
        half = 0.0 if steady else float(scipy.stats.t.ppf(0.975, len(grown) - 2)) * float(line.stderr)
        slope = Interval(float(line.slope), float(line.slope) - half, float(line.slope) + half, len(grown))
        found.append(figure(NAME, name, "bytes_per_login", "bytes", slope, tier=tier.removeprefix("bytes_")))
    return found


def sentences(view: View) -> Iterator[str]:
    """How much longer a credential may get, and what its user sees beyond."""
    longest = view.figures("longest_credential")
    by_end: dict[tuple[float, str], list[Figure]] = {}
    for one in longest:
        by_end.setdefault((one.value, one.labels["beyond"]), []).append(one)
    for (size, beyond), of in by_end.items():
        senders = listed([f"{f.strategy} (which sends {f.labels['own']})" for f in of])
        yield f"Headers of {amount(size, 'bytes')} arrive from {senders}; beyond, users see {beyond}."
    if longest:
        yield "Browsers keep cookies of up to 4,096 bytes each (RFC 6265bis, section 5.6), whatever servers allow."


def _grows(view: View, name: str) -> list[str]:
    """Return what grows with the logins of a strategy, as far as intervals allow to say so.

    Accounts and password checks take memory under every strategy: what counts is what a tier takes beyond the strategy
    for which it takes least.
    """
    found = []
    for slope in view.figures("bytes_per_login", name):
        least = min(view.figures("bytes_per_login", tier=slope.labels["tier"]), key=lambda figure: figure.value)
        if slope.ci_low is not None and least.ci_high is not None and slope.ci_low > max(0.0, least.ci_high):
            found.append(f"{slope.labels['tier']} {with_interval(slope)} per login")
    asks = view.one("store_operations", name, per="request")
    if asks and asks.value >= LEAST_OPERATIONS:
        found.append(f"{_rounded(asks)} store commands per request")
    return found


def _rounded(figure: Figure) -> str:
    return number(round(figure.value, 1) + 0.0)  # not "-0"


def draw(axes: Axes, view: View) -> None:
    """Commands of the store per request."""
    found = view.figures("store_operations", per="request")
    shown = [replace(figure, value=round(figure.value, 2) + 0.0) for figure in found]  # not "-0"
    dots(axes, shown, [f.strategy for f in found], [colour(view, f.strategy) for f in found])
    axes.set_xlim(-0.2, 1.3 * max(1.0, *(f.value for f in found)))
    axes.set_xlabel("commands of the store per request")


def grows_with_users(view: View) -> tuple[str, str] | None:
    """C3 holds for session strategies whose logins take memory that can be told from noise, or ask the store."""
    names = [f.strategy for f in view.figures("store_operations", per="request")]
    if not names:
        return None
    requests, logins = _commands(view, "request"), _commands(view, "login")
    figures = f"store commands per request: {requests}; per login: {logins or 'not counted'}"
    growing = [f"{name} ({', '.join(_grows(view, name))})" for name in names if _grows(view, name)]
    steady = [name for name in names if not _grows(view, name)]
    parts = [
        f"holds for {listed(growing)}" if growing else "",
        f"no growth that so few logins could show for {listed(steady)}" if steady else "",
    ]
    return figures, "; ".join(part for part in parts if part)


def _commands(view: View, per: str) -> str:
    return listed([f"{f.strategy} {_rounded(f)}" for f in view.figures("store_operations", per=per)])


PLOT = Plot(
    NAME,
    "store_operations",
    "What a request asks of the store",
    "Commands of the store for one request to my page.",
    draw,
    2.6,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a login take up on the server, and how large may it get?",
    quick=Plan(),
    full=Plan(steps=10, logins=400, requests=1000),
    seconds=(24, 400),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Footprint: memory is what each process has to itself (USS), read after each step of logins; bytes per login "
        "are the slope of a line. Few logins leave wide intervals: `--full` adds more.",
    ),
    claims=(Claim("C3", grows_with_users),),
    needs=frozenset({"memory", "store-operations"}),
)
