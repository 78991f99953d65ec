"""Plans of experiments that are shorter than the quick ones: tests ask whether a run works, not what it costs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loadtest.experiments.experiment import Experiment

TURNS = {"warm_up": 8, "requests": 32, "connections": 8, "logins": 2, "idle_seconds": 0.1}
LOAD = {"users": 4, "warmup": 0.05, "rounds": 2, "seconds": 0.2}
TIMED: Mapping[str, Mapping[str, Any]] = {
    "cost": TURNS | {"cycles": 1, "rounds_direct": 1, "rounds_nginx": 1},
    "algorithms": TURNS | {"rounds": 2, "refresh_rounds": 2, "devices": 4},
    "scaling": TURNS | {"rounds": 4},  # of two, the interval says nothing
    "throughput": LOAD,
    "traffic": LOAD | {"high": 0.3, "capacity_seconds": 0.2, "idle_seconds": 0.2},
    "login": {"rounds": 2, "logins": 2},
    "tokens": {"rounds": 2, "logins": 8},
}
"""Of those that measure CPU and time."""
BRIEF: Mapping[str, Mapping[str, Any]] = {"survival": {"users": 2, "after_kill_seconds": 0.1}}


def shortened(experiment: Experiment, plan: Mapping[str, Any]) -> Experiment:
    """Return *experiment* with this in its quick plan."""
    return replace(experiment, quick=replace(experiment.quick, **plan))
