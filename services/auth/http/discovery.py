"""What everybody may know: the public keys and the server's metadata."""

from aiohttp import web

from services.auth.http.appkeys import KEYS, SETTINGS

PUBLIC = {"Cache-Control": "public, max-age=60"}
METADATA = "oauth-authorization-server"

routes = web.RouteTableDef()


@routes.get("/auth/jwks.json")
async def jwks(request: web.Request) -> web.Response:
    """Answer with the public keys (RFC 7517 §5)."""
    headers = {"Cache-Control": f"public, max-age={request.app[SETTINGS].jwks_max_age_seconds}"}
    return web.json_response(request.app[KEYS].jwks(), headers=headers)


# RFC 8414 §3.1 puts the issuer's path behind the well-known one; clients also ask without it, or below the issuer.
@routes.get(f"/.well-known/{METADATA}")
@routes.get(f"/.well-known/{METADATA}/auth")
@routes.get(f"/auth/.well-known/{METADATA}")
async def metadata(request: web.Request) -> web.Response:
    """Answer with the authorization server's metadata (RFC 8414 §2)."""
    issuer = request.app[SETTINGS].issuer
    algorithms = {key["alg"] for key in request.app[KEYS].jwks()["keys"]}
    body = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint": f"{issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint": f"{issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "jwks_uri": f"{issuer}/jwks.json",
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": ["none"],  # required, though there is no authorization endpoint
        "access_token_signing_alg_values_supported": sorted(algorithms),  # not registered, as OpenID names its own
    }
    return web.json_response(body, headers=PUBLIC)
