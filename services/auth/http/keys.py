"""Administrators rotate and remove signing keys."""

import re
from collections.abc import Iterator

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.bearer import BearerAuthentication
from services.auth.keys.rotation import KeyRotation
from services.common.http.problems import Conflict

KID_PATTERN = r"[A-Za-z0-9_-]{43}"  # an RFC 7638 thumbprint; nothing else is passed to the database


class KeyHandlers:
    """Handlers for signing keys. *rotation* is None if tokens are signed with a shared secret."""

    def __init__(self, rotation: KeyRotation | None, bearers: BearerAuthentication) -> None:
        self._rotation = rotation
        self._bearers = bearers

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield the routes."""
        yield web.post("/auth/admin/keys/rotate", self.rotate)
        yield web.delete("/auth/admin/keys/{kid}", self.remove)

    async def rotate(self, request: web.Request) -> web.Response:
        """Plan a rotation: 200 with the id of the next key and the Unix time of its first use.

        If a rotation is already planned, it is returned: each key is published for the full time before it is used.
        """
        await self._bearers.administrator(request)
        planned = await self._rotatable().rotate()
        return never_cached({"kid": planned.kid, "active_from": planned.active_from})

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a key in an emergency: 200 with the id of the key that signs now; 404 if there is no such key.

        The replicas refuse all its tokens within their refresh interval. 503 if not all of them could be told: repeat.
        """
        await self._bearers.administrator(request)
        rotation, kid = self._rotatable(), request.match_info["kid"]
        if not re.fullmatch(KID_PATTERN, kid) or not await rotation.remove(kid):
            raise web.HTTPNotFound
        return never_cached({"signer": rotation.ring.signer.kid})

    def _rotatable(self) -> KeyRotation:
        if self._rotation:
            return self._rotation
        raise Conflict("Tokens are signed with a shared secret: replace token-signing-secret and restart all services.")
