"""What does a request cost with more replicas?"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.scaling.figures import NAME, analyse
from loadtest.experiments.scaling.report import draw, sentences
from loadtest.experiments.scaling.turns import Plan, measure
from loadtest.report.differences import RATIO_MARGIN, Compared
from loadtest.report.plot import Plot

PLOT = Plot(
    NAME,
    "scaling_cpu",
    "More replicas",
    "CPU per request of all tiers together, by the number of replicas that share the requests.",
    draw,
    2.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a request cost with more replicas?",
    quick=Plan(),
    full=Plan(rounds=72, idle_seconds=1.0),
    seconds=(9, 25),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Scaling: an nginx of its own has a port for each number of replicas, so that 1 to N replicas are asked within "
        "a moment. All processes share one core, as in the experiment `cost`. So this is the CPU of a request, and "
        "not how many requests N replicas can answer; that takes a core for each of them.",
    ),
    compared=(
        Compared("scaling_ratio", "CPU with {replicas} replicas over {over}", margin=RATIO_MARGIN, within_run=True),
    ),
)
