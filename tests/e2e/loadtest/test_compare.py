"""The main job on a small scale, on a real cluster: what `make compare` does, and Locust run by hand."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtest.cluster.local import LocalCluster
from loadtest.cluster.topology import REPOSITORY, Topology
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import analysed
from loadtest.experiments.cost.turns import Plan
from loadtest.experiments.crosscheck import crosscheck
from loadtest.experiments.experiment import Silent
from loadtest.load.wrk import Wrk, find_wrk
from loadtest.report import write_report
from loadtest.results.model import Results
from services.app.strategy import Kind
from tests.support.strategies import INFOS

pytestmark = pytest.mark.e2e

STRATEGIES = {info.name for info in INFOS}
CONTROLS = {info.name for info in INFOS if info.kind is Kind.CONTROL}


@pytest.mark.timeout(300)  # whichever test is the first to ask for it waits for the run
def test_compare_has_figures_for_every_strategy_and_no_failed_answer(small_run: Results, tmp_path: Path) -> None:
    def of(metric: str) -> set[str]:
        return {figure.strategy for figure in small_run.figures if figure.metric == metric and figure.n}

    assert of("throughput") == of("cores_per_1000") == of("latency") == STRATEGIES
    assert of("cpu_per_request") == STRATEGIES | {"bare server"}
    assert of("cpu_per_login") == of("users_lost") == of("kills_with_losses") == STRATEGIES - CONTROLS
    assert of("cpu_per_refresh") == of("cpu_per_introspection") == {"jwt"}
    assert of("floor_ratio") == of("null_ratio") == {"anonymous"}
    assert not [figure for figure in small_run.figures if figure.metric == "failed_answers" and figure.value]
    costs = [f for f in small_run.figures if f.metric == "cpu_per_refresh"]
    assert {f.labels["tier"] for f in costs if f.value > 0} >= {"loadbalancer", "auth", "redis", "total"}
    (lost,) = (f for f in small_run.figures if (f.strategy, f.metric) == ("memory", "kills_with_losses"))
    assert (lost.n, lost.labels["affinity"]) == (3, "true")
    small_run.write(tmp_path)
    assert analysed(replace(Results.read(tmp_path / "results.json"), figures=[], verdicts=[])) == small_run
    page = write_report(tmp_path, EXPERIMENTS).read_text()
    assert all(f'<th scope="row">{name}' in page for name in STRATEGIES)
    assert "not measured" not in page[page.index(">Promises<") : page.index(">Self-audit<")]


def test_the_locustfile_runs_with_plain_locust(cluster: LocalCluster) -> None:
    command = f"-m locust -f loadtest/locustfile.py --headless -u {len(STRATEGIES)} -r 8 -t 6s --only-summary --host"
    done = subprocess.run(
        [sys.executable, *command.split(), cluster.url], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Error report" not in output
    for strategy in STRATEGIES:
        assert f"/{strategy}/mypage" in output


@pytest.mark.skipif(not shutil.which(os.environ.get("WRK_BIN", "wrk")), reason="wrk is no package of ours")
async def test_wrk_measures_every_strategy_and_a_bare_server(tmp_path: Path) -> None:
    wrk, topology = Wrk(find_wrk(), connections=4, seconds=1), replace(Topology.from_environment(), app_replicas=1)
    with LocalCluster(topology.on_free_ports(), tmp_path / "state") as cluster:
        plan = Plan(warm_up=8, requests=20, connections=4, logins=2, cycles=1, rounds_direct=2, rounds_nginx=0)
        found = await crosscheck(cluster, wrk, 1, Silent(), np.random.default_rng(1), tmp_path, plan)
    assert {f.strategy for f in found if f.experiment == "cost" and f.metric == "cpu_per_request"} >= STRATEGIES
    found = [figure for figure in found if figure.experiment == "crosscheck"]
    costs = {figure.strategy: figure.value for figure in found if figure.metric == "cpu_per_request"}
    assert costs.keys() == STRATEGIES | {"bare server"}
    assert costs["bare server"] < sum(costs.values()) / len(costs)
