"""T14: a wrong password and an unknown name take the same time. The normal suite counts hashes; this uses a clock."""

import random
import secrets
import statistics
import time

import aiohttp
import pytest

from loadtest.cluster.local import LocalCluster
from tests.stress.conftest import Progress, Say

pytestmark = [pytest.mark.stress, pytest.mark.timeout(600)]

PAIRS = 1000
ACCOUNTS = 200  # each is wrong five times: below the limits of one account
BOUND = 0.05


async def test_t14_unknown_users_and_wrong_passwords_take_the_same_time(
    cluster: LocalCluster, progress: Progress, say: Say
) -> None:
    took: dict[str, list[float]] = {"wrong password": [], "unknown user": []}
    told = progress(PAIRS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{cluster.topology.auth_ports()[0]}") as http:
        names = [f"timed-{secrets.token_hex(6)}" for _ in range(ACCOUNTS)]
        for name in names:
            body = {"username": name, "password": secrets.token_urlsafe()}
            async with http.post("/auth/users", json=body) as answer:
                assert answer.status == 201
        for done in range(PAIRS):
            pair = [("wrong password", names[done % ACCOUNTS]), ("unknown user", f"nobody-{secrets.token_hex(6)}")]
            for kind, name in random.sample(pair, 2):
                took[kind].append(await _seconds(http, name))
            told(done + 1)
    wrong, unknown = (statistics.median(took[kind]) for kind in took)
    say(
        f"medians: wrong password {wrong * 1e3:.2f} ms, unknown user {unknown * 1e3:.2f} ms, {unknown / wrong - 1:+.1%}"
    )
    assert abs(unknown / wrong - 1) < BOUND


async def _seconds(http: aiohttp.ClientSession, name: str) -> float:
    """Try a wrong password from a new address each time, because an address without failures is never limited."""
    address = ".".join(["10", *(str(random.randrange(256)) for _ in range(3))])
    body = {"username": name, "password": "a wrong password"}
    began = time.perf_counter()
    async with http.post("/auth/login", json=body, headers={"X-Forwarded-For": address}) as answer:
        await answer.read()
    assert answer.status == 401
    return time.perf_counter() - began
