"""How long is a stolen credential good for (C11)? A thief uses a copy until it is refused, under two token lives.

Each life takes a small cluster of its own, whose access tokens and sessions live for that many seconds, and its refresh
tokens for twice as many. In one case nobody notices the theft; in the other one the victim logs out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

import aiohttp

from loadtest.attacks.thief import Thief
from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import Cluster
from loadtest.experiments.experiment import BasePlan, Context, Experiment
from loadtest.experiments.people import log_in
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.report.drawing import BLUE, ORANGE, Axes, errors, legend, rows
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed, number
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim

NAME = "theft"
Scenario = Literal["nobody notices", "the victim logs out"]
SCENARIOS: tuple[Scenario, ...] = ("nobody notices", "the victim logs out")
UNNOTICED, LOGOUT = SCENARIOS
COOKIE, ACCESS_TOKEN, REFRESH_TOKEN = "session cookie", "access token", "refresh token"  # their names
LOGINS_AT_ONCE = 2
TOO_LATE = 0.25
"""A logout says nothing if less than this share of the credential's life was left when it was acknowledged."""
STILL_GOOD = 0.5
"""Who is accepted for this share of what was left, or longer, was not stopped by the logout."""

Use = Callable[[], Awaitable[int]]
"""Uses a stolen credential once and returns the status."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """Lives of tokens and sessions, and how often a thief tries. *patience_seconds*: how long beyond the life."""

    short_life: float = 2
    long_life: float = 4
    pause_seconds: float = 0.25
    patience_seconds: float = 13.0

    @property
    def lives(self) -> tuple[float, float]:
        """Both lives, the short one first."""
        return self.short_life, self.long_life


@dataclass(frozen=True)
class Scene:
    """A cluster whose credentials live for *life* seconds, a user of it, and a thief. *logins*: the limit."""

    life: float
    cluster: Cluster
    connector: aiohttp.BaseConnector
    thief: Thief
    account: Account
    logins: asyncio.Semaphore


@dataclass(frozen=True)
class Theft:
    """One stolen credential: whose it is, and what the thief does with the copy."""

    strategy: str
    credential: str
    victim: Client
    use: Use


async def measure(context: Context, plan: Plan) -> None:
    """Steal from every strategy, under all lives at the same time."""
    if context.spare_cluster is None:
        context.not_measured("everything", "it takes clusters with other lifetimes, and none can be started here")
        return
    context.progress.start("using stolen credentials", len(plan.lives) + 1)
    async with AsyncExitStack() as stack:
        scenes = []
        for life in plan.lives:
            cluster = await stack.enter_async_context(in_thread(context.spare_cluster(settings(life))))
            scenes.append(await _scene(context, stack, life, cluster))
            context.progress.advance()
        await asyncio.gather(*(_steal_all(context, plan, scene) for scene in scenes))
        context.progress.advance()


def settings(life: float) -> Mapping[str, str]:
    """Return what a cluster is told so that its credentials live for *life* seconds, refresh tokens twice as long."""
    once = ("ACCESS_TOKEN_SECONDS", "SESSION_IDLE_SECONDS", "SESSION_ABSOLUTE_SECONDS")
    twice = ("REFRESH_IDLE_SECONDS", "REFRESH_ABSOLUTE_SECONDS")
    return dict.fromkeys(once, f"{life:g}") | dict.fromkeys(twice, f"{2 * life:g}")


async def _scene(context: Context, stack: AsyncExitStack, life: float, cluster: Cluster) -> Scene:
    connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=32))
    thief = await stack.enter_async_context(Thief(cluster.url, connector))
    async with Client(cluster.url, context.logins()[0], connector) as client:
        return Scene(life, cluster, connector, thief, await register(client), asyncio.Semaphore(LOGINS_AT_ONCE))


async def _steal_all(context: Context, plan: Plan, scene: Scene) -> None:
    """Steal the cookie or the access token of every strategy; a refresh token once, since all strategies share them."""
    tokens = [strategy for strategy in context.logins() if strategy.kind == "token"]
    cases = [(strategy, ACCESS_TOKEN if strategy in tokens else COOKIE) for strategy in context.logins()]
    cases += [(strategy, REFRESH_TOKEN) for strategy in tokens[:1]]
    await asyncio.gather(*(_steal(context, plan, scene, *case, scenario) for case in cases for scenario in SCENARIOS))


async def _steal(
    context: Context, plan: Plan, scene: Scene, strategy: Strategy, credential: str, scenario: Scenario
) -> None:
    async with Client(scene.cluster.url, strategy, scene.connector) as victim:
        async with scene.logins:
            await log_in(victim, scene.account)
        theft = Theft(strategy.name, credential, victim, _use(scene.thief, victim, credential))
        context.record(life=scene.life, scenario=scenario, **await _watch(plan, scene, theft, scenario))


def _use(thief: Thief, victim: Client, credential: str) -> Use:
    """Return what the thief does with a copy of the victim's *credential*."""
    path = f"/{victim.strategy.name}/mypage"
    headers, held = victim.credential(path), [victim.refresh_token]

    async def ask() -> int:
        return (await thief.send("GET", path, headers)).status

    async def refresh() -> int:
        form = {"grant_type": "refresh_token", "refresh_token": held[0]}
        answer = await thief.send("POST", "/auth/token", form=form)
        if answer.status == 200:
            held[0] = answer.body["refresh_token"]
        return answer.status

    return refresh if credential == REFRESH_TOKEN else ask


async def _watch(plan: Plan, scene: Scene, theft: Theft, scenario: Scenario) -> Row:
    """Use the stolen credential until it is refused.

    Return the seconds from the theft to the logout (if there is one), to the last use that was accepted, and to the
    first that was refused.
    """
    row = {"strategy": theft.strategy, "credential": theft.credential, "stolen": False}
    stolen = time.monotonic()
    if await theft.use() != 200:
        return row
    if scenario == LOGOUT:
        await _log_out(theft.victim)
    row |= {"stolen": True, "logout": time.monotonic() - stolen if scenario == LOGOUT else None}
    last, deadline = 0.0, stolen + 2 * scene.life + plan.patience_seconds
    while (asked := time.monotonic()) < deadline:
        status = await theft.use()
        if status in (400, 401):
            return row | {"accepted": last, "refused": time.monotonic() - stolen}
        if status == 200:
            last = asked - stolen
        await asyncio.sleep(plan.pause_seconds)
    return row | {"accepted": last, "refused": None}


async def _log_out(victim: Client) -> None:
    """Log out as a client of that kind does: with tokens, it also revokes its refresh token (RFC 7009)."""
    await victim.logout()
    if victim.refresh_token:
        await victim.call("POST", "/auth/revoke", form={"token": victim.refresh_token}, headers={})


def analyse(rows_: Sequence[Row], config: Config) -> list[Figure]:
    """Return the seconds that each stolen credential was good for: between last accepted and first refused."""
    order = list(config["strategies"])
    stolen = [row for row in rows_ if row["stolen"]]
    found = []
    for row in sorted(stolen, key=lambda row: (order.index(row["strategy"]), row["credential"], row["life"])):
        found.append(_figure(row, "stolen_good_for", 0.0))
        if row["scenario"] == LOGOUT:
            after = _figure(row, "good_after_logout", row["logout"])
            found += [after, Figure(NAME, after.strategy, "logged_out_after", "s", row["logout"], labels=after.labels)]
    return found


def _figure(row: Row, metric: str, since: float) -> Figure:
    """Return a figure of *row*, with seconds counted from *since*. It has no upper end if nothing was refused."""
    labels = {"credential": row["credential"], "life": f"{row['life']:g} s", "scenario": row["scenario"]}
    low = max(0.0, row["accepted"] - since)
    high = None if row["refused"] is None else row["refused"] - since
    return Figure(NAME, row["strategy"], metric, "s", low, low, high, 1, labels)


def _life(figure: Figure) -> float:
    return float(figure.labels["life"].removesuffix(" s"))


def _cases(view: View) -> dict[tuple[str, str], list[Figure]]:
    """Return the seconds after a logout, by strategy and credential."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for figure in view.figures("good_after_logout"):
        found.setdefault((figure.strategy, figure.labels["credential"]), []).append(figure)
    return found


def _outlives(view: View, figure: Figure) -> bool | None:
    """Return whether a credential was good in spite of the logout; None if the logout came too late to tell.

    What was left of it is what the same credential was good for when nobody noticed, less the time until the logout.
    """
    labels = {**figure.labels, "scenario": UNNOTICED}
    whole = view.one("stolen_good_for", figure.strategy, **labels)
    logout = view.one("logged_out_after", figure.strategy, **figure.labels)
    left = (whole.value if whole else _life(figure)) - (logout.value if logout else 0.0)
    if left < TOO_LATE * _life(figure):
        return None
    return figure.value > 0 and (figure.ci_high is None or figure.ci_high >= STILL_GOOD * left)


def sentences(view: View) -> Iterator[str]:
    """How much longer than its life a token is accepted, and what a refresh token gives a thief."""
    for figure in view.figures("stolen_good_for", scenario=UNNOTICED):
        if figure.labels["credential"] == ACCESS_TOKEN and figure.value > _life(figure) + 1:
            yield (
                f"An access token of {figure.strategy} with a life of {figure.labels['life']} was accepted for "
                f"{number(figure.value)} s: verifiers allow for clocks that differ."
            )
            break
    for figure in view.figures("stolen_good_for", scenario=UNNOTICED, credential=REFRESH_TOKEN):
        yield (
            f"A thief who refreshes kept a login going for {number(figure.value)} s: as long as refresh tokens live "
            f"({number(2 * _life(figure))} s there), whatever the life of access tokens ({figure.labels['life']})."
        )


def draw(axes: Axes, view: View) -> None:
    """Seconds that a credential was good for after the logout, under each life."""
    cases = _cases(view)
    names = [f"{strategy}: {credential}" for strategy, credential in cases]
    lives = list(dict.fromkeys(figure.labels["life"] for figures in cases.values() for figure in figures))
    for life, tint, offset in zip(lives, (BLUE, ORANGE), (-0.15, 0.15), strict=False):
        mine = [(n, f) for n, case in enumerate(cases.values()) for f in case if f.labels["life"] == life]
        figures, places = [f for _, f in mine], [n + offset for n, _ in mine]
        bars = errors(figures)
        axes.errorbar([f.value for f in figures], places, xerr=bars, fmt="o", color=tint, label=f"life {life}")
    rows(axes, names)
    axes.set_xlabel("seconds accepted after the logout")
    legend(axes, 2)


def until_it_expires(view: View) -> tuple[str, str] | None:
    """C11 holds where a logout does not stop a thief, under every life of which that can be told."""
    cases = _cases(view)
    if not cases:
        return None
    figures = "accepted after the victim's logout: " + listed(
        [
            f"{strategy} {credential} " + " / ".join(f"{f.value:.1f} s (life {f.labels['life']})" for f in case)
            for (strategy, credential), case in cases.items()
        ]
    )
    told = {case: [one for f in found if (one := _outlives(view, f)) is not None] for case, found in cases.items()}
    names = {case: f"{case[0]} ({case[1]})" for case in cases}
    works = [names[case] for case, lives in told.items() if lives and all(lives)]
    stopped = [names[case] for case, lives in told.items() if lives and not all(lives)]
    unknown = [names[case] for case, lives in told.items() if not lives]
    parts = [
        f"holds for {listed(works)}" if works else "",
        f"a logout ends {listed(stopped)}" if stopped else "",
        f"cannot be told for {listed(unknown)}: the logout came too late" if unknown else "",
    ]
    return figures, "; ".join(part for part in parts if part)


PLOT = Plot(
    NAME,
    "good_after_logout",
    "How long a stolen credential is good for",
    "Seconds from the victim's logout until the thief was refused, for two lives of tokens and sessions. Bars reach to "
    "the first refusal.",
    draw,
    3.2,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="How long is a stolen credential good for?",
    quick=Plan(),
    full=Plan(long_life=10),
    seconds=(19, 45),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Theft: a copy of the credential is used every 0.25 s, under two lives of tokens and sessions that are short "
        "enough to wait for. A copy that was not accepted at once was not stolen, and has no figure. A logout did not "
        "stop the thief if the copy was accepted for at least half of the time that it would have been good otherwise.",
    ),
    claims=(Claim("C11", until_it_expires),),
    side_by_side=True,
)
