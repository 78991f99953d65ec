"""Users list and end their own logins; administrators end those of anybody and disable accounts."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from services.auth.accounts.store import AccountStore
from services.auth.http.answers import never_cached
from services.auth.http.bearer import BearerAuthentication
from services.auth.logins.logins import Logins
from services.auth.logins.refresh_rotation import Family
from services.common.devices import others_only
from services.common.http.answers import no_content
from services.common.http.problems import Conflict

USER = "/auth/admin/users/{id:[0-9a-f]{32}}"


class DeviceHandlers:
    """Handlers for the logins of a user."""

    def __init__(self, accounts: AccountStore, logins: Logins, bearers: BearerAuthentication) -> None:
        self._accounts = accounts
        self._logins = logins
        self._bearers = bearers

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield the routes."""
        yield web.get("/auth/sessions", self.list_own)
        yield web.delete("/auth/sessions/{id}", self.end_own)
        yield web.delete("/auth/sessions", self.end_all_own)
        yield web.post(f"{USER}/logout", self.force_logout)
        yield web.post(f"{USER}/disable", self.disable)
        yield web.post(f"{USER}/enable", self.enable)

    async def list_own(self, request: web.Request) -> web.Response:
        """List the user's logins, most recently seen first, with Unix times."""
        bearer = await self._bearers.user(request)
        families = await self._logins.all_of(bearer.account.id)
        return never_cached({"sessions": [_described(family, bearer.session_id) for family in families]})

    async def end_own(self, request: web.Request) -> web.Response:
        """End one of the user's logins: 204; 404 if it is not theirs."""
        bearer = await self._bearers.user(request)
        if not await self._logins.end_of(bearer.account.id, request.match_info["id"]):
            raise web.HTTPNotFound
        return no_content()

    async def end_all_own(self, request: web.Request) -> web.Response:
        """End all of the user's logins, or with `?others=true` all but the current one: 204."""
        bearer = await self._bearers.user(request)
        keep = bearer.session_id if others_only(request) else None
        await self._logins.end_all(bearer.account.id, keep=keep)
        return no_content()

    async def force_logout(self, request: web.Request) -> web.Response:
        """End all logins of a user: 200 with their number."""
        await self._bearers.administrator(request)
        account = await self._accounts.by_id(request.match_info["id"])
        if account is None:
            raise web.HTTPNotFound
        return never_cached({"ended": await self._logins.end_all(account.id)})

    async def disable(self, request: web.Request) -> web.Response:
        """Disable an account, then end its logins: 200 with their number. For the order, see `Logins.begin`."""
        user_id = request.match_info["id"]
        if (await self._bearers.administrator(request)).id == user_id:
            raise Conflict("You cannot disable your own account.")
        if not await self._accounts.set_disabled(user_id, True):
            raise web.HTTPNotFound
        return never_cached({"ended": await self._logins.end_all(user_id)})

    async def enable(self, request: web.Request) -> web.Response:
        """Enable a disabled account: 204. Its earlier logins stay ended."""
        await self._bearers.administrator(request)
        if not await self._accounts.set_disabled(request.match_info["id"], False):
            raise web.HTTPNotFound
        return no_content()


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
