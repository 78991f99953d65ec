"""What do the signature algorithms of tokens cost, and which of them makes tokens cheaper than a store?"""

from loadtest.experiments.algorithms.figures import NAME, analyse
from loadtest.experiments.algorithms.report import PLOT, sentences, tables
from loadtest.experiments.algorithms.turns import Plan, measure
from loadtest.experiments.experiment import Experiment
from loadtest.report.differences import Compared

EXPERIMENT = Experiment(
    name=NAME,
    question="What do HS256, ES256, RS256 and EdDSA cost?",
    quick=Plan(),
    full=Plan(rounds=104, refresh_rounds=90, idle_seconds=1.0),
    seconds=(25, 75),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    tables=tables,
    method=(
        "Algorithms: each has a small cluster of its own. Its replica also serves the control, over which the extra "
        "cost of its tokens is taken, and one of the replicas serves the stores. All of them take turns, bypassing "
        "nginx, and what Redis uses is counted. The intervals of all differences hold simultaneously.",
    ),
    compared=(
        Compared("verify_page_cpu", "CPU per page, {algorithm}"),
        Compared("refresh_auth_cpu", "CPU of auth per refresh, {algorithm}"),
    ),
)
