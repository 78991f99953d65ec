"""Do several devices of one user get along (C6)? Two browsers and a phone log in; then many log in at once.

Devices are listed, the phone is ended and the browsers are kept, where a strategy can. The limit is tried on a cluster
of its own with a low one, by more logins at once than are allowed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, Experiment, expect
from loadtest.load.client import Client, Strategy, register
from loadtest.report.drawing import GREEN, RED, Axes, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim

NAME = "devices"
DEVICES = ("a browser", "another browser", "a phone")


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of users with three devices each, and of logins at once where *limit* are allowed, at two replicas."""

    users: int = 2
    logins: int = 12
    limit: int = 3
    replicas: int = 2


async def measure(context: Context, plan: Plan) -> None:
    """Let three devices of each user meet, then log in too many."""
    context.progress.start("logging in several devices", 2 * len(context.logins()))
    async with aiohttp.TCPConnector() as connector:
        for strategy in context.logins():
            for number in range(plan.users):
                async with _logged_in(context.cluster, strategy, connector, len(DEVICES)) as devices:
                    context.record(round=number, strategy=strategy.name, what="devices", **await _meet(devices))
            context.progress.advance()
    if context.spare_cluster is None:
        context.not_measured("the limit", "it takes a cluster with a low limit, and none can be started here")
        return
    async with in_thread(context.spare_cluster({"SESSION_LIMIT": str(plan.limit)})) as cluster:
        await asyncio.to_thread(cluster.scale, plan.replicas)
        await _too_many(context, plan, cluster)


@asynccontextmanager
async def _logged_in(
    cluster: Cluster, strategy: Strategy, connector: aiohttp.BaseConnector, number: int
) -> AsyncIterator[list[Client]]:
    """Yield devices of one new user, which log in at once."""
    async with AsyncExitStack() as stack:
        clients = [Client(cluster.url, strategy, connector) for _ in range(number)]
        devices = [await stack.enter_async_context(client) for client in clients]
        account = await register(devices[0])
        for answer in await asyncio.gather(*(device.login(account) for device in devices)):
            expect(strategy, "login", answer, 200, 409)  # 409: a login above the limit may be refused
        yield devices


def _sessions(strategy: Strategy) -> str | None:
    """Return where a user lists their logins: at the auth service, if it made them."""
    if strategy.kind == "token":
        return "/auth/sessions"
    return f"/{strategy.name}/sessions" if "devices" in strategy.capabilities else None


async def _meet(devices: Sequence[Client]) -> Row:
    """List the devices, end the phone from a browser, and see who is still logged in."""
    path = _sessions(devices[0].strategy)
    if path is None:
        return {"listed": None, "ended": None, "kept": None}
    browser, *_, phone = devices
    seen = await _list(browser, path)
    own = [one["id"] for one in await _list(phone, path) if one["current"]]
    await browser.call("DELETE", f"{path}/{own[0] if own else 'none'}")
    statuses = [(await device.mypage()).status for device in devices]
    return {"listed": len(seen), "ended": statuses[-1] == 401, "kept": statuses[:-1].count(200)}


async def _list(device: Client, path: str) -> list[dict[str, Any]]:
    answer = await device.call("GET", path)
    expect(device.strategy, f"GET {path}", answer)
    found: list[dict[str, Any]] = answer.body["sessions"]
    return found


async def _too_many(context: Context, plan: Plan, cluster: Cluster) -> None:
    async with aiohttp.TCPConnector(limit=plan.logins) as connector:
        for strategy in context.logins():
            async with _logged_in(cluster, strategy, connector, plan.logins) as devices:
                alive = await asyncio.gather(*map(_alive, devices))
            row = {"logins": plan.logins, "limit": plan.limit, "alive": sum(alive), "replicas": plan.replicas}
            context.record(strategy=strategy.name, what="limit", **row)
            context.progress.advance()


async def _alive(device: Client) -> bool:
    """Return whether a device is logged in: with tokens, whether it can go on when its access token expires."""
    if device.strategy.kind == "token":
        return bool(device.refresh_token) and (await device.refresh()).status == 200
    return (await device.mypage()).status == 200


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return devices listed and kept, phones ended at once, and logins alive where fewer are allowed."""
    found = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == name]
        found += _of_devices(name, [row for row in mine if row["what"] == "devices"])
        for row in (row for row in mine if row["what"] == "limit"):
            labels = {"limit": str(row["limit"]), "replicas": str(row["replicas"])}
            found.append(Figure(NAME, name, "logins_alive", "count", row["alive"], n=row["logins"], labels=labels))
    return found


def _of_devices(name: str, rows: Sequence[Row]) -> list[Figure]:
    """Return figures of three devices: the worst user's count. A strategy that lists none has 0 of 3."""
    if not rows:
        return []
    least = min(row["listed"] or 0 for row in rows)
    found = [Figure(NAME, name, "devices_listed", "count", least, n=len(rows))]
    able = [row for row in rows if row["listed"] is not None]
    if able:
        ended = 100 * sum(row["ended"] for row in able) / len(able)
        found.append(Figure(NAME, name, "devices_ended_at_once", "%", ended, n=len(able)))
        found.append(Figure(NAME, name, "devices_kept", "count", min(row["kept"] for row in able), n=len(able)))
    return found


def complaints(view: View, name: str) -> list[str]:
    """Return what several devices must take care of under the strategy *name*."""
    found = []
    seen = view.one("devices_listed", name)
    if seen and seen.value != len(DEVICES):
        found.append(f"lists {seen.value:.0f} of {len(DEVICES)} devices")
    ended, kept = view.one("devices_ended_at_once", name), view.one("devices_kept", name)
    if ended and ended.value < 100:
        found.append("an ended device goes on for a while")
    if kept and kept.value < len(DEVICES) - 1:
        found.append("ending one device ends others")
    alive = view.one("logins_alive", name)
    if alive and alive.value > float(alive.labels["limit"]):
        found.append(f"{alive.value:.0f} logins where {alive.labels['limit']} are allowed")
    return found


def sentences(view: View) -> Iterator[str]:
    """How the token strategies do: the claim is about sessions."""
    for name in view.strategies("devices_listed"):
        flaws = complaints(view, name) if view.kind(name) == "token" else []
        if flaws:
            yield f"Several devices with {name}: {'; '.join(flaws)}."


def draw(axes: Axes, view: View) -> None:
    """Logins that are alive after too many at once."""
    found = view.figures("logins_alive")
    limit = float(found[0].labels["limit"])
    dots(axes, found, [f.strategy for f in found], [GREEN if f.value <= limit else RED for f in found])
    axes.axvline(limit, color=RED, linestyle="--", linewidth=1.1)
    axes.set_xlim(0, 1.15 * max(f.n for f in found))
    axes.set_xlabel(f"logins alive after {found[0].n} at once; the line: allowed")


def several_devices(view: View) -> tuple[str, str] | None:
    """C6 holds for session strategies that leave something to be taken care of."""
    names = [name for name in view.strategies("devices_listed") if view.kind(name) == "session"]
    if not names or not view.figures("logins_alive"):
        return None
    parts = []
    for name in names:
        seen, alive = view.one("devices_listed", name), view.one("logins_alive", name)
        if seen and alive:
            parts.append(f"{name} {seen.value:.0f} of {len(DEVICES)} listed, {alive.value:.0f} alive of {alive.n}")
    careful = [f"{name} ({', '.join(complaints(view, name))})" for name in names if complaints(view, name)]
    easy = [name for name in names if not complaints(view, name)]
    verdicts = [
        f"holds for {listed(careful)}" if careful else "",
        f"{listed(easy)} {'takes' if len(easy) == 1 else 'take'} care of them" if easy else "",
    ]
    return "devices: " + listed(parts), "; ".join(part for part in verdicts if part)


PLOT = Plot(
    NAME,
    "logins_alive",
    "Too many logins at once",
    "How many logins of one user are alive after more at once than are allowed, at two replicas.",
    draw,
    2.6,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Do several devices of one user get along?",
    quick=Plan(),
    full=Plan(users=10, logins=40),
    seconds=(6, 20),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Devices: a user's devices log in at the same time. The limit is tried at two replicas of another cluster.",
    ),
    claims=(Claim("C6", several_devices),),
    side_by_side=True,
)
