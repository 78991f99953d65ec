"""Request bodies: read once, checked against a model, refused with a reason."""

import asyncio
from typing import TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, ValidationError

from services.common.http.problems import BadRequest, UnsupportedMediaType

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 1.0  # for the rest of a body: nginx and the services send it all at once


class Body(BaseModel):
    """Base of all request bodies: unknown fields and wrong types are errors, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


B = TypeVar("B", bound=Body)


def refuse_encoded(request: web.Request) -> None:
    """Raise `UnsupportedMediaType` if the body has a content coding (RFC 9110 §8.4): no call needs one."""
    codings = request.headers.getall(hdrs.CONTENT_ENCODING, ())
    if any(coding.lower() not in ("", "identity") for coding in codings):
        detail = "The body must not be encoded. Leave out Content-Encoding."
        raise UnsupportedMediaType(detail, headers={hdrs.ACCEPT_ENCODING: "identity"})  # RFC 9110 §15.5.16


async def read_body(request: web.Request) -> bytes:
    """Return the whole body. Raises `BadRequest` if it does not arrive within `BODY_SECONDS`.

    aiohttp does not report a malformed chunk: the rest of such a body just never arrives.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except (TimeoutError, ConnectionError):  # the latter if the client has gone
        raise BadRequest("The body did not arrive in full.") from None


async def read_json(request: web.Request, model: type[B]) -> B:
    """Return the request's JSON body as *model*.

    Only `application/json` is accepted (otherwise 415), which a cross-site form cannot send without a preflight.
    Raises `BadRequest` with the name of every invalid field, but not its value, which may be a password.
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType("The body must be application/json.")
    try:
        return model.model_validate_json(await read_body(request))
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_input=False))
        raise BadRequest("; ".join(reasons)) from None
