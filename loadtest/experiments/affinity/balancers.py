"""An nginx of our own in front of the cluster's replicas, with a port for each way of keeping users at a replica."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import free_port

METHODS = {
    "round robin": "",
    "ip_hash": "ip_hash;",
    "hash": "hash $remote_addr;",
    "consistent hash": "hash $remote_addr consistent;",
    "sticky cookie": "sticky cookie replica path=/;",
    "sticky learn": "sticky learn create=$cookie_user lookup=$cookie_user zone=learned:256k;",
}
"""What nginx's upstream says. `sticky learn` keeps a table of users, here by the cookie that tells them apart."""
PATIENCE_SECONDS = 10.0


class Balancers:
    """A running nginx with one worker. *ports*: where each of `METHODS` listens."""

    def __init__(self, directory: Path) -> None:
        self.ports = {method: free_port() for method in METHODS}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    async def balance(self, servers: Sequence[str]) -> None:
        """Balance over *servers* (HOST:PORT); return when new workers serve and the old ones are gone.

        Raises `ClusterError`.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "nginx.conf").write_text(configuration(self.ports, servers))
        await asyncio.to_thread(self._reload if self._process else self._start)

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def _start(self) -> None:
        command = [find_binaries()["NGINX_BIN"], "-p", f"{self._directory}/", "-c", "nginx.conf", "-e", "stderr"]
        with (self._directory / "nginx.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not psutil.Process(self._process.pid).children():  # a worker: nginx listens before it starts one
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self._directory / "nginx.log").read_text(errors="replace")
                raise ClusterError(f"nginx does not start:\n{log_text}")
            time.sleep(0.01)

    def _reload(self) -> None:
        assert self._process is not None  # noqa: S101  # started
        old = psutil.Process(self._process.pid).children()
        self._process.send_signal(signal.SIGHUP)
        if psutil.wait_procs(old, timeout=PATIENCE_SECONDS)[1]:
            raise ClusterError(f"nginx did not reload within {PATIENCE_SECONDS:g} s")


@asynccontextmanager
async def balancers(directory: Path) -> AsyncIterator[Balancers]:
    """Yield a `Balancers`, which ends with the block; `balance` starts it."""
    found = Balancers(directory)
    try:
        yield found
    finally:
        found.stop()


def configuration(ports: Mapping[str, int], servers: Sequence[str]) -> str:
    """Return nginx's configuration: an upstream with all *servers*, and a listener, for each method."""
    lines = "".join(f" server {server};" for server in servers)
    sites = "\n".join(
        f"upstream u{port} {{ zone u{port} 64k; {METHODS[method]}{lines} }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u{port}; }} }}"
        for method, port in ports.items()
    )
    return f"""daemon off; pid nginx.pid; worker_processes 1; events {{ worker_connections 4096; }}
http {{
access_log off; client_body_temp_path body; proxy_temp_path proxy; proxy_set_header Host $http_host;
fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{sites}
}}
"""
