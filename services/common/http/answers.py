"""Answers that caches must not store, because they concern one user."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

NO_STORE = {"Cache-Control": "no-store"}
JSON = NO_STORE | {"Content-Type": "application/json"}

encode = msgspec.json.Encoder().encode
"""Returns anything made of dictionaries, lists and texts as JSON."""


def answer(content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] = JSON) -> web.Response:
    """Return *content* as JSON."""
    return web.Response(body=encode(content), status=status, headers=headers)


def no_content() -> web.Response:
    """Return an empty 204."""
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=NO_STORE)
