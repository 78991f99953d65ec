"""The programs of a local cluster that come and go: a configuration file each, which supervisord includes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from loadtest.cluster.supervised import Supervised
from loadtest.cluster.topology import REPOSITORY, Topology, free_port, is_free

TEMPLATES = REPOSITORY / "deploy/local"


class Programs:
    """The replicas, the processes of the auth service, and proxies, of the cluster whose state is in *directory*.

    Their files say who should be running, and on which port.
    """

    def __init__(self, directory: Path, topology: Topology, supervised: Supervised) -> None:
        self._directory = directory / "programs"
        self._topology = topology
        self._supervised = supervised

    def write_first(self) -> None:
        """Write what a cluster starts with, and delete what an earlier one had."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for old in self._directory.glob("*.conf"):
            old.unlink()
        for number in range(1, self._topology.auth_replicas + 1):
            self._write("auth", f"auth-{number}", number=number, port=self._topology.auth_port + number)
        for number in range(1, self._topology.app_replicas + 1):
            self._write_replica(number, self._topology.app_port + number)

    def ports(self, service: str) -> dict[str, int]:
        """Return where each process of *service* (`app` or `auth`) listens, by its name, in order."""
        files = sorted(self._directory.glob(f"{service}-*.conf"), key=lambda file: _number(file.stem))
        return {file.stem: _port(file.read_text()) for file in files}

    def add_replica(self) -> str:
        """Start one more replica and return its name. It has a port of its own, next to the others' if that is free."""
        number = len(self.ports("app")) + 1
        wanted = self._topology.app_port + number
        self._write_replica(number, wanted if is_free(wanted) else free_port())
        self._supervised.add(f"app-{number}")
        return f"app-{number}"

    def remove_replica(self) -> None:
        """Stop the last replica with grace, and forget it."""
        name = list(self.ports("app"))[-1]
        self._supervised.stop(name)
        self._remove(name)

    def move_auth(self, name: str, port: int, *, kill: bool = False) -> None:
        """Let process *name* of the auth service listen on *port* from now on: it is restarted for that.

        Killed, it does not wait (`DRAIN_SECONDS`) for idle connections to end.
        """
        if kill:
            self._supervised.kill(name, stay_dead=True)
        self._supervised.remove(name)
        self._write("auth", name, number=_number(name), port=port)
        self._supervised.add(name)

    @contextmanager
    def proxy(self, server: str, port: int, to_port: int, seconds: float) -> Iterator[None]:
        """Let a proxy listen on *port* in front of *server*, whose answers it delays by *seconds*."""
        self._write("proxy", f"proxy-{server}", server=server, port=port, to_port=to_port, seconds=seconds)
        try:
            self._supervised.add(f"proxy-{server}")
            yield
        finally:
            self._remove(f"proxy-{server}")

    def _write_replica(self, number: int, port: int) -> None:
        self._write("app", f"app-{number}", number=number, port=port)

    def _write(self, template: str, program: str, **values: object) -> None:
        text = Template((TEMPLATES / f"{template}.conf").read_text()).substitute(values)
        (self._directory / f"{program}.conf").write_text(text)

    def _remove(self, program: str) -> None:
        (self._directory / f"{program}.conf").unlink()
        self._supervised.remove(program)


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _port(configuration: str) -> int:
    (found,) = re.findall(r'PORT="(\d+)"', configuration)
    return int(found)
