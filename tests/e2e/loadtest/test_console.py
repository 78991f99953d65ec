"""The console in a real browser, on a real cluster: what one sees is what happened."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp.test_utils import unused_port
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from loadtest.cluster.topology import REPOSITORY
from tests.support import console_checker as checker

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
USERS = 12
LOGINS = ("memory", "redis", "redis-cached", "cookie", "jwt", "jwt-cached", "jwt-denylist")
PATIENCE_MS = 30_000

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.timeout(400),
]


@dataclass
class Running:
    """A console with a cluster of its own."""

    process: subprocess.Popen[str]
    url: str
    history: Path


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    history, log = directory / "history.jsonl", directory / "console.log"
    command = [sys.executable, "-m", "loadtest", "console", "--users", str(USERS), "--history", str(history)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--port", str(unused_port())],
            cwd=REPOSITORY,
            env=os.environ | {"STATE_DIR": str(directory / "s")},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Running(process, _address(process, log), history)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        status = process.wait(60)
    assert (status, "Traceback" in log.read_text()) == (0, False), log.read_text()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    while not (found := re.search(r"http://\S+token=\S+", log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("c")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, console: Running) -> Iterator[Page]:
    with opened(browser, console) as page:
        put_right(page)
        yield page


@contextmanager
def opened(browser: Browser, console: Running, **how: Any) -> Iterator[Page]:
    """A page that breaks no policy and has no faults in its script."""
    faults: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-US", **how) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(console.url)
        page.wait_for_selector("#rows")
        yield page
    assert faults == []


def put_right(page: Page) -> None:
    """Wait until everybody is logged in, and nothing is broken."""
    until(page, "memory", lambda counts: sum(counts.values()) == USERS)
    press(page.get_by_role("button", name="Put everything right"))
    for row in LOGINS:
        until(page, row, lambda counts: counts["logged_in"] == USERS)


def press(button: Locator) -> None:
    """Click, and wait until what was begun is over."""
    entries = button.page.locator(".timeline li[id]")
    number = entries.first.get_attribute("id") if entries.count() else None
    button.click()
    expect(entries.first).not_to_have_id(number or "", timeout=PATIENCE_MS)
    expect(entries.first.get_by_text("going on…")).to_have_count(0, timeout=2 * PATIENCE_MS)


def kill(page: Page, process: str) -> Locator:
    return page.locator(f"#process-{process}").get_by_role("button", name="Kill -9")


SCREEN = """() => [
    Number(document.getElementById("length").textContent),
    [...document.querySelectorAll("tr[data-strategy]")].map(row => [
        row.dataset.strategy,
        Object.fromEntries(["logged_in", "logged_out", "silent", "lost"].map(
            name => [name, Number(row.querySelector(`[data-number=${name}]`).textContent)]))])]"""
RED = """row => {
    const canvas = document.querySelector(`tr[data-strategy="${row}"] canvas`);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const isRed = i => data[i] > 150 && data[i + 1] < 80 && data[i + 2] < 80 && data[i + 3] > 200;
    return data.reduce((found, _, i) => found + (i % 4 === 0 && isRed(i)), 0);
}"""


def screen(page: Page) -> tuple[int, dict[str, dict[str, int]]]:
    """Return what the page shows: how much had happened, and the counts of each row."""
    length, rows = page.evaluate(SCREEN)
    return length, dict(rows)


def red(page: Page, row: str) -> int:
    """Return how many pixels of a row's dots are red, as the rings of those who are logged out."""
    return int(page.evaluate(RED, row))


def until(page: Page, row: str, right: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not right(counts := screen(page)[1][row]):
        assert time.monotonic() < deadline, (row, counts)
        page.wait_for_timeout(50)
    return counts


def replica_of(page: Page, row: str, seat: int) -> str:
    """Return the replica whose shape a dot has."""
    place = page.evaluate("([row, seat]) => rows.find(one => one.name === row).dots.get(seat).code >> 4", [row, seat])
    return page.locator(f".process:has(.place-{place}) b").inner_text()


def test_a_killed_replica_takes_memorys_users_with_it_and_no_others(page: Page) -> None:
    assert red(page, "memory") == 0
    press(kill(page, replica_of(page, "memory", seat=0)))
    lost = until(page, "memory", lambda counts: counts["logged_out"] > 0)["logged_out"]
    page.wait_for_function("() => rows[1].until < performance.now()")
    assert red(page, "memory") > 20
    for row in LOGINS[1:]:
        assert screen(page)[1][row]["logged_out"] == 0
        assert red(page, row) == 0
    expect(page.locator(".timeline")).to_contain_text(re.compile(r"memory \d+ of \d+ logged out"))
    assert lost < USERS


def test_each_step_of_the_tour_shows_what_it_says(page: Page, tmp_path: Path) -> None:
    tour, timeline = page.locator(".tour"), page.locator(".timeline")
    does = (
        "Logout by",
        "Forget affinity",
        "Kill -9",
        "Rolling restart",
        "Stop redis",
        "Steal the credential",
        "Forced logout",
    )
    for step, action in enumerate(does, 1):
        page.locator("#tour-next").click()
        expect(tour.get_by_role("heading")).to_contain_text(f"{step}. ", timeout=PATIENCE_MS)
        expect(timeline.locator("li[id]").filter(has_text=action).first).to_be_visible(timeout=2 * PATIENCE_MS)
        if step == 4:
            until(page, "memory", lambda counts: counts["logged_out"] == USERS)
        if step == 5:
            until(page, "redis", lambda counts: counts["silent"] == USERS)
            assert screen(page)[1]["cookie"]["silent"] == 0
        if step == 6:
            expect(timeline.get_by_text(re.compile("the thief was in for"))).not_to_have_count(0, timeout=PATIENCE_MS)
        page.screenshot(path=tmp_path / f"tour-{step}.png")
    page.locator("#tour-next").click()
    expect(tour).to_contain_text("Which one for you?", timeout=PATIENCE_MS)
    page.keyboard.press("ArrowLeft")
    expect(tour).to_contain_text("7. ", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Leave").click()
    expect(tour).to_contain_text("Take the tour", timeout=PATIENCE_MS)
    assert len(list(tmp_path.glob("tour-*.png"))) == 7


def test_the_counts_of_twenty_clicks_are_those_of_the_history(page: Page, console: Running) -> None:
    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name)

    def of(process: str, name: str) -> Locator:
        return page.locator(f"#process-{process}").get_by_role("button", name=name)

    clicks = [
        kill(page, "app-1"),
        button("Log in again"),
        button("Steal the credential"),
        button("Force a logout"),
        kill(page, "app-2"),
        of("redis", "Pause"),
        of("redis", "Resume"),
        button("Two tabs at once"),
        button("Forget affinity"),
        button("Restore affinity"),
        button("Log in again"),
        of("app-3", "Stop"),
        of("app-3", "Start"),
        button("Log out"),
        of("auth-1", "Stop"),
        of("auth-1", "Start"),
        button("Rotate signing keys"),
        button("Disable the account"),
        of("redis", "Stop"),
        button("Put everything right"),
    ]
    assert len(clicks) == 20
    for click in clicks:
        press(click)
        compare(page, console)
    page.wait_for_timeout(1500)
    compare(page, console)
    expect_effects(page, console)
    happenings = checker.read(console.history.read_text())
    assert checker.unasked(happenings, ("redis", "redis-cached")) == []


def compare(page: Page, console: Running) -> None:
    """The screen and the checker agree, at the same moment, about every row."""
    length, shown = screen(page)
    happenings = checker.read(console.history.read_text(), length)
    assert len(happenings) == length
    assert {row: checker.counts(happenings, row) for row in shown} == shown


def expect_effects(page: Page, console: Running) -> None:
    """What the timeline says of clicks that were about nobody in particular is what the history says."""
    happenings = checker.read(console.history.read_text())
    about_nobody = [one["number"] for one in happenings if one["kind"] == "entry" and one["seat"] is None]
    for number in about_nobody[-12:]:
        said = " | ".join(page.locator(f"#entry-{number} ul > li").all_inner_texts())
        for row in LOGINS:
            found = checker.suffered(happenings, number, row)
            mine = " ".join(text for text in said.split(" | ") if row in re.split(r", | ", text))
            assert _number(mine, r"(\d+) of \d+ logged out") == len(found.out), (number, row, said, found)
            assert _number(mine, r"(\d+) of \d+ got an error") == len(found.silent), (number, row, said, found)


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def test_a_second_viewer_and_a_reload_see_the_same(page: Page, browser: Browser, console: Running) -> None:
    press(kill(page, "app-2"))
    first = page.locator(".timeline li[id] b").first.inner_text()
    with opened(browser, console) as other:
        expect(other.locator(".timeline li[id] b").first).to_have_text(first, timeout=PATIENCE_MS)
        press(other.get_by_role("button", name="Force a logout"))
        expect(page.locator(".timeline li[id] b").first).to_contain_text("Forced logout", timeout=PATIENCE_MS)
    page.reload()
    expect(page.locator(".timeline li[id] b").first).to_contain_text("Forced logout", timeout=PATIENCE_MS)


def test_without_javascript_the_page_says_so_shows_the_last_table_and_its_buttons_work(
    browser: Browser, console: Running
) -> None:
    with opened(browser, console, java_script_enabled=False) as page:
        expect(page.get_by_text("Without JavaScript")).to_be_visible()
        row = page.locator('tr[data-strategy="anonymous"] [data-number="logged_in"]')
        expect(row).to_have_text(str(USERS))
        kill(page, "app-3").click()
        expect(page.locator(".timeline")).to_contain_text("Kill -9 app-3")


def test_a_page_that_hears_nothing_does_not_look_alive(page: Page, console: Running) -> None:
    expect(page.locator("#stale")).to_be_hidden()
    console.process.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator("#stale")).to_contain_text("No news from the console", timeout=PATIENCE_MS)
        assert "stale" in (page.locator("body").get_attribute("class") or "")
    finally:
        console.process.send_signal(signal.SIGCONT)
    expect(page.locator("#stale")).to_be_hidden(timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 860), (1920, 1080)])
def test_it_fits_phones_and_projectors(
    browser: Browser, console: Running, scheme: str, width: int, height: int
) -> None:
    with opened(browser, console, color_scheme=scheme) as page:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_the_cluster_dies_under_it(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("c")) as console, opened(browser, console) as page:
        until(page, "redis", lambda counts: counts["logged_in"] == USERS)
        (supervisor,) = [
            one for one in psutil.Process(console.process.pid).children() if "supervisord" in " ".join(one.cmdline())
        ]
        supervisor.kill()
        expect(page.locator("#gone")).to_contain_text("The cluster does not answer", timeout=PATIENCE_MS)
        kill(page, "app-1").click()
        expect(page.locator(".timeline .problem").first).to_be_visible(timeout=PATIENCE_MS)
