"""Asks the auth service whether a password is right: the app is its backend-for-frontend."""

import json
import logging
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ValidationError

from services.app.strategy import User
from services.common.problems import BadRequest, Problem, TooManyRequests, Unavailable

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=1)
CLIENT_ID = "app"


class _Answer(BaseModel):
    user: User


class AuthClient:
    """`POST {base}/auth/password/check`, authenticated as the client `app` with *secret*."""

    def __init__(self, base: str, secret: str) -> None:
        self._url = f"{base.rstrip('/')}/auth/password/check"
        self._headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, secret)}
        self._http: aiohttp.ClientSession | None = None

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Keep the connections open while the application runs (for `cleanup_ctx`)."""
        async with aiohttp.ClientSession(
            timeout=TIMEOUT, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._http:
            yield

    async def check_password(self, username: str, password: str) -> User | None:
        """Return the user, or None if name or password is wrong.

        Raises `Unavailable` when the auth service does not answer, `TooManyRequests` and `BadRequest` as it says.
        """
        assert self._http is not None, "used before start-up"  # noqa: S101  # a mistake of ours, never a request's
        try:
            async with self._http.post(self._url, json={"username": username, "password": password}) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("password check: %s", type(error).__name__)
            raise Unavailable("The auth service does not answer.") from error
        if response.status == 200:
            return _read_user(body)
        if response.status == 401 and _problem_type(body) == "urn:authscale:problem:unauthenticated":
            return None
        raise _refusal(response, body)


def _read_user(body: bytes) -> User:
    try:
        user = json.loads(body)["user"]
        return _Answer(user=User(user["id"], user["name"], tuple(user["roles"]))).user
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        log.exception("password check: an answer that is none")
        raise Unavailable("The auth service gave no usable answer.") from error


def _problem_type(body: bytes) -> object:
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    return problem.get("type") if isinstance(problem, dict) else None


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> Problem:
    """Return what to tell the client when the auth service gave neither a yes nor a no."""
    seconds = response.headers.get("Retry-After", "")
    retry_after = int(seconds) if seconds.isascii() and seconds.isdigit() else 1
    match response.status:
        case 400:
            return BadRequest("The auth service does not take these as username and password.")
        case 429:
            return TooManyRequests("Too many attempts to log in.", retry_after=retry_after)
        case 503:
            return Unavailable("The auth service is busy.", retry_after=retry_after)
    log.error("password check: %d %s (is our client secret right?)", response.status, _problem_type(body))
    return Unavailable("The auth service did not check the password.", retry_after=retry_after)
