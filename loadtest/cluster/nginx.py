"""What loadbalancer/nginx.conf includes, for a local cluster."""

from collections.abc import Collection
from pathlib import Path

from loadtest.cluster.topology import REPOSITORY, Topology


def write_configuration(nginx: Path, topology: Topology) -> None:
    """Write who listens where into *nginx*, a directory that has a directory `cluster`, and link the rest to it."""
    for name in ("nginx.conf", "routes.conf"):
        (nginx / name).unlink(missing_ok=True)
        (nginx / name).symlink_to(REPOSITORY / "loadbalancer" / name)
    (nginx / "cluster/listen").write_text(f"listen 127.0.0.1:{topology.lb_port};\n")
    (nginx / "cluster/listen_no_affinity").write_text(f"listen 127.0.0.1:{topology.lb_port_no_affinity};\n")
    (nginx / "cluster/auth.servers").write_text(_servers(topology.auth_ports()))
    write_balance(nginx, topology.app_ports())


def write_balance(nginx: Path, ports: Collection[int], workers: int | None = None) -> None:
    """Write which replicas are asked, by how many workers (None: as many as there are cores)."""
    (nginx / "cluster/app.servers").write_text(_servers(ports))
    (nginx / "cluster/workers").write_text(f"worker_processes {workers or 'auto'};\n")


def _servers(ports: Collection[int]) -> str:
    """Return nginx `server` lines: left out for two seconds after a failure, but still asked when all have failed."""
    options = ("max_fails=1 fail_timeout=2s", "max_fails=0 backup")
    return "".join(f"server 127.0.0.1:{port} {option};\n" for option in options for port in ports)
