"""Does a client gain anything by changing its credential (C2)? Forged tokens and cookies, sent to every strategy.

Every forgery is also sent to a server that has the flaw it is made for. One that does not get in there is broken
itself, and what it says of a strategy is not counted.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp

from loadtest.attacks.forgeries import COOKIES, TOKENS, CookieForgery, Known, NotPossible, TokenForgery
from loadtest.attacks.thief import Thief, cookie_header, cookies
from loadtest.attacks.weak_server import COOKIE, WeakServer, weak_server
from loadtest.experiments.experiment import BasePlan, Context, Experiment, refusal
from loadtest.experiments.people import log_in
from loadtest.experiments.rows import figure
from loadtest.load.client import Client, Strategy, register
from loadtest.report.drawing import RED, Axes, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed
from loadtest.results.view import View
from loadtest.statistics.estimates import Interval
from loadtest.verdicts.claims import Claim

NAME = "forgery"
CONTROL = "weak verifier"
VISITS = 3


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of new logins that attack each strategy, each with every forgery."""

    logins: int = 2


class Sent(NamedTuple):
    """One forgery, ready to be sent to the strategy and to the control. *flaw*: what the control has to have."""

    attack: str
    flaw: str
    headers: Mapping[str, str]
    control_headers: Mapping[str, str]


async def measure(context: Context, plan: Plan) -> None:
    """Attack every strategy with every forgery that fits its credential."""
    logins = context.logins()
    context.progress.start("forging credentials", plan.logins * len(logins))
    async with aiohttp.TCPConnector() as connector, weak_server() as weak, Thief(weak.url, connector) as control:
        for number in range(plan.logins):
            for strategy in logins:
                async with _two_logins(context, strategy, connector) as (own, other):
                    await _attack(context, connector, own, other, weak, control, number)
                    if "visits" in strategy.capabilities:
                        await _bring_back(context, connector, own, number)
                context.progress.advance()


@asynccontextmanager
async def _two_logins(
    context: Context, strategy: Strategy, connector: aiohttp.BaseConnector
) -> AsyncIterator[tuple[Client, Client]]:
    """Yield the attacker's login and the victim's."""
    async with context.client(strategy, connector) as own, context.client(strategy, connector) as other:
        for client in (own, other):
            await log_in(client, await register(client))
        yield own, other


async def _attack(
    context: Context,
    connector: aiohttp.BaseConnector,
    own: Client,
    other: Client,
    weak: WeakServer,
    control: Thief,
    number: int,
) -> None:
    """Send every forgery to the strategy of *own*, and to the control with the flaw and without any."""
    strategy, path = own.strategy, f"/{own.strategy.name}/mypage"
    async with Thief(own.base, connector) as thief:
        genuine = own.credential(path)
        await _must_be_good(thief, path, genuine, "before")
        for sent in await _forgeries(own, other, thief, weak, genuine):
            answer = await thief.send("GET", path, sent.headers)
            fell = await control.send("GET", f"/{sent.flaw}/mypage", sent.control_headers)
            strict = await control.send("GET", "/strict/mypage", sent.control_headers)
            context.record(
                round=number,
                strategy=strategy.name,
                attack=sent.attack,
                status=answer.status,
                control_fell=fell.status == 200,
                strict_refused=strict.status == 401,
            )
        await _must_be_good(thief, path, genuine, "after")


async def _must_be_good(thief: Thief, path: str, genuine: Mapping[str, str], when: str) -> None:
    """Without this, refusals would say nothing: maybe everything is refused."""
    answer = await thief.send("GET", path, genuine)
    if answer.status != 200:
        what = f"{path}: the genuine credential gets status {answer.status} {when} the forgeries"
        raise refusal(what, answer.status)


async def _forgeries(
    own: Client, other: Client, thief: Thief, weak: WeakServer, genuine: Mapping[str, str]
) -> list[Sent]:
    if own.strategy.kind == "token":
        jwks = (await thief.send("GET", "/auth/jwks.json")).body or {}
        known = Known(own.access_token, own.refresh_token, tuple(jwks.get("keys", ())))
        theirs = Known(weak.token(), weak.token("rt+jwt"), (weak.jwk,))
        return list(_tokens(known, theirs))
    return list(_cookies(genuine, other.credential(f"/{own.strategy.name}/mypage"), weak))


def _tokens(known: Known, theirs: Known) -> Iterator[Sent]:
    for name, forgery in TOKENS.items():
        with suppress(NotPossible):
            forged, control = (_bearer(forgery, one) for one in (known, theirs))
            yield Sent(name, forgery.flaw.name, forged, control)


def _bearer(forgery: TokenForgery, known: Known) -> dict[str, str]:
    return {"Authorization": f"Bearer {forgery.forge(known)}"}


def _cookies(genuine: Mapping[str, str], others: Mapping[str, str], weak: WeakServer) -> Iterator[Sent]:
    own, theirs = cookies(genuine["Cookie"]), cookies(others["Cookie"])
    for name, forgery in COOKIES.items():
        control = forgery.forge(weak.sessions.begin(), weak.sessions.begin())
        yield Sent(name, forgery.flaw.name, _forged(forgery, own, theirs), cookie_header({COOKIE: control}))


def _forged(forgery: CookieForgery, own: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Return the attacker's cookies, the longest of them forged: shorter ones lead the load balancer to a replica."""
    name = max(own, key=lambda cookie: len(own[cookie]))
    return cookie_header({**own, name: forgery.forge(own[name], others[name])})


async def _bring_back(context: Context, connector: aiohttp.BaseConnector, own: Client, number: int) -> None:
    """Count visits, send an earlier credential again, and see whether the earlier count is back."""
    strategy = own.strategy.name
    await own.visits()
    old = own.credential(f"/{strategy}/visits")
    for _ in range(VISITS):
        last = await own.visits()
    async with Thief(own.base, connector) as thief:
        answer = await thief.send("POST", f"/{strategy}/visits", old)
    if last.status != 200 or answer.status not in (200, 401):
        raise refusal(f"{strategy}: visits: status {last.status}, then {answer.status}", last.status, answer.status)
    back = answer.status == 200 and answer.body["visits"] <= last.body["visits"]
    context.record(round=number, strategy=strategy, attack="an older credential", back=back)


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return how many forgeries got in, of those that were delivered and that the control fell for."""
    found = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == name]
        found += _accepted(name, [row for row in mine if "status" in row])
        replays = [row["back"] for row in mine if "back" in row]
        if replays:
            found.append(figure(NAME, name, "old_states_restored", "count", _count(sum(replays), len(replays))))
    sent = [row for row in rows if "status" in row]
    if sent:
        fell = sum(row["control_fell"] for row in sent)
        found.append(figure(NAME, CONTROL, "control_forgeries_accepted", "count", _count(fell, len(sent))))
    return found


def _count(part: int, whole: int) -> Interval:
    return Interval(part, None, None, whole)


def _accepted(name: str, sent: Sequence[Row]) -> list[Figure]:
    counted = [row for row in sent if proven(row)]
    found = []
    if counted:
        got_in = dict.fromkeys(row["attack"] for row in counted if row["status"] == 200)
        kinds = len({row["attack"] for row in counted})
        labels = {"attacks": str(kinds), "accepted": ", ".join(got_in)}
        accepted = sum(row["status"] == 200 for row in counted)
        found.append(figure(NAME, name, "forgeries_accepted", "count", _count(accepted, len(counted)), **labels))
    broken = dict.fromkeys(row["attack"] for row in sent if not proven(row))
    if broken:
        labels = {"attacks": ", ".join(broken)}
        found.append(figure(NAME, name, "forgeries_not_counted", "count", _count(len(broken), len(sent)), **labels))
    return found


def proven(row: Row) -> bool:
    """Return whether the forgery arrived, and got in by its flaw and by nothing else at the control."""
    return bool(row["status"] and row["control_fell"] and row["strict_refused"])


def sentences(view: View) -> Iterator[str]:
    """What the control fell for, what was not counted, and where an older credential brings an older state back."""
    for control in view.figures("control_forgeries_accepted"):
        yield (
            f"A deliberately weak verifier accepted {control.value:.0f} of the same {control.n} forgeries: "
            "they do work where there is a flaw."
        )
    for lost in view.figures("forgeries_not_counted"):
        yield f"Not counted for {lost.strategy}, because the weak verifier did not fall: {lost.labels['attacks']}."
    back = [f.strategy for f in view.figures("old_states_restored") if f.value]
    if back:
        yield f"With {listed(back)}, a client that sends an older credential again gets its older state back."


def draw(axes: Axes, view: View) -> None:
    """How many forgeries got in, in percent of those sent; the control on top."""
    found = [*view.figures("control_forgeries_accepted"), *view.figures("forgeries_accepted")]
    shares = [Figure(f.experiment, f.strategy, f.metric, "%", 100 * f.value / f.n, n=f.n) for f in found]
    names = [f"{f.strategy} ({f.value:.0f} of {f.n})" for f in found]
    dots(axes, shares, names, [RED if share.value else "#009E73" for share in shares])
    axes.set_xlim(-2, 115)
    axes.set_xlabel("% of forgeries accepted")


def changed_data(view: View) -> tuple[str, str] | None:
    """C2 holds for session strategies that accepted no forgery. The control must have fallen."""
    accepted = view.figures("forgeries_accepted")
    if not accepted or not any(f.value for f in view.figures("control_forgeries_accepted")):
        return None
    figures = "forgeries accepted: " + listed([f"{f.strategy} {f.value:.0f} of {f.n}" for f in accepted])
    back = {f.strategy for f in view.figures("old_states_restored") if f.value}
    open_ = [f"{f.strategy} ({f.labels['accepted']})" for f in accepted if f.value]
    closed = [f.strategy for f in accepted if not f.value and f.strategy not in back]
    replayed = [f.strategy for f in accepted if not f.value and f.strategy in back]
    parts = [
        f"holds for {listed(closed)}" if closed else "",
        f"{listed(replayed)}: no forgery, but an older credential brings the older state back" if replayed else "",
        f"does not hold for {listed(open_)}" if open_ else "",
    ]
    return figures, "; ".join(part for part in parts if part)


PLOT = Plot(
    NAME,
    "forgeries_accepted",
    "Forged credentials",
    "How many forged tokens and cookies were accepted. The weak verifier is the control: it has the flaws on purpose.",
    draw,
    2.6,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Does a client gain anything by changing its credential?",
    quick=Plan(),
    full=Plan(logins=5),
    seconds=(3, 10),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Forgery: only forgeries that a verifier with the right flaw accepts, and one without refuses, are counted; "
        "the genuine credential is accepted before and after them.",
    ),
    claims=(Claim("C2", changed_data),),
    side_by_side=True,
)
