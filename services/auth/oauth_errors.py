"""Errors of the OAuth endpoints: their own JSON (RFC 6749 §5.2), where clients look for `error`."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Literal

from aiohttp import web

from services.auth.answers import never_cached

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Code = Literal["invalid_request", "invalid_grant", "unsupported_grant_type"]


class OAuthError(Exception):
    """A refusal with one of the codes of RFC 6749 §5.2 and a text for the client's developer."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


def answers_oauth_errors(handler: Handler) -> Handler:
    """Wrap *handler* so that its `OAuthError` becomes an answer of 400. Other errors stay problem details."""

    @wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except OAuthError as error:
            body = {"error": error.code, "error_description": error.description}
            return never_cached(body, HTTPStatus.BAD_REQUEST)

    return wrapped
