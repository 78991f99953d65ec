"""Pages, buttons and news of a console, beside a small app."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadtest.cluster.protocol import ClusterError, Process
from loadtest.console.actions import ACTIONS, MOST_REPLICAS
from loadtest.console.crowd import THIEVES
from loadtest.console.feed import LIMIT, Feed
from loadtest.console.history import State
from tests.support import console_checker as checker
from tests.unit.loadtest.console.conftest import Served

IMPOSSIBLE_HERE = {"remove-replica": "this is the last replica", "rotate-keys": "POST …/keys/rotate: status 404. "}


async def text(served: Served, path: str = "/", **headers: str) -> str:
    async with served.browser.get(f"{served.url}{path}", headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


@asynccontextmanager
async def news(served: Served) -> AsyncIterator[aiohttp.StreamReader]:
    async with served.browser.get(f"{served.url}/events") as answer:
        assert answer.content_type == "text/event-stream"
        yield answer.content


async def told(stream: aiohttp.StreamReader) -> tuple[str, Any]:
    event, data = "", ""
    while line := (await stream.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        event, data = (value, data) if name == "event" else (event, value)
    return event, json.loads(data)


def counts(served: Served, row: str) -> tuple[int, int, int, int]:
    found = served.console.stage.history.counts()[row]
    return found.logged_in, found.logged_out, found.silent, found.lost


async def test_everybody_logs_in_and_asks(served: Served) -> None:
    await served.ask_around()
    assert {row: counts(served, row) for row in ("anonymous", "memory", "jwt")} == dict.fromkeys(
        ("anonymous", "memory", "jwt"), (2, 0, 0, 0)
    )
    assert served.console.beat.meters["memory"].latencies(0.0) is not None
    assert (served.console.beat.meters["memory"].cpu() or 0) > 0


async def test_the_page_shows_how_things_stand_without_javascript(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    page = await text(served)
    assert "Without JavaScript" in page
    assert '<td data-number="logged_in" data-label="in">2</td>' in " ".join(page.split())
    assert "app-1" in page


async def test_a_form_without_javascript_leads_back_to_the_page(served: Served) -> None:
    await served.enter()
    form = {"target": "app-1"}
    async with served.browser.post(
        f"{served.url}/actions/kill", data=form, headers={"Origin": served.url}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    await served.settled()


@pytest.mark.parametrize("key", ACTIONS)
async def test_every_button_ends_as_an_entry_without_a_fault(served: Served, key: str) -> None:
    await served.enter()
    await served.ask_around()
    answer = await served.post(f"/actions/{key}", target="app-1", seat="1")
    assert answer.status == 204
    await served.settled()
    (entry,) = served.console.stage.history.entries
    assert (entry.action, entry.done) == (key, True)
    assert entry.problem == IMPOSSIBLE_HERE.get(key, "")
    assert await text(served, "/parts/timeline")


async def test_a_forced_logout_is_seen_where_logins_are_looked_up(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    await served.post("/actions/force-logout", seat="2")
    await served.settled()
    await served.ask_around()
    assert counts(served, "memory") == (1, 1, 0, 0)
    assert served.console.stage.history.dots["memory"][1].state is State.OUT
    assert "Forced logout of person 2" in await text(served, "/parts/timeline")
    await served.post("/actions/log-in-again")
    await served.settled()
    assert counts(served, "memory") == (2, 0, 0, 0)


async def test_a_thief_lives_until_the_login_ends(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    await served.post("/actions/steal", seat="1")
    await served.settled()
    await served.ask_around()
    assert served.console.stage.history.counts()["memory"].thieves == 1
    await served.post("/actions/log-out", seat="1")
    await served.settled()
    await served.ask_around()
    assert served.console.stage.history.counts()["memory"].thieves == 0
    assert served.console.stage.history.counts()["jwt"].thieves == 0  # this app forgets tokens, too


async def test_no_credential_leaves_the_console(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    await served.post("/actions/steal", seat="1")
    await served.settled()
    await served.ask_around()
    seen = await text(served) + await text(served, "/parts/timeline") + served.console.picture.whole()
    for visitor in served.console.stage.crowd.all_visitors():
        assert visitor.account.password not in seen
    for key in served.fake.logins:
        assert key not in seen


@pytest.mark.parametrize("path", ["/actions/nonsense", "/tour/9", "/tour/x", "/parts/nonsense"])
async def test_what_is_not_there_is_404(served: Served, path: str) -> None:
    await served.enter()
    assert (await served.post(path)).status in (404, 405)


@pytest.mark.parametrize("target", ["", "app-9", "<script>", "x" * 4000])
async def test_only_processes_of_the_cluster_can_be_broken(served: Served, target: str) -> None:
    await served.enter()
    answer = await served.post("/actions/kill", target=target)
    assert answer.status == 422
    assert not served.console.stage.history.entries


@pytest.mark.parametrize("seat", ["", "0", "-1", "3", "1e9", "²", "<b>"])
async def test_a_seat_that_nobody_has_means_whoever_is_next(served: Served, seat: str) -> None:
    await served.enter()
    assert (await served.post("/actions/two-tabs", seat=seat)).status == 204
    await served.settled()
    assert served.console.stage.history.entries[0].seat in (0, 1)


async def test_a_click_on_what_is_dead_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(name: str, *, stay_dead: bool = False) -> None:
        raise ClusterError(f"{name} <dead> cannot be killed\nsecond line")

    monkeypatch.setattr(served.cluster, "kill", dead)
    await served.enter()
    await asyncio.gather(*(served.post("/actions/kill", target="app-1") for _ in range(2)))
    await served.settled()
    assert [entry.problem for entry in served.console.stage.history.entries] == ["app-1 <dead> cannot be killed"] * 2
    assert "app-1 &lt;dead&gt; cannot be killed" in await text(served, "/parts/timeline")


async def test_an_unexpected_fault_is_logged_and_told_of_without_details(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(served.cluster, "rolling_restart", broken)
    await served.enter()
    await served.post("/actions/rolling-restart")
    await served.settled()
    timeline = await text(served, "/parts/timeline")
    assert "unexpected way" in timeline
    assert "1234" not in timeline
    assert "rolling-restart failed" in caplog.text


async def test_a_dead_cluster_is_told_of_and_comes_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> list[Process]:
        raise ClusterError("its supervisord does not answer\nand more")

    await served.enter()
    with monkeypatch.context() as patch:
        patch.setattr(served.cluster, "processes", gone)
        await served.console.stage.look()
        assert "The cluster does not answer: its supervisord does not answer</p>" in await text(served)
        assert served.console.picture.numbers()["gone"] == "its supervisord does not answer"
    await served.console.stage.look()
    assert served.console.picture.numbers()["gone"] == ""


async def test_replicas_are_added_up_to_a_limit(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled: list[int] = []
    monkeypatch.setattr(served.cluster, "replicas", lambda: [f"app-{n}" for n in range(1, MOST_REPLICAS + 1)])
    monkeypatch.setattr(served.cluster, "scale", scaled.append)
    await served.enter()
    await served.post("/actions/add-replica")
    await served.settled()
    assert scaled == []
    assert served.console.stage.history.entries[-1].problem == f"there are {MOST_REPLICAS} replicas already"


async def test_viewers_begin_with_everything_and_hear_what_changes(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    async with news(served) as stream, news(served) as other:
        for one in (stream, other):
            event, whole = await told(one)
            assert event == "whole"
            assert [row["logged_in"] for row in whole["numbers"]["rows"]] == [2, 2, 2]
            assert sorted(row[0] for row in whole["dots"]) == [0, 1, 2]
        drawing = asyncio.create_task(served.console.picture.draw())
        heard = {(await told(stream))[0] for _ in range(4)}
        drawing.cancel()
    assert heard >= {"numbers", "changed"}


async def test_a_viewer_who_does_not_listen_is_let_go() -> None:
    feed = Feed()
    asleep, awake = feed.join(), feed.join()
    for number in range(LIMIT + 1):
        feed.send("dots", str(number))
        while not awake.empty():
            assert awake.get_nowait() is not None
    assert len(feed) == 1
    assert await asleep.get() is None
    assert asleep.empty()


async def test_the_language_is_the_browsers_until_somebody_chooses(served: Served) -> None:
    await served.enter()
    assert '<html lang="ko">' in await text(served, **{"Accept-Language": "ko-KR,ko;q=0.9"})
    assert '<html lang="en">' in await text(served, "/?language=en", **{"Accept-Language": "ko-KR"})
    assert '<html lang="en">' in await text(served, **{"Accept-Language": "ko-KR"})
    assert '<html lang="en">' in await text(served, '/?language="><script>')


async def test_the_tour_goes_forward_and_back_and_does_things(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.console.tour.PAUSE_SECONDS", 0.0)
    await served.enter()
    await served.ask_around()
    for step, action in ((3, "kill"), (2, "forget-affinity"), (7, "force-logout")):
        assert (await served.post(f"/tour/{step}")).status == 204
        await served.console.tour.shown()
        assert (served.console.stage.history.entries[-1].action, served.console.stage.step) == (action, step)
        assert f"{step}. " in await text(served, "/parts/tour")
    await served.post("/tour/8")
    await served.console.tour.shown()
    assert served.console.stage.crowd.affinity
    assert "Choose it when memory will do." in await text(served, "/parts/tour")
    await served.post("/tour/0")
    assert "Start the tour" in await text(served, "/parts/tour")


async def test_the_counts_follow_from_what_was_written_down(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    for action in ("force-logout", "two-tabs", "log-in-again", "log-out"):
        await served.post(f"/actions/{action}", seat="1")
        await served.settled()
        await served.ask_around()
        numbers = served.console.picture.numbers()
        happenings = checker.read(served.history.read_text(), numbers["length"])
        assert len(happenings) == numbers["length"]
        for strategy, row in zip(served.console.stage.strategies, numbers["rows"], strict=True):
            assert checker.counts(happenings, strategy.name).items() <= row.items()


async def test_the_fourth_thief_takes_the_place_of_the_first(served: Served) -> None:
    await served.enter()
    await served.ask_around()
    for _ in range(THIEVES + 1):
        await served.post("/actions/steal", seat="1")
        await served.settled()
        await served.ask_around()
    assert served.console.stage.history.counts()["memory"].thieves == THIEVES
    assert len(served.console.stage.crowd.thieves["memory"]) == THIEVES
    await served.post("/actions/restore")
    await served.settled()
    assert served.console.stage.history.counts()["memory"].thieves == 0
