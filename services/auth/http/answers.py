"""Answers that hold credentials."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from services.common.http.answers import JSON, answer

HEADERS = JSON | {"Pragma": "no-cache"}  # RFC 6749 §5.1 requires both


def never_cached(content: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return *content* as JSON that no cache may store, not even one of HTTP/1.0."""
    return answer(content, status, HEADERS)
