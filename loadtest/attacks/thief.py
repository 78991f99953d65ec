"""Somebody who sends whatever credential they like: stolen, or forged."""

from collections.abc import Mapping
from typing import Self

import aiohttp
from yarl import URL

from loadtest.load.client import TIMEOUT, Answer


class Thief:
    """Sends requests to *base* with headers of choice and keeps no cookies: an async context manager."""

    def __init__(self, base: str | URL, connector: aiohttp.BaseConnector) -> None:
        self._base = URL(base)
        self._http = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=TIMEOUT,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Send one request; never raises for what the cluster does. Status 0: no answer came."""
        url = self._base.join(URL(path))
        try:
            async with self._http.request(method, url, headers=headers, data=form, json=json) as response:
                body = await response.json(content_type=None) if "json" in response.content_type else None
                return Answer(response.status, body, response.headers.get("X-Replica"))
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Answer(0)


def cookies(header: str) -> dict[str, str]:
    """Return the cookies of a `Cookie` header by their names."""
    return dict(pair.split("=", 1) for pair in header.split("; ") if "=" in pair)


def cookie_header(values: Mapping[str, str]) -> dict[str, str]:
    """Return the `Cookie` header of cookies by their names."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in values.items())}
