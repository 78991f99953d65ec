"""Errors as answers: one tree of exceptions, and one place that turns them into problem details (RFC 9457)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from aiohttp import web

log = logging.getLogger(__name__)

# What aiohttp itself refuses. Not derived from the phrases: those differ between Python versions.
HTTP_TYPES = {404: "not-found", 405: "method-not-allowed", 413: "content-too-large", 417: "expectation-failed"}


class Problem(Exception):  # noqa: N818  # named for what the client gets (RFC 9457), as aiohttp names its own
    """An answer that is not the one asked for. *detail* is for the client: it names no internals and no secret.

    Problem
    ├── BadRequest            400  a body or parameter is not what the call takes
    ├── Unauthenticated       401  no valid credential came with the request
    ├── Forbidden             403  a valid credential, but not one for this
    ├── Conflict              409  it clashes with what is there already
    ├── UnsupportedMediaType  415  the body's type or encoding is not one that we take
    ├── TooManyRequests       429  wait `Retry-After` seconds
    └── Unavailable           503  something that we depend on did not answer; wait `Retry-After` seconds
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    type: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """The request is malformed; sending it again will not help."""

    status, type = HTTPStatus.BAD_REQUEST, "bad-request"


class Unauthenticated(Problem):
    """No credential, or one that is not valid (any more). *challenge* is the `WWW-Authenticate` (RFC 9110 §11.6.1)."""

    status, type = HTTPStatus.UNAUTHORIZED, "unauthenticated"

    def __init__(self, detail: str, *, challenge: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """We know who asks, and the answer is no."""

    status, type = HTTPStatus.FORBIDDEN, "forbidden"


class Conflict(Problem):
    """The request clashes with what is already there."""

    status, type = HTTPStatus.CONFLICT, "conflict"


class UnsupportedMediaType(Problem):
    """The body's type or encoding is not one that we take."""

    status, type = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"


class TooManyRequests(Problem):
    """Over a limit. *retry_after* in seconds."""

    status, type = HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(Problem):
    """We cannot know right now: never to be confused with a no. *retry_after* in seconds."""

    status, type = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


def problem_response(
    status: HTTPStatus, kind: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return problem details (RFC 9457 §3) with a stable `type`, never cached."""
    body = {"type": f"urn:authscale:problem:{kind}", "title": status.phrase, "status": status.value, "detail": detail}
    response = web.Response(
        status=status.value, text=json.dumps(body), content_type="application/problem+json", headers=headers
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def refusal(error: Problem | web.HTTPException | web.RequestPayloadError) -> web.Response:
    """Return what the client is told of *error*."""
    match error:
        case Problem():
            return problem_response(error.status, error.type, error.detail, error.headers)
        case web.RequestPayloadError():  # the body is not what its framing says
            return problem_response(BadRequest.status, BadRequest.type, "The body cannot be read.")
    status = HTTPStatus(error.status)
    kept = {name: value for name, value in error.headers.items() if name.lower() in ("allow", "location")}
    return problem_response(status, HTTP_TYPES.get(status, f"http-{status}"), status.description, kept)


def problem_answer(request: web.Request, error: Exception) -> web.Response:
    """Return what the client is told of *error*; the unforeseen is logged in full and told as a bare 500."""
    if isinstance(error, (Problem, web.HTTPException, web.RequestPayloadError)):
        return refusal(error)
    log.error("unforeseen error in %s %s", request.method, request.match_info.route.resource, exc_info=error)
    return internal_error()


def internal_error() -> web.Response:
    """Return what the client is told of an error that nobody foresaw."""
    internal = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem_response(internal, "internal", "An unforeseen error; the server's log has the details.")
