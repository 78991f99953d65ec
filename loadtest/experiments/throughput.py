"""How many requests are served? Closed-loop users: as many as wait for their answers at once."""

from collections.abc import Sequence

from loadtest.experiments.experiment import Context, figure, whole_rounds
from loadtest.experiments.loads import failed, failures, generator_percent, other_percent, start
from loadtest.experiments.loads import measure as measure_blocks
from loadtest.results.model import Config, Figure, Row
from loadtest.statistics.estimates import centre, mean

EXPERIMENT, MACHINE = "throughput", "machine"


async def measure(context: Context) -> None:
    """Measure closed-loop blocks of all strategies in turns."""
    generators = await start(context)
    context.progress.start("closed loop: requests/s", context.plan.closed_rounds * len(generators))
    await measure_blocks(context, context.plan.closed_rounds, context.plan.closed_seconds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return requests/s and the generator's share of a core; nothing but the failures of who answered wrongly."""
    rounds, found = whole_rounds(rows, config["strategies"]), []
    for name in rounds[0] if rounds else ():
        mine = [one[name] for one in rounds]
        found.append(failures(EXPERIMENT, name, mine))
        if failed(mine):
            continue
        rate = centre([row["requests"] / row["seconds"] for row in mine])
        share = centre([generator_percent(row) for row in mine])
        found.append(figure(EXPERIMENT, name, "throughput", "requests/s", rate, loop="closed"))
        found.append(figure(EXPERIMENT, name, "generator_cpu", "%", share, loop="closed"))
    if rows:
        other = mean([other_percent(row) for row in rows])
        found.append(figure(EXPERIMENT, MACHINE, "other_cpu", "%", other))
    return found
