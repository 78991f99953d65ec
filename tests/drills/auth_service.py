"""Drills on a real cluster that provoke what must never happen, repeatedly, and report what they saw.

The normal test suite runs a sample of each, `make stress` the numbers that the project promises.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import jwt

from loadtest.cluster.local import LocalCluster
from tests.drills.progress import Told, nobody
from tests.support.clients.auth import Auth, Timed, auth_bases, auth_of, timed
from tests.support.cluster import until_running
from tests.support.history import NO_ANSWER

RETRY_SECONDS = 0.02
"""Clients that ask without pause would keep the cores from the processes that start."""


async def refresh_races(cluster: LocalCluster, races: int, told: Told = nobody, *, ways: int = 20) -> Counter[str]:
    """T4: let *ways* clients refresh one token concurrently, over all auth processes; then continue with its successor.

    Returns counts: `one lineage`; `double mint` if successors differ; anything else is an answer other than 200, such
    as the false alarm `400 invalid_grant`.
    """
    seen: Counter[str] = Counter()
    async with auth_of(cluster, directly=True) as auth:
        token = ""
        for race in range(races):
            if race % 10 == 0:  # a family of its own now and then
                token = (await auth.login(await auth.register()))["refresh_token"]
            answers = await asyncio.gather(*(auth.refresh(token) for _ in range(ways)))
            seen.update(answer.verdict for answer in answers if answer.status != 200)
            successors = {answer.body["refresh_token"] for answer in answers if answer.status == 200}
            seen["one lineage" if len(successors) == 1 else f"double mint: {len(successors)} successors"] += 1
            token = successors.pop() if successors else token
            told(race + 1)
        seen[f"afterwards {(await auth.refresh(token)).verdict}"] += 1
    return seen


async def revoke_races(cluster: LocalCluster, races: int, told: Told = nobody, *, ways: int = 4) -> Counter[str]:
    """T5: revoke a login while it is refreshed, over all auth processes; afterwards present every token that was
    issued.

    Returns counts: `dead` and `survivor`, per token presented after the acknowledgement of the revocation; `won` counts
    refreshes that were faster than the revocation.
    """
    seen: Counter[str] = Counter()
    async with auth_of(cluster, directly=True) as auth:
        credentials = await auth.register()
        for race in range(races):
            token = (await auth.login(credentials))["refresh_token"]
            refreshing = [asyncio.ensure_future(auth.refresh(token)) for _ in range(ways)]
            await asyncio.sleep(random.random() * 0.006)  # the moment varies: that is the race
            revoked = await auth.revoke(token)
            answers = await asyncio.gather(*refreshing)
            assert revoked.status == 200, revoked
            issued = {answer.body["refresh_token"] for answer in answers if answer.status == 200}
            seen["won"] += bool(issued)
            for answer in [await auth.refresh(one) for one in (token, *issued)]:
                seen[{"400 invalid_grant": "dead", "200": "survivor"}.get(answer.verdict, answer.verdict)] += 1
            told(race + 1)
    return seen


async def auth_kills(cluster: LocalCluster, kills: int, told: Told = nobody, *, devices: int = 6) -> Counter[str]:
    """T4 under faults: kill an auth process while devices refresh there. Each device then repeats what got no answer.

    Returns the answers to the repetitions (all must be 200), and how many requests were `hit` by a kill.
    """
    seen: Counter[str] = Counter()
    names = [f"auth-{number}" for number in range(1, len(auth_bases(cluster)) + 1)]
    async with auth_of(cluster, directly=False) as auth:
        tokens = [(await auth.login(await auth.register()))["refresh_token"] for _ in range(devices)]
        for kill in range(kills):
            victim = kill % len(names)
            await asyncio.to_thread(until_running, cluster, names[victim], others=False)
            base = auth_bases(cluster)[victim]
            refreshing = [asyncio.ensure_future(_refresh_until_hit(auth, token, base)) for token in tokens]
            await asyncio.sleep(random.random() * 0.05)  # the moment of the kill varies
            await asyncio.to_thread(cluster.kill, names[victim])
            tokens = await asyncio.gather(*refreshing)
            seen["hit"] += len(tokens)
            tokens = await asyncio.gather(*(_repeat(auth, token, seen) for token in tokens))
            told(kill + 1)
        await asyncio.to_thread(cluster.wait_ready)
    return seen


async def _refresh_until_hit(auth: Auth, token: str, base: str) -> str:
    """Refresh at *base* until it does not answer; return the token that was presented last."""
    while (answer := await auth.refresh(token, base)).status == 200:
        token = answer.body["refresh_token"]
    assert answer.status == NO_ANSWER, answer
    return token


async def _repeat(auth: Auth, token: str, seen: Counter[str]) -> str:
    """Present *token* again, like a client whose answer was lost, until somebody answers. Return the successor."""
    while (answer := await auth.refresh(token)).status in (NO_ANSWER, 503):  # noqa: ASYNC110  # there is no event
        await asyncio.sleep(RETRY_SECONDS)
    seen[answer.verdict] += 1
    return str(answer.body.get("refresh_token", token))


async def rotations_under_load(
    cluster: LocalCluster, rotations: int, pause: Callable[[], Awaitable[None]], told: Told = nobody, *, users: int = 8
) -> Counter[str]:
    """J17: rotate the signing key while users read my page, refresh, and log in again. *pause* waits before each
    rotation.

    Returns counts of all answers, the number of rotations (`rotated`), and the number of keys that signed tokens
    (`signers`).
    """
    seen: Counter[str] = Counter()
    signers: set[str] = set()
    over = asyncio.Event()
    async with auth_of(cluster, directly=False) as auth:
        accounts = [await auth.register() for _ in range(users)]
        admin = {"username": "admin", "password": cluster.secret("admin-password")}
        reading = [asyncio.create_task(_read(cluster, auth, account, over, seen, signers)) for account in accounts]
        try:
            for rotation in range(rotations):
                await pause()
                bearer = f"Bearer {(await auth.login(admin))['access_token']}"
                answer = await auth.post("/auth/admin/keys/rotate", headers={"Authorization": bearer})
                assert answer.status in (200, 201, 204), answer
                seen["rotated"] += 1
                told(rotation + 1)
            await pause()
        finally:
            over.set()
            await asyncio.gather(*reading)
    seen["signers"] = len(signers)
    return seen


async def _read(
    cluster: LocalCluster,
    auth: Auth,
    account: dict[str, str],
    over: asyncio.Event,
    seen: Counter[str],
    signers: set[str],
) -> None:
    """Log in, read my page at every replica, refresh, and read again at once, a few times; then start over."""
    pages = 2 * len(cluster.replicas())
    while not over.is_set():
        tokens = await auth.login(account)
        for _ in range(8):
            signers.add(jwt.get_unverified_header(tokens["access_token"])["kid"])
            for _ in range(pages):
                bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
                answer = await auth.send("GET", f"{cluster.url}/jwt/mypage", headers=bearer)
                seen[f"my page {answer.verdict}"] += 1
                await asyncio.sleep(0.01)
            renewed = await auth.refresh(tokens["refresh_token"])
            seen[f"refresh {renewed.verdict}"] += 1
            tokens = renewed.body if renewed.status == 200 else tokens


@dataclass
class Flood:
    """The effect of a login flood: the seconds that `/healthz` took, from when it was due, and the answers to the
    logins.
    """

    health: list[float] = field(default_factory=list)
    logins: Counter[str] = field(default_factory=Counter)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    """set when the first login was refused because too many wait"""

    def percentile(self, share: float) -> float:
        """Return the health checks' percentile in milliseconds."""
        ordered = sorted(self.health)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def login_flood(cluster: LocalCluster, seconds: float, *, at_once: int = 200, every: float = 0.02) -> Flood:
    """T10: *at_once* clients log in without pause at one auth process. Once its queue is full, request `/healthz`.

    The health checks have a fixed schedule. They start once the flood is established, because opening its connections
    also takes time in this client.
    """
    flood, base = Flood(), auth_bases(cluster)[0]
    async with auth_of(cluster, directly=True) as auth:
        account = await auth.register()
        flooding = [asyncio.create_task(_flood(auth, base, account, flood)) for _ in range(at_once)]
        try:
            await flood.full.wait()
            start = time.perf_counter()
            checks = [_check(auth, base, start + every * number, flood) for number in range(round(seconds / every))]
            await asyncio.gather(*checks)
        finally:
            for task in flooding:
                task.cancel()
            await asyncio.gather(*flooding, return_exceptions=True)
    return flood


async def _flood(auth: Auth, base: str, account: dict[str, str], flood: Flood) -> None:
    while True:
        answer = await auth.post("/auth/login", base, json=account)
        flood.logins[answer.verdict] += 1
        if answer.status in (429, 503):
            flood.full.set()
            await asyncio.sleep(float(answer.headers["Retry-After"]))


async def _check(auth: Auth, base: str, due: float, flood: Flood) -> None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    with suppress(TimeoutError):
        answer = await auth.send("GET", f"{base}/healthz")
        assert answer.status == 200, answer
    flood.health.append(time.perf_counter() - due)


async def answers_while_redis_hangs(cluster: LocalCluster, http: aiohttp.ClientSession) -> dict[str, Timed]:
    """Stop Redis (SIGSTOP), make every call that uses tokens, resume it, and refresh again."""
    async with auth_of(cluster, directly=False) as auth:
        account = await auth.register()
        tokens = await auth.login(account)
    refresh = {"data": {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}}
    client = {"Authorization": aiohttp.encode_basic_auth("app", cluster.secret("app-client-secret"))}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    introspect = {"data": {"token": tokens["refresh_token"]}, "headers": client}
    await asyncio.to_thread(cluster.signal, "redis", "STOP")
    try:
        answers = {
            "refresh": await timed(http, "POST", f"{cluster.url}/auth/token", **refresh),
            "login": await timed(http, "POST", f"{cluster.url}/auth/login", json=account),
            "revoke": await timed(http, "POST", f"{cluster.url}/auth/revoke", data={"token": tokens["refresh_token"]}),
            "introspect": await timed(http, "POST", f"{cluster.url}/auth/introspect", **introspect),
            "my page": await timed(http, "GET", f"{cluster.url}/jwt/mypage", headers=bearer),
        }
    finally:
        await asyncio.to_thread(cluster.signal, "redis", "CONT")
    return answers
