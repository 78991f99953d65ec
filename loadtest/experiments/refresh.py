"""Does rotating refresh tokens limit the damage of a theft (C12), and what does it cost honest clients?

Thieves: one who refreshes before the victim, one who does so after, one who is quick. Honest clients: two tabs that
refresh at once, many requests that do, answers that get lost. It takes a cluster with a short grace, which is how long
a replaced token may come again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from loadtest.attacks.thief import Thief
from loadtest.cluster.faults import in_thread
from loadtest.experiments.experiment import BasePlan, Context, Experiment, refusal
from loadtest.experiments.people import log_in
from loadtest.experiments.rows import figure
from loadtest.load.client import Client, Strategy, register
from loadtest.report.drawing import BLUE, RED, Axes, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed, number
from loadtest.results.view import View
from loadtest.statistics.estimates import Interval
from loadtest.statistics.percents import exact_share
from loadtest.verdicts.claims import Claim

NAME = "refresh"
LOGINS_AT_ONCE = 4
LATE = "an answer lost for longer than the grace"


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of thefts of each kind, of honest clients of each kind, and of their refreshes. *grace*: seconds.

    *parallel*: how many requests of one client refresh at once.
    """

    thefts: int = 6
    clients: int = 4
    refreshes: int = 25
    parallel: int = 8
    grace: int = 1


@dataclass(frozen=True)
class Scene:
    """A cluster's token endpoint, and how to wait until a replaced token may not come again."""

    plan: Plan
    http: Thief
    login: Callable[[], Awaitable[str]]

    async def present(self, token: str) -> str | None:
        """Present a refresh token; return its successor, or None if it was refused."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        answer = await self.http.send("POST", "/auth/token", form=form)
        if answer.status == 200:
            successor: str = answer.body["refresh_token"]
            return successor
        if answer.status == 400 and answer.body.get("error") == "invalid_grant":
            return None
        what = f"refresh: status {answer.status or 'none'}, must be 200, or 400 with invalid_grant"
        raise refusal(what, answer.status)

    async def present_at_once(self, token: str, times: int) -> list[str | None]:
        """Present a refresh token several times at once."""
        return await asyncio.gather(*(self.present(token) for _ in range(times)))

    async def grace_over(self) -> None:
        """Return when what was replaced until now may not come again, by the server's clock of whole seconds."""
        await asyncio.sleep(self.plan.grace + 0.5)


Presented = Sequence[str | None]
Honest = Callable[[Scene, str], Awaitable[Presented]]
"""One refresh of an honest client; returns what came back for the one token that it presented."""


async def two_tabs(scene: Scene, token: str) -> Presented:
    """Refresh in two tabs at once."""
    return await scene.present_at_once(token, 2)


async def many_at_once(scene: Scene, token: str) -> Presented:
    """Refresh for many requests at once."""
    return await scene.present_at_once(token, scene.plan.parallel)


async def lost_answer(scene: Scene, token: str) -> Presented:
    """Refresh, lose the answer, and try again."""
    return [await scene.present(token), await scene.present(token)]


HONEST: Mapping[str, Honest] = {
    "two tabs at once": two_tabs,
    "many requests at once": many_at_once,
    "an answer lost": lost_answer,
}


async def victim_first(scene: Scene, token: str) -> Row:
    """The victim refreshes as ever; the thief presents the old token later."""
    victims = await scene.present(token)
    await scene.grace_over()
    return await _outcome(scene, thief=token, victim=victims)


async def thief_first(scene: Scene, token: str) -> Row:
    """The thief refreshes; the victim presents the old token later, and then the thief wants to go on."""
    thiefs = await scene.present(token)
    await scene.grace_over()
    victim_refused = thiefs is not None and await scene.present(token) is None
    return {**await _outcome(scene, thief=thiefs, victim=token), "noticed": victim_refused}


async def quick_thief(scene: Scene, token: str) -> Row:
    """The thief presents the token within the victim's grace, and both get one successor; the victim refreshes that."""
    victims, thiefs = await scene.present(token), await scene.present(token)
    await scene.grace_over()
    later = victims and await scene.present(victims)
    await scene.grace_over()
    return await _outcome(scene, thief=thiefs, victim=later)


async def _outcome(scene: Scene, *, thief: str | None, victim: str | None) -> Row:
    """Let the thief and then the victim present what they have; return whether each was refused.

    The victim notices the theft if they have to log in again.
    """
    thief_refused = thief is None or await scene.present(thief) is None
    victim_refused = victim is None or await scene.present(victim) is None
    return {"cut_off": thief_refused, "logged_out": victim_refused, "noticed": victim_refused}


THEFTS: Mapping[str, Callable[[Scene, str], Awaitable[Row]]] = {
    "the victim refreshes first": victim_first,
    "the thief refreshes first": thief_first,
    "the thief refreshes within the grace": quick_thief,
}


async def measure(context: Context, plan: Plan) -> None:
    """Let thieves and honest clients refresh, all at the same time."""
    strategy = next((one for one in context.strategies if one.kind == "token"), None)
    if strategy is None:
        return
    if context.spare_cluster is None:
        context.not_measured("everything", "it takes a cluster with a short grace, and none can be started here")
        return
    context.progress.start("refreshing, honestly and not", 1)
    async with (
        in_thread(context.spare_cluster({"REFRESH_GRACE_SECONDS": str(plan.grace)})) as cluster,
        aiohttp.TCPConnector(limit=32) as connector,
        Thief(cluster.url, connector) as http,
    ):
        scene = Scene(plan, http, await _logins(cluster.url, strategy, connector))
        await asyncio.gather(
            *(_steal(context, scene, strategy, name) for name in THEFTS for _ in range(plan.thefts)),
            *(_be_honest(context, scene, strategy, name) for name in HONEST for _ in range(plan.clients)),
            *(_be_late(context, scene, strategy) for _ in range(plan.clients)),
        )
    context.progress.advance()


async def _logins(url: str, strategy: Strategy, connector: aiohttp.BaseConnector) -> Callable[[], Awaitable[str]]:
    """Return what logs in a new device and returns its refresh token."""
    async with Client(url, strategy, connector) as client:
        account = await register(client)
    limit = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def login() -> str:
        async with limit, Client(url, strategy, connector) as device:
            await log_in(device, account)
            return device.refresh_token

    return login


async def _steal(context: Context, scene: Scene, strategy: Strategy, name: str) -> None:
    row = await THEFTS[name](scene, await scene.login())
    context.record(strategy=strategy.name, theft=name, **row)


async def _be_honest(context: Context, scene: Scene, strategy: Strategy, name: str) -> None:
    """Refresh again and again; after a false alarm, log in again."""
    token = await scene.login()
    for _ in range(scene.plan.refreshes):
        successors = await HONEST[name](scene, token)
        minted = list(dict.fromkeys(one for one in successors if one))
        context.record(strategy=strategy.name, honest=name, minted=len(minted), alarm=None in successors)
        token = minted[0] if None not in successors else await scene.login()


async def _be_late(context: Context, scene: Scene, strategy: Strategy) -> None:
    """Lose an answer and try again after the grace period, which looks exactly like a theft."""
    token = await scene.login()
    await scene.present(token)
    await scene.grace_over()
    alarm = await scene.present(token) is None
    context.record(strategy=strategy.name, honest=LATE, minted=0, alarm=alarm)


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return what thefts ended in (%), false alarms per thousand refreshes, and double mints."""
    found = []
    for name in dict.fromkeys(row["theft"] for row in rows if "theft" in row):
        mine = [row for row in rows if row.get("theft") == name]
        strategy = mine[0]["strategy"]
        for metric, what in (
            ("thieves_cut_off", "cut_off"), ("victims_logged_out", "logged_out"), ("thefts_noticed", "noticed")
        ):  # fmt: skip
            share = exact_share(sum(row[what] for row in mine), len(mine))
            found.append(figure(NAME, strategy, metric, "%", share, theft=name))
    honest = [row for row in rows if "honest" in row]
    for name in dict.fromkeys(row["honest"] for row in honest):
        mine = [row for row in honest if row["honest"] == name]
        share = exact_share(sum(row["alarm"] for row in mine), len(mine), 1000)
        found.append(figure(NAME, mine[0]["strategy"], "false_alarms", "per 1000", share, client=name))
    if honest:
        minted = [row["minted"] for row in honest if row["honest"] != LATE]
        counted = Interval(sum(number > 1 for number in minted), None, None, len(minted))
        found.append(figure(NAME, honest[0]["strategy"], "double_mints", "count", counted))
    return found


def sentences(view: View) -> Iterator[str]:
    """What honest clients pay."""
    alarms = [f for f in view.figures("false_alarms") if f.labels["client"] != LATE]
    if alarms:
        yield (
            "How many of a thousand honest clients were logged out because they presented a refresh token twice: "
            + listed([f"{_times(f)} ({f.labels['client']})" for f in alarms])
            + "."
        )
    for late in view.figures("false_alarms", client=LATE):
        yield f"Of clients that tried again only after the grace, {number(late.value)} in a thousand were logged out."
    quick = view.one("thieves_cut_off", theft="the thief refreshes within the grace")
    if quick:
        yield (
            f"A thief who is as quick as the victim's second tab gets the same successor; {number(quick.value)} % of "
            "them were cut off at one of the next refreshes."
        )


def _times(alarms: Figure) -> str:
    at_most = "" if alarms.ci_high is None else f", at most {number(alarms.ci_high)} by the interval"
    return number(alarms.value) + at_most


def draw(axes: Axes, view: View) -> None:
    """What thefts ended in, in percent."""
    words = {"thieves_cut_off": "thief cut off", "thefts_noticed": "victim notices"}
    found = [(f, words[metric]) for metric in words for f in view.figures(metric)]
    found.sort(key=lambda pair: pair[0].labels["theft"])
    names = [f"{f.labels['theft'].replace('refreshes ', '')}: {word}" for f, word in found]
    dots(axes, [f for f, _ in found], names, [BLUE if word == "thief cut off" else RED for _, word in found])
    axes.set_xlim(-2, 125)
    axes.set_xlabel("% of thefts")


def limits(view: View) -> tuple[str, str] | None:
    """C12 holds if every thief is cut off, no token has two successors, and honest clients stay logged in."""
    thefts, mints = view.figures("thieves_cut_off"), view.one("double_mints")
    if not thefts or mints is None:
        return None
    alarms = [f for f in view.figures("false_alarms") if f.labels["client"] != LATE]
    figures = "thieves cut off: " + listed([f"{number(f.value)} % ({f.labels['theft']})" for f in thefts])
    figures += f"; double mints: {mints.value:.0f} of {mints.n}; false alarms per thousand: "
    figures += listed([f"{number(f.value)} ({f.labels['client']})" for f in alarms])
    flaws = [f"thieves go on ({f.labels['theft']})" for f in thefts if f.value < 100]
    flaws += ["a token got two successors"] if mints.value else []
    flaws += [f"honest clients are logged out ({f.labels['client']})" for f in alarms if f.value]
    if flaws:
        return figures, f"does not hold for {thefts[0].strategy}: {'; '.join(flaws)}"
    return figures, "holds: a stolen refresh token works until thief and victim both have refreshed; then neither can"


PLOT = Plot(
    NAME,
    "thieves_cut_off",
    "What becomes of a stolen refresh token",
    "How many thieves were cut off, and how many victims noticed because they had to log in again.",
    draw,
    2.6,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Do short access tokens and rotating refresh tokens limit the damage of a theft?",
    quick=Plan(),
    full=Plan(thefts=20, clients=10, refreshes=100, parallel=16),
    seconds=(6, 25),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=("Refresh: on a cluster where a replaced refresh token has a grace of one second: that can be waited for.",),
    claims=(Claim("C12", limits),),
    side_by_side=True,
)
