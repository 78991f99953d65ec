"""What do HS256, ES256, RS256 and EdDSA cost? A small cluster for each: our own verifier in a replica, kept busy.

The page is that of the strategy that verifies each token anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from loadtest.cluster.cores import on_last_core
from loadtest.experiments.cost.contestants import Contestant, Place, TurnPlan, open_accounts
from loadtest.experiments.cost.figures import DIRECT, costs, idle_cores
from loadtest.experiments.experiment import Context, Experiment
from loadtest.experiments.rows import figure, whole_rounds
from loadtest.load.turns import Turns
from loadtest.report.differences import Compared
from loadtest.report.drawing import BLUE, GREEN, Axes, dots, highest, panels
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.numbers import amount, interval, listed
from loadtest.results.view import View
from loadtest.statistics.estimates import Interval, centre, difference
from loadtest.statistics.orders import in_turns

NAME = "algorithms"
ALGORITHMS = ("HS256", "ES256", "RS256", "EdDSA")
REFERENCE = "EdDSA"


@dataclass(frozen=True)
class Plan(TurnPlan):
    """So many rounds of turns."""

    rounds: int = 40


async def measure(context: Context, plan: Plan) -> None:
    """Start a cluster for each algorithm and let their replicas take turns; the first round warms up.

    Nothing is measured where there is no token strategy, or where no further cluster can be started.
    """
    strategy = next((one for one in context.strategies if one.kind == "token"), None)
    if strategy is None or context.spare_cluster is None:
        return
    turns = {}
    context.progress.start("a cluster for each algorithm", len(ALGORITHMS))
    async with AsyncExitStack() as stack:
        for algorithm in ALGORITHMS:
            cluster = stack.enter_context(context.spare_cluster({"AUTH_ALGORITHM": algorithm}))
            client = await stack.enter_async_context(Turns(algorithm, context.logs / f"turns-{algorithm}.log"))
            one = Contestant(algorithm, client, cluster, strategy)
            place = await _ready(context, plan, one)
            stack.enter_context(on_last_core({*one.pids(place)}))
            turns[algorithm] = partial(one.turn, place, plan)
            context.progress.advance()
        context.progress.start("pages behind each algorithm", (1 + plan.rounds) * len(turns))
        await in_turns(turns, [ALGORITHMS], context.progress.advance)
        blocks = {
            algorithm: context.recorded(turn, kind="turn", strategy=strategy.name, algorithm=algorithm)
            for algorithm, turn in turns.items()
        }
        await context.take_turns(blocks, plan.rounds)


async def _ready(context: Context, plan: Plan, one: Contestant) -> Place:
    """Log in, connect to the only replica, and record the size of a token and what the replica costs while idle."""
    assert one.strategy is not None  # noqa: S101  # see above
    labels = {"strategy": one.strategy.name, "algorithm": one.name}
    ((replica, url),) = one.cluster.replica_urls().items()
    place = Place(DIRECT, replica, url)
    accounts = await open_accounts(one.cluster, one.strategy, plan.logins)
    logins = await one.connect(place, accounts, plan.connections)
    size = max(len(login.headers["Authorization"].removeprefix("Bearer ")) for login in logins)
    context.record(kind="token", size=size, **labels)
    context.record(kind="idle", **labels, **await one.idle(place, plan.idle_seconds))
    return place


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return what the page costs behind each algorithm, how much more than behind EdDSA, and the tokens' sizes."""
    found = [
        figure(NAME, row["strategy"], "token_size", "B", Interval(row["size"], None, None, 1), algorithm=name)
        for name, row in ((row["algorithm"], row) for row in rows if row["kind"] == "token")
    ]
    idle = {name: idle_cores([row for row in rows if row["algorithm"] == name]) for name in ALGORITHMS}
    rounds = whole_rounds([row for row in rows if row["kind"] == "turn"], ALGORITHMS, "algorithm")
    cpu = {name: [costs(one[name], idle[name])["app"] for one in rounds] for name in (rounds[0] if rounds else ())}
    for name, samples in cpu.items():
        strategy = rounds[0][name]["strategy"]
        found.append(figure(NAME, strategy, "verify_page_cpu", "us", centre(samples), algorithm=name))
        if name != REFERENCE and REFERENCE in cpu:
            more = difference(samples, cpu[REFERENCE])
            labels = {"algorithm": name, "over": REFERENCE}
            found.append(figure(NAME, strategy, "verify_difference", "us", more, **labels))
    return found


def sentences(view: View) -> Iterator[str]:
    """How much more or less it costs to verify tokens of other algorithms."""
    found = view.figures("verify_difference")
    if found:
        over = found[0].labels.get("over", "the default")
        parts = listed([f"{f.labels['algorithm']} {_more(f)}" for f in found])
        yield f"A page with a token, compared with {over}: {parts}."


def _more(difference: Figure) -> str:
    """Say how much more or less it is, or that no difference was shown."""
    known = interval(difference)
    if difference.ci_low is None or difference.ci_high is None or difference.ci_low <= 0 <= difference.ci_high:
        return f"no difference shown{f' ({known})' if known else ''}"
    word = "more" if difference.value > 0 else "less"
    return f"{amount(abs(difference.value), difference.unit)} {word} ({known})"


def draw(axes: Axes, view: View) -> None:
    """Two panels: CPU per page whose token is verified, and the size of a token, by algorithm."""
    pages, sizes = view.figures("verify_page_cpu"), view.figures("token_size")
    shown = [(found, what, tint) for found, what, tint in (
        (pages, "CPU per page, token verified", BLUE), (sizes, "size of a token", GREEN)) if found]  # fmt: skip
    for panel, (figures, what, tint) in zip(panels(axes, len(shown)), shown, strict=True):
        dots(panel, figures, [f.labels["algorithm"] for f in figures], [tint] * len(figures))
        panel.set_xlim(0, 1.4 * highest(figures))
        panel.tick_params(axis="x", labelsize="small")
        panel.set_xlabel(what)


PLOT = Plot(
    NAME,
    "verify_page_cpu",
    "Signature algorithms of tokens",
    "CPU per page at a replica that verifies tokens of each algorithm, and the size of a token. Less is better.",
    draw,
    2.4,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="What do HS256, ES256, RS256 and EdDSA cost?",
    quick=Plan(),
    full=Plan(rounds=120, idle_seconds=1.0),
    seconds=(15, 45),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    sentences=sentences,
    compared=(Compared("verify_page_cpu", "CPU per page, {algorithm}"),),
)
