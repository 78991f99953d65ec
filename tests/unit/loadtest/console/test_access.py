"""Who may see the console and press its buttons."""

import re

import aiohttp
import pytest
from yarl import URL

from loadtest.console.access import Access, is_loopback
from tests.unit.loadtest.console.conftest import Served

PATHS = ("/events", "/parts/timeline", "/report", "/static/console.js", "/nonsense")


async def get(served: Served, path: str, **headers: str) -> aiohttp.ClientResponse:
    async with served.browser.get(f"{served.url}{path}", headers=headers, allow_redirects=False) as answer:
        if answer.content_type != "text/event-stream":
            await answer.read()
    return answer


@pytest.mark.parametrize("path", PATHS)
async def test_strangers_see_nothing(served: Served, path: str) -> None:
    assert (await get(served, path)).status == 401


async def test_strangers_are_told_what_to_do(served: Served) -> None:
    async with served.browser.get(served.url) as answer:
        assert answer.status == 401
        assert "printed in its terminal" in await answer.text()
    assert not list(served.browser.cookie_jar)


@pytest.mark.parametrize("token", ["", "wrong", "é", "x" * 3000])
async def test_a_wrong_token_lets_nobody_in(served: Served, token: str) -> None:
    async with served.browser.get(served.url, params={"token": token}) as answer:
        assert answer.status == 401


async def test_the_address_is_traded_for_a_strict_cookie_that_is_not_the_token(served: Served) -> None:
    async with served.browser.get(served.console.access.url("127.0.0.1")) as answer:
        (cookie,) = answer.headers.getall("Set-Cookie")
    assert re.search(r"HttpOnly; Path=/; SameSite=Strict", cookie)
    assert served.console.access.token not in cookie
    assert (await get(served, "/")).status == 200


async def test_a_wrong_cookie_lets_nobody_in(served: Served) -> None:
    await served.enter()
    (cookie,) = served.browser.cookie_jar
    served.browser.cookie_jar.update_cookies({cookie.key: cookie.value[:-1]}, URL(served.url))
    assert (await get(served, "/parts/timeline")).status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1", "", "a b"])
async def test_another_host_is_not_ours(served: Served, host: str) -> None:
    """DNS rebinding: a page of evil.example, whose name now leads here, is of another origin than ours."""
    await served.enter()
    port = served.url.rpartition(":")[2]
    assert (await get(served, "/", Host=host.format(port=port))).status in (400, 421)


async def test_names_of_this_machine_are_ours(served: Served) -> None:
    port = served.url.rpartition(":")[2]
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert served.console.access.is_ours(f"{name}:{port}")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/actions/kill", "/tour/1"])
async def test_other_sites_press_no_button(served: Served, path: str, headers: dict[str, str]) -> None:
    await served.enter()
    async with served.browser.post(f"{served.url}{path}", data={"target": "app-1"}, headers=headers) as answer:
        assert answer.status == 403
    assert not served.console.stage.history.entries


async def test_no_button_works_by_a_link(served: Served) -> None:
    await served.enter()
    assert (await get(served, "/actions/kill?target=app-1")).status == 405


@pytest.mark.parametrize("path", ["/", "/parts/tour", "/static/console.js", "/nonsense", "/report"])
async def test_every_answer_has_a_policy_without_unsafe_inline(served: Served, path: str) -> None:
    for entered in (False, True):
        if entered:
            await served.enter()
        headers = (await get(served, path)).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


async def test_the_page_has_no_inline_script_and_no_inline_style(served: Served) -> None:
    await served.enter()
    async with served.browser.get(served.url) as answer:
        page = await answer.text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\bstyle=|\bon\w+=|javascript:|hx-on", page)
    assert not re.search(r'(src|href)="(?!/|#)', page)  # works offline: nothing from elsewhere


def test_beyond_loopback_addresses_are_ours_and_names_are_not() -> None:
    access = Access("0.0.0.0", 8088)
    assert access.is_ours("192.0.2.7:8088")
    assert access.is_ours("[2001:db8::1]:8088")
    assert not access.is_ours("evil.example:8088")
    assert not access.is_ours("192.0.2.7:80")
    assert not Access("127.0.0.1", 8088).is_ours("192.0.2.7:8088")


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_an_address_for_all_interfaces_is_printed_as_one_that_works_here() -> None:
    assert Access("0.0.0.0", 8088).url("0.0.0.0").startswith("http://127.0.0.1:8088/?token=")
