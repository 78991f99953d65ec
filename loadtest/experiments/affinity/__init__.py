"""Which way of keeping a user at a replica moves the fewest users?"""

from loadtest.experiments.affinity.figures import NAME, analyse
from loadtest.experiments.affinity.report import draw, sentences
from loadtest.experiments.affinity.users import Plan, measure
from loadtest.experiments.experiment import Experiment
from loadtest.report.plot import Plot

PLOT = Plot(
    NAME,
    "users_moved",
    "Ways to keep a user at a replica",
    "Users who are sent to another replica when one is added to the load balancer's list or removed from it, and how "
    "many users the busiest replica has. If login state is in one replica's memory, a user who moves is logged out.",
    draw,
    2.9,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="Which way of keeping a user at a replica moves the fewest users?",
    quick=Plan(),
    full=Plan(users=400, new=200, tries=100, patience=1.0),
    seconds=(4, 15),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    method=(
        "Affinity: an nginx of its own balances over the cluster's replicas, one port for each method. Each user has "
        "their own address (127.0.0.0/8). The last replica is added to nginx's list and removed again; no replica "
        "is started or stopped. `ip_hash` takes the first three bytes of an address, `hash` all of them; `sticky "
        "learn` remembers users by a cookie that they send.",
    ),
)
