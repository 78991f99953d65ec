"""A real browser for experiments: Playwright drives a Chromium that is on the machine."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser
else:
    Browser = object

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",  # containers have no sandbox; it opens only our own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowserError(Exception):
    """There is no browser here; the message says how to get one."""


def find() -> str:
    """Return the path of a Chromium. `CHROMIUM_BIN` names another one. Raises `NoBrowserError`."""
    found = os.environ.get("CHROMIUM_BIN") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise NoBrowserError("there is no Chromium: install one (apt install chromium), or let CHROMIUM_BIN name it")
    return found


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Yield a running browser. Raises `NoBrowserError`."""
    path = find()
    try:
        from playwright.async_api import Error, async_playwright  # it may be missing: one experiment needs it
    except ImportError:
        raise NoBrowserError("Playwright is not installed: pip install playwright") from None
    async with async_playwright() as playwright:
        try:
            running = await playwright.chromium.launch(executable_path=path, headless=True, args=list(QUIET))
        except Error as error:
            raise NoBrowserError(f"{path} does not start: {str(error).splitlines()[0]}") from None
        try:
            yield running
        finally:
            await running.close()
