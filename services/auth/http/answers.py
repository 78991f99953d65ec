"""Answers that hold credentials or speak of one user."""

from http import HTTPStatus
from typing import Any

from aiohttp import web


def never_cached(body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return a JSON answer that no cache may keep (RFC 6749 §5.1 asks for both headers)."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return web.json_response(body, status=status.value, headers=headers)
