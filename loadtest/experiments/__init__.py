"""Experiments: each puts one question to a cluster. A new one is a file, and a line in this table."""

from loadtest.experiments import (
    algorithms,
    correctness,
    cost,
    cost_figures,
    floor,
    login,
    survival,
    throughput,
    tokens,
    traffic,
)
from loadtest.experiments.experiment import Experiment

EXPERIMENTS = (
    Experiment("correctness", "Does every strategy answer as it must?", correctness.measure, correctness.analyse),
    Experiment("cost", "What does the login state cost per request?", cost.measure, cost_figures.analyse),
    Experiment("throughput", "How many requests are served?", throughput.measure, throughput.analyse),
    Experiment("traffic", "What does it cost, and how fast is it, at your traffic?", traffic.measure, traffic.analyse),
    Experiment("floor", "What does the framework cost before anything of ours runs?", floor.measure, floor.analyse),
    Experiment("algorithms", "What do HS256, ES256, RS256 and EdDSA cost?", algorithms.measure, algorithms.analyse),
    Experiment("login", "What does a login cost?", login.measure, login.analyse),
    Experiment("tokens", "What do a refresh and an introspection cost?", tokens.measure, tokens.analyse),
    Experiment("survival", "Who is logged out when a replica dies?", survival.measure, survival.analyse),
)
