"""What `cost` needs of a real cluster, and `cost` itself on a small scale."""

import asyncio
import json
import urllib.request
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from loadtest.cluster.local import LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.experiments.cost.turns import Plan, measure
from loadtest.experiments.experiment import Context, Silent
from loadtest.load.children import GeneratorError
from loadtest.load.client import strategies_of
from loadtest.results.model import Results
from services.app.strategy import Kind
from tests.support.strategies import INFOS

pytestmark = pytest.mark.e2e

TINY = Plan(warm_up=8, requests=32, logins=2, cycles=1, rounds_direct=1, rounds_nginx=1, idle_seconds=0.1)
STRATEGIES = {info.name for info in INFOS}
CONTROL = next(info.name for info in INFOS if info.kind is Kind.CONTROL)


def replicas_that_answer(cluster: LocalCluster) -> set[str]:
    pages = (urllib.request.urlopen(f"{cluster.url}/{CONTROL}/mypage") for _ in range(24))
    return {json.loads(page.read())["replica"] for page in pages}


def test_nginx_uses_only_the_given_replicas(cluster: LocalCluster) -> None:
    everybody = set(cluster.replicas())
    one, *others = sorted(everybody)
    with cluster.balance_over([one]):
        assert replicas_that_answer(cluster) == {one}
    assert replicas_that_answer(cluster) == everybody
    with cluster.balance_over(others):
        assert replicas_that_answer(cluster) == set(others)
    assert replicas_that_answer(cluster) == everybody


def test_nginx_has_the_given_number_of_workers(cluster: LocalCluster) -> None:
    def workers() -> int:
        return sum(name.startswith("loadbalancer/") for name in cluster.cpu().processes)

    usually = workers()
    for number in (1, 3):
        with cluster.balance_over(["app-1"], workers=number):
            assert workers() == number
    assert workers() == usually


def test_nginx_uses_all_replicas_again_after_an_error(cluster: LocalCluster) -> None:
    with pytest.raises(KeyError), cluster.balance_over(["app-1"]):
        raise KeyError
    assert replicas_that_answer(cluster) == set(cluster.replicas())


@pytest.mark.parametrize("names", [[], ["app-9"], ["app-1", "redis"]])
def test_balancing_over_an_unknown_replica_is_an_error(cluster: LocalCluster, names: list[str]) -> None:
    before = cluster.cpu()
    with pytest.raises(ClusterError, match="there are app-1"), cluster.balance_over(names):
        pass
    cluster.cpu().since(before)  # nginx was not even reloaded


def test_all_processes_have_a_cpu_clock_and_a_restart_between_two_readings_is_noticed(cluster: LocalCluster) -> None:
    before = cluster.cpu()
    assert {one.tier for one in before.processes.values()} == {"app", "auth", "loadbalancer", "redis"}
    assert before.processes.keys() >= {*cluster.replicas(), "redis", "loadbalancer", "auth-1", "auth-2"}
    assert any(name.startswith("loadbalancer/") for name in before.processes)  # nginx's workers
    assert all(use.seconds >= 0 < use.elapsed for use in cluster.cpu().since(before).values())
    cluster.restart("app-2")
    with pytest.raises(ClusterError, match="restarted while their CPU time was measured: app-2"):
        cluster.cpu().since(before)
    before = cluster.cpu()
    with cluster.balance_over(["app-1"]), pytest.raises(ClusterError, match="loadbalancer/"):
        cluster.cpu().since(before)


@pytest.mark.timeout(300)  # whichever test is the first to ask for it waits for the run
def test_cost_has_figures_for_every_strategy_over_both_paths(cluster: LocalCluster, small_run: Results) -> None:
    figures = [figure for figure in small_run.figures if figure.experiment == "cost"]

    def of(metric: str, **labels: str) -> set[str]:
        return {f.strategy for f in figures if f.metric == metric and labels.items() <= f.labels.items()}

    for path in ("direct", "nginx"):
        servers = STRATEGIES | ({"bare server"} if path == "direct" else set())
        assert of("cpu_per_request", path=path, tier="app") == of("failed_answers", path=path) == servers
        assert of("cpu_difference", path=path, tier="total", over=CONTROL) == STRATEGIES - {CONTROL}
        assert of("null_ratio", path=path) == {CONTROL}
    assert of("floor_ratio", over="bare server") == {CONTROL}
    assert of("placebo_ratio") | of("displacement_ratio") >= {CONTROL, "redis-cached", "jwt-cached", "jwt-denylist"}
    turns = [row for row in small_run.rounds["cost"] if row["kind"] == "turn"]
    assert {row["replica"] for row in turns} == set(cluster.replicas())
    assert {f.n for f in figures if f.metric == "null_ratio"} == {len(cluster.replicas())}
    app = {f.strategy: f.value for f in figures if f.metric == "cpu_per_request" and f.labels["tier"] == "app"}
    assert all(value > 0 for value in app.values())
    past_nginx = [row for row in turns if row["path"] == "direct" and row["strategy"] != "bare server"]
    assert median(row["cpu_loadbalancer"] / row["elapsed_loadbalancer"] for row in past_nginx) < 0.05
    assert replicas_that_answer(cluster) == set(cluster.replicas())


async def test_a_replica_that_dies_during_the_run_ends_it(cluster: LocalCluster, tmp_path: Path) -> None:
    class FirstTurn(Silent):
        taken = asyncio.Event()

        def advance(self) -> None:
            self.taken.set()

    plan, progress = replace(TINY, rounds_direct=1000), FirstTurn()
    context = Context(cluster, await strategies_of(cluster.url), progress, np.random.default_rng(1), tmp_path)
    measuring = asyncio.create_task(measure(context, plan))
    await asyncio.wait({measuring, asyncio.create_task(progress.taken.wait())}, return_when=asyncio.FIRST_COMPLETED)
    cluster.kill("app-1")
    with pytest.raises((GeneratorError, ClusterError), match=r"closed|restarted|connect|did not come"):
        await measuring
    cluster.wait_ready()


@pytest.mark.timeout(300)
def test_each_signature_algorithm_has_a_cluster_of_its_own(small_run: Results) -> None:
    figures = [figure for figure in small_run.figures if figure.experiment == "algorithms"]
    sizes = {f.labels["algorithm"]: f.value for f in figures if f.metric == "token_size"}
    # A signature of 64 bytes is 43 characters longer than one of 32; RSA's are as long as its keys: 256 and 384 bytes
    # make 342 and 512 characters, instead of the 86 of EdDSA. The key's id is a thumbprint, or the short name of the
    # shared secret.
    assert sizes["ES256"] == sizes["EdDSA"] > sizes["HS256"]
    assert sizes["RS256-2048"] == sizes["EdDSA"] + 342 - 86
    assert sizes["RS256-3072"] == sizes["EdDSA"] + 512 - 86
    costs = {f.labels["algorithm"]: f.value for f in figures if f.metric == "verify_page_cpu"}
    assert costs.keys() == sizes.keys() == {"HS256", "RS256-2048", "RS256-3072", "ES256", "EdDSA"}
    assert all(cost > 0 for cost in costs.values())
    compared = {(f.strategy, f.labels["over"]) for f in figures if f.metric == "algorithm_difference"}
    stores = {"memory", "redis", "redis-cached"}
    assert compared == {("jwt", over) for over in {"anonymous", *stores}} | {(store, "anonymous") for store in stores}
    signing = {f.labels["algorithm"]: f.value for f in figures if f.metric == "refresh_auth_cpu"}
    assert signing.keys() == sizes.keys()
    assert all(cost > 0 for cost in signing.values())
