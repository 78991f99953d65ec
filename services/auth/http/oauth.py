"""The endpoints of OAuth: token (RFC 6749 §6), revocation (RFC 7009), introspection (RFC 7662)."""

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.appkeys import INTROSPECTION, LOGINS, SETTINGS
from services.auth.http.client_authentication import APP_CLIENT_ID, identified_client, require_client
from services.auth.http.forms import read_form, required
from services.auth.http.oauth_errors import OAuthError, answers_oauth_errors
from services.auth.logins.refresh_tokens import InvalidRefreshTokenError
from services.common.devices import device_of

routes = web.RouteTableDef()


@routes.post("/auth/token")
@answers_oauth_errors
async def token(request: web.Request) -> web.Response:
    """Exchange a refresh token for a new pair; the only grant there is."""
    form = await read_form(request)
    client_id = identified_client(request, form, request.app[SETTINGS].app_client_secret)
    if required(form, "grant_type") != "refresh_token":
        raise OAuthError("unsupported_grant_type", "Only refresh_token is supported.")
    if client_id == APP_CLIENT_ID:
        raise OAuthError("unauthorized_client", "This client has no logins of its own.")
    text = required(form, "refresh_token")
    if "scope" in form:  # RFC 6749 §6: none beyond what the login was granted
        raise OAuthError("invalid_scope", "Logins here have no scopes.")
    try:
        pair = await request.app[LOGINS].refresh(text, client_id, device_of(request))
    except InvalidRefreshTokenError as error:
        raise OAuthError("invalid_grant", str(error)) from None
    return never_cached(pair.as_dict())


@routes.post("/auth/revoke")
@answers_oauth_errors
async def revoke(request: web.Request) -> web.Response:
    """End the login that a token belongs to: 200, also for what is no token of ours (RFC 7009 §2.2).

    Whichever of the login's tokens it is, access tokens included; `token_type_hint` is not needed to tell. Replicas
    that look nothing up accept the login's access tokens until these expire.
    """
    form = await read_form(request)
    client_id = identified_client(request, form, request.app[SETTINGS].app_client_secret)
    login = await request.app[INTROSPECTION].login_of(required(form, "token"))
    if login is not None:
        if client_id not in (None, login.client_id):  # RFC 7009 §2.1
            raise OAuthError("invalid_grant", "This token was issued to another client.")
        await request.app[LOGINS].end(login.session_id)
    return never_cached({})


@routes.post("/auth/introspect")
@answers_oauth_errors
async def introspect(request: web.Request) -> web.Response:
    """Tell a back end what a token is worth right now; `{"active": false}` and nothing more if it is not good."""
    require_client(request, APP_CLIENT_ID, request.app[SETTINGS].app_client_secret)
    form = await read_form(request)
    return never_cached(await request.app[INTROSPECTION].introspect(required(form, "token")))
