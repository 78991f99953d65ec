"""The pages of a strategy. A handler parses the request, calls the strategy, and answers."""

from collections.abc import Iterable, Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import Field, SecretStr

from services.app.auth_client.client import AuthClient
from services.app.strategy import (
    COOKIE_CHALLENGE,
    ForcesLogout,
    Info,
    KeepsState,
    ListsDevices,
    LogsIn,
    Renews,
    Strategy,
)
from services.common.devices import others_only
from services.common.http.addresses import client_address
from services.common.http.answers import answer, encode, no_content
from services.common.http.bodies import Body, read_json
from services.common.http.problems import Forbidden, Unauthenticated
from services.common.roles import ADMIN_ROLE


class LoginBody(Body):
    """Body of `POST login`."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


def catalogue(infos: Iterable[Info]) -> Handler:
    """Return the handler of `GET /strategies`, which lists *infos*."""
    content = [info.entry() for info in infos]

    async def strategies(_: web.Request) -> web.Response:
        return answer(content)

    return strategies


class Pages:
    """The handlers of one strategy on one replica."""

    def __init__(self, strategy: Strategy, auth: AuthClient, replica: str) -> None:
        self._strategy = strategy
        self._auth = auth
        self._place = {"strategy": strategy.info.name, "replica": replica}

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield a route for each page that the strategy can serve."""
        strategy, root = self._strategy, f"/{self._strategy.info.name}"
        mypage = self._renewed(strategy) if isinstance(strategy, Renews) else self.mypage
        yield web.get(f"{root}/mypage", mypage)
        yield web.post(f"{root}/logout", self.logout)
        if isinstance(strategy, LogsIn):
            yield web.post(f"{root}/login", self._login(strategy))
        if isinstance(strategy, KeepsState):
            yield web.post(f"{root}/visits", _visits(strategy))
        if isinstance(strategy, ListsDevices):
            yield web.get(f"{root}/sessions", _devices(strategy))
            yield web.delete(f"{root}/sessions", _end_devices(strategy))
            yield web.delete(f"{root}/sessions/{{id}}", _end_device(strategy))
        if isinstance(strategy, ForcesLogout):
            yield web.post(f"{root}/admin/users/{{id}}/logout", _force_logout(strategy))

    async def mypage(self, request: web.Request) -> web.Response:
        """`GET mypage`: the user, and the replica that answered."""
        user = await self._strategy.user(request)
        return answer({"user": {"id": user.id, "name": user.name}, **self._place})

    async def logout(self, request: web.Request) -> web.Response:
        """`POST logout`: 204, even if nobody was logged in; an error if the login may still be valid."""
        response = no_content()
        await self._strategy.logout(request, response)
        return response

    def _renewed(self, strategy: Renews) -> Handler:
        async def mypage(request: web.Request) -> web.Response:
            response = await self.mypage(request)
            await strategy.renew(request, response)
            return response

        return mypage

    def _login(self, strategy: LogsIn) -> Handler:
        async def login(request: web.Request) -> web.Response:
            credentials = await read_json(request, LoginBody)
            login = await self._auth.check_password(
                credentials.username, credentials.password.get_secret_value(), client_address(request)
            )
            if login is None:
                raise Unauthenticated("Wrong username or password.", challenge=COOKIE_CHALLENGE)
            response = answer({"user": {"id": login.user.id, "name": login.user.name}})
            await strategy.login(request, response, login)
            return response

        return login


def _visits(strategy: KeepsState) -> Handler:
    async def visits(request: web.Request) -> web.Response:
        response = answer(None)
        response.body = encode({"visits": await strategy.visits(request, response)})
        return response

    return visits


def _devices(strategy: ListsDevices) -> Handler:
    async def devices(request: web.Request) -> web.Response:
        """`GET sessions`: the user's logins, with Unix times."""
        return answer({"sessions": [device._asdict() for device in await strategy.devices(request)]})

    return devices


def _end_device(strategy: ListsDevices) -> Handler:
    async def end_device(request: web.Request) -> web.Response:
        """`DELETE sessions/{id}`: 204; 404 if it is not one of the user's logins."""
        if not await strategy.end_device(request, request.match_info["id"]):
            raise web.HTTPNotFound
        return no_content()

    return end_device


def _end_devices(strategy: ListsDevices) -> Handler:
    async def end_devices(request: web.Request) -> web.Response:
        """`DELETE sessions[?others=true]`: how many of the user's logins ended, at one replica or at all."""
        ended = await strategy.end_devices(request, others=others_only(request))
        return answer({"ended": ended, "reach": strategy.reach})

    return end_devices


def _force_logout(strategy: ForcesLogout) -> Handler:
    async def force_logout(request: web.Request) -> web.Response:
        """`POST admin/users/{id}/logout`: how many logins ended, at one replica or at all. Unknown users have none."""
        if ADMIN_ROLE not in (await strategy.user(request)).roles:
            raise Forbidden("Administrator role required.")
        ended = await strategy.force_logout(request.match_info["id"])
        return answer({"ended": ended, "reach": strategy.reach})

    return force_logout
