"""Commands to run a local cluster and to put experiments to it."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from loadtest.cluster import processes
from loadtest.cluster.local import PATIENCE_SECONDS, STATE, LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import REPOSITORY, Topology
from loadtest.crosscheck import crosscheck as measure_by_wrk
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import compare as measure
from loadtest.experiments.experiment import FULL, QUICK, Experiment, WrongAnswer
from loadtest.generator import GeneratorError
from loadtest.numbers import with_interval
from loadtest.progress import Bars
from loadtest.report import write_report
from loadtest.results import Figure
from loadtest.wrk import Wrk, find_wrk

REPORTS = REPOSITORY / "reports"

console = Console()


def main() -> None:
    """Run one command; expected errors are one clear message, not a stack trace."""
    try:
        cli.main(prog_name="python -m loadtest", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ClusterError, GeneratorError, WrongAnswer) as error:
        console.print(f"[bold red]error:[/] {error}", markup=True, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        console.print("\ninterrupted; nothing was left running")
        sys.exit(130)


@click.group()
def cli() -> None:
    """Where should login state live once one server is not enough? Ask a real cluster."""


@cli.command()
def up() -> None:
    """Start a cluster that stays up, on the ports of .env. Ready when this returns."""
    cluster = _standing_cluster()
    if cluster.running():
        console.print(f"already up: {cluster.url} (`make down` stops it)")
        return
    with console.status("starting redis, auth, replicas and nginx"):
        cluster.start()
    console.print(
        f"ready: {cluster.url} (without affinity: {cluster.url_no_affinity}); logs in {cluster.directory}/logs"
    )
    console.print(f"try: curl {cluster.url}/strategies        stop: make down")


@cli.command()
def down() -> None:
    """Stop that cluster, and whatever else of this checkout's clusters is still running."""
    with console.status("stopping"):
        _standing_cluster().stop()
        processes.end(processes.leftovers(STATE), PATIENCE_SECONDS)
    console.print("down: nothing of ours is running any more")


@cli.command()
def status() -> None:
    """Show every process of the cluster that `up` started."""
    cluster = _standing_cluster()
    if not cluster.running():
        raise ClusterError("no cluster is up: `make up` starts one")
    table = Table("process", "state", "pid", "since")
    for info in cluster.processes():
        table.add_row(
            info["name"], info["statename"], str(info["pid"] or ""), info["description"].partition("uptime ")[2]
        )
    console.print(table)


full_option = click.option("--full", is_flag=True, help="More and longer rounds: tighter intervals, about 20 minutes.")
seed_option = click.option("--seed", type=int, help="Repeat the order of an earlier run (results.json names its seed).")


@cli.command()
@full_option
@seed_option
def compare(*, full: bool, seed: int | None) -> None:
    """Measure every strategy on a cluster of its own, and write a report. About seven minutes."""
    _measure(EXPERIMENTS, full=full, seed=seed, standing=False)


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--standing", is_flag=True, help="On the cluster that `up` started, instead of one of its own.")
@full_option
@seed_option
def run(names: tuple[str, ...], *, standing: bool, full: bool, seed: int | None) -> None:
    """Run single experiments (`list` names them) and write a report on them."""
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"no experiment is called {', '.join(unknown)}; there are {', '.join(known)}")
    _measure([known[name] for name in names], full=full, seed=seed, standing=standing)


@cli.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=2), help="Blocks per strategy.")
@click.option("--seconds", default=1, show_default=True, type=click.IntRange(min=1), help="Length of a block.")
@click.option("--connections", default=32, show_default=True, type=click.IntRange(min=1), help="How many at once.")
def crosscheck(*, rounds: int, seconds: int, connections: int) -> None:
    """Measure CPU per request with wrk, at one replica and past nginx: do the ratios of `compare` hold? Three minutes.

    wrk is not among our packages: `apt-get install wrk`, or name it by WRK_BIN.
    """
    wrk = Wrk(find_wrk(), connections, seconds)
    topology = replace(Topology.from_environment(), app_replicas=1).on_free_ports()
    with Bars(console) as bars, _own_cluster(topology, STATE / "crosscheck", bars) as cluster:
        logs, rng = cluster.directory / "logs", np.random.default_rng()
        found = asyncio.run(measure_by_wrk(cluster, wrk, rounds, bars, rng, logs))
    console.print(_costs(found))


def _costs(figures: Sequence[Figure]) -> Table:
    """Return one row per strategy: what a request costs, and how often what another costs."""
    ratios = {figure.strategy: figure for figure in figures if figure.metric == "cpu_ratio"}
    table = Table("strategy", "CPU per request", "ratio", "over")
    for cost in figures:
        if cost.metric == "cpu_per_request":
            ratio = ratios.get(cost.strategy)
            beside = (with_interval(ratio), ratio.labels["over"]) if ratio else ()
            table.add_row(cost.strategy, with_interval(cost), *beside)
    return table


@cli.command("list")
def list_() -> None:
    """List the experiments and the question that each one answers."""
    table = Table("experiment", "question")
    for experiment in EXPERIMENTS:
        table.add_row(experiment.name, experiment.question)
    console.print(table)


@cli.command()
@click.argument("results", type=click.Path(exists=True, path_type=Path))
def report(results: Path) -> None:
    """Write the report on RESULTS (a results.json, or the directory that holds it) again."""
    try:
        console.print(f"report: {write_report(results if results.is_dir() else results.parent)}", soft_wrap=True)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _measure(experiments: Sequence[Experiment], *, full: bool, seed: int | None, standing: bool) -> None:
    """Run *experiments* on a cluster, show how far they are, and write results and report."""
    started = datetime.now().astimezone()
    with Bars(console) as bars, _cluster(standing=standing, bars=bars) as cluster:
        results = asyncio.run(
            measure(
                cluster,
                FULL if full else QUICK,
                bars,
                experiments=experiments,
                seed=seed,
                logs=cluster.directory / "logs",
            )
        )
    directory = REPORTS / started.strftime("%Y-%m-%dT%H-%M-%S")
    results.write(directory)
    page = write_report(directory)
    _point_latest_to(directory)
    for warning in results.warnings:
        console.print(f"[yellow]warning[/] {warning['rule']}: {warning['message']}", soft_wrap=True, highlight=False)
    console.print(
        f"report: {page} (also report.md, results.json, results.csv; reports/latest points there)", soft_wrap=True
    )


@contextmanager
def _cluster(*, standing: bool, bars: Bars) -> Iterator[LocalCluster]:
    """Yield the cluster that `up` started, or one for this run only, on free ports."""
    if standing:
        cluster = _standing_cluster()
        if not cluster.running():
            raise ClusterError("no cluster is up: `make up` starts one")
        yield cluster
        return
    with _own_cluster(Topology.from_environment().on_free_ports(), STATE / "compare", bars) as cluster:
        yield cluster


@contextmanager
def _own_cluster(topology: Topology, directory: Path, bars: Bars) -> Iterator[LocalCluster]:
    """Yield a cluster that runs for this block only."""
    bars.start("starting a cluster of its own", 1)
    with LocalCluster(topology, directory) as cluster:
        bars.advance()
        yield cluster


def _point_latest_to(directory: Path) -> None:
    """Let `reports/latest` point to *directory*, in one step."""
    draft = REPORTS / f".latest.{directory.name}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(directory.name)
    draft.replace(REPORTS / "latest")


def _standing_cluster() -> LocalCluster:
    return LocalCluster(Topology.from_environment(), STATE / "local")
