"""What do HS256, ES256, RS256 and EdDSA cost? A small cluster for each: our own verifier in a replica, kept busy.

The page is that of the strategy that verifies each token anew.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from loadtest.cluster.cores import on_last_core
from loadtest.experiments.contestants import Contestant, Place, open_accounts
from loadtest.experiments.cost_figures import DIRECT, costs, idle_cores
from loadtest.experiments.experiment import Context, figure, whole_rounds
from loadtest.load.turns import Turns
from loadtest.results import Config, Figure, Row
from loadtest.statistics.estimates import Interval, centre, difference
from loadtest.statistics.orders import in_turns

EXPERIMENT = "algorithms"
ALGORITHMS = ("HS256", "ES256", "RS256", "EdDSA")
REFERENCE = "EdDSA"


async def measure(context: Context) -> None:
    """Start a cluster for each algorithm and let their replicas take turns; the first round warms up.

    Nothing is measured where there is no token strategy, or where no further cluster can be started.
    """
    strategy = next((one for one in context.strategies if one.kind == "token"), None)
    if strategy is None or context.spare_cluster is None:
        return
    rounds, turns = context.plan.algorithm_rounds, {}
    context.progress.start("a cluster for each algorithm", len(ALGORITHMS))
    async with AsyncExitStack() as stack:
        for algorithm in ALGORITHMS:
            cluster = stack.enter_context(context.spare_cluster({"AUTH_ALGORITHM": algorithm}))
            client = await stack.enter_async_context(Turns(algorithm, context.logs / f"turns-{algorithm}.log"))
            one = Contestant(algorithm, client, cluster, strategy)
            place = await _ready(context, one)
            stack.enter_context(on_last_core({*one.pids(place)}))
            turns[algorithm] = partial(one.turn, place, context.plan)
            context.progress.advance()
        context.progress.start("pages behind each algorithm", (1 + rounds) * len(turns))
        await in_turns(turns, [ALGORITHMS], context.progress.advance)
        blocks = {
            algorithm: context.recorded(turn, kind="turn", strategy=strategy.name, algorithm=algorithm)
            for algorithm, turn in turns.items()
        }
        await context.take_turns(blocks, rounds)


async def _ready(context: Context, one: Contestant) -> Place:
    """Log in, connect to the only replica, and record the size of a token and what the replica costs while idle."""
    assert one.strategy is not None  # noqa: S101  # see above
    plan, labels = context.plan, {"strategy": one.strategy.name, "algorithm": one.name}
    ((replica, url),) = one.cluster.replica_urls().items()
    place = Place(DIRECT, replica, url)
    accounts = await open_accounts(one.cluster, one.strategy, plan.turn_logins)
    logins = await one.connect(place, accounts, plan.turn_connections)
    size = max(len(login.headers["Authorization"].removeprefix("Bearer ")) for login in logins)
    context.record(kind="token", size=size, **labels)
    context.record(kind="idle", **labels, **await one.idle(place, plan.cost_idle_seconds))
    return place


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return what the page costs behind each algorithm, how much more than behind EdDSA, and the tokens' sizes."""
    found = [
        figure(EXPERIMENT, row["strategy"], "token_size", "B", Interval(row["size"], None, None, 1), algorithm=name)
        for name, row in ((row["algorithm"], row) for row in rows if row["kind"] == "token")
    ]
    idle = {name: idle_cores([row for row in rows if row["algorithm"] == name]) for name in ALGORITHMS}
    rounds = whole_rounds([row for row in rows if row["kind"] == "turn"], ALGORITHMS, "algorithm")
    cpu = {name: [costs(one[name], idle[name])["app"] for one in rounds] for name in (rounds[0] if rounds else ())}
    for name, samples in cpu.items():
        strategy = rounds[0][name]["strategy"]
        found.append(figure(EXPERIMENT, strategy, "verify_page_cpu", "us", centre(samples), algorithm=name))
        if name != REFERENCE and REFERENCE in cpu:
            more = difference(samples, cpu[REFERENCE])
            labels = {"algorithm": name, "over": REFERENCE}
            found.append(figure(EXPERIMENT, strategy, "verify_difference", "us", more, **labels))
    return found
