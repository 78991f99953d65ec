"""nginx limits the rate of calls that hash passwords per address; here with a rate that a test can exceed."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.nginx import write_configuration
from loadtest.cluster.topology import REPOSITORY, Topology, is_free

ZONE, BURST = "zone=logins:8m rate=200r/s", "zone=logins burst=1000 nodelay"
SMALL_ZONE, SMALL_BURST = "zone=logins:8m rate=1r/m", "zone=logins burst=2 nodelay"
ALLOWED = 3


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """nginx alone, with no server behind it: 3 passwords at once, then one a minute."""
    topology = Topology.from_environment().on_free_ports()
    prefix = tmp_path / "nginx"
    write_configuration(prefix, topology)
    for name in ("nginx.conf", "routes.conf"):
        text = (REPOSITORY / "loadbalancer" / name).read_text()
        (prefix / name).unlink(missing_ok=True)  # a link to the repository's
        (prefix / name).write_text(text.replace(ZONE, SMALL_ZONE).replace(BURST, SMALL_BURST))
    nginx = find_binaries()["NGINX_BIN"]
    process = subprocess.Popen([nginx, "-p", f"{prefix}/", "-c", f"{prefix}/nginx.conf", "-e", "stderr"])
    try:
        while is_free(topology.lb_port):
            assert process.poll() is None
            time.sleep(0.01)
        yield f"http://127.0.0.1:{topology.lb_port}"
    finally:
        process.terminate()
        process.wait()


def ask(url: str) -> tuple[int, Message, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=10) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/users", "/auth/password", "/memory/login", "/redis/login"])
def test_t13_a_flood_of_passwords_from_one_address_is_429(base: str, path: str) -> None:
    assert [ask(base + path)[0] for _ in range(ALLOWED)] == [503] * ALLOWED  # let through, to nobody
    status, headers, body = ask(base + path)
    assert (status, headers["Retry-After"], headers["Content-Type"]) == (429, "1", "application/problem+json")
    assert (body["type"], body["status"]) == ("urn:authscale:problem:too-many-requests", 429)
    assert ask(f"{base}/redis/mypage")[0] == 503  # other paths are not limited


def test_t13_the_limit_is_far_above_a_load_test() -> None:
    assert ZONE in (REPOSITORY / "loadbalancer/nginx.conf").read_text()
    assert (REPOSITORY / "loadbalancer/routes.conf").read_text().count(BURST) == 4
