"""What still works while a service is away?"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.outage.figures import NAME, analyse
from loadtest.experiments.outage.outages import Plan, measure
from loadtest.experiments.outage.report import draw, needs_no_store, sentences
from loadtest.report.differences import Compared
from loadtest.report.plot import Plot
from loadtest.verdicts.claims import Claim

PLOT = Plot(
    NAME,
    "outage_success",
    "What still works while a service is away",
    "Percent of calls that succeed while Redis or the auth service is killed, paused (SIGSTOP), slowed by 500 ms or "
    "full. The rows of keys are a replica that starts while the auth service is away, from which it gets the keys that "
    "tokens are verified with.",
    draw,
    4.2,
    0.45,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What still works while Redis or the auth service is away?",
    quick=Plan(),
    full=Plan(passes=3),
    seconds=(52, 110),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Outage: callers of every kind go on calling while a service is killed, paused, slowed or full, and until "
        "everything works again. The sample is the outage, not the call.",
    ),
    claims=(Claim("C8", needs_no_store),),
    compared=(
        Compared(
            "outage_success", "{call} with {service} {fault}", margin=10.0, relative=False, within_run=True,
            up_is_worse=False,
        ),
    ),
    disruptive=True,
)  # fmt: skip
