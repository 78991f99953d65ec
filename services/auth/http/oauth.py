"""The OAuth endpoints: token (RFC 6749 §6), revocation (RFC 7009), introspection (RFC 7662)."""

from collections.abc import Iterator

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.client_authentication import APP_CLIENT_ID, ClientAuthentication
from services.auth.http.forms import read_form, required
from services.auth.http.oauth_errors import OAuthError, answers_oauth_errors
from services.auth.logins.introspection import Introspection
from services.auth.logins.logins import Logins
from services.auth.logins.refresh_tokens import InvalidRefreshTokenError
from services.common.devices import device_of


class OAuthHandlers:
    """Handlers of the OAuth endpoints."""

    def __init__(self, logins: Logins, introspection: Introspection, clients: ClientAuthentication) -> None:
        self._logins = logins
        self._introspection = introspection
        self._clients = clients

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield the routes."""
        yield web.post("/auth/token", answers_oauth_errors(self.token))
        yield web.post("/auth/revoke", answers_oauth_errors(self.revoke))
        yield web.post("/auth/introspect", answers_oauth_errors(self.introspect))

    async def token(self, request: web.Request) -> web.Response:
        """Exchange a refresh token for a new token pair. No other grant is supported."""
        form = await read_form(request)
        client_id = self._clients.identify(request, form)
        if required(form, "grant_type") != "refresh_token":
            raise OAuthError("unsupported_grant_type", "Only refresh_token is supported.")
        if client_id == APP_CLIENT_ID:
            raise OAuthError("unauthorized_client", "This client has no refresh tokens.")
        text = required(form, "refresh_token")
        if "scope" in form:  # RFC 6749 §6: it must not go beyond what was granted, which is nothing
            raise OAuthError("invalid_scope", "Scopes are not supported.")
        try:
            pair = await self._logins.refresh(text, client_id, device_of(request))
        except InvalidRefreshTokenError as error:
            raise OAuthError("invalid_grant", str(error)) from None
        return never_cached(pair.as_dict())

    async def revoke(self, request: web.Request) -> web.Response:
        """End the login that a token belongs to: 200, even if the token is not one of ours (RFC 7009 §2.2).

        Any token of the login will do, access tokens included, so `token_type_hint` is ignored. Replicas that look
        nothing up accept the login's access tokens until these expire.
        """
        form = await read_form(request)
        client_id = self._clients.identify(request, form)
        login = await self._introspection.login_of(required(form, "token"))
        if login is not None:
            if client_id not in (None, login.client_id):  # RFC 7009 §2.1
                raise OAuthError("invalid_grant", "This token was issued to another client.")
            await self._logins.end(login.session_id)
        return never_cached({})

    async def introspect(self, request: web.Request) -> web.Response:
        """Tell a back end whether a token is active, and if so, what it says."""
        self._clients.require_app(request)
        form = await read_form(request)
        return never_cached(await self._introspection.introspect(required(form, "token")))
