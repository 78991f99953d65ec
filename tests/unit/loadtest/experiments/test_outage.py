"""Outages: what is answered while something is away counts, what hangs has failed, and nothing may fail open."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from loadtest.cluster.protocol import Capability, Cluster, FaultError
from loadtest.experiments.outage import EXPERIMENT
from loadtest.experiments.outage.callers import Caller, afterwards, now, until_all_succeed
from loadtest.experiments.outage.outages import Plan
from loadtest.experiments.outage.report import needs_no_store, sentences
from loadtest.load.client import Answer
from loadtest.report.overview import rows as overview
from loadtest.results.model import Results, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, FakeCluster, config, context, results, serve

PLAN = Plan(fault_seconds=0.3, back_seconds=2.0, users=1, refreshers=1, endure_seconds=(), pause=0.02, login_pause=0.02)
KINDS = {"memory": "session", "redis": "session", "jwt": "token"}
Tamper = Callable[[FakeApp, FakeCluster], None]


async def measured(logs: Path, tamper: Tamper = lambda fake, cluster: None) -> Results:
    """Let a cluster that has a Redis and an auth service be measured."""
    fake = FakeApp()
    async with serve(fake) as cluster:
        cluster.states |= {"redis": "alive", "auth-1": "alive"}
        tamper(fake, cluster)
        using = await context(cluster, logs)
        await EXPERIMENT.measure(using, PLAN)
        assert set(cluster.states.values()) == {"alive"}, "everything was put right"
    kinds: dict[str, str] = {strategy.name: strategy.kind for strategy in using.strategies}
    rows = [row for row in using.rows if row["kind"] != "not measured"]
    found = results(*EXPERIMENT.analyse(rows, config(**kinds)), **kinds)
    found.rounds["outage"] = using.rows
    return found


async def test_a_cluster_that_needs_nothing_answers_everything(tmp_path: Path) -> None:
    view = View(await measured(tmp_path))
    successes = view.figures("outage_success")
    assert {f.value for f in successes} == {100}
    assert {(f.labels["service"], f.labels["fault"]) for f in successes} == {
        ("redis", "killed"), ("redis", "paused"), ("redis", "slow"), ("redis", "full"),
        ("auth", "killed"), ("auth", "paused"), ("auth", "slow"),
    }  # fmt: skip
    assert {(f.strategy, f.labels["call"]) for f in successes} == {
        ("memory", "my page"), ("memory", "login"), ("jwt", "my page"), ("jwt", "login"), ("jwt", "refresh"),
    }  # fmt: skip
    _, verdict = needs_no_store(view) or ("", "")
    assert verdict == "holds for the pages of jwt"
    assert {row.strategy: row.outage.text for row in overview(view, ())}["jwt"] == "100 % of pages"


def fails_open(fake: FakeApp, cluster: FakeCluster) -> None:
    """Whoever has a credential is let in while something is dead."""
    cluster.when_changed = lambda: setattr(fake, "fails_open", "dead" in cluster.states.values())


async def test_sabotage_a_replica_that_fails_open_is_told_on(tmp_path: Path) -> None:
    view = View(await measured(tmp_path, fails_open))
    wrong = {(f.strategy, f.labels["fault"]) for f in view.figures("wrongly_accepted") if f.value}
    assert wrong == {("memory", "killed")}  # whose user had logged out
    assert any("accepted that must not be: memory, redis killed" in sentence for sentence in sentences(view))


def breaks_down(fake: FakeApp, cluster: FakeCluster) -> None:
    cluster.when_changed = lambda: setattr(fake, "breaks_down", cluster.states["redis"] != "alive")


async def test_sabotage_pages_that_need_the_store_change_verdict_and_first_screen(tmp_path: Path) -> None:
    view = View(await measured(tmp_path, breaks_down))
    _, verdict = needs_no_store(view) or ("", "")
    assert verdict == "does not hold for the pages of jwt"
    cells = {row.strategy: row.outage for row in overview(view, ())}
    assert (cells["jwt"].text, cells["jwt"].note) == ("0 % of pages", "100 % of logins")


def does_not_happen(fake: FakeApp, cluster: FakeCluster) -> None:
    def pause(name: str) -> None:
        raise FaultError(f"{name} is alive and not paused")

    cluster.pause = pause  # type: ignore[method-assign]


async def test_a_fault_that_does_not_happen_yields_no_figure(tmp_path: Path) -> None:
    found = await measured(tmp_path, does_not_happen)
    assert "paused" not in {f.labels["fault"] for f in View(found).figures("outage_success")}
    assert [(row["what"], row["reason"]) for _, row in View(found).not_measured()][-2:] == [
        ("redis paused", "redis is alive and not paused"),
        ("auth paused", "auth is alive and not paused"),
    ]


def cannot_fill(fake: FakeApp, cluster: FakeCluster) -> None:
    able: frozenset[Capability] = cluster.capabilities() - {"fill"}
    cluster.capabilities = lambda: able  # type: ignore[method-assign]


async def test_what_an_engine_cannot_do_is_said(tmp_path: Path) -> None:
    found = await measured(tmp_path, cannot_fill)
    reasons = {row["what"]: row["reason"] for _, row in View(found).not_measured()}
    assert reasons["redis full"] == "this process cannot fill"


class Service:
    """Answers with *status*, unless it hangs."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.going_on = asyncio.Event()
        self.going_on.set()

    async def answer(self) -> Answer:
        await self.going_on.wait()
        return Answer(self.status, {"user": {"name": "ada"}})


async def test_a_call_that_hangs_has_failed_and_one_that_was_just_sent_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, over = Service(), asyncio.Event()
    service.going_on.clear()
    caller = Caller(("jwt",), "my page", service.answer, 0.0)
    calling = asyncio.create_task(caller.run(over))
    await asyncio.sleep(0)
    assert now([caller])[0]["asked"] == 0
    monkeypatch.setattr("loadtest.experiments.outage.callers.LONG_SECONDS", 0.0)
    (row,) = now([caller])
    assert (row["asked"], row["succeeded"], row["unanswered"]) == (1, 0, 1)
    service.going_on.set()
    over.set()
    await calling


async def test_who_never_succeeds_again_has_not_recovered() -> None:
    good, bad = Service(), Service(503)
    callers = [Caller(("jwt",), "my page", one.answer, 0.0) for one in (good, bad)]
    over = asyncio.Event()
    calling = [asyncio.create_task(caller.run(over)) for caller in callers]
    await until_all_succeed(callers, 0.0, 0.05)
    assert afterwards(callers, 0.0)[0]["recovered"] is None
    bad.status = 200
    await until_all_succeed(callers, 0.0, 30.0)
    assert cast(float, afterwards(callers, 0.0)[0]["recovered"]) > 0
    over.set()
    await asyncio.gather(*calling)


async def test_another_users_page_is_accepted_wrongly() -> None:
    service, over = Service(), asyncio.Event()
    caller = Caller(("jwt",), "my page", service.answer, 0.0, name="grace")
    calling = asyncio.create_task(caller.run(over))
    await until_all_succeed([caller], 0.0, 30.0)
    over.set()
    await calling
    assert cast(int, afterwards([caller], 0.0)[0]["wrongly"]) > 0


def row(
    strategy: str = "jwt", call: str = "my page", service: str = "redis", succeeded: int = 10, **more: object
) -> Row:
    return {
        "kind": "call", "round": 0, "service": service, "fault": "killed", "strategy": strategy, "call": call,
        "asked": 10, "succeeded": succeeded, "refused": 0, "unavailable": 10 - succeeded, "unanswered": 0,
        "slowest_seconds": 0.3, "wrongly": 0, "tried": 20, "recovered": 0.5, "refused_after": 0, **more,
    }  # fmt: skip


def view_of(*rows: Row) -> View:
    return View(results(*EXPERIMENT.analyse(rows, config(**KINDS)), **KINDS))


def test_the_sample_is_the_outage() -> None:
    view = view_of(row(succeeded=0), row(succeeded=10, round=1))
    (figure,) = view.figures("outage_success")
    assert (figure.value, figure.n) == (50, 2)
    assert (figure.ci_low, figure.ci_high) == (0, 100)


def test_the_verdict_names_what_tokens_need_after_all() -> None:
    endured: Row = {"kind": "endured", "service": "redis", "strategy": "jwt", "seconds": 1.5, "ended": True}
    view = view_of(
        row(),
        row(call="login", succeeded=0),
        row(call="refresh", succeeded=0),
        row(service="keys", succeeded=0),
        endured,
    )
    _, verdict = needs_no_store(view) or ("", "")
    assert verdict == (
        "holds for the pages of jwt; does not hold for new logins and refreshes; a replica that starts without the "
        "auth service accepts no token; for jwt, only until the limits on old keys and old news are reached"
    )


def test_a_good_login_that_is_refused_is_told() -> None:
    assert any("Under redis, good logins were refused" in one for one in sentences(view_of(row("redis", refused=1))))
    assert any("Under redis, good logins" in one for one in sentences(view_of(row("redis", refused_after=1))))


def test_where_nobody_recovered_there_is_no_time() -> None:
    assert view_of(row(recovered=None)).figures("outage_recovery") == []


async def test_tokens_are_watched_on_a_cluster_with_short_limits(tmp_path: Path) -> None:
    asked: list[Mapping[str, str]] = []
    async with serve(FakeApp()) as cluster:
        cluster.states |= {"redis": "alive", "auth-1": "alive"}

        @contextmanager
        def spare(settings: Mapping[str, str]) -> Iterator[Cluster]:
            asked.append(settings)
            yield cluster

        using = await context(cluster, tmp_path)
        using.spare_cluster = spare
        await EXPERIMENT.measure(using, Plan(passes=0, users=1, refreshers=0, endure_seconds=(("redis", 0.2),)))
    assert asked[0]["DENYLIST_MAX_STALE_SECONDS"] == "1.5"
    (found,) = using.rows
    assert (found["strategy"], found["service"], found["ended"]) == ("jwt", "redis", False)
