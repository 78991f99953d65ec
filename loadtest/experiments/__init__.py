"""Experiments: each puts one question to a cluster. A new one is a file, and a line in this table."""

from loadtest.experiments import algorithms, correctness, login, throughput, tokens, traffic
from loadtest.experiments.cost import figures as cost_figures
from loadtest.experiments.cost import turns as cost
from loadtest.experiments.experiment import Experiment
from loadtest.experiments.survival import kills as survival

EXPERIMENTS = (
    Experiment(
        "correctness", "Does every strategy answer as it must?", correctness.measure, correctness.analyse, (8, 8)
    ),
    Experiment("cost", "What does the login state cost per request?", cost.measure, cost_figures.analyse, (100, 600)),
    Experiment(
        "algorithms", "What do HS256, ES256, RS256 and EdDSA cost?", algorithms.measure, algorithms.analyse, (15, 45)
    ),
    Experiment("throughput", "How many requests are served?", throughput.measure, throughput.analyse, (35, 130)),
    Experiment(
        "traffic",
        "What does it cost, and how fast is it, at your traffic?",
        traffic.measure,
        traffic.analyse,
        (65, 360),
    ),
    Experiment("login", "What does a login cost?", login.measure, login.analyse, (12, 45)),
    Experiment("tokens", "What do a refresh and an introspection cost?", tokens.measure, tokens.analyse, (12, 45)),
    Experiment("survival", "Who is logged out when a replica dies?", survival.measure, survival.analyse, (25, 75)),
)
