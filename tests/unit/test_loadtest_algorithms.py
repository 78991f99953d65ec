"""Signature algorithms have costs, and are right first."""

from pathlib import Path

import pytest
from jwt.algorithms import HMACAlgorithm

from loadtest.experiments import algorithms
from loadtest.experiments.experiment import WrongAnswer
from tests.loadtest_fakes import FakeApp, context, serve


async def test_algorithms_have_costs_and_a_size(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await algorithms.run(found)
    of = {(f.labels["algorithm"], f.metric, f.labels.get("part")): f.value for f in found.figures}
    names = {"HS256", "ES256", "RS256", "EdDSA"}
    kinds = {("sign_cpu", "pyjwt"), ("verify_cpu", "signature"), ("verify_cpu", "pyjwt"), ("token_size", None)}
    assert of.keys() == {(name, *kind) for name in names for kind in kinds}
    for name in names:
        assert 0 < of[name, "verify_cpu", "signature"] < of[name, "verify_cpu", "pyjwt"]
    assert of["RS256", "sign_cpu", "pyjwt"] > 5 * of["EdDSA", "sign_cpu", "pyjwt"]
    # A signature of 64 bytes is 43 characters longer than one of 32, one of 384 bytes 469: RSA of 3072 bits.
    assert of["ES256", "token_size", None] == of["EdDSA", "token_size", None] == of["HS256", "token_size", None] + 43
    assert of["RS256", "token_size", None] == of["HS256", "token_size", None] + 469


async def test_algorithms_that_accept_a_forgery_are_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HMACAlgorithm, "verify", lambda *_: True)
    async with serve(FakeApp()) as cluster:
        with pytest.raises(WrongAnswer, match="HS256: a forged signature is accepted"):
            await algorithms.run(await context(cluster, tmp_path))
