"""Experiments: each puts one question to a cluster. A new one is a file, and a line in this table."""

from loadtest.experiments import (
    affinity,
    algorithms,
    correctness,
    cost,
    cross_origin,
    devices,
    exposure,
    footprint,
    forgery,
    login,
    logout_race,
    outage,
    refresh,
    refresh_storm,
    revocation,
    scaling,
    secret_guessing,
    store_distance,
    survival,
    theft,
    throughput,
    tokens,
    traffic,
)
from loadtest.experiments.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    correctness.EXPERIMENT,
    cost.EXPERIMENT,
    survival.EXPERIMENT,
    affinity.EXPERIMENT,
    revocation.EXPERIMENT,
    logout_race.EXPERIMENT,
    outage.EXPERIMENT,
    traffic.EXPERIMENT,
    throughput.EXPERIMENT,
    scaling.EXPERIMENT,
    login.EXPERIMENT,
    tokens.EXPERIMENT,
    algorithms.EXPERIMENT,
    forgery.EXPERIMENT,
    exposure.EXPERIMENT,
    theft.EXPERIMENT,
    refresh.EXPERIMENT,
    refresh_storm.EXPERIMENT,
    devices.EXPERIMENT,
    secret_guessing.EXPERIMENT,
    footprint.EXPERIMENT,
    cross_origin.EXPERIMENT,
    store_distance.EXPERIMENT,
)
"""In the order of the report."""
CLAIMS = [claim for experiment in EXPERIMENTS for claim in experiment.claims]
COMPARED = [compared for experiment in EXPERIMENTS for compared in experiment.compared]
