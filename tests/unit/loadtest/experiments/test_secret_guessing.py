"""Weak secrets are found, random ones are not, and a cluster that starts with a weak one is told on."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from loadtest.attacks.guessing import guess, token_of, words
from loadtest.cluster.protocol import Cluster, ClusterError
from loadtest.experiments import secret_guessing
from loadtest.experiments.experiment import SpareCluster
from loadtest.results.model import Figure
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

PLAN = secret_guessing.Plan(seconds=0.02)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_the_secret_of_a_token_is_found_among_candidates_and_not_elsewhere() -> None:
    token = token_of("0042")
    assert jwt.decode(token, "0042", ["HS256"]) == {"sub": "x"}
    found = guess(token, words("0123456789", 4))
    assert (found.secret, found.guesses) == ("0042", 43)
    assert guess(token, words("abc", 4)).secret is None


@contextmanager
def refusing(reason: str) -> Iterator[Cluster]:
    raise ClusterError(reason)
    yield


async def figures(logs: Path, spare: SpareCluster | None) -> list[Figure]:
    async with serve(FakeApp()) as cluster:
        found = replace(await context(cluster, logs), spare_cluster=spare)
        await secret_guessing.measure(found, PLAN)
    rows = [row for row in found.rows if row.get("kind") != "not measured"]
    return secret_guessing.analyse(rows, config(memory="session", jwt="token"))


def verdict(found: list[Figure]) -> str:
    judged = secret_guessing.weak_secrets(View(results(*found, memory="session", jwt="token")))
    assert judged is not None
    return judged[1]


async def test_a_cluster_that_refuses_a_weak_secret_is_cleared(tmp_path: Path) -> None:
    asked: list[Mapping[str, str]] = []

    def spare(settings: Mapping[str, str]) -> AbstractContextManager[Cluster]:
        asked.append(settings)
        return refusing("the secret token-signing-secret has 104 bits")

    found = await figures(tmp_path, spare)
    assert verdict(found).startswith("holds for HS256: a common password and 6 digits")
    assert verdict(found).endswith("; a weak secret is refused at the start")
    assert asked == [{"AUTH_ALGORITHM": "HS256", "token-signing-secret": secret_guessing.WEAK_SECRET}]


async def test_a_cluster_that_starts_with_a_weak_secret_is_told_on(tmp_path: Path) -> None:
    async with serve(FakeApp()) as other:
        found = await figures(tmp_path, lambda _: nullcontext(other))
    assert verdict(found).endswith("; a weak secret is NOT refused at the start")


@pytest.mark.parametrize("spare", [None, lambda _: refusing("port 1 is taken")], ids=["none", "another reason"])
async def test_a_start_that_failed_for_another_reason_refuses_nothing(
    tmp_path: Path, spare: SpareCluster | None
) -> None:
    found = await figures(tmp_path, spare)
    assert not [f for f in found if f.metric == "weak_secret_refused"]
    assert verdict(found).endswith("a key pair has no secret to guess")


async def test_guesses_offline_and_online_are_counted(tmp_path: Path) -> None:
    rates = {(f.strategy, f.labels["where"]): f for f in await figures(tmp_path, None) if f.unit == "1/s"}
    assert rates.keys() == {("HS256", "offline"), ("EdDSA", "offline"), ("memory", "online")}
    assert all(figure.value > 1 for figure in rates.values())


def test_a_control_that_was_found_gives_no_verdict() -> None:
    row = {"what": "found", "kind": "256 random bits", "found": True, "guesses": 1, "seconds": 0.1}
    found = secret_guessing.analyse([row], config())
    assert secret_guessing.weak_secrets(View(results(*found))) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "0.250 s"), (200, "3.3 min"), (3 * 86_400, "3 days"), (1e20, "10¹² years")]
)
def test_spans_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert secret_guessing.span(seconds).replace("3.30", "3.3") == text
