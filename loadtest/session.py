"""One measuring session: start a cluster, run experiments, write the results and report where they are."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from loadtest.cluster.faults import restored
from loadtest.cluster.local import STATE, LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import REPOSITORY, Topology
from loadtest.experiments import EXPERIMENTS
from loadtest.experiments.compare import INTERRUPTED, compare
from loadtest.experiments.experiment import Experiment
from loadtest.progress import Bars
from loadtest.report import write_report
from loadtest.results.model import Results

REPORTS = REPOSITORY / "reports"
SHORT_LIVES = {
    "ACCESS_TOKEN_SECONDS": "15",
    "KEY_PUBLISH_SECONDS": "4",
    "KEY_POLL_SECONDS": "0.5",
    "JWKS_MAX_AGE_SECONDS": "0",
    "JWKS_REFRESH_SECONDS": "1",
}
"""For a cluster that people watch: tokens expire and keys change while they look."""
OK, FAILED, WITHDRAWN, CTRL_C = 0, 1, 4, 130


def measured(
    console: Console, experiments: Sequence[Experiment], *, full: bool, seed: int | None, standing: bool
) -> Results:
    """Run *experiments* while showing progress, write results and report, and say where they are."""
    started = datetime.now().astimezone()
    with Bars(console) as bars, _cluster(standing=standing, bars=bars) as cluster:
        logs = cluster.directory / "logs"
        results = asyncio.run(
            compare(cluster, experiments, bars, full=full, seed=seed, logs=logs, spare_cluster=spare_cluster)
        )
    directory = REPORTS / started.strftime("%Y-%m-%dT%H-%M-%S")
    results.write(directory)
    page = write_report(directory, EXPERIMENTS)
    if results.complete:
        _point_latest_to(directory)
    for warning in results.warnings:
        console.print(f"[yellow]{warning['rule']}[/]", end=" ")
        console.print(warning["message"], markup=False, soft_wrap=True, highlight=False)
    also = "also report.md, results.json and results.csv"
    console.print(
        f"report: {page} ({also}{'; reports/latest points to it' if results.complete else ''})",
        soft_wrap=True,
        highlight=False,
    )
    return results


def exit_code(results: Results, console: Console) -> int:
    """Return the exit status for *results*, and say why if it is not 0."""
    if not results.complete:
        console.print(f"The run ended early: {results.ended_by}", markup=False, highlight=False, soft_wrap=True)
        console.print("The report contains what had been measured by then.")
        return CTRL_C if results.ended_by == INTERRUPTED else FAILED
    rules = {verdict.withdrawn_by for verdict in results.verdicts if verdict.withdrawn_by}
    if rules:
        console.print(f"Verdicts were withdrawn ({', '.join(rules)}). Repeat the run on an idle machine.")
        return WITHDRAWN
    return OK


@contextmanager
def _cluster(*, standing: bool, bars: Bars) -> Iterator[LocalCluster]:
    """Yield the cluster that `up` started, or one for this run only, on free ports."""
    if standing:
        yield standing_cluster_that_runs()
        return
    with own_cluster(Topology.from_environment().on_free_ports(), STATE / "compare", bars) as cluster:
        yield cluster


@contextmanager
def shown_cluster(*, standing: bool) -> Iterator[LocalCluster]:
    """Yield the cluster that `up` started, or one for the console only. Afterwards, whatever was broken is repaired."""
    if standing:
        with restored(cluster := standing_cluster_that_runs()):
            yield cluster
        return
    topology = Topology.from_environment().on_free_ports().with_settings(SHORT_LIVES)
    with LocalCluster(topology, STATE / "demo") as cluster:
        yield cluster


@contextmanager
def own_cluster(topology: Topology, directory: Path, bars: Bars) -> Iterator[LocalCluster]:
    """Yield a cluster that runs only for this block."""
    bars.start("starting a cluster", 1)
    with LocalCluster(topology, directory) as cluster:
        bars.advance()
        yield cluster


def spare_cluster(settings: Mapping[str, str]) -> LocalCluster:
    """Return a small cluster with *settings* on free ports, not started yet."""
    topology = replace(Topology.from_environment(), app_replicas=1, auth_replicas=1).with_settings(settings)
    name = "-".join(re.sub(r"\W+", "-", value) for value in settings.values())  # short: it is in the path of a socket
    return LocalCluster(topology.on_free_ports(), STATE / "spare" / name)


def standing_cluster() -> LocalCluster:
    """Return the cluster that `up` starts, running or not."""
    return LocalCluster(Topology.from_environment(), STATE / "local")


def standing_cluster_that_runs() -> LocalCluster:
    """Return the cluster that `up` starts. Raises `ClusterError` if it does not run."""
    cluster = standing_cluster()
    if not cluster.running():
        raise ClusterError("no cluster is up: `make up` starts one")
    return cluster


def _point_latest_to(directory: Path) -> None:
    """Atomically let `reports/latest` point to *directory*."""
    draft = REPORTS / f".latest.{directory.name}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(directory.name)
    draft.replace(REPORTS / "latest")
