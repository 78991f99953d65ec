"""Who is logged out when replicas die, stop, come and go?"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.survival.breaks import Plan, measure
from loadtest.experiments.survival.figures import NAME, analyse
from loadtest.experiments.survival.report import draw, draw_faults, scaling_sessions, sentences
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
TABLE = Plot(
    "survival-faults",
    "expected_users_lost",
    "Who is logged out by which fault",
    "Percent of users behind affinity who lost their login, and what state in one of the replicas predicts: one of "
    "them is killed, stopped, or taken away; all are restarted one after the other; one is added; nginx is reloaded.",
    draw_faults,
    2.4,
    0.0,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Who is logged out when replicas die, stop, come and go?",
    quick=Plan(),
    full=Plan(passes=3),
    seconds=(20, 80),
    measure=measure,
    analyse=analyse,
    plots=(PLOT, TABLE),
    sentences=sentences,
    method=(
        "Survival: each user counts visits in their login, so that lost state shows beside lost logins. The sample is "
        "the fault, not the user, because all users of a killed replica share its fate.",
    ),
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
