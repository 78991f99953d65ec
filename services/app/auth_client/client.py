"""Calls to the auth service: check a password, end a login."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from pydantic import BaseModel, ValidationError

from services.app.auth_client.servers import AuthAnswer, AuthServers
from services.app.strategy import Authenticated, User
from services.common.http.addresses import FORWARDED_FOR
from services.common.http.problems import BadRequest, Problem, TooManyRequests, Unavailable

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0  # a password check may have to wait in a queue
REVOKE_SECONDS = 3.0
CLIENT_ID = "app"


class _Login(BaseModel):
    user: User
    checked_at: float


class AuthClient:
    """Calls the auth service at one of *servers*. *secret* authenticates the client `app`, which checks passwords."""

    def __init__(self, servers: AuthServers, secret: str) -> None:
        self._servers = servers
        self._headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, secret)}

    async def check_password(self, username: str, password: str, address: str) -> Authenticated | None:
        """Return the user, or None if the name or the password is wrong. *address* is the user's.

        Raises `Unavailable` if the auth service does not respond, `TooManyRequests` or `BadRequest` if it says so.
        """
        with _unavailable("password check", "The auth service is not responding."):
            answer = await self._servers.ask(
                "POST",
                "/auth/password/check",
                seconds=TIMEOUT_SECONDS,
                json={"username": username, "password": password},
                headers=self._headers | {FORWARDED_FOR: address},
            )
        if answer.status == 200:
            return _read_login(answer.body)
        if answer.status == 401 and _problem_type(answer.body) == "urn:authscale:problem:unauthenticated":
            return None
        raise _refusal(answer)

    async def revoke(self, token: str) -> None:
        """End the login of *token* (RFC 7009). Raises `Unavailable` unless the auth service confirms it."""
        with _unavailable("revocation", "The auth service is not responding. You may still be logged in."):
            answer = await self._servers.ask("POST", "/auth/revoke", seconds=REVOKE_SECONDS, data={"token": token})
        if answer.status != 200:
            log.warning("revocation: status %d", answer.status)
            raise Unavailable("The auth service could not end the login. You may still be logged in.")


@contextmanager
def _unavailable(call: str, detail: str) -> Iterator[None]:
    """Raise `Unavailable` with *detail* if the *call* in the block gets no response."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("%s: %s", call, type(error).__name__)
        raise Unavailable(detail) from error


def _read_login(body: bytes) -> Authenticated:
    try:
        content = json.loads(body)
        user = content["user"]
        login = _Login(user=User(user["id"], user["name"], tuple(user["roles"])), checked_at=content["checked_at"])
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        log.exception("password check: unusable answer")
        raise Unavailable("The auth service gave an unusable answer.") from error
    return Authenticated(login.user, login.checked_at)


def _problem_type(body: bytes) -> object:
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    return problem.get("type") if isinstance(problem, dict) else None


def _refusal(answer: AuthAnswer) -> Problem:
    """Return the problem to raise if the auth service neither accepted nor rejected the password."""
    seconds = answer.headers.get("Retry-After", "")
    retry_after = int(seconds) if seconds.isascii() and seconds.isdigit() else 1
    match answer.status:
        case 400:
            return BadRequest("Malformed username or password.")
        case 429:
            return TooManyRequests("Too many login attempts. Please try again later.", retry_after=retry_after)
        case 503:
            return Unavailable("The auth service is busy.", retry_after=retry_after)
    log.error("password check: status %d %s (is app-client-secret right?)", answer.status, _problem_type(answer.body))
    return Unavailable("The auth service could not check the password.", retry_after=retry_after)
