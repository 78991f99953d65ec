"""One run of the experiments on a small scale, for all tests that look at its figures."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from loadtest.cluster.local import LocalCluster
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import compare
from loadtest.results.model import Results
from loadtest.session import spare_cluster

TURNS = {"warm_up": 8, "requests": 32, "connections": 8, "logins": 2, "idle_seconds": 0.1}
LOAD = {"users": 4, "warmup": 0.05, "rounds": 2, "seconds": 0.2}
TINY: dict[str, dict[str, Any]] = {
    "cost": TURNS | {"cycles": 1, "rounds_direct": 1, "rounds_nginx": 1},
    "algorithms": TURNS | {"rounds": 2, "refresh_rounds": 2, "devices": 4},
    "throughput": LOAD,
    "traffic": LOAD | {"high": 0.3, "capacity_seconds": 0.2, "idle_seconds": 0.2},
    "login": {"rounds": 2, "logins": 2},
    "tokens": {"rounds": 2, "logins": 8},
    "survival": {"users": 2, "after_kill_seconds": 0.1},
}


IN_STRESS = {
    *("revocation", "outage", "theft", "refresh", "devices", "secret_guessing", "footprint", "cross_origin"),
    *("affinity", "scaling", "store_distance", "refresh_storm", "logout_race"),
}
"""They take three minutes on any scale: tests/stress/test_experiments.py runs them, unit tests their parts."""


@pytest.fixture(scope="session")
def small_run(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What `make compare` measures, in about a minute."""
    experiments = [
        replace(one, quick=replace(one.quick, **TINY.get(one.name, {})))
        for one in EXPERIMENTS
        if one.name not in IN_STRESS
    ]
    logs = tmp_path_factory.mktemp("small-run")
    results = asyncio.run(compare(cluster, experiments, seed=1, logs=logs, spare_cluster=spare_cluster))
    assert results.complete, results.ended_by
    return results
