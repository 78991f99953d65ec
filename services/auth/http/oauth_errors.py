"""Errors of the OAuth endpoints, in the JSON format that clients expect there (RFC 6749 §5.2)."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Literal

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.client_authentication import InvalidClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Code = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
]


class OAuthError(Exception):
    """An error with a code of RFC 6749 §5.2 and a description for the client's developer."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


def answers_oauth_errors(handler: Handler) -> Handler:
    """Wrap *handler* to answer `OAuthError` with 400 and `InvalidClient` with 401. Others become problem details."""

    @wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except OAuthError as error:
            return _answer(error.code, error.description, HTTPStatus.BAD_REQUEST)
        except InvalidClient as error:
            response = _answer("invalid_client", error.detail, HTTPStatus.UNAUTHORIZED)
            response.headers.update(error.headers)
            return response

    return wrapped


def _answer(code: Code, description: str, status: HTTPStatus) -> web.Response:
    return never_cached({"error": code, "error_description": description}, status)
