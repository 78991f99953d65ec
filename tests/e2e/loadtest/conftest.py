"""One run of the experiments on a small scale, for all tests that look at its figures."""

import asyncio

import pytest

from loadtest.cluster.local import LocalCluster
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import compare
from loadtest.results.model import Results
from loadtest.session import spare_cluster
from tests.support.plans import BRIEF, TIMED, shortened

IN_STRESS = {
    *("revocation", "outage", "theft", "refresh", "devices", "secret_guessing", "footprint", "cross_origin"),
    *("affinity", "scaling", "store_distance", "refresh_storm", "logout_race"),
}
"""They take three minutes on any scale: tests/stress/test_experiments.py runs them, unit tests their parts."""


@pytest.fixture(scope="session")
def small_run(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What `make compare` measures, in about a minute."""
    experiments = [
        shortened(one, {**TIMED, **BRIEF}.get(one.name, {})) for one in EXPERIMENTS if one.name not in IN_STRESS
    ]
    logs = tmp_path_factory.mktemp("small-run")
    results = asyncio.run(compare(cluster, experiments, seed=1, logs=logs, spare_cluster=spare_cluster))
    assert results.complete, results.ended_by
    return results
