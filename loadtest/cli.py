"""Commands that run a local cluster, and experiments on it."""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from loadtest.cluster import processes
from loadtest.cluster.local import PATIENCE_SECONDS, STATE, LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.supervisor import ProcessInfo
from loadtest.cluster.topology import Topology, console_port, is_free
from loadtest.console.access import is_loopback
from loadtest.console.run import Options
from loadtest.console.run import run as show
from loadtest.experiments import COMPARED, EXPERIMENTS
from loadtest.experiments.compare import analysed
from loadtest.experiments.crosscheck import CROSSCHECK
from loadtest.experiments.crosscheck import crosscheck as measure_by_wrk
from loadtest.experiments.experiment import WrongAnswer
from loadtest.load.children import GeneratorError
from loadtest.load.wrk import Wrk, find_wrk
from loadtest.progress import Bars, left
from loadtest.report import write_report
from loadtest.report.differences import differences
from loadtest.report.tables import difference_table
from loadtest.results.model import Figure, Results, ResultsError
from loadtest.results.numbers import with_interval
from loadtest.session import OK, REPORTS, exit_code, measured, own_cluster, shown_cluster, standing_cluster

ERROR, NOT_COMPARABLE, WORSE, INTERRUPTED = 1, 2, 3, 130
CODES = (
    "Exit status: 0 success; 1 error; 2 wrong usage, or runs that cannot be compared (diff); 3 something is worse "
    "(diff); 4 the self-audit withdrew verdicts; 130 interrupted."
)
EXPOSED = (
    "everybody on your network who learns the console's address can break this cluster and see who is logged in, and "
    "the traffic is not encrypted."
)

console = Console()


def main() -> None:
    """Run one command; expected errors are one clear message, not a stack trace."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it
    for ending in (signal.SIGTERM, signal.SIGHUP):  # stop everything then too, except on SIGHUP under nohup
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        sys.exit(cli.main(prog_name="python -m loadtest", standalone_mode=False) or OK)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ClusterError, GeneratorError, WrongAnswer, ResultsError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'system error'}: {error.strerror or error}")
    except (KeyboardInterrupt, click.Abort):
        console.print("\ninterrupted; everything that this command started has stopped")
        sys.exit(INTERRUPTED)


def _fail(message: str) -> None:
    console.print("error:", style="bold red", end=" ")
    console.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(ERROR)


class Command(click.Command):
    """A command whose short help is the whole first paragraph, which click would cut off."""

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002  # click's signature
        """Return the first paragraph of the help."""
        return " ".join((self.help or "").partition("\n\n")[0].split())


class Commands(click.Group):
    """A group of `Command`s."""

    command_class = Command


@click.group(cls=Commands, epilog=CODES)
def cli() -> None:
    """Where should login state live once one server is not enough? Measure it on a real cluster."""


@cli.command()
def up() -> None:
    """Start a cluster on the ports in .env and leave it running. If it is up already, restart what has stopped."""
    cluster = standing_cluster()
    if cluster.running():
        _revive(cluster)
        return
    with console.status("starting Redis, auth, replicas and nginx"):
        cluster.up()
    console.print(
        f"ready: {cluster.url} (without affinity: {cluster.url_no_affinity}); logs in {cluster.directory}/logs"
    )
    console.print(f"try: curl {cluster.url}/strategies        stop: make down")


def _revive(cluster: LocalCluster) -> None:
    """Say which processes of the running cluster have stopped, and why, and restart them."""
    halted = cluster.supervised.halted()
    for info in halted:
        console.print(f"[bold red]{_state(info)}[/]", highlight=False)
        console.print(cluster.supervised.last_lines(info["name"]), markup=False, highlight=False, soft_wrap=True)
    with console.status("waiting until everything is ready"):
        cluster.revive()
    if halted:
        console.print(f"restarted: {_names(halted)}")
    console.print(f"already up: {cluster.url} (`make down` stops it)")


def _state(info: ProcessInfo) -> str:
    return f"{info['name']} is {info['statename']} ({info['description']})"


def _names(infos: Sequence[ProcessInfo]) -> str:
    return ", ".join(info["name"] for info in infos)


@cli.command()
def down() -> None:
    """Stop the cluster that `up` started, and everything else that this checkout has left running."""
    with console.status("stopping"):
        standing_cluster().down()
        processes.end(processes.leftovers(STATE), PATIENCE_SECONDS)
    console.print("down: all cluster processes of this checkout have stopped")


@cli.command()
def status() -> None:
    """Show the processes of the cluster that `up` started. The exit status is 1 unless all are running."""
    cluster = standing_cluster()
    if not cluster.running():
        raise ClusterError("no cluster is up: `make up` starts one")
    table, infos = Table("process", "state", "pid", "since"), cluster.supervised.infos()
    for info in infos:
        state, since = info["statename"], info["description"].partition("uptime ")[2]
        style = None if state == "RUNNING" else "bold red"
        table.add_row(info["name"], state, str(info["pid"] or ""), since, style=style)
    console.print(table)
    if missing := [info for info in infos if info["statename"] != "RUNNING"]:
        hint = "`make up` restarts what has stopped"
        raise ClusterError(f"{'; '.join(map(_state, missing))}: logs in {cluster.directory}/logs, {hint}")


def _minutes(full: bool) -> str:  # which of two plans
    return left(sum(experiment.seconds[full] for experiment in EXPERIMENTS)).removeprefix("about ")


full_option = click.option(
    "--full", is_flag=True, help=f"Measure more and longer rounds, for tighter intervals: {_minutes(True)}."
)
seed_option = click.option(
    "--seed", type=int, help="Repeat the random order of an earlier run; its results.json has the seed."
)


@cli.command()
@full_option
@seed_option
def compare(*, full: bool, seed: int | None) -> int:
    """Start a cluster, measure every strategy and write a report. Takes about eight minutes."""
    return exit_code(measured(console, EXPERIMENTS, full=full, seed=seed, standing=False), console)


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--standing", is_flag=True, help="Use the cluster that `up` started instead of a new one.")
@click.option(
    "--plan",
    "changes",
    multiple=True,
    metavar="EXPERIMENT.NAME=VALUE",
    help="Measure as long or as often as you say, such as footprint.sessions=100000. "
    "The names and their usual values are in results.json. May be repeated.",
)
@full_option
@seed_option
def run(names: tuple[str, ...], *, standing: bool, changes: tuple[str, ...], full: bool, seed: int | None) -> int:
    """Run only the named experiments and write a report. `list` shows the names."""
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"There is no experiment {', '.join(unknown)}. Choose from: {', '.join(known)}.")
    for change in changes:
        place, equals, value = change.partition("=")
        experiment, dot, name = place.partition(".")
        if not (equals and dot and experiment in names):
            raise click.UsageError(f"--plan {change}: say EXPERIMENT.NAME=VALUE, of an experiment that you run.")
        try:
            known[experiment] = known[experiment].with_plan(name, value)
        except ValueError as error:
            raise click.UsageError(f"--plan {change}: {error}") from None
    chosen = [known[name] for name in names]
    return exit_code(measured(console, chosen, full=full, seed=seed, standing=standing), console)


@cli.command("console")
@click.option("--standing", is_flag=True, help="Show the cluster that `up` started instead of a new one.")
@click.option("--users", default=30, show_default=True, type=click.IntRange(1, 60), help="How many people log in.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where to listen, instead of CONSOLE_PORT in .env.")
@click.option("--host", default="127.0.0.1", show_default=True, help=f"Where to listen. Elsewhere, {EXPOSED}")
@click.option("--history", type=click.Path(path_type=Path), help="Write every request and click to this file.")
def console_(*, standing: bool, users: int, port: int | None, host: str, history: Path | None) -> None:
    """Watch in a browser how logins survive or die while you break the cluster."""
    port = port or console_port()
    if not is_free(port):
        raise ClusterError(f"port {port} is taken by {processes.listener(port)}: choose another one with --port")
    with ExitStack() as stack:
        with console.status("starting a cluster"):
            cluster = stack.enter_context(shown_cluster(standing=standing))
        show(cluster, Options(host, port, users, history, REPORTS / "latest"), partial(_say_where, host))
    console.print("The console has ended. " + ("The cluster goes on." if standing else "Nothing was left running."))


def _say_where(host: str, url: str) -> None:
    console.print(f"The console: {url}", soft_wrap=True, highlight=False)
    if not is_loopback(host):
        console.print(f"Mind that {EXPOSED}", style="yellow", highlight=False)
    console.print("Ctrl-C ends it.")


@cli.command("list")
def list_() -> None:
    """List the experiments: what each one answers, and how long it takes."""
    table = Table("experiment", "question", "quick", "full")
    for experiment in EXPERIMENTS:
        quick, full = (f"{seconds} s" for seconds in experiment.seconds)
        table.add_row(experiment.name, experiment.question, quick, full)
    console.print(table)


@cli.command()
@click.argument("results", type=click.Path(exists=True, path_type=Path))
def report(results: Path) -> None:
    """Recompute all figures in RESULTS from its raw rounds, and rewrite its report.

    RESULTS is a results.json file or its directory.
    """
    directory = results if results.is_dir() else results.parent
    analysed(Results.read(directory / "results.json")).write(directory)
    console.print(f"report: {write_report(directory, EXPERIMENTS)}", soft_wrap=True)


@cli.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path))
@click.argument("b", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every comparison as JSON.")
def diff(a: Path, b: Path, *, as_json: bool) -> int:
    """Show what changed from run A to run B by more than noise.

    A and B are results.json files or their directories. Absolute figures are compared only if both runs were made on
    the same machine. The exit status is 0 if nothing is worse, 3 if something is, and 2 if the runs, or some of their
    figures, cannot be compared.
    """
    try:
        ours, theirs = (Results.read(path / "results.json" if path.is_dir() else path) for path in (a, b))
    except ResultsError as error:
        raise click.UsageError(str(error)) from None
    found = differences(ours, theirs, COMPARED)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    else:
        console.print(difference_table(found))
    return NOT_COMPARABLE if found.obstacles else WORSE if found.worse else OK


@cli.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=2), help="Blocks per strategy.")
@click.option("--seconds", default=1, show_default=True, type=click.IntRange(min=1), help="Length of a block.")
@click.option(
    "--connections", default=32, show_default=True, type=click.IntRange(min=1), help="Concurrent connections."
)
def crosscheck(*, rounds: int, seconds: int, connections: int) -> None:
    """Check the ratios of CPU per request against wrk, at one replica. Takes about four minutes.

    wrk is not included: run `apt-get install wrk`, or set WRK_BIN to its path.
    """
    wrk = Wrk(find_wrk(), connections, seconds)
    topology = replace(Topology.from_environment(), app_replicas=1).on_free_ports()
    with Bars(console) as bars, own_cluster(topology, STATE / "crosscheck", bars) as cluster:
        logs, rng = cluster.directory / "logs", np.random.default_rng()
        found = asyncio.run(measure_by_wrk(cluster, wrk, rounds, bars, rng, logs))
    console.print(_costs(found))


def _costs(figures: Sequence[Figure]) -> Table:
    """Return a row per strategy: its CPU per request, and the ratio to another strategy, by wrk and in turns."""
    by_wrk = {f.strategy: f for f in figures if (f.experiment, f.metric) == (CROSSCHECK, "cpu_ratio")}
    ours = {
        (f.strategy, f.labels["over"]): f
        for f in figures
        if f.metric in ("cpu_ratio", "floor_ratio") and f.experiment != CROSSCHECK and "intervals" not in f.labels
    }
    table = Table("strategy", "CPU per request", "ratio by wrk", "ratio in turns", "over")
    for cost in (f for f in figures if (f.experiment, f.metric) == (CROSSCHECK, "cpu_per_request")):
        ratio = by_wrk.get(cost.strategy)
        over = ratio.labels["over"] if ratio else ""
        shown = (cost, ratio, ours[cost.strategy, over]) if ratio else (cost,)
        table.add_row(cost.strategy, *map(with_interval, shown), *([over] if ratio else []))
    return table
