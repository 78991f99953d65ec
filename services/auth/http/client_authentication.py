"""Clients identify themselves: back ends with HTTP Basic (RFC 6749 §2.3.1), browsers by name only."""

import secrets

from aiohttp import BasicAuth, hdrs, web
from pydantic import SecretStr

from services.common.http.problems import Unauthenticated

APP_CLIENT_ID = "app"  # confidential: our replicas
FIRST_PARTY_CLIENT_ID = "authscale-web"  # public (RFC 6749 §2.1): our pages, which cannot keep a secret
CHALLENGE = 'Basic realm="authscale", charset="UTF-8"'


class InvalidClient(Unauthenticated):
    """The client failed to authenticate. This is a fault of the deployment, unlike a user's wrong password."""

    type = "invalid-client"


class ClientAuthentication:
    """Identifies clients. There are two: the app, which has a *secret*, and our own pages, which have none."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value().encode()

    def require_app(self, request: web.Request) -> None:
        """Raise `InvalidClient` unless *request* carries the app's credentials."""
        try:
            # aiohttp deprecates BasicAuth for encoding only; it has no other decoder.
            given = BasicAuth.decode(request.headers.get(hdrs.AUTHORIZATION, ""), "utf-8")
        except ValueError:  # another scheme, not base64, or not UTF-8
            raise _refusal("Unknown client or wrong secret.") from None
        known = secrets.compare_digest(given.login.encode(), APP_CLIENT_ID.encode())
        right = secrets.compare_digest(given.password.encode(), self._secret)
        if not (known and right):
            raise _refusal("Unknown client or wrong secret.")

    def identify(self, request: web.Request, form: dict[str, str]) -> str | None:
        """Return the client id at an endpoint that public clients may use, or None if the request names no client.

        Raises `InvalidClient` if the client fails to authenticate, is unknown, or would have to authenticate.
        """
        named = form.get("client_id")
        if hdrs.AUTHORIZATION in request.headers:
            self.require_app(request)
            if named not in (None, APP_CLIENT_ID):
                raise _refusal("client_id names another client than the Authorization header.")
            return APP_CLIENT_ID
        if "client_secret" in form:
            raise _refusal("Send the client secret with HTTP Basic.")
        if named not in (None, FIRST_PARTY_CLIENT_ID):
            raise _refusal("The client is unknown, or must authenticate.")
        return named


def _refusal(detail: str) -> InvalidClient:
    return InvalidClient(detail, challenge=CHALLENGE)
