"""Remembered tokens: the signature is checked once, and everything that can change is checked each time."""

from typing import Any

import jwt
import pytest

from services.app.strategy import Info
from services.common.tokens.jws import InvalidTokenError
from services.common.tokens.verifier import AccessTokenVerifier
from tests.contract.app.calls import page
from tests.support.attacks.mutants import mutants
from tests.support.clock import ManualClock
from tests.support.servers.app import AUDIENCE, ISSUER, Client, FakeAuth, StartReplica, World
from tests.support.strategies import INFOS

CACHED = [info for info in INFOS if info.name.endswith("-cached") and info.kind == "token"]
cached = pytest.mark.parametrize("info", CACHED, ids=[info.name for info in CACHED])


class Bench:
    """A verifier that remembers tokens, one key, and how often its signatures were checked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, remembered: int) -> None:
        self.clock = ManualClock()
        self.auth = FakeAuth(self.clock)
        self.keys = {self.auth.public_jwk["kid"]: jwt.PyJWK(self.auth.public_jwk)}
        self.computed = 0
        verify = jwt.algorithms.OKPAlgorithm.verify

        def counted(*args: Any) -> bool:
            self.computed += 1
            return verify(*args)

        monkeypatch.setattr(jwt.algorithms.OKPAlgorithm, "verify", counted)
        self.verifier = AccessTokenVerifier(self.find, ISSUER, AUDIENCE, self.clock, remembered)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        return self.keys.get(kid)


async def test_a_signature_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 10)
    token = bench.auth.token()
    answers = [await bench.verifier.verify(token) for _ in range(5)]
    assert bench.computed == 1
    assert len(set(map(str, answers))) == 1
    await bench.verifier.verify(bench.auth.token(sub="another"))
    assert bench.computed == 2


async def test_without_a_cache_it_is_checked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 0)
    token = bench.auth.token()
    for _ in range(3):
        await bench.verifier.verify(token)
    assert bench.computed == 3


async def test_the_cache_is_bounded_and_drops_the_token_unused_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 2)
    first, second, third = [bench.auth.token() for _ in range(3)]
    for token in (first, second, first, third):
        await bench.verifier.verify(token)
    assert bench.computed == 3
    await bench.verifier.verify(first)
    assert bench.computed == 3
    await bench.verifier.verify(second)
    assert bench.computed == 4


async def test_j6_a_remembered_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 10)
    token = bench.auth.token()
    await bench.verifier.verify(token)
    bench.clock.now += 311
    with pytest.raises(InvalidTokenError, match="expired"):
        await bench.verifier.verify(token)
    bench.clock.now -= 400
    with pytest.raises(InvalidTokenError, match="not valid yet"):
        await bench.verifier.verify(token)


async def test_j17_a_remembered_token_becomes_invalid_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 10)
    token = bench.auth.token()
    await bench.verifier.verify(token)
    gone, bench.keys = bench.keys, {}
    with pytest.raises(InvalidTokenError, match="no key"):
        await bench.verifier.verify(token)
    bench.keys = gone
    await bench.verifier.verify(token)
    bench.keys = {kid: jwt.PyJWK(bench.auth.public_jwk) for kid in gone}  # another one under that name
    await bench.verifier.verify(token)
    assert bench.computed == 2


async def test_a_refusal_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 10)
    forged = FakeAuth(bench.clock).token()  # by another key of the same name
    for _ in range(3):
        with pytest.raises(InvalidTokenError):
            await bench.verifier.verify(forged)
    assert bench.computed == 3


async def test_tokens_that_resemble_a_remembered_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, 10_000)
    token = bench.auth.token()
    await bench.verifier.verify(token)
    for mutant in mutants(token, 500, seed=5):
        with pytest.raises(InvalidTokenError):
            await bench.verifier.verify(mutant)
        await bench.verifier.verify(token)


@cached
async def test_a_replica_that_remembers_asks_for_the_key_each_time(
    start: StartReplica, replica: Client, world: World, info: Info
) -> None:
    login = await world.login(replica, info)
    assert [await page(replica, info, login) for _ in range(3)] == [200] * 3
    world.clock.now += 311
    assert await page(replica, info, login) == 401
