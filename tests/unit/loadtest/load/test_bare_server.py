"""The bare server copies a page, can be metered, and ends with its parent."""

import subprocess
import sys
from pathlib import Path

import aiohttp
import psutil
import pytest

from loadtest.cluster.protocol import ClusterError
from loadtest.load.bare_process import BareServer
from loadtest.load.children import ROOT, GeneratorError
from tests.unit.loadtest.fakes import FakeApp, serve


async def answer(url: str) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        headers = {name: value for name, value in response.headers.items() if name != "Date"}
        return response.status, headers, await response.read()


async def test_it_answers_as_the_page_does(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        page = f"{cluster.url}/anonymous/mypage"
        async with await BareServer.like(page, tmp_path / "log") as bare:
            assert await answer(f"{bare.url}/anonymous/mypage") == await answer(page)


async def test_its_cpu_time_is_its_own_and_grows_with_its_work(tmp_path: Path) -> None:
    async with BareServer({}, "a page", tmp_path / "log") as bare:
        before = bare.cpu()
        for _ in range(20):
            await answer(bare.url)
        used = bare.cpu().since(before)
    assert used.keys() == {"bare server"}
    assert used["bare server"].tier == "app"
    assert 0 < used["bare server"].seconds < 10


async def test_it_ends_with_its_block_even_when_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        async with BareServer({}, "a page", tmp_path / "log") as bare:
            raise RuntimeError
    with pytest.raises(aiohttp.ClientConnectionError):
        await answer(bare.url)


def test_it_ends_when_its_parent_is_killed() -> None:
    starter = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-m', 'loadtest.load.bare_server', '0'], stdin=subprocess.PIPE); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert "http://127.0.0.1:" in parent.stdout.readline()
        parent.kill()
        _gone, alive = psutil.wait_procs([child], timeout=10)
        for process in alive:
            process.kill()
    assert alive == []


async def test_a_page_that_is_not_served_is_a_clear_error(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        with pytest.raises(ClusterError, match="no-such-page: 404"):
            await BareServer.like(f"{cluster.url}/no-such-page", tmp_path / "log")


async def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    broken = BareServer({}, "a page", tmp_path / "log")
    broken._child._command = [*broken._child._command[:-1], "no JSON"]
    with pytest.raises(GeneratorError, match="JSONDecodeError"):
        await broken.__aenter__()
