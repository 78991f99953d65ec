"""Who is logged out when a replica dies?"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.survival.figures import NAME, analyse
from loadtest.experiments.survival.kills import Plan, measure
from loadtest.experiments.survival.report import draw, scaling_sessions, sentences
from loadtest.report.differences import Compared
from loadtest.report.plot import Plot
from loadtest.verdicts.claims import Claim

PLOT = Plot(
    NAME,
    "users_lost",
    "Who is logged out",
    "Mean share of users who lost their login, with 95 % intervals; each ring is one kill. The dashed line is "
    "the loss to expect if each login is kept by one replica. Few kills say little, so intervals are wide.",
    draw,
    3.0,
    0.35,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Who is logged out when a replica dies?",
    quick=Plan(),
    full=Plan(passes=3),
    seconds=(25, 75),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=("Survival: the sample is the kill, not the user, because all users of a killed replica share its fate.",),
    claims=(Claim("C4", scaling_sessions),),
    compared=(
        Compared(
            "users_lost",
            "users lost per kill (affinity: {affinity})",
            {"fault": "kill -9"},
            margin=5.0,
            relative=False,
            within_run=True,
        ),
    ),
    disruptive=True,
)
