"""Connections of a service. Requests that aiohttp itself refuses get the usual answers, and are not logged."""

from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.common.http.bodies import BODY_SECONDS
from services.common.http.problems import BadRequest, internal_error, refusal

MAX_HEADER_BYTES = 128 * 1024  # far above nginx's limit, so that nginx refuses larger headers, with our problem details
KEEPALIVE_SECONDS = 75  # above the keepalive_timeout of nginx's upstreams, so that nginx closes idle connections
OPTIONS: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": KEEPALIVE_SECONDS,
    "max_line_size": MAX_HEADER_BYTES,
    "max_field_size": MAX_HEADER_BYTES,
    "auto_decompress": False,  # after a body that it cannot decode, aiohttp closes the connection without saying so
    "lingering_time": BODY_SECONDS,  # for the rest of an unread body, before the connection is closed
}

Sign = Callable[[web.BaseRequest, web.StreamResponse], None]
"""Adds what every answer of the service has."""


class Connection(web.RequestHandler):
    """A connection. *sign* is called for answers that do not come from a handler."""

    def __init__(self, server: web.Server, sign: Sign, **options: Any) -> None:
        super().__init__(server, **options)
        self._sign = sign

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that cannot be parsed, or that failed outside of a handler.

        The text of an invalid request is neither repeated nor logged: it may contain a password or a token (S15).
        """
        if isinstance(exc, HttpProcessingError):
            response = refusal(BadRequest("Invalid HTTP request."))
        elif isinstance(exc, ConnectionError):
            raise exc  # the client left before its 100 Continue: nobody is there to answer
        else:
            super().handle_error(request, status, exc, message)  # logs it
            response = internal_error()
        response.force_close()
        response.headers["Connection"] = "close"
        self._sign(request, response)
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send *resp*. Errors before aiohttp calls a handler become problem details (`OPTIONS *`, `Expect`)."""
        if isinstance(resp, web.HTTPException):
            resp = refusal(resp)
            self._sign(request, resp)
        return super().finish_response(request, resp, start_time)
