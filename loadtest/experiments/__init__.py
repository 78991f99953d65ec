"""Experiments: each puts one question to a cluster. A new one is a file, and a line in this table."""

from loadtest.experiments import algorithms, correctness, cost, login, revocation, survival, throughput, tokens, traffic
from loadtest.experiments.experiment import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    correctness.EXPERIMENT,
    cost.EXPERIMENT,
    survival.EXPERIMENT,
    revocation.EXPERIMENT,
    traffic.EXPERIMENT,
    throughput.EXPERIMENT,
    login.EXPERIMENT,
    tokens.EXPERIMENT,
    algorithms.EXPERIMENT,
)
"""In the order of the report."""
CLAIMS = [claim for experiment in EXPERIMENTS for claim in experiment.claims]
COMPARED = [compared for experiment in EXPERIMENTS for compared in experiment.compared]
