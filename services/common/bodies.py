"""Request bodies: read once, checked against a model, refused with a reason."""

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from services.common.problems import BadRequest

MAX_BODY_BYTES = 16 * 1024


class Body(BaseModel):
    """Base of all request bodies: unknown fields and wrong types are errors, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


B = TypeVar("B", bound=Body)


async def read_json(request: web.Request, model: type[B]) -> B:
    """Return the request's JSON body as *model*.

    Only `application/json` is taken (415 otherwise): a cross-site form cannot send that without a preflight.
    Raises `BadRequest` that names every offending field, but repeats no value (it may be a password).
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_input=False))
        raise BadRequest("; ".join(reasons)) from None
