"""The calls that every strategy serves: they parse, ask the strategy, answer."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from pydantic import Field, SecretStr

from services.app.auth_client import AuthClient
from services.app.strategy import COOKIE_CHALLENGE, Info, KeepsState, LogsIn, Strategy
from services.common.addresses import client_address
from services.common.bodies import Body, read_json
from services.common.problems import Unauthenticated

CATALOGUE: web.AppKey[Sequence[Info]] = web.AppKey("catalogue", Sequence)
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Credentials(Body):
    """Body of `POST login`."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


def answer(content: Any) -> web.Response:
    """Return *content* as JSON that no cache keeps."""
    return web.Response(body=json.dumps(content).encode(), headers=HEADERS)


async def catalogue(request: web.Request) -> web.Response:
    """`GET /strategies`: what there is, in the table's order."""
    return answer([info._asdict() | {"capabilities": sorted(info.capabilities)} for info in request.app[CATALOGUE]])


class Pages:
    """The handlers of one strategy on one replica."""

    def __init__(self, strategy: Strategy, auth: AuthClient, replica: str) -> None:
        self._strategy = strategy
        self._auth = auth
        self._place = {"strategy": strategy.info.name, "replica": replica}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what the strategy can serve; for the rest there is no route."""
        router.add_get("/mypage", self.mypage)
        router.add_post("/logout", self.logout)
        if isinstance(self._strategy, LogsIn):
            router.add_post("/login", self._login(self._strategy))
        if isinstance(self._strategy, KeepsState):
            router.add_post("/visits", self._visits(self._strategy))

    async def mypage(self, request: web.Request) -> web.Response:
        """`GET mypage`: who asks, and who answered."""
        user = await self._strategy.user(request)
        return answer({"user": {"id": user.id, "name": user.name}, **self._place})

    async def logout(self, request: web.Request) -> web.Response:
        """`POST logout`: 204, whether somebody was logged in or not."""
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        await self._strategy.logout(request, response)
        return response

    def _login(self, strategy: LogsIn) -> Any:
        async def login(request: web.Request) -> web.Response:
            credentials = await read_json(request, Credentials)
            user = await self._auth.check_password(
                credentials.username, credentials.password.get_secret_value(), client_address(request)
            )
            if user is None:
                raise Unauthenticated("Wrong username or password.", challenge=COOKIE_CHALLENGE)
            response = answer({"user": {"id": user.id, "name": user.name}})
            await strategy.login(request, response, user)
            return response

        return login

    def _visits(self, strategy: KeepsState) -> Any:
        async def visits(request: web.Request) -> web.Response:
            return answer({"visits": await strategy.visits(request)})

        return visits
