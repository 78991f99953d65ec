"""How far away may the store be? My page with 0 to 5 ms between the replicas and Redis, one request at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import aiohttp

from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import BasePlan, Context, Experiment
from loadtest.experiments.people import log_in
from loadtest.experiments.rows import figure
from loadtest.load.client import Client, register
from loadtest.report.drawing import Axes, colour, legend
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import amount, listed, with_interval
from loadtest.results.view import View
from loadtest.statistics.estimates import Interval, centre, difference

NAME = "store_distance"
READY_SECONDS = 10.0
LINES = ("-", "--", "-.", ":")

Curve = Sequence[tuple[float, float]]
"""Points by round trip (ms)."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """The *milliseconds* to add to each answer of Redis, and how many pages each strategy is asked for at each."""

    milliseconds: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 5.0)
    pages: int = 40


async def measure(context: Context, plan: Plan) -> None:
    """Let strategies take turns, one page at a time, at each distance; where nothing is added, there is no proxy."""
    context.progress.start(
        "pages with Redis further away", len(plan.milliseconds) * plan.pages * len(context.strategies)
    )
    async with AsyncExitStack() as stack:
        connector = await stack.enter_async_context(aiohttp.TCPConnector())
        clients = [await stack.enter_async_context(context.client(one, connector)) for one in context.strategies]
        account = await register(clients[0])
        for client in clients:
            if not client.strategy.is_control:
                await log_in(client, account)
        for milliseconds in plan.milliseconds:
            with context.attempt(f"{milliseconds:g} ms between the replicas and Redis"):
                async with _further_away(context, milliseconds) as trip:
                    await _pages(context, plan, clients, milliseconds, trip)


@asynccontextmanager
async def _further_away(context: Context, milliseconds: float) -> AsyncIterator[float]:
    """Yield the round trip to Redis in ms, as it really is within the block."""
    if not milliseconds:
        yield 0.0
        return
    async with in_thread(context.cluster.delay(milliseconds / 1000)) as seconds:
        yield 1000 * seconds


async def _pages(context: Context, plan: Plan, clients: Sequence[Client], added: float, trip: float) -> None:
    for client in clients:
        await _until_it_answers(client)

    async def page(client: Client) -> Row:
        began = time.perf_counter()
        answer = await client.mypage()
        return {"status": answer.status, "seconds": time.perf_counter() - began}

    blocks = {
        client.strategy.name: context.recorded(
            partial(page, client), strategy=client.strategy.name, added=added, trip=trip
        )
        for client in clients
    }
    await context.take_turns(blocks, plan.pages)


async def _until_it_answers(client: Client) -> None:
    """Replicas connect to Redis anew when it has moved."""
    deadline = time.monotonic() + READY_SECONDS
    while (answer := await client.mypage()).status != 200:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{client.strategy.name}: status {answer.status} since Redis is further away, must be 200"
            )
        await asyncio.sleep(0.02)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return how long a page takes at each distance, and from which one on a token is faster than a session."""
    found, kinds = [], {name: facts["kind"] for name, facts in config["strategies"].items()}
    names = [name for name in kinds if any(row["strategy"] == name for row in rows)]
    trips = sorted({row["trip"] for row in rows})
    times: dict[str, dict[float, list[float]]] = {
        name: {trip: [1e6 * r["seconds"] for r in rows if (r["strategy"], r["trip"]) == (name, trip)] for trip in trips}
        for name in names
    }
    for name in names:
        failed = sum(row["status"] != 200 for row in rows if row["strategy"] == name)
        found.append(Figure(NAME, name, "failed_pages", "count", failed, n=sum(map(len, times[name].values()))))
        if not failed:
            found += [
                figure(NAME, name, "page_time", "us", centre(times[name][trip]), round_trip_ms=f"{trip:.2f}")
                for trip in trips
                if times[name][trip]
            ]
    whole = [name for name in names if not any(r["status"] != 200 for r in rows if r["strategy"] == name)]
    for token in (name for name in whole if kinds[name] == "token"):
        for session in (name for name in whole if kinds[name] == "session"):
            where = _crossing(times[session], times[token])
            if where:
                found.append(figure(NAME, token, "crossing", "ms", where, over=session))
    return found


def _crossing(session: Mapping[float, Sequence[float]], token: Mapping[float, Sequence[float]]) -> Interval | None:
    """Return the round trip from which on the token is faster: the nearest, if it always is; None if it never is."""
    more = {}
    for trip, samples in session.items():
        number = min(len(samples), len(token[trip]))  # an interrupted run ends within a round
        if number:
            more[trip] = difference(samples[:number], token[trip][:number])
    if not more or any(one.low is None or one.high is None for one in more.values()):
        return None
    value = _from_where([(trip, one.value) for trip, one in more.items()])
    low = _from_where([(trip, one.high or 0.0) for trip, one in more.items()])
    high = _from_where([(trip, one.low or 0.0) for trip, one in more.items()])
    return None if value is None else Interval(value, low, max(more) if high is None else high, len(more))


def _from_where(curve: Curve) -> float | None:
    """Return where *curve* begins to be above 0: the first point, if all are."""
    return min(curve)[0] if all(value > 0 for _, value in curve) else crossing(curve)


def crossing(curve: Curve) -> float | None:
    """Return where *curve* rises above 0, between two of its points on a straight line; None if it does not."""
    for (left, below), (right, above) in pairwise(sorted(curve)):
        if below <= 0 < above:
            return left + (right - left) * -below / (above - below)
    return None


def _curve(view: View, name: str) -> dict[float, float]:
    """Return microseconds by round trip."""
    return {float(f.labels["round_trip_ms"]): f.value for f in view.figures("page_time", name)}


def sentences(view: View) -> Iterator[str]:
    """What a round trip costs a page, and where tokens become faster, by algorithm if that was measured."""
    paying = [name for name in view.strategies("page_time") if _slope(_curve(view, name)) > 0.5]
    if paying:
        slopes = listed([f"{view.named(name)} {_slope(_curve(view, name)):.2f} ms" for name in paying])
        yield f"Each millisecond to Redis makes a page slower: {slopes}. Other strategies do not wait for Redis."
    for session in paying:
        if view.kind(session) == "session":
            yield from _where(view, session)


def _slope(curve: Mapping[float, float]) -> float:
    """Return the milliseconds that a page takes longer for each of the round trip, from the nearest to the farthest."""
    near, far = min(curve), max(curve)
    return (curve[far] - curve[near]) / 1000 / (far - near) if far > near else 0.0


def _where(view: View, session: str) -> Iterator[str]:
    for token in (name for name in view.strategies("page_time") if view.kind(name) == "token"):
        found = view.one("crossing", token, over=session)
        if found and found.ci_high == min(_curve(view, token)):
            yield f"A page under {view.named(token)} is faster than under {session} at any distance."
        elif found:
            yield f"A page under {view.named(token)} is faster than under {session} from {with_interval(found)} on."
        else:
            yield f"A page under {view.named(token)} is not faster than under {session} at any distance that was tried."
        yield from _by_algorithm(view, session, token)


def _by_algorithm(view: View, session: str, token: str) -> Iterator[str]:
    """Compute where it would be with other algorithms, from what the experiment `algorithms` says of their pages."""
    parts = []
    for more in view.figures("verify_difference", token):
        theirs = {trip: time_ + more.value for trip, time_ in _curve(view, token).items()}
        where = crossing(list(_minus(_curve(view, session), theirs).items()))
        if where is not None:
            parts.append(f"{amount(where, 'ms')} with {more.labels['algorithm']}")
    if parts:
        yield f"Computed from the costs of the algorithms, {token} is faster than {session} from {listed(parts)}."


def _minus(ours: Mapping[float, float], theirs: Mapping[float, float]) -> dict[float, float]:
    return {trip: value - theirs[trip] for trip, value in ours.items() if trip in theirs}


def draw(axes: Axes, view: View) -> None:
    """A line for each strategy: how long a page takes, by the round trip to Redis."""
    drawn: dict[str, int] = {}
    for name in view.strategies("page_time"):
        curve, tint = _curve(view, name), colour(view, name)
        drawn[tint] = drawn.get(tint, -1) + 1
        style = LINES[drawn[tint] % len(LINES)]
        axes.plot(
            list(curve), [us / 1000 for us in curve.values()], style, color=tint, marker="o", markersize=3, label=name
        )
    axes.set_xlabel("round trip to Redis, ms")
    axes.set_ylabel("ms until my page is there")
    axes.set_ylim(bottom=0)
    legend(axes)


PLOT = Plot(
    NAME,
    "page_time",
    "How far away Redis may be",
    "How long one page takes through nginx when nobody else asks, by the time that Redis' answers take. Sessions in "
    "Redis wait for it, tokens and cookies do not.",
    draw,
    3.4,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="How far away may the store be?",
    quick=Plan(),
    full=replace(Plan(), pages=300),
    seconds=(6, 25),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Store distance: a proxy delays the answers of Redis. The distance is the shortest round trip that was "
        "measured through the proxy; 0 means without it. Strategies take turns, one page at a time.",
    ),
    disruptive=True,
    needs=frozenset({"delay"}),
)
