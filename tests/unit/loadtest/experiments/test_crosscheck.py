"""The cross-check against a small server, with a generator in this process instead of wrk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.cost.turns import Plan
from loadtest.experiments.crosscheck import crosscheck, figures
from loadtest.experiments.experiment import Silent, WrongAnswer
from loadtest.load.wrk import Wrk
from loadtest.results.model import Figure
from tests.unit.loadtest.fakes import TINY, FakeApp, FakeCluster, serve


@dataclass(frozen=True)
class Getter(Wrk):
    """Gets each page three times, and records the requests and the answers."""

    program: str = "none"
    connections: int = 1
    seconds: int = 1
    asked: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)

    async def run(self, url: str, headers: Mapping[str, str]) -> int:
        async with aiohttp.ClientSession(headers=headers) as http:
            for _ in range(3):
                async with http.get(url) as response:
                    self.asked.append((url, tuple(headers), response.status))
        return 3


async def run(cluster: FakeCluster, getter: Getter, logs: Path) -> list[Figure]:
    plan = Plan(**TINY["cost"] | {"rounds_nginx": 0})
    return await crosscheck(cluster, getter, 2, Silent(), np.random.default_rng(1), logs, plan)


async def test_every_strategy_and_a_bare_server_take_turns_logged_in(tmp_path: Path) -> None:
    getter = Getter()
    async with serve(FakeApp()) as cluster:
        found = await run(cluster, getter, tmp_path)
    assert {status for _, _, status in getter.asked} == {200}
    assert len(getter.asked) == 4 * 3 * 3  # a round is warm-up
    asked = {(url.removeprefix(cluster.url), headers) for url, headers, _ in getter.asked if cluster.url in url}
    assert asked == {
        ("/anonymous/mypage", ()),
        ("/memory/mypage", ("Cookie",)),
        ("/jwt/mypage", ("Authorization",)),
    }
    in_turns = {(f.strategy, f.labels["over"]) for f in found if f.experiment == "cost" and "over" in f.labels}
    found = [figure for figure in found if figure.experiment == "crosscheck"]
    below = {figure.strategy: figure.labels["over"] for figure in found if figure.metric == "cpu_ratio"}
    assert in_turns >= below.items()
    assert below == {"anonymous": "bare server", "memory": "anonymous", "jwt": "anonymous"}
    costs = {figure.strategy: figure.value for figure in found if figure.metric == "cpu_per_request"}
    assert costs.keys() == {"bare server", *below}
    assert all(value > 0 for value in costs.values())
    assert {figure.n for figure in found} == {2}


def test_ratios_are_taken_within_rounds() -> None:
    rounds = [
        {"bare server": 10.0, "anonymous": 20.0, "jwt": 60.0},
        {"bare server": 30.0, "anonymous": 60.0, "jwt": 180},
    ]
    of = {(f.strategy, f.metric): f for f in figures(rounds, "anonymous")}
    assert of["jwt", "cpu_ratio"].value == pytest.approx(3)
    assert of["jwt", "cpu_ratio"].ci_high == pytest.approx(3)
    assert of["anonymous", "cpu_ratio"].value == pytest.approx(2)
    assert of["anonymous", "cpu_per_request"].value == 40


async def test_another_users_page_stops_the_cross_check(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.page_of_another = True
    async with serve(fake) as cluster:
        with pytest.raises(WrongAnswer, match="another user's"):
            await run(cluster, Getter(), tmp_path)


@pytest.mark.parametrize("urls", [{}, {"app-1": "http://127.0.0.1:1", "app-2": "http://127.0.0.1:2"}])
async def test_it_needs_one_reachable_replica(tmp_path: Path, urls: dict[str, str]) -> None:
    async with serve(FakeApp()) as cluster:
        cluster.replica_urls = lambda: urls  # type: ignore[method-assign]
        with pytest.raises(ClusterError, match="exactly one replica"):
            await run(cluster, Getter(), tmp_path)
