"""Commands to run a local cluster and to put experiments to it."""

import sys

import click
from rich.console import Console
from rich.table import Table

from loadtest.cluster import processes
from loadtest.cluster.local import PATIENCE_SECONDS, STATE, LocalCluster
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import Topology

console = Console()


def main() -> None:
    """Run one command; expected errors are one clear message, not a stack trace."""
    try:
        cli.main(prog_name="python -m loadtest", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ClusterError as error:
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
    console.print("down: nothing of ours is running")


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


def _standing_cluster() -> LocalCluster:
    return LocalCluster(Topology.from_environment(), STATE / "local")
