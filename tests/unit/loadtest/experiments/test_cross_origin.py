"""What a browser sends from other origins: the rule for the verdict, and the control in a real browser."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtest.attacks import browser
from loadtest.attacks.weak_site import weak_site
from loadtest.experiments import cross_origin
from loadtest.results.model import Row
from loadtest.results.view import View
from tests.unit.loadtest.fakes import FakeApp, config, context, results, serve

NOWHERE: dict[str, tuple[int, ...]] = {}
EVERYWHERE = dict.fromkeys(cross_origin.HOSTS, (200, 200, 200, 200))


def rows(strategy: str, foreign: Mapping[str, tuple[int, ...]], own: int = 200) -> list[Row]:
    """Rows of one strategy: the statuses of GET and POST by `fetch`, and of GET and POST by a form, by origin."""
    answers = {cross_origin.SAME: (own,) * 4} | {
        origin: foreign.get(origin, (401,) * 4) for origin in cross_origin.HOSTS
    }
    ways = [("fetch", "GET"), ("fetch", "POST"), ("form", "GET"), ("form", "POST")]
    return [
        {
            "strategy": strategy, "origin": origin, "how": how, "method": method, "status": status,
            "readable": origin == cross_origin.SAME,
        }
        for origin, statuses in answers.items()
        for (how, method), status in zip(ways, statuses, strict=True)
    ]  # fmt: skip


def verdict(*some: list[Row]) -> str | None:
    found = cross_origin.analyse([row for rows_ in some for row in rows_], config(redis="session", jwt="token"))
    judged = cross_origin.bound_to_a_domain(View(results(*found, redis="session", jwt="token")))
    return judged and judged[1]


CONTROL = rows(cross_origin.CONTROL, EVERYWHERE)


def test_cookies_that_stay_at_home_are_cleared() -> None:
    found = verdict(CONTROL, rows("redis", {cross_origin.PORT: (200, 403, 200, 403)}), rows("jwt", NOWHERE))
    assert found == (
        "holds for redis: browsers send their cookies along from another port, but no forged POST is obeyed; "
        "tokens (jwt) are not sent by themselves"
    )


def test_who_obeys_a_forged_post_is_told_on() -> None:
    found = verdict(CONTROL, rows("redis", {cross_origin.SUBDOMAIN: (200, 403, 200, 200)}), rows("jwt", NOWHERE))
    assert found is not None
    assert found.endswith("forged POSTs are obeyed by redis (a subdomain)")
    assert "holds for redis" not in found


@pytest.mark.parametrize(
    "some",
    [
        [rows(cross_origin.CONTROL, NOWHERE), rows("redis", NOWHERE)],
        [CONTROL, rows("redis", NOWHERE, own=401)],
        [rows("redis", NOWHERE)],
    ],
    ids=["the control did not fall", "not even the own page is served", "no control"],
)
def test_requests_that_prove_nothing_give_no_verdict(some: list[list[Row]]) -> None:
    assert verdict(*some) is None


async def test_without_a_browser_nothing_is_measured_and_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHROMIUM_BIN", raising=False)
    monkeypatch.setattr(browser, "NAMES", ("no-such-browser",))
    async with serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        await cross_origin.measure(found, cross_origin.EXPERIMENT.quick)
    assert [(row["kind"], row["what"]) for row in found.rows] == [("not measured", "everything")]
    assert "apt install chromium" in found.rows[0]["reason"]


def _has_browser() -> bool:
    try:
        browser.find()
    except browser.NoBrowserError:
        return False
    return True


@pytest.mark.skipif(not _has_browser(), reason="there is no Chromium")
async def test_a_careless_site_falls_in_a_real_browser(tmp_path: Path) -> None:
    """Browsers send its cookie from its own site at least, and it does not ask where a POST comes from."""
    async with weak_site() as careless, weak_site() as other, browser.browser() as running, serve(FakeApp()) as cluster:
        found = await context(cluster, tmp_path)
        target = cross_origin.careless(careless)
        async with cross_origin.victim(running, target) as page:
            await cross_origin.attack(found, page, target, other)
    figures = {
        (f.metric, f.labels.get("origin", "")): (f.value, f.labels.get("how", ""))
        for f in cross_origin.analyse(found.rows, config())
    }
    assert figures["credential_sent", cross_origin.SAME] == (2, "fetch and form")
    assert figures["forged_posts_obeyed", cross_origin.SUBDOMAIN] == (2, "fetch and form")
    assert figures["credential_sent", cross_origin.SITE] == (1, "form")
    assert figures["answers_read", cross_origin.SITE] == (0, "")
    assert figures["credential_read_by_script", ""] == (1, "")
