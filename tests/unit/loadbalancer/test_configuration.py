"""nginx itself checks the configuration of every deployment (`nginx -t`)."""

import re
import subprocess
from pathlib import Path

import pytest

from loadtest.cluster.binaries import find_binaries
from loadtest.cluster.nginx import write_configuration
from loadtest.cluster.topology import REPOSITORY, Topology
from services.app.strategy import Capability
from tests.support.strategies import INFOS

NGINX_CONF = REPOSITORY / "loadbalancer/nginx.conf"


def local(prefix: Path) -> None:
    """What the local cluster writes."""
    write_configuration(prefix / "nginx", Topology.from_environment().on_free_ports())


def compose(prefix: Path) -> None:
    """What docker-compose.yml mounts."""
    (prefix / "nginx").mkdir()
    for name in ("nginx.conf", "routes.conf"):
        (prefix / "nginx" / name).symlink_to(REPOSITORY / "loadbalancer" / name)
    (prefix / "nginx/cluster").symlink_to(REPOSITORY / "deploy/compose")


def nginx_test(prefix: Path) -> subprocess.CompletedProcess[str]:
    nginx = find_binaries()["NGINX_BIN"]
    command = [nginx, "-t", "-p", f"{prefix}/nginx/", "-c", f"{prefix}/nginx/nginx.conf", "-e", "stderr"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("deployment", [local, compose])
def test_nginx_accepts_the_configuration(tmp_path: Path, deployment: object) -> None:
    assert callable(deployment)
    deployment(tmp_path)
    done = nginx_test(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_nginx_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    local(tmp_path)
    (tmp_path / "nginx/cluster/auth.servers").write_text("server 127.0.0.1:1 max_fail=1;\n")
    assert nginx_test(tmp_path).returncode != 0


def test_strategies_that_ask_for_affinity_get_it() -> None:
    lines = re.findall(r"^ +~\^on/([a-z-]+)/ +app_with_affinity;$", NGINX_CONF.read_text(), re.MULTILINE)
    asking = [info.name for info in INFOS if Capability.AFFINITY in info.capabilities]
    assert sorted(lines) == sorted(asking), "the map of $app in loadbalancer/nginx.conf needs a line for each of them"


def test_logins_that_hold_at_one_replica_only_ask_for_affinity() -> None:
    either = {Capability.ANY_REPLICA, Capability.AFFINITY}
    assert [info.name for info in INFOS if not either & info.capabilities] == []
