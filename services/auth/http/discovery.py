"""Public information: the keys that verify access tokens, and the server's metadata."""

from collections.abc import Iterator

from aiohttp import web

from services.auth.keys.ring import KeyRing

METADATA = "oauth-authorization-server"
METADATA_SECONDS = 60


class DiscoveryHandlers:
    """Handlers for discovery. Caches may keep the key set for *max_age* seconds."""

    def __init__(self, issuer: str, keys: KeyRing, max_age: int) -> None:
        self._issuer = issuer
        self._keys = keys
        self._max_age = max_age

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield the routes.

        RFC 8414 §3.1 appends the issuer's path to the well-known path; some clients leave it out or put it in front.
        """
        yield web.get("/auth/jwks.json", self.jwks)
        for path in (f"/.well-known/{METADATA}", f"/.well-known/{METADATA}/auth", f"/auth/.well-known/{METADATA}"):
            yield web.get(path, self.metadata)

    async def jwks(self, _: web.Request) -> web.Response:
        """Answer with the public keys (RFC 7517 §5)."""
        return web.json_response(self._keys.jwks(), headers=_cacheable(self._max_age))

    async def metadata(self, _: web.Request) -> web.Response:
        """Answer with the authorization server's metadata (RFC 8414 §2)."""
        issuer = self._issuer
        algorithms = {key["alg"] for key in self._keys.jwks()["keys"]}
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
            "response_types_supported": ["none"],  # required, although there is no authorization endpoint
            "access_token_signing_alg_values_supported": sorted(algorithms),  # unregistered; named after OpenID's
        }
        return web.json_response(body, headers=_cacheable(METADATA_SECONDS))


def _cacheable(seconds: int) -> dict[str, str]:
    return {"Cache-Control": f"public, max-age={seconds}"}
