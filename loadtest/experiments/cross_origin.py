"""What does a page of another origin get out of a login (C5)? A real browser tries, with `fetch` and with forms.

The victim is logged in at one host. Pages of the same origin, of another port, of a subdomain and of another site send
requests there. A site that takes no care is the control, and must fall.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from loadtest.attacks.browser import NoBrowserError, browser
from loadtest.attacks.weak_site import weak_site
from loadtest.experiments.experiment import BasePlan, Context, Experiment, refusal
from loadtest.load.client import Account, Strategy, register
from loadtest.report.drawing import Axes, colour, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

NAME = "cross_origin"
CONTROL = "a careless site"
VICTIM = "app.localhost"
SAME, PORT, SUBDOMAIN, SITE = "the same origin", "another port", "a subdomain", "another site"
HOSTS = {PORT: VICTIM, SUBDOMAIN: f"evil.{VICTIM}", SITE: "elsewhere.localhost"}
"""Hosts under `localhost` are the machine itself to a browser (RFC 6761), and each of them is a site of its own."""
PATIENCE_SECONDS = 20.0
LOG_IN = """async ([path, body]) => {
    const answer = await fetch(path, {
        method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
    });
    const content = await answer.json();
    if (content.access_token) localStorage.setItem("token", content.access_token);
    return answer.status;
}"""
FETCH = """async ([url, method, mode]) => {
    const token = localStorage.getItem("token");
    const headers = token ? {Authorization: "Bearer " + token} : {};
    try {
        const answer = await fetch(url, {method, mode, headers, credentials: "include"});
        return mode === "cors" && answer.ok;
    } catch { return false; }
}"""
# The form is sent a moment later: a script that navigates its own page away may never return.
SUBMIT = """([url, method]) => {
    const form = document.createElement("form");
    form.action = url; form.method = method;
    document.body.append(form); setTimeout(() => form.submit(), 50);
}"""
READ = """() => document.cookie + "|" + (localStorage.getItem("token") || "")"""


@dataclass(frozen=True)
class Target:
    """One login that pages want to use. *write*: where a POST changes something, if there is such a place."""

    name: str
    origin: URL
    login: str
    account: Mapping[str, str]
    read: URL
    write: URL | None


async def measure(context: Context, _plan: BasePlan) -> None:
    """Attack every strategy, and the control."""
    async with AsyncExitStack() as stack:
        try:
            running = await stack.enter_async_context(browser())
        except NoBrowserError as error:
            context.not_measured("everything", str(error))
            return
        weak, port = [await stack.enter_async_context(weak_site()) for _ in range(2)]
        targets = [careless(weak), *[_target(context, one, await _account(context)) for one in context.logins()]]
        context.progress.start("sending requests from other origins", len(targets))
        for target in targets:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS), victim(running, target) as page:
                    await attack(context, page, target, port)
            except TimeoutError:
                context.not_measured(target.name, f"the browser did not answer within {PATIENCE_SECONDS:g} s")
            context.progress.advance()


def careless(port: int) -> Target:
    """Return the login at a site on *port* that takes no care."""
    origin = URL.build(scheme="http", host=VICTIM, port=port)
    return Target(CONTROL, origin, "/weak/login", {}, origin / "weak/mypage", origin / "weak/visits")


def _target(context: Context, strategy: Strategy, account: Account) -> Target:
    origin = URL(context.cluster.url).with_host(VICTIM)
    root = origin / strategy.name
    write = root / "visits" if "visits" in strategy.capabilities else None
    return Target(strategy.name, origin, strategy.login or "", account.credentials(), root / "mypage", write)


async def _account(context: Context) -> Account:
    async with aiohttp.TCPConnector() as connector, context.client(context.logins()[0], connector) as client:
        return await register(client)


@asynccontextmanager
async def victim(running: "Browser", target: Target) -> AsyncIterator["Page"]:
    """Yield a page of the target's origin in which the victim has logged in."""
    profile = await running.new_context()
    try:
        page = await profile.new_page()
        await page.goto(str(target.read))
        status = await page.evaluate(LOG_IN, [target.login, dict(target.account)])
        if status != 200:
            raise refusal(f"{target.name}: login in a browser: status {status}, must be 200", status)
        yield page
    finally:
        await profile.close()


async def attack(context: Context, page: "Page", target: Target, port: int) -> None:
    """Send requests from every origin, starting with the page's own; then see what a script can read."""
    for origin in (SAME, *HOSTS):
        other = URL.build(scheme="http", host=HOSTS.get(origin, VICTIM), port=port, path="/")
        start = str(target.read if origin == SAME else other)
        for how, url, method in (
            ("fetch", target.read, "GET"),
            ("fetch", target.write, "POST"),
            ("form", target.read, "GET"),
            ("form", target.write, "POST"),
        ):
            if url is None:
                continue
            if page.url != start:  # it is another origin's turn, or a form has led away
                await page.goto(start)
            status, readable = await _send(page, how, str(url), method, same=origin == SAME)
            row = {"strategy": target.name, "origin": origin, "how": how, "method": method}
            context.record(**row, status=status, readable=readable)
    await page.goto(str(target.read))
    cookies, _, token = str(await page.evaluate(READ)).partition("|")
    names = [cookie["name"] for cookie in await page.context.cookies(str(target.read))]
    seen = bool(token) or any(f"{name}=" in cookies for name in names if "session" in name)
    context.record(strategy=target.name, origin=SAME, how="script", script_reads=seen)


async def _send(page: "Page", how: str, url: str, method: str, *, same: bool) -> tuple[int, bool]:
    """Send one request; return the status that the browser got, and whether a script could read the answer."""
    if how == "form":
        async with page.expect_navigation() as navigation:
            await page.evaluate(SUBMIT, [url, method])
        answer = await navigation.value
        return answer.status if answer else 0, False
    async with page.expect_response(url) as caught:
        await page.evaluate(FETCH, [url, method, "cors" if same else "no-cors"])
    readable = method == "GET" and bool(await page.evaluate(FETCH, [url, method, "cors"]))
    return (await caught.value).status, readable


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return, by strategy and origin, how many requests carried the credential, were obeyed, and were read."""
    found = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        mine = [row for row in rows if row["strategy"] == name]
        for origin in (SAME, *HOSTS):
            sent = [row for row in mine if row["origin"] == origin and "status" in row]
            found += _of_origin(name, origin, sent)
        for row in mine:
            if row["how"] == "script":
                found.append(Figure(NAME, name, "credential_read_by_script", "count", int(row["script_reads"])))
    return found


def _of_origin(name: str, origin: str, sent: Sequence[Row]) -> list[Figure]:
    found: list[Figure] = []
    gets = [row for row in sent if row["method"] == "GET"]
    posts = [row for row in sent if row["method"] == "POST"]
    for metric, of, counted in (
        ("credential_sent", gets, [row["how"] for row in gets if _good(row)]),
        ("forged_posts_obeyed", posts, [row["how"] for row in posts if _good(row)]),
        ("answers_read", gets, [row["how"] for row in gets if row["readable"]]),
    ):
        if of:
            labels = {"origin": origin, "how": " and ".join(counted)}
            found.append(Figure(NAME, name, metric, "count", len(counted), n=len(of), labels=labels))
    return found


def _good(row: Row) -> bool:
    return bool(200 <= row["status"] < 300)


def _foreign(view: View, metric: str, name: str) -> list[Figure]:
    """Return the figures of other origins that are not zero."""
    return [f for f in view.figures(metric, name) if f.value and f.labels["origin"] != SAME]


def sentences(view: View) -> Iterator[str]:
    """Who sends what, what a script can read, and what CORS would have to allow."""
    for metric, words in (
        ("credential_sent", "send the credential of {} along"),
        ("forged_posts_obeyed", "can change something at {}"),
    ):
        groups: dict[str, list[str]] = {}
        for name in view.strategies(metric):
            where = listed([f"{f.labels['origin']} ({f.labels['how']})" for f in _foreign(view, metric, name)] or [""])
            groups.setdefault(where, []).append(name)
        for where, names in groups.items():
            if where:
                yield f"Pages of {where} {words.format(listed(names))}."
    reads = [f.strategy for f in view.figures("credential_read_by_script") if f.value]
    if reads:
        yield f"A script in the page itself, such as an injected one, can read the credential of {listed(reads)}."
    if view.figures("answers_read"):
        yield (
            "To let another origin's scripts in, CORS has to name that origin, and allow credentials where there are "
            "cookies, or the header Authorization where there are tokens (Fetch standard, section 3.3)."
        )


def draw(axes: Axes, view: View) -> None:
    """How many of the requests of other origins carried the credential."""
    names = view.strategies("credential_sent")
    totals = [
        Figure(NAME, name, "credential_sent", "count", sum(f.value for f in _foreign(view, "credential_sent", name)))
        for name in names
    ]
    dots(axes, totals, names, [colour(view, name) for name in names])
    axes.set_xlim(-0.3, 7)
    axes.set_xlabel("of 6 requests from other origins: with the credential")


def bound_to_a_domain(view: View) -> tuple[str, str] | None:
    """C5 is about cookies: it holds where they are sent to their own site only. No verdict unless the control falls."""
    sent = [name for name in view.strategies("credential_sent") if name != CONTROL]
    if not sent or not _foreign(view, "forged_posts_obeyed", CONTROL):
        return None
    if any(not f.value for f in view.figures("credential_sent", origin=SAME)):
        return None
    obeyed = {name: _foreign(view, "forged_posts_obeyed", name) for name in sent}
    tried = view.strategies("forged_posts_obeyed")
    counts = [f"{name} {sum(f.value for f in obeyed[name]):.0f}" for name in sent if name in tried]
    figures = f"forged POSTs obeyed: {listed(counts)}" if counts else "no POST could be forged"
    figures += f"; by the control {sum(f.value for f in _foreign(view, 'forged_posts_obeyed', CONTROL)):.0f}"
    fallen = [f"{name} ({listed([f.labels['origin'] for f in obeyed[name]])})" for name in sent if obeyed[name]]
    cookies = [name for name in sent if view.kind(name) == "session" and name not in fallen and not obeyed[name]]
    tokens = [name for name in sent if view.kind(name) == "token" and not _foreign(view, "credential_sent", name)]
    along = sorted({f.labels["origin"] for name in cookies for f in _foreign(view, "credential_sent", name)})
    parts = [
        f"holds for {listed(cookies)}: browsers send their cookies along from {listed(along) if along else 'nowhere'}, "
        "but no forged POST is obeyed" if cookies else "",
        f"tokens ({listed(tokens)}) are not sent by themselves" if tokens else "",
        f"forged POSTs are obeyed by {listed(fallen)}" if fallen else "",
    ]  # fmt: skip
    return figures, "; ".join(part for part in parts if part)


PLOT = Plot(
    NAME,
    "credential_sent",
    "Requests from other origins",
    "How many requests of pages of other origins a browser sent with the victim's credential.",
    draw,
    2.8,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a page of another origin get out of a login?",
    quick=BasePlan(),
    full=BasePlan(),
    seconds=(15, 15),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Other origins: Chromium without a window, plain HTTP under hosts of `localhost`. The same requests must work "
        "from the page's own origin, and a careless site must obey them.",
    ),
    claims=(Claim("C5", bound_to_a_domain),),
    side_by_side=True,
)
