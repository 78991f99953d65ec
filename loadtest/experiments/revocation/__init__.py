"""How long does a login outlive its end?"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.revocation.endings import FORCED, Plan, measure
from loadtest.experiments.revocation.figures import NAME, analyse
from loadtest.experiments.revocation.report import draw, knows_who_is_logged_in, sentences
from loadtest.report.differences import Compared
from loadtest.report.plot import Plot
from loadtest.verdicts.claims import Claim

PLOT = Plot(
    NAME,
    "revocation_held",
    "How long a login outlives its end",
    "From the acknowledgement of a logout, a forced logout, a changed password or a disabled account to the last "
    "request that was accepted all the same, at the slowest replica. Arrows are logins that were still accepted when "
    "nobody watched any more.",
    draw,
    3.0,
    0.4,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="How long does a login outlive its end?",
    quick=Plan(),
    full=Plan(rounds=6, lives=(1, 5)),
    seconds=(20, 60),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Revocation: every replica is asked for the page without pause while a login is ended. What was sent after the "
        "end was acknowledged and accepted all the same counts. The sample is the ending, not the request.",
    ),
    claims=(Claim("C1", knows_who_is_logged_in),),
    compared=(
        Compared(
            "revocation_held", "forced logouts that held everywhere", {"means": FORCED}, 5.0, relative=False,
            within_run=True, up_is_worse=False,
        ),
    ),
)  # fmt: skip
