"""The token endpoint (RFC 6749 §6) and the revocation endpoint (RFC 7009), for public clients."""

from aiohttp import web

from services.auth.answers import never_cached
from services.auth.appkeys import LOGINS
from services.auth.forms import read_form, required
from services.auth.oauth_errors import OAuthError, answers_oauth_errors
from services.auth.refresh_tokens import InvalidRefreshTokenError

routes = web.RouteTableDef()


@routes.post("/auth/token")
@answers_oauth_errors
async def token(request: web.Request) -> web.Response:
    """Exchange a refresh token for a new pair; the only grant there is."""
    form = await read_form(request)
    if required(form, "grant_type") != "refresh_token":
        raise OAuthError("unsupported_grant_type", "Only refresh_token is supported.")
    try:
        pair = await request.app[LOGINS].refresh(required(form, "refresh_token"), form.get("client_id"))
    except InvalidRefreshTokenError as error:
        raise OAuthError("invalid_grant", str(error)) from None
    return never_cached(pair.as_dict())


@routes.post("/auth/revoke")
@answers_oauth_errors
async def revoke(request: web.Request) -> web.Response:
    """End the login that a refresh token belongs to: 200, also for what is no token of ours (RFC 7009 §2.2)."""
    await request.app[LOGINS].revoke(required(await read_form(request), "token"))
    return never_cached({})
