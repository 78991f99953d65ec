"""Form bodies of OAuth requests."""

from urllib.parse import parse_qsl

from aiohttp import web

from services.auth.http.oauth_errors import OAuthError
from services.common.http.bodies import read_body

MAX_FIELDS = 32


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of an `application/x-www-form-urlencoded` body in UTF-8, without fields that have no value.

    Raises `OAuthError("invalid_request")` for another type, invalid UTF-8, or a repeated field (RFC 6749 §3.2).
    aiohttp's `post()` is not used: it decodes with the charset that the client names, which need not exist.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    body = await read_body(request)
    try:
        fields = parse_qsl(body.decode("utf-8"), max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "The body is not valid UTF-8, or has too many fields.") from None
    form = dict(fields)
    if len(form) < len(fields):
        raise OAuthError("invalid_request", "A parameter is repeated.")
    return form


def required(form: dict[str, str], name: str) -> str:
    """Return a required field."""
    if name not in form:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return form[name]
