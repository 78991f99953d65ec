"""Administration of the signing keys."""

import re

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.appkeys import KEYS, ROTATION
from services.auth.http.bearer import require_admin
from services.auth.keys.rotation import KeyRotation
from services.common.http.problems import Conflict

KID_PATTERN = r"[A-Za-z0-9_-]{43}"  # an RFC 7638 thumbprint; other texts are not shown to the database

routes = web.RouteTableDef()


@routes.post("/auth/admin/keys/rotate")
async def rotate(request: web.Request) -> web.Response:
    """Plan that another key signs: 200 with its id and the Unix time of its first use; 409 if the key is a secret file.

    A rotation that is under way is answered again: keys are published for their full time before they are used.
    """
    await require_admin(request)
    planned = await _rotation(request).rotate()
    return never_cached({"kid": planned.kid, "active_from": planned.active_from})


@routes.delete("/auth/admin/keys/{kid}")
async def remove(request: web.Request) -> web.Response:
    """Remove a key in an emergency: 200 with the id of the key that signs now; 404 if there is none of that id.

    All tokens of the key are dead within the replicas' refresh interval. 503 if they could not all be told: repeat.
    """
    await require_admin(request)
    rotation, kid = _rotation(request), request.match_info["kid"]
    if not re.fullmatch(KID_PATTERN, kid) or not await rotation.remove(kid):
        raise web.HTTPNotFound
    return never_cached({"signer": request.app[KEYS].signer.kid})


def _rotation(request: web.Request) -> KeyRotation:
    if rotation := request.app.get(ROTATION):
        return rotation
    raise Conflict("Tokens are signed with a shared secret: replace token-signing-secret and restart all services.")
