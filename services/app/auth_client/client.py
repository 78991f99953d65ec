"""What a replica asks of the auth service: whether a password is right, and to end a login."""

import json
import logging

import aiohttp
from pydantic import BaseModel, ValidationError

from services.app.auth_client.servers import AuthAnswer, AuthServers
from services.app.strategy import Authenticated, User
from services.common.http.addresses import FORWARDED_FOR
from services.common.http.problems import BadRequest, Problem, TooManyRequests, Unavailable

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0  # a password check may have to queue
REVOKE_SECONDS = 3.0
CLIENT_ID = "app"


class _Login(BaseModel):
    user: User
    checked_at: float


class AuthClient:
    """`POST /auth/password/check` at one of *servers*, authenticated as the client `app` with *secret*."""

    def __init__(self, servers: AuthServers, secret: str) -> None:
        self._servers = servers
        self._headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, secret)}

    async def check_password(self, username: str, password: str, address: str) -> Authenticated | None:
        """Return whose password it is, or None if name or password is wrong. *address* is the end user's.

        Raises `Unavailable` when the auth service does not answer, `TooManyRequests` and `BadRequest` as it says.
        """
        headers = self._headers | {FORWARDED_FOR: address}
        question = {"username": username, "password": password}
        try:
            answer = await self._servers.ask(
                "POST", "/auth/password/check", seconds=TIMEOUT_SECONDS, json=question, headers=headers
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("password check: %s", type(error).__name__)
            raise Unavailable("The auth service does not answer.") from error
        if answer.status == 200:
            return _read_login(answer.body)
        if answer.status == 401 and _problem_type(answer.body) == "urn:authscale:problem:unauthenticated":
            return None
        raise _refusal(answer)

    async def revoke(self, token: str) -> None:
        """End the login of *token* (RFC 7009). Raises `Unavailable` unless the auth service says that it has ended."""
        try:
            answer = await self._servers.ask("POST", "/auth/revoke", seconds=REVOKE_SECONDS, data={"token": token})
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("revocation: %s", type(error).__name__)
            raise Unavailable("The auth service does not answer: you may still be logged in.") from error
        if answer.status != 200:
            log.warning("revocation: status %d", answer.status)
            raise Unavailable("The auth service did not end the login: you may still be logged in.")


def _read_login(body: bytes) -> Authenticated:
    try:
        content = json.loads(body)
        user = content["user"]
        login = _Login(user=User(user["id"], user["name"], tuple(user["roles"])), checked_at=content["checked_at"])
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        log.exception("password check: an answer that is none")
        raise Unavailable("The auth service gave no usable answer.") from error
    return Authenticated(login.user, login.checked_at)


def _problem_type(body: bytes) -> object:
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    return problem.get("type") if isinstance(problem, dict) else None


def _refusal(answer: AuthAnswer) -> Problem:
    """Return what to tell the client when the auth service gave neither a yes nor a no."""
    seconds = answer.headers.get("Retry-After", "")
    retry_after = int(seconds) if seconds.isascii() and seconds.isdigit() else 1
    match answer.status:
        case 400:
            return BadRequest("The auth service does not take these as username and password.")
        case 429:
            return TooManyRequests("Too many attempts to log in.", retry_after=retry_after)
        case 503:
            return Unavailable("The auth service is busy.", retry_after=retry_after)
    log.error("password check: %d %s (is our client secret right?)", answer.status, _problem_type(answer.body))
    return Unavailable("The auth service did not check the password.", retry_after=retry_after)
