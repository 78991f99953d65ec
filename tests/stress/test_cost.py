"""The measurement detects a known extra cost. Best on an idle machine."""

from pathlib import Path

import numpy as np
import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import REPOSITORY, Topology
from loadtest.experiments.compare import conditions
from loadtest.experiments.cost.figures import analyse
from loadtest.experiments.cost.turns import Plan, measure
from loadtest.experiments.experiment import Context, Silent
from loadtest.load.client import strategies_of
from tests.stress.conftest import Say

pytestmark = [pytest.mark.stress, pytest.mark.timeout(300)]


async def test_ten_microseconds_of_sabotage_are_detected(tmp_path: Path, say: Say) -> None:
    topology = Topology.from_environment().with_settings({"PYTHONPATH": str(REPOSITORY / "tests/support/sabotage")})
    plan = Plan(cycles=4)
    with LocalCluster(topology.on_free_ports(), STATE / "stress-sabotage") as cluster:
        strategies = [one for one in await strategies_of(cluster.url) if one.name in ("anonymous", "spun")]
        context = Context(cluster, strategies, Silent(), np.random.default_rng(1), tmp_path)
        await measure(context, plan)
        figures = analyse(context.rows, conditions(cluster, strategies, 1, {}))
    more = {f.labels["path"]: f for f in figures if f.metric == "cpu_difference" and f.labels["tier"] == "app"}
    assert more.keys() == {"direct", "nginx"}
    for path, figure in more.items():
        say(f"{path}: {figure.value:.2f} us [{figure.ci_low:.2f}, {figure.ci_high:.2f}], {figure.n} rounds")
    assert {path: f.value for path, f in more.items()} == pytest.approx(dict.fromkeys(more, 10.0), abs=2.0)
