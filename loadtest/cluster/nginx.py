"""The nginx of a local cluster: what loadbalancer/nginx.conf includes, and when it reads it again."""

from collections.abc import Collection
from pathlib import Path
from xmlrpc.client import Fault

import psutil

from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.readiness import Readiness
from loadtest.cluster.supervised import Supervised
from loadtest.cluster.topology import REPOSITORY, Topology

NAME = "loadbalancer"
RELOAD_SECONDS = 10


def write_configuration(nginx: Path, topology: Topology) -> None:
    """Write who listens where, and who is asked, below *nginx*, and link the rest to it."""
    (nginx / "cluster").mkdir(parents=True, exist_ok=True)
    for name in ("nginx.conf", "routes.conf"):
        (nginx / name).unlink(missing_ok=True)
        (nginx / name).symlink_to(REPOSITORY / "loadbalancer" / name)
    (nginx / "cluster/listen").write_text(f"listen 127.0.0.1:{topology.lb_port};\n")
    (nginx / "cluster/listen_no_affinity").write_text(f"listen 127.0.0.1:{topology.lb_port_no_affinity};\n")
    (nginx / "cluster/auth.servers").write_text(_servers(topology.auth_ports()))
    write_balance(nginx, topology.app_ports())


def write_balance(nginx: Path, ports: Collection[int], workers: int | None = None) -> None:
    """Write which replicas are asked, and by how many workers (None: one for each core)."""
    (nginx / "cluster/app.servers").write_text(_servers(ports))
    (nginx / "cluster/workers").write_text(f"worker_processes {workers or 'auto'};\n")


class LoadBalancer:
    """nginx, whose prefix is *directory*."""

    def __init__(self, directory: Path, topology: Topology, supervised: Supervised, readiness: Readiness) -> None:
        self._directory = directory
        self._topology = topology
        self._supervised = supervised
        self._readiness = readiness

    def ask(self, ports: Collection[int], workers: int | None = None) -> None:
        """Ask the replicas on *ports* only, with this number of *workers* (None: one for each core).

        Returns when new workers serve and the old ones are gone. Raises `ClusterError`.
        """
        write_balance(self._directory, ports, workers)
        try:
            (info,) = self._supervised.named(NAME)
            old = psutil.Process(info["pid"]).children()
            self._supervised.signal(NAME, "HUP")
        except (psutil.NoSuchProcess, Fault) as error:
            raise ClusterError(f"nginx is not running: {error}\n{self._supervised.last_lines(NAME)}") from None
        if psutil.wait_procs(old, timeout=RELOAD_SECONDS)[1]:
            raise ClusterError(f"nginx did not reload within {RELOAD_SECONDS} s\n{self._supervised.last_lines(NAME)}")
        self._readiness.wait(self._topology.lb_port, NAME, RELOAD_SECONDS)


def _servers(ports: Collection[int]) -> str:
    """Return nginx `server` lines: left out for two seconds after a failure, but still asked when all have failed."""
    options = ("max_fails=1 fail_timeout=2s", "max_fails=0 backup")
    return "".join(f"server 127.0.0.1:{port} {option};\n" for option in options for port in ports)
