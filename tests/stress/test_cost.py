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
from loadtest.verdicts.audit import DRIFT
from tests.stress.conftest import Say

SABOTAGED = ("spun", "spun-more")  # tests/support/sabotage
PATHS = ("direct", "nginx")
MORE = {"tier": "app", "over": "anonymous"}.items()

pytestmark = [pytest.mark.stress, pytest.mark.timeout(300)]


async def test_ten_microseconds_of_sabotage_are_detected(tmp_path: Path, say: Say) -> None:
    topology = Topology.from_environment().with_settings({"PYTHONPATH": str(REPOSITORY / "tests/support/sabotage")})
    plan = Plan(cycles=3)
    with LocalCluster(topology.on_free_ports(), STATE / "stress-sabotage") as cluster:
        strategies = [one for one in await strategies_of(cluster.url) if one.name in ("anonymous", *SABOTAGED)]
        context = Context(cluster, strategies, Silent(), np.random.default_rng(1), tmp_path)
        await measure(context, plan)
        figures = analyse(context.rows, conditions(cluster, strategies, 1, {}))
    costs = [f for f in figures if f.metric == "cpu_difference" and f.labels.items() >= MORE]
    found = {(f.labels["path"], f.strategy): f for f in costs}
    assert found.keys() == {(path, name) for path in PATHS for name in SABOTAGED}
    for (path, name), figure in found.items():
        say(f"{path}: {name} {figure.value:.2f} us [{figure.ci_low:.2f}, {figure.ci_high:.2f}], {figure.n} rounds")
    drift = [f for f in figures if f.metric == "drift" and abs(f.value - 1) > DRIFT]
    if drift:  # a report of such a run warns of it, too
        pytest.skip(f"the machine's speed changed: {drift[0].value:.2f} times the cost at the end. Repeat it when idle")
    less, more = SABOTAGED
    apart = {path: found[path, more].value - found[path, less].value for path in PATHS}
    assert apart == pytest.approx(dict.fromkeys(PATHS, 10.0), abs=2.0)
