"""A database that hangs, in containers.

docker compose up -d && pytest --running tests/e2e/test_compose_database.py
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtest.cluster.topology import REPOSITORY
from tests.support.clients.browsers import Browsers
from tests.support.timing import A_BUSY_MACHINE_ADDS

pytestmark = pytest.mark.e2e


def compose(*arguments: str) -> None:
    subprocess.run(["docker", "compose", *arguments], cwd=REPOSITORY, check=True, capture_output=True, timeout=30)


@contextmanager
def paused(service: str) -> Iterator[None]:
    compose("pause", service)
    try:
        yield
    finally:
        compose("unpause", service)


@pytest.fixture(autouse=True)
def containers(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--running") or not shutil.which("docker"):
        pytest.skip("asks the containers of a running `docker compose up`: give --running")


@pytest.mark.parametrize("path", ["/auth/login", "/redis/login"])
async def test_a_paused_database_is_503_at_once_and_nothing_is_lost(browsers: Browsers, path: str) -> None:
    browser = await browsers.register()
    with paused("postgres"):
        for _ in range(5):
            began = time.perf_counter()
            answer = await browser.http.post(path, json=browser.credentials)
            took = time.perf_counter() - began
            assert answer.status == 503, await answer.text()
            assert "Retry-After" in answer.headers
            assert took < 0.3 + A_BUSY_MACHINE_ADDS
    deadline = time.monotonic() + 5
    while (answer := await browser.http.post(path, json=browser.credentials)).status == 503:
        assert time.monotonic() < deadline, await answer.text()
    assert answer.status == 200
