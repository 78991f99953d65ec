"""Own logins, listed and ended by their user; anybody's, ended by an administrator."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from services.auth.http.answers import never_cached
from services.auth.http.appkeys import ACCOUNTS, LOGINS
from services.auth.http.bearer import require_admin, require_bearer
from services.auth.logins.refresh_rotation import Family
from services.common.devices import others_only
from services.common.http.problems import Conflict

USER = "/auth/admin/users/{id:[0-9a-f]{32}}"

routes = web.RouteTableDef()


@routes.get("/auth/sessions")
async def list_own(request: web.Request) -> web.Response:
    """List the own logins, the one seen last first. Times are Unix times in seconds."""
    bearer = await require_bearer(request)
    families = await request.app[LOGINS].all_of(bearer.account.id)
    return never_cached({"sessions": [_described(family, bearer.session_id) for family in families]})


@routes.delete("/auth/sessions/{id}")
async def end_own(request: web.Request) -> web.Response:
    """End one of the own logins: 204; 404 if it is not one."""
    bearer = await require_bearer(request)
    if not await request.app[LOGINS].end_of(bearer.account.id, request.match_info["id"]):
        raise web.HTTPNotFound
    return _done()


@routes.delete("/auth/sessions")
async def end_all_own(request: web.Request) -> web.Response:
    """End all of the own logins, this one included; with `?others=true`, all but this one: 204."""
    bearer = await require_bearer(request)
    keep = bearer.session_id if others_only(request) else None
    await request.app[LOGINS].end_all(bearer.account.id, keep=keep)
    return _done()


@routes.post(f"{USER}/logout")
async def forced_logout(request: web.Request) -> web.Response:
    """End all logins of a user: 200 and how many there were."""
    await require_admin(request)
    account = await request.app[ACCOUNTS].by_id(request.match_info["id"])
    if account is None:
        raise web.HTTPNotFound
    return never_cached({"ended": await request.app[LOGINS].end_all(account.id)})


@routes.post(f"{USER}/disable")
async def disable(request: web.Request) -> web.Response:
    """Disable an account and end its logins: 200 and how many there were. First the account: see `Logins.begin`."""
    user_id = request.match_info["id"]
    if (await require_admin(request)).id == user_id:
        raise Conflict("Nobody disables the own account: who would enable it again?")
    if not await request.app[ACCOUNTS].set_disabled(user_id, True):
        raise web.HTTPNotFound
    return never_cached({"ended": await request.app[LOGINS].end_all(user_id)})


@routes.post(f"{USER}/enable")
async def enable(request: web.Request) -> web.Response:
    """Let a disabled account log in again: 204. The logins that it had stay ended."""
    await require_admin(request)
    if not await request.app[ACCOUNTS].set_disabled(request.match_info["id"], False):
        raise web.HTTPNotFound
    return _done()


def _done() -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


def _described(family: Family, current: str) -> dict[str, Any]:
    return {
        "id": family.id,
        "client_id": family.client_id,
        "created_at": family.created_at,
        "last_seen_at": family.current.terms.issued_at,
        "address": family.address,
        "user_agent": family.user_agent,
        "current": family.id == current,
    }
