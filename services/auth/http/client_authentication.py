"""Which client calls: back ends prove it with HTTP Basic (RFC 6749 §2.3.1), browsers can only name themselves."""

import secrets

from aiohttp import BasicAuth, hdrs, web
from pydantic import SecretStr

from services.common.http.problems import Unauthenticated

APP_CLIENT_ID = "app"  # confidential: our replicas
FIRST_PARTY_CLIENT_ID = "authscale-web"  # public (RFC 6749 §2.1): our pages; it keeps no secret
CHALLENGE = 'Basic realm="authscale", charset="UTF-8"'


class InvalidClient(Unauthenticated):
    """The caller itself is not known: a deployment's fault, unlike a user's wrong password."""

    type = "invalid-client"


def require_client(request: web.Request, client_id: str, secret: SecretStr) -> None:
    """Return if *request* carries the credentials of that client, else raise `InvalidClient`."""
    try:
        # Decoding is not what aiohttp deprecates in BasicAuth; it offers no other decoder.
        given = BasicAuth.decode(request.headers.get(hdrs.AUTHORIZATION, ""), "utf-8")
    except ValueError:  # of another scheme, not base64, not UTF-8
        raise _refusal("No such client, or not its secret.") from None
    known = secrets.compare_digest(given.login.encode(), client_id.encode())
    right = secrets.compare_digest(given.password.encode(), secret.get_secret_value().encode())
    if not (known and right):
        raise _refusal("No such client, or not its secret.")


def identified_client(request: web.Request, form: dict[str, str], secret: SecretStr) -> str | None:
    """Return which client calls an endpoint that public clients may call, or None if it does not say.

    Raises `InvalidClient` if it fails to prove itself, or names a client that is unknown or must prove itself.
    """
    named = form.get("client_id")
    if hdrs.AUTHORIZATION in request.headers:
        require_client(request, APP_CLIENT_ID, secret)
        if named not in (None, APP_CLIENT_ID):
            raise _refusal("The parameter client_id names another client.")
        return APP_CLIENT_ID
    if "client_secret" in form:
        raise _refusal("A client's secret is taken by HTTP Basic only.")
    if named not in (None, FIRST_PARTY_CLIENT_ID):
        raise _refusal("No such client, or one that must authenticate.")
    return named


def _refusal(detail: str) -> InvalidClient:
    return InvalidClient(detail, challenge=CHALLENGE)
