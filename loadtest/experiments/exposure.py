"""What does a stolen credential say to somebody without any key (C9)? Every usual encoding is undone."""

import base64
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from loadtest.attacks.reading import common, facts, members
from loadtest.attacks.thief import cookies
from loadtest.experiments.experiment import BasePlan, Context, Experiment, expect
from loadtest.experiments.people import log_in
from loadtest.load.client import Account, Client, Strategy, register
from loadtest.report.drawing import Axes, colour, dots
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim

NAME = "exposure"
PLANTED, RANDOM = "planted", "random"
LINKING_LETTERS = 6
"""What two logins of one user have in common beyond what those of two users have: by chance, one in 64⁶ pairs."""


@dataclass(frozen=True)
class Plan(BasePlan):
    """The number of pairs of logins of each strategy that are read."""

    pairs: int = 2


@dataclass(frozen=True)
class Login:
    """The credentials of one login, by what they are, and what is true of its user."""

    credentials: Mapping[str, str]
    known: Mapping[str, str]
    time: float


async def measure(context: Context, plan: Plan) -> None:
    """Read what was made to be read, what was made not to be, and then the credentials of every strategy."""
    _control(context)
    logins = context.logins()
    context.progress.start("reading credentials", plan.pairs * len(logins))
    async with aiohttp.TCPConnector() as connector:
        for number in range(plan.pairs):
            for strategy in logins:
                first, second, stranger = await _three(context, strategy, connector)
                for what, credential in first.credentials.items():
                    same = common(credential, second.credentials[what])
                    chance = common(credential, stranger.credentials[what])
                    linked = same - chance >= LINKING_LETTERS
                    context.record(round=number, strategy=strategy.name, linked=linked, **_row(what, credential, first))
                context.progress.advance()


def _control(context: Context) -> None:
    """A name between random bytes must be found; random bytes must say nothing."""
    name = f"user-{secrets.token_hex(8)}"
    login = Login({}, {"user name": name}, time.time())
    hidden = secrets.token_bytes(7) + name.encode() + secrets.token_bytes(7)
    for strategy, data in ((PLANTED, hidden), (RANDOM, secrets.token_bytes(48))):
        text = base64.urlsafe_b64encode(data).decode()
        context.record(round=0, strategy=strategy, linked=False, **_row("control", text, login))


def _row(what: str, credential: str, login: Login) -> dict[str, str | int]:
    """Return what *credential* says. The row must not say it, too: it names what can be read, not what it is."""
    return {
        "credential": what,
        "bytes": len(credential),
        "facts": ", ".join(facts(credential, login.known, login.time)),
        "members": ", ".join(members(credential)),
    }


async def _three(context: Context, strategy: Strategy, connector: aiohttp.BaseConnector) -> tuple[Login, Login, Login]:
    """Return two logins of one user, and one of another."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(context.client(strategy, connector)) for _ in range(3)]
        account = await register(clients[0])
        accounts = [account, account, await register(clients[2])]
        one, two, three = [await _login(c, a) for c, a in zip(clients, accounts, strict=True)]
    return one, two, three


async def _login(client: Client, account: Account) -> Login:
    await log_in(client, account)
    page = await client.mypage()
    expect(client.strategy, "my page", page)
    if client.strategy.kind == "token":
        found = {"access token": client.access_token, "refresh token": client.refresh_token}
    else:
        sent = cookies(client.credential(f"/{client.strategy.name}/mypage")["Cookie"])
        found = {"session cookie": max(sent.values(), key=len)}
    return Login(found, {"user id": page.body["user"]["id"], "user name": account.username}, time.time())


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return what each credential reveals: facts about the user, names of members, and whether it links logins."""
    found = []
    for strategy, what in dict.fromkeys((row["strategy"], row["credential"]) for row in rows):
        mine = [row for row in rows if (row["strategy"], row["credential"]) == (strategy, what)]
        for metric in ("facts", "members"):
            names = dict.fromkeys(name for row in mine for name in row[metric].split(", ") if name)
            labels = {"credential": what, "names": ", ".join(names)}
            found.append(Figure(NAME, strategy, f"readable_{metric}", "count", len(names), n=len(mine), labels=labels))
        linked, size = sum(row["linked"] for row in mine), max(row["bytes"] for row in mine)
        labels = {"credential": what}
        found.append(Figure(NAME, strategy, "logins_linked", "count", linked, n=len(mine), labels=labels))
        found.append(Figure(NAME, strategy, "credential_size", "bytes", size, n=len(mine), labels=labels))
    return found


def sound(view: View) -> bool:
    """Return whether the reader found what was planted, and nothing in random bytes."""
    planted, random = (view.one("readable_facts", name) for name in (PLANTED, RANDOM))
    return bool(planted and planted.value and random and not random.value)


def _strategies(view: View) -> list[Figure]:
    return [f for f in view.figures("readable_facts") if f.strategy not in (PLANTED, RANDOM)]


def sentences(view: View) -> Iterator[str]:
    """Which credentials tell that two logins belong to one user."""
    linked = [f for f in view.figures("logins_linked") if f.value]
    if linked:
        yield f"Without any key, two logins can be linked to one user by {_named(linked)}."


def draw(axes: Axes, view: View) -> None:
    """How many facts can be read from each credential, and which."""
    found = _strategies(view)
    names = [f"{f.strategy}: {f.labels['credential']}" for f in found]
    dots(axes, found, names, [colour(view, f.strategy) for f in found])
    axes.set_xlim(-0.2, 4)
    axes.set_xlabel("facts that can be read")


def readable(view: View) -> tuple[str, str] | None:
    """C9 holds for credentials that tell who the user is. Without a reader that is sound, nothing is said."""
    found = _strategies(view)
    if not found or not sound(view):
        return None
    contents: dict[str, list[Figure]] = {}
    for figure in found:
        contents.setdefault(figure.labels["names"] or "nothing", []).append(figure)
    figures = "readable without a key: " + "; ".join(f"{names} from {_named(of)}" for names, of in contents.items())
    open_ = [f for f in found if "user" in f.labels["names"]]
    closed = [f for f in found if "user" not in f.labels["names"]]
    parts = [f"holds for {_named(open_)}" if open_ else "", f"not for {_named(closed)}" if closed else ""]
    return figures, "; ".join(part for part in parts if part)


def _named(figures: Sequence[Figure]) -> str:
    """Return `the session cookie of memory and redis, and ...`: whose credentials these are."""
    owners: dict[str, list[str]] = {}
    for figure in figures:
        owners.setdefault(figure.labels["credential"], []).append(figure.strategy)
    return listed([f"the {credential} of {listed(names)}" for credential, names in owners.items()])


PLOT = Plot(
    NAME,
    "readable_facts",
    "What a stolen credential says",
    "How many of three facts (the user's id, their name, when they logged in) can be read from a credential without "
    "any key.",
    draw,
    3.6,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a stolen credential say to somebody without any key?",
    quick=Plan(),
    full=Plan(pairs=5),
    seconds=(3, 8),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Exposure: percent signs, base64, hexadecimal and zlib are undone. A name planted between random bytes has to "
        "be found, and nothing in random bytes, or there is no verdict.",
    ),
    claims=(Claim("C9", readable),),
    side_by_side=True,
)
