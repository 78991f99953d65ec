"""What does the login state cost per request? CPU of a replica that is kept busy, as differences and ratios."""

from loadtest.experiments.cost.figures import NAME, analyse
from loadtest.experiments.cost.plots import BILL, EXTRA, TRADEOFF
from loadtest.experiments.cost.report import sentences, stateless_load
from loadtest.experiments.cost.turns import Plan, measure
from loadtest.experiments.experiment import Experiment
from loadtest.report.differences import RATIO_MARGIN, Compared
from loadtest.verdicts.claims import Claim

NGINX_TOTAL = {"path": "nginx", "tier": "total"}
DIRECT_APP = {"path": "direct", "tier": "app"}
ONE_BY_ONE = {"intervals": ""}
RATIO, COST = "CPU over {over} ({tier}, {path})", "CPU per request ({tier}, {path})"

EXPERIMENT = Experiment(
    name=NAME,
    question="What does the login state cost per request?",
    quick=Plan(),
    full=Plan(cycles=6, rounds_direct=60, rounds_nginx=54, idle_seconds=1.0, restarts=True),
    seconds=(115, 740),
    measure=measure,
    analyse=analyse,
    plots=(EXTRA, TRADEOFF, BILL),
    sentences=sentences,
    method=(
        "Cost: strategies take short turns at one saturated replica, in balanced orders. The CPU clocks of the "
        "processes are read only while no request is in flight, and idle CPU is subtracted.",
        "Differences and ratios are taken between neighbours within a round. The estimate is a 20 % trimmed mean, "
        "which a few disturbed turns cannot move.",
        "Null test: a second client of the control must cost the same as the first. Placebo: nginx must cost the same "
        "for all requests that look the same to it. If either fails, verdicts on cost are withdrawn.",
    ),
    claims=(Claim("C7", stateless_load, on_cost=True),),
    compared=(
        Compared("cpu_ratio", RATIO, NGINX_TOTAL | ONE_BY_ONE, RATIO_MARGIN, within_run=True, headline=True),
        Compared("cpu_ratio", RATIO, DIRECT_APP | ONE_BY_ONE, RATIO_MARGIN, within_run=True),
        Compared("floor_ratio", "CPU over {over}", {"path": "direct"}, RATIO_MARGIN, within_run=True),
        Compared("cpu_per_request", COST, NGINX_TOTAL),
        Compared("cpu_per_request", COST, DIRECT_APP),
    ),
)
