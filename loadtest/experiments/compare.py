"""From a running cluster to results: experiments one after the other, then the self-audit."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from loadtest.audit import audit
from loadtest.client import strategies_of
from loadtest.cluster.protocol import Cluster
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.experiment import QUICK, Context, Experiment, Plan, Progress, Silent
from loadtest.machine import host_facts
from loadtest.results import Results


async def compare(
    cluster: Cluster,
    plan: Plan = QUICK,
    progress: Progress | None = None,
    *,
    experiments: Sequence[Experiment] = EXPERIMENTS,
    seed: int | None = None,
    logs: Path = Path(".run/log"),
) -> Results:
    """Run *experiments* on a cluster that is ready and return audited results.

    Correctness always comes first: `WrongAnswer` means that there are no figures. *seed* orders the blocks and drives
    the bootstrap; it is recorded. Other errors: `GeneratorError`, `ClusterError`.
    """
    seed = secrets.randbits(32) if seed is None else seed
    strategies = await strategies_of(cluster.url)
    context = Context(cluster, strategies, plan, progress or Silent(), np.random.default_rng(seed), logs)
    for experiment in _right_before_fast(experiments):
        await experiment.run(context)
    config = {
        "seed": seed,
        "order": "random",
        "replicas": len(cluster.replicas()),
        "strategies": {strategy.name: strategy.kind for strategy in strategies},
        "plan": asdict(plan),
    }
    results = Results(host_facts(), cluster.binaries(), config, context.figures)
    results.warnings = audit(results)
    return results


def _right_before_fast(experiments: Sequence[Experiment]) -> list[Experiment]:
    first = EXPERIMENTS[0]
    return [first, *(experiment for experiment in experiments if experiment is not first)]
