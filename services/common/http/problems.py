"""Errors as answers: one tree of exceptions, and one place that turns them into problem details (RFC 9457)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from aiohttp import web

log = logging.getLogger(__name__)

# Errors that aiohttp itself raises. The types are not derived from the phrases, which differ between Python versions.
HTTP_TYPES = {404: "not-found", 405: "method-not-allowed", 413: "content-too-large", 417: "expectation-failed"}


class Problem(Exception):  # noqa: N818  # named for what the client gets (RFC 9457), as aiohttp names its own
    """An error as the client sees it. *detail* is shown to users: it must not reveal internals or secrets.

    Problem
    ├── BadRequest            400  the body or a parameter is invalid
    ├── Unauthenticated       401  the request has no valid credential
    ├── Forbidden             403  the credential is valid, but does not permit this
    ├── Conflict              409  the request conflicts with existing data
    ├── UnsupportedMediaType  415  the body's type or encoding is not supported
    ├── TooManyRequests       429  wait `Retry-After` seconds
    └── Unavailable           503  a dependency does not respond; wait `Retry-After` seconds
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    type: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """The body or a parameter is invalid. Sending the request again will not help."""

    status, type = HTTPStatus.BAD_REQUEST, "bad-request"


class Unauthenticated(Problem):
    """The credential is missing or invalid. *challenge* is for `WWW-Authenticate` (RFC 9110 §11.6.1)."""

    status, type = HTTPStatus.UNAUTHORIZED, "unauthenticated"

    def __init__(self, detail: str, *, challenge: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """The user is known, but not allowed to do this."""

    status, type = HTTPStatus.FORBIDDEN, "forbidden"


class Conflict(Problem):
    """The request conflicts with existing data."""

    status, type = HTTPStatus.CONFLICT, "conflict"


class UnsupportedMediaType(Problem):
    """The body's type or encoding is not supported."""

    status, type = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"


class TooManyRequests(Problem):
    """A limit is exceeded. *retry_after* is in seconds."""

    status, type = HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(Problem):
    """The answer is not known at the moment, which never means no. *retry_after* is in seconds."""

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
    """Return the answer for *error*."""
    match error:
        case Problem():
            return problem_response(error.status, error.type, error.detail, error.headers)
        case web.RequestPayloadError():  # the body does not match its framing
            return problem_response(BadRequest.status, BadRequest.type, "The body cannot be read.")
    status = HTTPStatus(error.status)
    kept = {name: value for name, value in error.headers.items() if name.lower() in ("allow", "location")}
    return problem_response(status, HTTP_TYPES.get(status, f"http-{status}"), status.description, kept)


def problem_answer(request: web.Request, error: Exception) -> web.Response:
    """Return the answer for *error*. Unexpected errors are logged in full and answered with a bare 500."""
    if isinstance(error, (Problem, web.HTTPException, web.RequestPayloadError)):
        return refusal(error)
    log.error("unexpected error in %s %s", request.method, request.match_info.route.resource, exc_info=error)
    return internal_error()


def internal_error() -> web.Response:
    """Return the answer for an unexpected error."""
    internal = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem_response(internal, "internal", "An unexpected error occurred. The server's log has the details.")
