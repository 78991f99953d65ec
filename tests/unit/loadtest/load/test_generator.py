"""The real load generator, a Locust process, against a small server in this one."""

import asyncio
from pathlib import Path

import pytest

from loadtest.cluster.protocol import CpuReading
from loadtest.load.children import GeneratorError
from loadtest.load.generator import Generator
from tests.unit.loadtest.fakes import FakeApp, serve


@pytest.mark.parametrize("strategy", ["anonymous", "memory", "jwt"])
async def test_a_closed_block_counts_good_pages(tmp_path: Path, strategy: str) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, Generator(strategy, cluster.url, 4, tmp_path / "log") as generator:
        block = await generator.run_block(cluster, warmup=0.1, seconds=0.4)
    assert block.failed == 0
    assert 0 < block.requests <= fake.pages
    assert block.latency.get_total_count() == block.requests
    assert block.generator_cpu > 0
    assert set(block.tiers) == {"app"}


async def test_one_process_runs_block_after_block(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster, Generator("jwt", cluster.url, 2, tmp_path / "log") as generator:
        for rate in (None, 50.0, None):
            block = await generator.run_block(cluster, 0.05, 0.2, rate)
            assert block.requests > 0
            assert block.failed == 0


async def test_an_open_block_starts_requests_at_the_given_rate(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster, Generator("anonymous", cluster.url, 4, tmp_path / "log") as generator:
        block = await generator.run_block(cluster, warmup=0.1, seconds=1.0, rate=100.0)
    assert block.requests == pytest.approx(100, abs=1)


@pytest.mark.parametrize("stall_after", [40, 180])
async def test_a_stall_is_not_hidden_by_users_who_wait_for_it(tmp_path: Path, stall_after: int) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, Generator("anonymous", cluster.url, 4, tmp_path / "log") as generator:
        fake.stall_after = fake.pages + stall_after
        block = await generator.run_block(cluster, warmup=0.1, seconds=2.0, rate=100.0)
    assert fake.stalled.is_set()
    assert block.requests == pytest.approx(200, abs=1)  # the overdue ones too
    # Up to 60 arrivals fall into the 0.6 s; four users alone would have seen four slow answers of 200.
    assert block.latency.get_value_at_percentile(90) > 100_000


async def test_another_users_page_is_a_failure(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, Generator("memory", cluster.url, 2, tmp_path / "log") as generator:
        fake.page_of_another = True
        block = await generator.run_block(cluster, 0.1, 0.2)
    assert block.failed == block.requests > 0
    assert block.failures == ("another user's page",)


async def test_lost_logins_are_failures(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, Generator("memory", cluster.url, 2, tmp_path / "log") as generator:
        fake.logins.clear()
        block = await generator.run_block(cluster, 0.1, 0.2)
    assert block.failures == ("status 401",)


async def test_a_token_client_that_is_refused_refreshes_and_tries_once_more(tmp_path: Path) -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, Generator("jwt", cluster.url, 1, tmp_path / "log") as generator:
        fake.refuse_access_tokens = 1
        block = await generator.run_block(cluster, 0.0, 0.3)
    assert fake.refreshes == 1
    assert block.others == 1
    assert block.failures in ((), ("status 401",))  # the refused one, if it came within the window
    assert block.failed <= 1


async def test_a_browser_sends_the_latest_cookie(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.renew_cookies = True  # with each page, and the one before is dead
    async with serve(fake) as cluster, Generator("memory", cluster.url, 2, tmp_path / "log") as generator:
        block = await generator.run_block(cluster, 0.1, 0.3)
    assert block.requests > 4
    assert block.failed == 0


async def test_load_is_still_running_when_cpu_is_read_at_the_end_of_the_window(tmp_path: Path) -> None:
    fake = FakeApp()
    pages: list[int] = []

    class Metered:
        def cpu(self) -> CpuReading:
            pages.append(fake.pages)
            return CpuReading({})

    async with serve(fake) as cluster, Generator("anonymous", cluster.url, 2, tmp_path / "log") as generator:
        await generator.run_block(Metered(), 0.1, 0.3)
    _at_the_begin, at_the_end = pages
    assert fake.pages - at_the_end > 10  # far more than those that were on their way


async def test_a_failed_login_is_an_error_that_says_why_without_secrets(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.accounts = Forgetful()
    async with serve(fake) as cluster:
        with pytest.raises(GeneratorError, match="POST /memory/login: status 401, not 200") as error:
            async with Generator("memory", cluster.url, 1, tmp_path / "log"):
                pass
    assert not any(password in str(error.value) for password in fake.accounts.told)


async def test_a_strategy_that_is_not_served_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        with pytest.raises(GeneratorError, match="there is no strategy no-such; there are: anonymous, memory, jwt"):
            async with Generator("no-such", cluster.url, 1, tmp_path / "log"):
                pass


async def test_a_host_that_does_not_answer_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r"GET http://127\.0\.0\.1:9/strategies: .*refused"):
        async with Generator("memory", "http://127.0.0.1:9", 1, tmp_path / "log"):
            pass


async def test_closing_stdin_ends_the_process(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster, Generator("anonymous", cluster.url, 1, tmp_path / "log") as generator:
        process = generator._child._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_parent_that_dies_in_the_middle_of_a_block_ends_the_process(tmp_path: Path) -> None:
    """As after a `kill -9` of the parent: both pipes are closed, and nobody tells the users to stop."""
    fake = FakeApp()
    async with serve(fake) as cluster, Generator("anonymous", cluster.url, 1, tmp_path / "log") as generator:
        process = generator._child._process
        assert process is not None
        generator._child.ask(run={"warmup": 0.0, "seconds": 0.3, "rate": None})
        await generator._child.expect("window", 20)
        for pipe in (0, 1):
            transport = process._transport.get_pipe_transport(pipe)  # type: ignore[attr-defined]
            transport.close()
        assert await asyncio.wait_for(process.wait(), 20) == 1


class Forgetful(dict[str, str]):
    """Accounts that the server does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def __setitem__(self, name: str, password: str) -> None:
        self.told.append(password)
