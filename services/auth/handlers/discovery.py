"""What everybody may know: the public keys and the server's metadata."""

from aiohttp import web

from services.auth.appkeys import KEYS, SETTINGS

PUBLIC = {"Cache-Control": "public, max-age=60"}
METADATA = "oauth-authorization-server"

routes = web.RouteTableDef()


@routes.get("/auth/jwks.json")
async def jwks(request: web.Request) -> web.Response:
    """Answer with the public keys (RFC 7517 §5)."""
    return web.json_response(request.app[KEYS].jwks(), headers=PUBLIC)


# RFC 8414 §3.1 puts the issuer's path behind the well-known one; clients also ask without it, or below the issuer.
@routes.get(f"/.well-known/{METADATA}")
@routes.get(f"/.well-known/{METADATA}/auth")
@routes.get(f"/auth/.well-known/{METADATA}")
async def metadata(request: web.Request) -> web.Response:
    """Answer with the authorization server's metadata (RFC 8414 §2)."""
    issuer = request.app[SETTINGS].issuer
    body = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "jwks_uri": f"{issuer}/jwks.json",
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": ["none"],  # required, though there is no authorization endpoint
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }
    return web.json_response(body, headers=PUBLIC)
