"""An nginx of an experiment's own in front of the cluster's replicas: several upstreams, each with a port.

So that several ways to balance can be compared within a moment, without touching the cluster's load balancer.
"""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.protocol import ClusterError
from loadtest.cluster.topology import free_port

PATIENCE_SECONDS = 10.0


class OwnNginx:
    """nginx with one worker. *ports*: where it listens for each of *names*."""

    def __init__(self, directory: Path, names: Iterable[str]) -> None:
        self.ports = {name: free_port() for name in names}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """Return the address of the upstream *name*."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def worker(self) -> int:
        """Return the process id of the worker."""
        assert self._process is not None  # noqa: S101  # started
        (worker,) = psutil.Process(self._process.pid).children()
        return worker.pid

    async def balance(self, upstreams: Mapping[str, str]) -> None:
        """Serve *upstreams*: what the block `upstream` says, for each name.

        Returns when a new worker serves and the old one is gone. Raises `ClusterError`.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        sites = {self.ports[name]: block for name, block in upstreams.items()}
        (self._directory / "nginx.conf").write_text(configuration(sites))
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
        while not psutil.Process(self._process.pid).children():  # nginx listens before it starts a worker
            if self._process.poll() is not None or time.monotonic() > deadline:
                written = (self._directory / "nginx.log").read_text(errors="replace")
                raise ClusterError(f"nginx does not start:\n{written}")
            time.sleep(0.01)

    def _reload(self) -> None:
        assert self._process is not None  # noqa: S101  # started
        old = psutil.Process(self._process.pid).children()
        self._process.send_signal(signal.SIGHUP)
        if psutil.wait_procs(old, timeout=PATIENCE_SECONDS)[1]:
            raise ClusterError(f"nginx did not reload within {PATIENCE_SECONDS:g} s")


@asynccontextmanager
async def own_nginx(directory: Path, names: Iterable[str]) -> AsyncIterator[OwnNginx]:
    """Yield an `OwnNginx`, which ends with the block; `balance` starts it."""
    found = OwnNginx(directory, names)
    try:
        yield found
    finally:
        found.stop()


def servers(hosts: Iterable[str]) -> str:
    """Return nginx's `server` lines for *hosts* (HOST:PORT)."""
    return "".join(f" server {host};" for host in hosts)


def configuration(upstreams: Mapping[int, str]) -> str:
    """Return nginx's configuration: for each port, the upstream that it asks, over kept-alive connections."""
    sites = "\n".join(
        f"upstream u{port} {{ zone u{port} 64k; {block} keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u{port}; }} }}"
        for port, block in upstreams.items()
    )
    return f"""daemon off; pid nginx.pid; worker_processes 1; events {{ worker_connections 4096; }}
http {{
access_log off; client_body_temp_path body; proxy_temp_path proxy;
fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
keepalive_requests 100000; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_set_header Host $http_host;
{sites}
}}
"""
