"""Is the secret of a token guessed (C10)? Guesses per second on this machine, and what that means for kinds of secrets.

A guess at an HS256 secret needs one token and nobody's permission. Beside it: guesses at a key pair (EdDSA), and
guesses at a session cookie, which need an answer of the cluster each. A cluster with a weak secret must not start.
"""

import asyncio
import math
import multiprocessing
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtest.attacks.guessing import SECRETS, Guessed, common_passwords, guess, guess_keys, token_of, words
from loadtest.attacks.thief import Thief, cookie_header, cookies
from loadtest.cluster.faults import in_thread
from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.experiment import BasePlan, Context, Experiment, WrongAnswer, expect
from loadtest.experiments.people import log_in
from loadtest.load.client import register
from loadtest.report.drawing import GREEN, RED, Axes, rows
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import listed, number, power
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim

NAME = "secret_guessing"
HS256, EDDSA = "HS256", "EdDSA"
WEAK_SECRET = "a-weak-secret"  # noqa: S105  # that is what it is
SECRET_SETTING = "token-signing-secret"  # noqa: S105  # the setting's name
AT_ONCE = 8
SOON_SECONDS = 86_400.0
"""What falls within a day on one machine is guessed."""
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 31_557_600.0


@dataclass(frozen=True)
class Plan(BasePlan):
    """How many seconds each kind of guess gets, and whether a cluster with a weak secret is started."""

    seconds: float = 1.0
    start_weak: bool = True


async def measure(context: Context, plan: Plan) -> None:
    """Guess at secrets, at keys and at cookies, and try to start a cluster with a weak secret."""
    context.progress.start("guessing secrets", 4)
    await _guess_offline(context, plan)
    context.progress.advance()
    _find_weak_ones(context)
    context.progress.advance()
    await _guess_cookies(context, plan)
    context.progress.advance()
    if plan.start_weak:
        await _start_weak(context)
    context.progress.advance()


async def _guess_offline(context: Context, plan: Plan) -> None:
    """Guess with all cores at a secret and at a key that are not found."""
    token = token_of(secrets.token_urlsafe(32))
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for what, work in ((HS256, partial(_guess_for, token)), (EDDSA, partial(guess_keys, public))):
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, time.sleep, 0.1) for _ in range(cores)))
            done = await asyncio.gather(*(loop.run_in_executor(pool, work, plan.seconds) for _ in range(cores)))
            if any(one.secret for one in done):
                raise WrongAnswer(f"a random {what} key was guessed")
            rate = sum(one.guesses / one.seconds for one in done)
            context.record(what="offline", against=what, rate=rate, cores=cores)


def _guess_for(token: str, seconds: float) -> Guessed:
    return guess(token, (str(number) for number in range(1 << 62)), seconds)


def _find_weak_ones(context: Context) -> None:
    """Find secrets that people choose; one of 256 random bits is the control, and must not be found."""
    listed_ones = common_passwords()
    middle = listed_ones[len(listed_ones) // 2]
    cases = {
        "a common password": (middle, listed_ones),
        "5 digits": (f"{secrets.randbelow(10**5):05}", words("0123456789", 5)),
        "256 random bits": (secrets.token_urlsafe(32), listed_ones),
    }
    for kind, (secret, candidates) in cases.items():
        found = guess(token_of(secret), candidates)
        right = found.secret == secret
        context.record(what="found", kind=kind, found=right, guesses=found.guesses, seconds=found.seconds)


async def _guess_cookies(context: Context, plan: Plan) -> None:
    """Ask the cluster whether random cookies of the right form are sessions."""
    strategy = next((one for one in context.logins() if one.kind == "session"), None)
    if strategy is None:
        return
    path = f"/{strategy.name}/mypage"
    async with aiohttp.TCPConnector(limit=AT_ONCE) as connector, Thief(context.cluster.url, connector) as thief:
        async with context.client(strategy, connector) as client:
            await log_in(client, await register(client))
            own = cookies(client.credential(path).get("Cookie", ""))
        name = max(own, key=lambda cookie: len(own[cookie]))
        began, guesses = time.monotonic(), 0

        async def keep_guessing() -> None:
            nonlocal guesses
            while time.monotonic() - began < plan.seconds:
                tried = {**own, name: secrets.token_urlsafe(len(own[name]))[: len(own[name])]}
                expect(strategy, "a random cookie", await thief.send("GET", path, cookie_header(tried)), 401)
                guesses += 1

        await asyncio.gather(*(keep_guessing() for _ in range(AT_ONCE)))
        rate = guesses / (time.monotonic() - began)
    context.record(what="online", strategy=strategy.name, rate=rate)


async def _start_weak(context: Context) -> None:
    """Start a cluster with a weak secret. A refusal counts if it names the secret: a cluster may fail for others."""
    if context.spare_cluster is None:
        context.not_measured("the start with a weak secret", "no further cluster can be started here")
        return
    try:
        async with in_thread(context.spare_cluster({"AUTH_ALGORITHM": HS256, SECRET_SETTING: WEAK_SECRET})):
            context.record(what="weak start", refused=False)
    except ClusterError as error:
        if SECRET_SETTING in str(error):
            context.record(what="weak start", refused=True)
        else:
            context.not_measured("the start with a weak secret", str(error).partition("\n")[0])


def analyse(rows_: Sequence[Row], _config: Config) -> list[Figure]:
    """Return guesses per second, seconds per kind of secret (half of all, on average), and the refusal."""
    found = []
    for row in rows_:
        match row["what"]:
            case "offline":
                labels = {"where": "offline", "cores": str(row["cores"])}
                found.append(Figure(NAME, row["against"], "guesses_per_second", "1/s", row["rate"], labels=labels))
                if row["against"] == HS256:
                    found += [
                        Figure(NAME, HS256, "seconds_to_guess", "s", number_ / 2 / row["rate"], labels={"kind": kind})
                        for kind, number_ in SECRETS.items()
                    ]
            case "online":
                labels = {"where": "online"}
                found.append(Figure(NAME, row["strategy"], "guesses_per_second", "1/s", row["rate"], labels=labels))
            case "found":
                metric = "secret_found_in" if row["found"] else "secret_not_found_in"
                labels = {"kind": row["kind"]}
                found.append(Figure(NAME, HS256, metric, "s", row["seconds"], n=row["guesses"], labels=labels))
            case _:
                found.append(Figure(NAME, HS256, "weak_secret_refused", "count", int(row["refused"])))
    return found


def span(seconds: float) -> str:
    """Return a length of time, as people say it: `0.2 s`, `3 days`, `10³⁰ years`."""
    if seconds >= 1e6 * YEAR:
        return f"{power(len(str(int(seconds / YEAR))) - 1)} years"
    for unit, length in (("years", YEAR), ("days", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * length:
            return f"{number(float(f'{seconds / length:.2g}'))} {unit}"
    return f"{number(seconds)} s"


def sentences(view: View) -> Iterator[str]:
    """How guesses at tokens, keys and cookies compare."""
    rates = view.figures("guesses_per_second")
    offline = {f.strategy: f for f in rates if f.labels["where"] == "offline"}
    if HS256 in offline:
        yield (
            f"This machine makes {number(offline[HS256].value)} guesses per second at an HS256 secret without asking "
            "anybody; special hardware makes many times as many."
        )
    if EDDSA in offline:
        yield (
            f"At an EdDSA key it makes {number(offline[EDDSA].value)} guesses per second, and nobody chooses such a "
            "key: it is always 256 random bits."
        )
    for online in (f for f in rates if f.labels["where"] == "online"):
        yield (
            f"At a session cookie of {online.strategy} it makes {number(online.value)} guesses per second, each of "
            "which the cluster has to answer, and can count."
        )


def draw(axes: Axes, view: View) -> None:
    """How long each kind of secret lasts, on a logarithmic scale."""
    found = view.figures("seconds_to_guess")
    places = range(len(found))
    exponents = [max(1e-3, f.value) for f in found]
    tints = [RED if f.value <= SOON_SECONDS else GREEN for f in found]
    axes.barh(places, exponents, color=tints, height=0.55, left=1e-4)
    for place, figure in zip(places, found, strict=True):
        end = (max(1e-3, figure.value), place)
        axes.annotate(span(figure.value), end, (4, 0), textcoords="offset points", va="center", fontsize="small")
    axes.set_xscale("log")
    axes.set_xlim(1e-3, 1e3 * max(exponents) ** 1.25)
    axes.xaxis.set_major_formatter(lambda value, _: power(round(math.log10(value))))
    rows(axes, [f.labels["kind"] for f in found])
    axes.set_xlabel("seconds on this machine, on average")


def weak_secrets(view: View) -> tuple[str, str] | None:
    """C10 holds if a secret that people choose was found. The control, a random one, must not have been."""
    found, control = view.figures("secret_found_in"), view.figures("secret_not_found_in", kind="256 random bits")
    if not control or not (found or view.figures("secret_not_found_in")):
        return None
    times = view.figures("seconds_to_guess")
    figures = listed([f"{f.labels['kind']} found in {span(f.value)} ({number(f.n)} guesses)" for f in found])
    figures += "; computed: " + listed([f"{f.labels['kind']} {span(f.value)}" for f in times])
    if not found:
        return figures, "not seen: no weak secret was found"
    soon = [f.labels["kind"] for f in times if f.value <= SOON_SECONDS]
    refused = view.one("weak_secret_refused")
    verdict = f"holds for {HS256}: {listed(soon)} within a day; a key pair has no secret to guess"
    if refused is None:
        return figures, verdict
    return figures, f"{verdict}; a weak secret {'is refused' if refused.value else 'is NOT refused'} at the start"


PLOT = Plot(
    NAME,
    "seconds_to_guess",
    "How long a secret lasts",
    "How long this machine takes to guess the secret of an HS256 token, by what the secret is. Red: within a day.",
    draw,
    3.0,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="How long does it take to guess the secret of a token?",
    quick=Plan(),
    full=Plan(seconds=5.0),
    seconds=(7, 25),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Guessing: HMAC-SHA256 by OpenSSL on all cores, with nothing else running. Times are for half of all secrets "
        "of a kind.",
    ),
    claims=(Claim("C10", weak_secrets),),
)
