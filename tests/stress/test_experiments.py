"""The whole run: every experiment has figures, and every claim a verdict.

What is killed, stolen, forged and counted is that of a quick `make compare`. CPU and times, of which a stress test is
no judge, are measured briefly.
"""

import asyncio
import itertools
from pathlib import Path

import pytest

from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.topology import Topology
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import MACHINE, compare
from loadtest.results.model import NOT_MEASURED as UNMEASURED
from loadtest.session import spare_cluster
from loadtest.verdicts.claims import NOT_MEASURED
from tests.stress.conftest import Say
from tests.support.plans import TIMED, shortened

pytestmark = [pytest.mark.stress, pytest.mark.timeout(900)]


def test_every_experiment_has_figures_and_every_claim_a_verdict(tmp_path: Path, say: Say) -> None:
    with LocalCluster(Topology.from_environment().on_free_ports(), STATE / "stress-experiments") as cluster:
        experiments = [shortened(one, TIMED.get(one.name, {})) for one in EXPERIMENTS]
        results = asyncio.run(compare(cluster, experiments, seed=1, logs=tmp_path, spare_cluster=spare_cluster))
    assert results.complete, results.ended_by
    took = [f"{row['experiment']} {row['seconds']:.0f}" for row in results.rounds[MACHINE]]
    say(f"seconds: {'; '.join(took)}")
    for row in itertools.chain(*results.rounds.values()):
        if row.get("kind") == UNMEASURED:
            say(f"not measured: {row['what']}: {row['reason']}")
    assert {figure.experiment for figure in results.figures} >= {experiment.name for experiment in EXPERIMENTS}
    claims = {verdict.claim: verdict.verdict for verdict in results.verdicts}
    for claim, verdict in claims.items():
        say(f"{claim}: {verdict}")
    assert {f"C{number}" for number in range(1, 13)} <= claims.keys()
    assert NOT_MEASURED not in claims.values()
