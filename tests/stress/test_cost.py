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

LESS, MORE = SABOTAGED = ("spun", "spun-more")  # for 10 and for 20 us: tests/support/sabotage
PATHS = ("direct", "nginx")
LIMIT = 2.0
OVER_LESS = {"tier": "app", "over": LESS}.items()

pytestmark = [pytest.mark.stress, pytest.mark.timeout(300)]


async def test_ten_microseconds_of_sabotage_are_detected(tmp_path: Path, say: Say) -> None:
    """Two strategies spin, one of them for 10 us longer: that is more than chance, and it is 10 +- 2 us.

    The interval has to reach into that limit: an interval that lies outside is a measurement that is wrong.
    """
    topology = Topology.from_environment().with_settings({"PYTHONPATH": str(REPOSITORY / "tests/support/sabotage")})
    with LocalCluster(topology.on_free_ports(), STATE / "stress-sabotage") as cluster:
        strategies = [one for one in await strategies_of(cluster.url) if one.name in SABOTAGED]
        context = Context(cluster, strategies, Silent(), np.random.default_rng(1), tmp_path)
        await measure(context, Plan())
        run = conditions(cluster, strategies, 1, {})
    found = {
        one.labels["path"]: one
        for one in analyse(context.rows, run)
        if (one.metric, one.strategy) == ("cpu_difference", MORE) and one.labels.items() >= OVER_LESS
    }
    assert found.keys() == set(PATHS)
    for path, figure in found.items():
        interval = f"[{figure.ci_low:.2f}, {figure.ci_high:.2f}]"
        met = "met" if abs(figure.value - 10) <= LIMIT else "missed on this machine"
        say(f"{path}: 10 us were measured as {figure.value:.2f} us {interval}, {figure.n} rounds (10 +- 2: {met})")
        assert figure.ci_low is not None
        assert figure.ci_high is not None
        assert figure.ci_low > 0
        assert figure.ci_low <= 10 + LIMIT
        assert figure.ci_high >= 10 - LIMIT
