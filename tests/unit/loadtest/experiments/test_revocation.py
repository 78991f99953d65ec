"""A revocation holds if nothing that is sent after its acknowledgement is accepted."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from loadtest.cluster.protocol import ClusterError, Unavailable
from loadtest.experiments.experiment import WrongAnswer
from loadtest.experiments.revocation import EXPERIMENT
from loadtest.experiments.revocation.endings import MEANS, Plan
from loadtest.experiments.revocation.report import knows_who_is_logged_in, sentences
from loadtest.experiments.revocation.watch import SETTLED, Asked, Watch
from loadtest.report.overview import rows as overview
from loadtest.results.model import Figure, Results, Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, FakeCluster, config, context, results, serve

PLAN = Plan(rounds=1, askers=1, before_seconds=0.02, patience_seconds=0.05, lives=())
KINDS = {"memory": "session", "cookie": "session", "jwt": "token"}


async def measured(fake: FakeApp, logs: Path) -> Results:
    async with serve(fake) as cluster:
        using = await context(cluster, logs)
        async with using.stack:
            await EXPERIMENT.measure(using, PLAN)
    kinds: dict[str, str] = {strategy.name: strategy.kind for strategy in using.strategies}
    found = results(*EXPERIMENT.analyse(using.rows, config(**kinds)), **kinds)
    found.config["strategies"]["memory"]["capabilities"] = ["any-replica", "logout", "forced-logout"]
    return found


async def test_logins_that_end_are_not_accepted(tmp_path: Path) -> None:
    view = View(await measured(FakeApp(), tmp_path))
    held = {(f.strategy, f.labels["means"]): f.value for f in view.figures("revocation_held")}
    assert held == {(name, means): 100 for name in ("memory", "jwt") for means in MEANS}
    assert {f.value for f in view.figures("accepted_after_end")} == {0}
    _, verdict = knows_who_is_logged_in(view) or ("", "")
    assert verdict == "holds for memory; tokens can do the same under jwt"


async def test_sabotage_an_end_that_does_not_last_changes_verdict_and_first_screen(tmp_path: Path) -> None:
    fake = FakeApp()
    fake.ends_last = False
    view = View(await measured(fake, tmp_path))
    assert not view.figures("revocation_ms", means="forced logout")
    figures, verdict = knows_who_is_logged_in(view) or ("", "")
    assert verdict == "does not hold for memory; tokens cannot under jwt"
    assert "memory still accepted after" in figures
    cells = {row.name: row.logout for row in overview(view, ())}
    assert (cells["memory"].text, cells["memory"].note) == ("does not hold", "in 100 % of 1 logouts")


@pytest.mark.parametrize(("status", "error"), [(401, WrongAnswer), (503, Unavailable)])
async def test_a_login_that_is_never_accepted_is_wrong_unless_it_may_be_overload(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    async def mypage(request: web.Request) -> web.Response:
        return web.Response(status=status)

    fake = FakeApp()
    fake.mypage = mypage  # type: ignore[method-assign]
    with pytest.raises(error, match="no replica accepted a login that had just been made"):
        await measured(fake, tmp_path)


def ending(
    name: str = "memory", means: str = "forced logout", last: float = 0.0, number: int = 0, life: str = "",
    replica: str = "app-1", *, held: bool = True,
) -> Row:  # fmt: skip
    return {
        "round": number, "life": life, "strategy": name, "means": means, "watched_seconds": 0.4, "offered": True,
        "replica": replica, "asked": 10, "accepted": round(1000 * last), "last_seconds": last, "held": held,
    }  # fmt: skip


def view_of(*rows: Row) -> View:
    return View(results(*EXPERIMENT.analyse(rows, config(**KINDS)), **KINDS))


def one(metric: str, *rows: Row) -> Figure:
    (found,) = view_of(*rows).figures(metric)
    return found


def test_the_slowest_replica_counts_and_the_sample_is_the_ending() -> None:
    rows = [
        ending(last=last, number=number, replica=replica)
        for number, pair in enumerate([(0.0, 0.002), (0.004, 0.001)])
        for replica, last in zip(("app-1", "app-2"), pair, strict=True)
    ]
    figure = one("revocation_ms", *rows)
    assert figure.value == pytest.approx(3)
    assert figure.n == 2
    assert one("accepted_after_end", *rows).value == 7


def test_a_login_that_one_replica_goes_on_accepting_has_no_time() -> None:
    rows = [ending(), ending(last=0.39, replica="app-2", held=False)]
    assert one("revocation_held", *rows).value == 0
    assert one("watched", *rows).value == pytest.approx(0.4)
    assert view_of(*rows).figures("revocation_ms") == []


def test_what_a_shorter_life_shows_does_not_count_as_the_settings_do() -> None:
    view = view_of(ending("jwt", last=0.4, held=False), ending("jwt", last=11.0, life="1"))
    assert knows_who_is_logged_in(view) == (
        "last accepted request after a forced logout: jwt still accepted after 0.400 s",
        "tokens cannot under jwt",
    )
    assert list(sentences(view)) == [
        "After a forced logout, jwt went on accepting the login, which ends only when it expires.",
        "Where access tokens live for 1 s, requests were accepted after a forced logout: jwt for 11 s.",
    ]


@pytest.mark.parametrize(
    ("rows", "text", "note"),
    [
        ([ending()], "at once", "in 1 logout"),
        ([ending(), ending(number=1)], "at once", "in 2 logouts"),
        ([ending(last=0.002), ending(last=0.002, number=1)], "2 ms", "2 to 2 ms in 2 logouts"),
        ([ending("cookie", held=False)], "not measured yet", ""),
    ],
)
def test_the_first_screen_has_the_forced_logout(rows: list[Row], text: str, note: str) -> None:
    run = view_of(*rows).results
    run.config["strategies"]["memory"]["capabilities"] = ["any-replica", "logout", "forced-logout"]
    (cell,) = (row.logout for row in overview(View(run), ()) if row.name == "memory")
    assert (cell.text, cell.note) == (text, note)


async def test_where_no_further_cluster_can_be_started_lives_are_not_measured(tmp_path: Path) -> None:
    async with serve(FakeApp()) as cluster:
        using = await context(cluster, tmp_path)
        await EXPERIMENT.measure(using, Plan(rounds=0, lives=(1,)))
    (row,) = using.rows
    assert row["what"] == "tokens that live for 1 s"


async def test_lives_are_watched_on_a_cluster_whose_tokens_have_them(tmp_path: Path) -> None:
    asked: list[Mapping[str, str]] = []
    async with serve(FakeApp()) as cluster:

        class Spare(FakeCluster):
            def __enter__(self) -> FakeCluster:
                return cluster

            def __exit__(self, *_: object) -> None:
                pass

        def spare(settings: Mapping[str, str]) -> Spare:
            asked.append(settings)
            return Spare(cluster.url)

        using = await context(cluster, tmp_path)
        using.spare_cluster = spare
        await EXPERIMENT.measure(using, Plan(rounds=0, lives=(1, 5)))
    assert asked == [{"ACCESS_TOKEN_SECONDS": "1"}, {"ACCESS_TOKEN_SECONDS": "5"}]
    found = [(row["strategy"], row["life"], row["held"]) for row in using.rows]
    assert found == [("jwt", "1", True), ("jwt", "5", True)]


async def test_a_replica_that_does_not_answer_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.experiments.revocation.watch.SILENT_SECONDS", 0.0)
    watch = Watch({"app-1": "", "app-2": ""}, {}, {"app-1": [Asked(1.0 + n, 401) for n in range(SETTLED)]})
    with pytest.raises(ClusterError, match="app-2 did not answer"):
        await watch.until_refused(0.0, 0.0)


@pytest.mark.parametrize(("last", "held"), [([401], True), ([503], True), ([200, 401, 401, 401], False)])
async def test_a_login_has_ended_where_the_last_answers_accept_nothing(last: list[int], held: bool) -> None:
    asked = [Asked(1.0 + n, status) for n, status in enumerate([200, *([401] * SETTLED), *last])]
    watch = Watch({"app-1": ""}, {}, {"app-1": asked})
    await watch.until_refused(0.0, 0.0)
    assert watch.row("app-1", 0.0)["held"] is held
