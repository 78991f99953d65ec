"""How a back end proves itself to the auth service: HTTP Basic with a client id and secret (RFC 6749 §2.3.1)."""

import secrets

from aiohttp import BasicAuth, web
from pydantic import SecretStr

from services.common.problems import Unauthenticated

APP_CLIENT_ID = "app"


class InvalidClient(Unauthenticated):
    """The caller itself is not known: a deployment's fault, unlike a user's wrong password."""

    type = "invalid-client"


def require_client(request: web.Request, client_id: str, secret: SecretStr) -> None:
    """Return if *request* carries the credentials of that client, else raise `InvalidClient`."""
    try:
        # Decoding is not what aiohttp deprecates in BasicAuth; it offers no other decoder.
        given = BasicAuth.decode(request.headers.get("Authorization", ""), "utf-8")
    except ValueError:  # of another scheme, not base64, not UTF-8
        raise _refusal() from None
    known = secrets.compare_digest(given.login.encode(), client_id.encode())
    right = secrets.compare_digest(given.password.encode(), secret.get_secret_value().encode())
    if not (known and right):
        raise _refusal()


def _refusal() -> InvalidClient:
    return InvalidClient("No such client, or not its secret.", challenge='Basic realm="authscale", charset="UTF-8"')
