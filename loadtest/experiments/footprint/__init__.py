"""What does a login take up on the server (C3), and what does it ask of the store? Where do headers end it?

Memory is read by tier while logins are added, and a line is fitted. Commands of the store are counted per login and per
request. A credential is made longer until a server refuses it.
"""

from loadtest.experiments.experiment import Experiment
from loadtest.experiments.footprint.counts import measure
from loadtest.experiments.footprint.figures import NAME, analyse
from loadtest.experiments.footprint.plan import Plan
from loadtest.experiments.footprint.report import draw, grows_with_users, sentences
from loadtest.report.plot import Plot
from loadtest.verdicts.claims import Claim

PLOT = Plot(
    NAME,
    "store_operations",
    "What a login takes up",
    "Memory that a login takes in the replicas and in Redis, and commands of the store for one request to my page. "
    "Logins with tokens are the same under all strategies that have them.",
    draw,
    2.6,
    0.3,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What does a login take up on the server, and how large may it get?",
    quick=Plan(),
    full=Plan(steps=10, sessions=10_000, tokens=400, logins=200, requests=1000),
    seconds=(27, 400),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Footprint: memory is what each process has to itself (USS) or, of Redis, what it says it uses, read after "
        "each step of logins; bytes per login are the slope of a line. Sessions are added to a replica of a further "
        "cluster, whose passwords are not checked; the first thousands fill what the process has freed since it "
        "started, and are not counted.",
    ),
    claims=(Claim("C3", grows_with_users),),
    needs=frozenset({"memory", "store-operations"}),
)
