"""What happens when many access tokens expire together, or the auth service comes back, with and without jitter?"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from loadtest.cluster.faults import in_thread, killed
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, Experiment
from loadtest.experiments.people import log_all_in, open_accounts
from loadtest.load.client import Client, Strategy
from loadtest.report.drawing import BLUE, ORANGE, Axes, dots, highest, panels
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import amount, listed
from loadtest.results.view import View

NAME = "refresh_storm"
EXPIRY, RETURN = "tokens expire together", "auth comes back"
JITTER, NONE = "jitter", "no jitter"
WINDOW_SECONDS = 0.1
RETRY_SECONDS = 0.5
PAGE_PAUSE = 0.02
SETTLE_SECONDS = 15.0
"""After which a device that still has no new token counts as stranded."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of *devices*, and for how many *lives* of a token of *token_seconds* they refresh.

    *away*: for how many lives of a token the auth service is dead.
    """

    devices: int = 24
    lives: int = 2
    token_seconds: int = 1
    away: float = 1.0


@dataclass
class Storm:
    """Devices whose tokens were issued together, and what came of every refresh: (began, seconds, status)."""

    devices: Sequence[Client]
    delay: Callable[[float], float]
    """How long a device waits when it is to wait for a number of seconds."""
    refreshes: list[tuple[float, float, int]] = field(default_factory=list)
    pages: list[tuple[float, int]] = field(default_factory=list)
    lost: int = 0

    async def refresh(self, device: Client) -> int:
        """Refresh once and return the status."""
        began = time.perf_counter()
        status = (await device.refresh()).status
        self.refreshes.append((began, time.perf_counter() - began, status))
        return status

    async def begin(self, looker: Client) -> None:
        """Give all devices, and the *looker*, tokens at one moment, and forget what that took."""
        await asyncio.gather(*map(self.refresh, (*self.devices, looker)))
        self.refreshes.clear()

    async def live(self, device: Client, life: float, until: float) -> None:
        """Refresh whenever the token is due, until the time is up; repeat a failed refresh until it succeeds."""
        while time.perf_counter() < until:
            await asyncio.sleep(self.delay(life))
            await self._insist(device, until + SETTLE_SECONDS)

    async def _insist(self, device: Client, until: float) -> None:
        while (status := await self.refresh(device)) != 200:
            if 400 <= status < 500 or time.perf_counter() > until:
                self.lost += 1
                return
            await asyncio.sleep(self.delay(RETRY_SECONDS))

    async def look(self, device: Client, over: asyncio.Event) -> None:
        """Ask for my page until it is *over*."""
        while not over.is_set():
            began = time.perf_counter()
            status = (await device.mypage()).status
            self.pages.append((time.perf_counter() - began, status))
            await asyncio.sleep(PAGE_PAUSE)


async def measure(context: Context, plan: Plan) -> None:
    """Let tokens expire on a cluster where they live for a short time, and kill its auth service meanwhile."""
    token = next((one for one in context.strategies if one.kind == "token"), None)
    if token is None or context.spare_cluster is None:
        context.not_measured("everything", "it takes a token strategy and a cluster with short-lived tokens")
        return
    context.progress.start("many refreshes at once", 4)
    spare = context.spare_cluster({"ACCESS_TOKEN_SECONDS": str(plan.token_seconds)})
    async with in_thread(spare) as cluster, AsyncExitStack() as stack:
        devices = await _devices(cluster, token, plan.devices + 1, stack)
        for case in (EXPIRY, RETURN):
            for jitter in (NONE, JITTER):
                with context.attempt(f"{case}, {jitter}"):
                    storm = Storm(devices[1:], _delay(context, jitter))
                    row = await _storm(cluster, storm, devices[0], case, plan)
                    context.record(strategy=token.name, case=case, jitter=jitter, **row)
                context.progress.advance()


async def _devices(cluster: Cluster, token: Strategy, number: int, stack: AsyncExitStack) -> list[Client]:
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=0))
    devices = [await stack.enter_async_context(Client(cluster.url, token, connector)) for _ in range(number)]
    accounts = await open_accounts(cluster, token, max(1, number // 8), connector)
    await log_all_in((device, accounts[place % len(accounts)]) for place, device in enumerate(devices))
    return devices


def _delay(context: Context, jitter: str) -> Callable[[float], float]:
    """Return how long a device waits: full time, or a random part of it, at least half."""
    if jitter == NONE:
        return lambda seconds: seconds
    return lambda seconds: float(seconds * context.rng.uniform(0.5, 1.0))


async def _storm(cluster: Cluster, storm: Storm, looker: Client, case: str, plan: Plan) -> Row:
    await storm.begin(looker)
    over, began = asyncio.Event(), time.perf_counter()
    looking = asyncio.create_task(storm.look(looker, over))
    try:
        until = began + plan.lives * plan.token_seconds
        living = [asyncio.create_task(storm.live(one, plan.token_seconds, until)) for one in storm.devices]
        gone = None
        if case == RETURN:
            gone = await _away(cluster, plan)
        await asyncio.gather(*living)
    finally:
        over.set()
        await looking
    seconds = time.perf_counter() - began
    served = [one for one in storm.refreshes if one[2] == 200]
    counted = [one for one in served if gone is None or one[0] > gone]
    back = min((start + took for start, took, _ in counted), default=0.0)
    return {
        "devices": len(storm.devices),
        "seconds": seconds,
        "refreshes": len(served),
        "failed": len(storm.refreshes) - len(served),
        "lost": storm.lost,
        "peak": _busiest([start for start, _, _ in counted]),
        "until_all": max(start + took for start, took, _ in counted) - back if gone and counted else None,
        "refresh_p99": float(np.percentile([took for _, took, _ in counted] or [0.0], 99)),
        "page_p99": float(np.percentile([took for took, status in storm.pages if status == 200] or [0.0], 99)),
        "pages": len(storm.pages),
        "pages_failed": sum(status != 200 for _, status in storm.pages),
    }


async def _away(cluster: Cluster, plan: Plan) -> float:
    """Take the auth service away for a while, and return when it was gone."""
    async with in_thread(killed(cluster, "auth")):
        gone = time.perf_counter()
        await asyncio.sleep(plan.away * plan.token_seconds)
    return gone


def _busiest(starts: Sequence[float]) -> int:
    """Return how many refreshes began in the busiest window."""
    ordered = sorted(starts)
    ends = np.searchsorted(ordered, np.asarray(ordered) + WINDOW_SECONDS)
    return int(max(ends - np.arange(len(ordered)), default=0))


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return the peak of the refreshes, the share of devices in it, latencies, and devices that were logged out."""
    return [found for row in rows for found in _of_case(row)]


def _of_case(row: Row) -> Iterator[Figure]:
    labels, strategy, devices = {"case": row["case"], "jitter": row["jitter"]}, row["strategy"], row["devices"]
    figures = [
        ("refresh_peak", "%", 100 * row["peak"] / devices, devices),
        ("refresh_p99", "us", 1e6 * row["refresh_p99"], row["refreshes"]),
        ("page_p99", "us", 1e6 * row["page_p99"], row["pages"]),
        ("pages_failed", "count", row["pages_failed"], row["pages"]),
        ("logins_lost", "count", row["lost"], devices),
    ]
    if row["until_all"] is not None:
        figures.append(("until_all_refreshed", "s", row["until_all"], devices))
    for metric, unit, value, n in figures:
        yield Figure(NAME, strategy, metric, unit, value, n=n, labels=labels)


def sentences(view: View) -> Iterator[str]:
    """How high the peak is, with and without jitter, and whether a login was lost."""
    for case in (EXPIRY, RETURN):
        found = {f.labels["jitter"]: f for f in view.figures("refresh_peak", case=case)}
        if JITTER in found and NONE in found:
            slow = {name: view.one("refresh_p99", case=case, jitter=name) for name in found}
            times = listed([f"{amount(f.value, f.unit)} with {name}" for name, f in slow.items() if f])
            yield (
                f"When {case}, {found[NONE].value:.0f} % of the devices refresh within the same 0.1 s, and "
                f"{found[JITTER].value:.0f} % with jitter; the slowest in a hundred takes {times}."
            )
    lost = view.figures("logins_lost")
    if lost:
        number = sum(f.value for f in lost)
        yield f"{number:.0f} of {sum(f.n for f in lost)} devices that refreshed in a crowd lost their login."


def draw(axes: Axes, view: View) -> None:
    """Two panels: devices in the busiest window, and the 99th percentile of refreshes."""
    shown = [
        (view.figures("refresh_peak"), "% of the devices refresh\nin the busiest 0.1 s"),
        (view.figures("refresh_p99"), "99th percentile\nof refreshes"),
    ]
    for panel, (figures, what) in zip(panels(axes, len(shown)), shown, strict=True):
        names = [f"{f.labels['case']},\n{f.labels['jitter']}" for f in figures]
        dots(panel, figures, names, [BLUE if f.labels["jitter"] == JITTER else ORANGE for f in figures])
        panel.set_xlim(0, 1.45 * highest(figures))
        panel.set_xlabel(what, fontsize="small")


PLOT = Plot(
    NAME,
    "refresh_peak",
    "Many refreshes at once",
    "Devices that got their tokens together. With jitter, each refreshes after a random 50 to 100 % of the token's "
    "life, and waits a random time before it tries again.",
    draw,
    2.9,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What happens when many tokens expire together?",
    quick=Plan(),
    full=Plan(devices=100, lives=6, token_seconds=2),
    seconds=(16, 50),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Refresh storm: devices get tokens at one moment on a cluster where tokens live for a second. Then they "
        "refresh when a token is due; in the second case, the auth service is killed meanwhile and started again. "
        "Devices that get no answer try again after half a second. One run of each case: there are no intervals.",
    ),
)
