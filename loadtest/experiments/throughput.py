"""How many requests are served? Closed-loop users: as many as wait for their answers at once."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import numpy as np

from loadtest.experiments.experiment import Context, figure, whole_rounds
from loadtest.experiments.loads import failed, failures, generator_percent, other_percent, start
from loadtest.experiments.loads import measure as measure_loads
from loadtest.intervals import mean_interval
from loadtest.results import Config, Figure, Row

EXPERIMENT, MACHINE = "throughput", "machine"


async def measure(context: Context) -> None:
    """Measure closed-loop blocks of all strategies in turns."""
    plan = context.plan
    async with AsyncExitStack() as stack:
        loads = await start(context, stack)
        context.progress.start("closed loop: requests/s", plan.closed_rounds * len(loads))
        await measure_loads(context, loads, plan.closed_rounds, plan.closed_seconds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return requests/s and the generator's share of a core; nothing but the failures of who answered wrongly."""
    rounds, rng, found = whole_rounds(rows, config["strategies"]), np.random.default_rng(config["seed"]), []
    for name in rounds[0] if rounds else ():
        mine = [one[name] for one in rounds]
        found.append(failures(EXPERIMENT, name, mine))
        if failed(mine):
            continue
        rate = mean_interval([row["requests"] / row["seconds"] for row in mine], rng)
        share = mean_interval([generator_percent(row) for row in mine], rng)
        found.append(figure(EXPERIMENT, name, "throughput", "requests/s", rate, loop="closed"))
        found.append(figure(EXPERIMENT, name, "generator_cpu", "%", share, loop="closed"))
    if rows:
        other = mean_interval([other_percent(row) for row in rows], rng)
        found.append(figure(EXPERIMENT, MACHINE, "other_cpu", "%", other))
    return found
