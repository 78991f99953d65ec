"""How many requests are served? Closed-loop users: as many as wait for their answers at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.experiments.experiment import Context, Experiment
from loadtest.experiments.loads import LoadPlan, failed, failures, generator_percent, other_percent, start
from loadtest.experiments.loads import measure as measure_blocks
from loadtest.experiments.rows import figure, whole_rounds
from loadtest.report.differences import Compared
from loadtest.report.drawing import Axes, colour, dots, highest
from loadtest.report.plot import Plot
from loadtest.results.model import Config, Figure, Row
from loadtest.results.view import View
from loadtest.statistics.estimates import centre, mean

NAME, MACHINE = "throughput", "machine"


@dataclass(frozen=True)
class Plan(LoadPlan):
    """The number of rounds, and the length of a block in seconds."""

    rounds: int = 4
    seconds: float = 0.4


async def measure(context: Context, plan: Plan) -> None:
    """Measure closed-loop blocks of all strategies in turns."""
    generators = await start(context, plan)
    context.progress.start("closed loop: requests/s", plan.rounds * len(generators))
    await measure_blocks(context, plan, plan.rounds, plan.seconds)


def analyse(rows: Sequence[Row], config: Config) -> list[Figure]:
    """Return requests/s and the generator's share of a core; nothing but the failures of who answered wrongly."""
    rounds, found = whole_rounds(rows, config["strategies"]), []
    for name in rounds[0] if rounds else ():
        mine = [one[name] for one in rounds]
        found.append(failures(NAME, name, mine))
        if failed(mine):
            continue
        rate = centre([row["requests"] / row["seconds"] for row in mine])
        share = centre([generator_percent(row) for row in mine])
        found.append(figure(NAME, name, "throughput", "requests/s", rate, loop="closed"))
        found.append(figure(NAME, name, "generator_cpu", "%", share, loop="closed"))
    if rows:
        other = mean([other_percent(row) for row in rows])
        found.append(figure(NAME, MACHINE, "other_cpu", "%", other))
    return found


def draw(axes: Axes, view: View) -> None:
    """Dots with intervals: requests/s in the closed loop, most first."""
    figures = sorted(view.figures("throughput"), key=lambda figure: -figure.value)
    names = [view.named(figure.strategy) for figure in figures]
    dots(axes, figures, names, [colour(view, figure.strategy) for figure in figures])
    axes.set_xlim(0, 1.15 * highest(figures))
    axes.set_xlabel("requests/s on this machine, load generator included")


PLOT = Plot(
    NAME,
    "throughput",
    "How many requests are served",
    "Requests per second of users who send the next request as soon as they have an answer, with 95 % intervals. More "
    "is better. The load generator shares the machine; without it, the servers could serve more.",
    draw,
    2.4,
    0.27,
)
EXPERIMENT = Experiment(
    name=NAME,
    question="How many requests are served?",
    quick=Plan(),
    full=Plan(rounds=12, seconds=0.8),
    seconds=(25, 130),
    measure=measure,
    analyse=analyse,
    plots=(PLOT,),
    compared=(Compared("throughput", "requests/s", up_is_worse=False),),
)
