"""Survival: the sample is the fault, and each user knows what their counter must be."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from loadtest.cluster.protocol import FaultError
from loadtest.experiments.survival import EXPERIMENT
from loadtest.experiments.survival import figures as survival
from loadtest.experiments.survival.breaks import Plan
from loadtest.experiments.survival.report import scaling_sessions, sentences
from loadtest.experiments.survival.users import Case, Counted, User, row
from loadtest.load.client import Account, Answer, Client, strategies_of
from loadtest.results.model import Figure, Results, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, FakeCluster, config, context, results, serve

PLAN = Plan(users=3, users_without_affinity=2, after_kill_seconds=0.0)
ALONE = ("kill -9", "graceful stop", "rolling restart", "reload")
"""The faults of a cluster of one replica."""
Tamper = Callable[[FakeApp, FakeCluster], None]


async def measured(logs: Path, tamper: Tamper = lambda fake, cluster: None) -> View:
    fake = FakeApp()
    async with serve(fake) as cluster:
        tamper(fake, cluster)
        using = await context(cluster, logs)
        await EXPERIMENT.measure(using, PLAN)
    kinds: dict[str, str] = {strategy.name: strategy.kind for strategy in using.strategies}
    rows = [row for row in using.rows if row.get("kind") != "not measured"]
    found = results(*EXPERIMENT.analyse(rows, config(**kinds) | {"replicas": 1}), **kinds)
    found.rounds["survival"] = using.rows
    return View(found)


async def test_nobody_is_logged_out_where_nothing_dies(tmp_path: Path) -> None:
    view = await measured(tmp_path)
    lost = view.figures("users_lost")
    assert {f.value for f in lost} == {0.0}
    assert {f.labels["fault"] for f in lost} == {"none", *ALONE}
    assert {f.n for f in lost} == {1}  # one replica, each fault once
    for metric in ("http_5xx", "failed_visits", "mixed_up_users", "users_with_lost_state"):
        assert {f.value for f in view.figures(metric)} == {0}
    assert all(f.n > 5 for f in view.figures("http_5xx"))
    assert "Nobody who stayed logged in lost state or saw another user's." in list(sentences(view))


def forgets_logins(fake: FakeApp, cluster: FakeCluster) -> None:
    cluster.kill = lambda name, **_: fake.logins.clear()  # type: ignore[method-assign]


async def test_sabotage_everybody_is_logged_out_where_the_logins_die(tmp_path: Path) -> None:
    view = await measured(tmp_path, forgets_logins)
    assert [f.value for f in view.figures("users_lost", fault="kill -9")] == [100.0] * 4
    assert [f.value for f in view.figures("kills_with_losses")] == [100.0] * 4
    _, verdict = scaling_sessions(view) or ("", "")
    assert verdict == "holds for memory (1 of 1 kill)"


def forgets_visits(fake: FakeApp, cluster: FakeCluster) -> None:
    cluster.restart = lambda name: fake.visits.clear()  # type: ignore[method-assign]


async def test_sabotage_state_that_is_lost_shows_beside_logins_that_are_not(tmp_path: Path) -> None:
    view = await measured(tmp_path, forgets_visits)
    assert {f.value for f in view.figures("users_lost", fault="graceful stop")} == {0}
    state = {(f.strategy, f.value) for f in view.figures("users_with_lost_state", fault="graceful stop")}
    assert state == {("memory", 100.0), ("jwt", 0.0)}
    assert any("Under memory, users stayed logged in but lost" in sentence for sentence in sentences(view))


def mixes_up(fake: FakeApp, cluster: FakeCluster) -> None:
    def reload() -> None:
        fake.page_of_another = True

    cluster.reload_load_balancer = reload  # type: ignore[method-assign]


async def test_sabotage_another_users_page_is_told(tmp_path: Path) -> None:
    view = await measured(tmp_path, mixes_up)
    assert all(f.value for f in view.figures("mixed_up_users", fault="reload"))
    assert any("saw another user's data" in sentence for sentence in sentences(view))


def does_not_die(fake: FakeApp, cluster: FakeCluster) -> None:
    def kill(name: str, *, stay_dead: bool = False) -> None:
        raise FaultError(f"{name} did not die")

    cluster.kill = kill  # type: ignore[method-assign]


async def test_a_kill_that_did_not_happen_yields_no_figure(tmp_path: Path) -> None:
    view = await measured(tmp_path, does_not_die)
    assert view.figures("users_lost", fault="kill -9") == []
    assert view.figures("users_lost", fault="reload")
    assert scaling_sessions(view) is None
    assert [row["what"] for _, row in view.not_measured()] == ["kill -9 of app-1"]


def cannot_stop(fake: FakeApp, cluster: FakeCluster) -> None:
    able = cluster.capabilities() - {"stop"}
    cluster.capabilities = lambda: able  # type: ignore[method-assign]


async def test_what_an_engine_cannot_do_is_said(tmp_path: Path) -> None:
    view = await measured(tmp_path, cannot_stop)
    assert [row["reason"] for _, row in view.not_measured()] == ["this process cannot stop"] * 2


def visit(count: int) -> Answer:
    return Answer(200, {"visits": count})


def test_a_counter_may_have_counted_what_was_not_answered() -> None:
    counter = Counted()
    assert not counter.lost(visit(1))
    assert not counter.lost(Answer(503))
    assert not counter.lost(Answer(0))
    assert not counter.too_many(visit(4))
    assert counter.too_many(visit(5))
    assert not counter.lost(visit(2))
    assert counter.too_many(visit(4)), "what was unknown is known by then"


def test_a_counter_that_starts_again_has_lost_what_was_acknowledged() -> None:
    counter = Counted()
    assert [counter.lost(visit(count)) for count in (1, 2, 1, 2)] == [False, False, True, False]
    assert not counter.lost(Answer(401))


async def test_who_was_logged_out_before_the_fault_is_not_counted_again() -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, aiohttp.TCPConnector() as connector:
        _, memory, _ = await strategies_of(cluster.url)
        case = Case(memory, affinity=True)
        async with Client(cluster.url, memory, connector) as client:
            early, late = (User(case, client, Account("ada", "x")) for _ in range(2))
            for user in (early, late):
                await user.look(3)
    found = row(case, [early, late], [early])
    assert (found["users"], found["lost_before"], found["lost_after"], found["gets"]) == (2, 1, 1, 1)


async def test_a_user_looks_on_until_the_end() -> None:
    fake = FakeApp()
    async with serve(fake) as cluster, aiohttp.TCPConnector() as connector:
        _, memory, _ = await strategies_of(cluster.url)
        fake.accounts["ada"] = "x"
        async with Client(cluster.url, memory, connector) as client:
            user, stop = User(Case(memory, affinity=True), client, Account("ada", "x")), asyncio.Event()
            await client.login(user.account)
            looking = asyncio.create_task(user.keep_looking(stop, 0.0))
            async with asyncio.timeout(10):
                while user.gets[200] < 3:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0)
            stop.set()
            await looking
    assert (user.counted.known, user.logged_out, user.lost_state) == (user.posts[200], False, False)


def faults(*lost: int, users: int = 12, before: int = 0, fault: str = "kill -9") -> list[Row]:
    return [
        {
            "round": number, "fault": fault, "victim": "app-1", "strategy": "memory", "affinity": True, "users": users,
            "lost_before": before, "lost_after": after, "state_lost": 0, "mixed_up": 0, "gets": 100, "errors": 1,
            "posts": 50, "post_errors": 2,
        }
        for number, after in enumerate(lost)
    ]  # fmt: skip


def one(metric: str, rows: list[Row], fault: str = "kill -9") -> Figure:
    found = survival.analyse(rows, config(memory="session"))
    (figure,) = (f for f in found if f.metric == metric and f.labels.get("fault") == fault)
    return figure


def test_users_of_one_kill_share_its_fate() -> None:
    """0 of 360 users in 9 kills is 0 of 9, and does not say that fewer than 1 % are lost."""
    figure = one("users_lost", faults(*[0] * 9, users=40))
    assert (figure.value, figure.ci_low, figure.n) == (0, 0, 9)
    assert figure.ci_high == pytest.approx(33.6, abs=0.1)
    assert one("users_lost", faults(0, 0, 0)).ci_high == pytest.approx(70.8, abs=0.1)


def test_the_interval_is_over_kills() -> None:
    figure = one("users_lost", faults(3, 4, 5))
    assert figure.value == pytest.approx(100 / 3)
    assert figure.n == 3
    assert figure.ci_low == pytest.approx(33.33 - 4.303 * 8.333 / 3**0.5, abs=0.02)  # Student, 2 degrees of freedom
    assert figure.ci_high == pytest.approx(33.33 + 4.303 * 8.333 / 3**0.5, abs=0.02)


def test_the_interval_stays_within_what_is_possible() -> None:
    figure = one("users_lost", faults(0, 0, 12))
    assert (figure.ci_low, figure.ci_high) == (0, 100)


def test_kills_with_losses_are_counted_exactly() -> None:
    figure = one("kills_with_losses", faults(0, 1, 12))
    assert figure.value == pytest.approx(200 / 3)
    assert figure.n == 3
    assert figure.ci_low == pytest.approx(9.43, abs=0.01)  # Clopper and Pearson for 2 of 3
    assert figure.ci_high == pytest.approx(99.16, abs=0.01)


def test_users_who_had_lost_their_login_before_are_not_counted_again() -> None:
    rows = faults(5, 5, users=10, before=5)
    assert one("users_lost", rows).value == 100
    assert one("users_lost", rows, fault="none").value == 50
    assert "kills_with_losses" not in {
        f.metric for f in survival.analyse(faults(0, before=12), config(memory="session"))
    }


@pytest.mark.parametrize(
    ("fault", "percent"),
    [("kill -9", 100 / 3), ("graceful stop", 100 / 3), ("scale in", 100 / 3), ("rolling restart", 100.0),
     ("scale out", 0.0), ("reload", 0.0)],
)  # fmt: skip
def test_the_expected_loss_stands_beside_the_measured_one(fault: str, percent: float) -> None:
    assert one("expected_users_lost", faults(4, fault=fault), fault).value == pytest.approx(percent)


def test_the_verdict_names_the_other_faults_that_log_users_out() -> None:
    rows = [*faults(4), *faults(4, fault="scale in"), *faults(0, fault="reload")]
    run: Results = results(*survival.analyse(rows, config(memory="session")), memory="session")
    _, verdict = cast(tuple[str, str], scaling_sessions(View(run)))
    assert verdict == "holds for memory (1 of 1 kill), also after: scale in"
    assert "Scale in: 33 % of the users of memory lost their login (state in one replica predicts 33 %)." in list(
        sentences(View(run))
    )
