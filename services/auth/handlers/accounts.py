"""Registration, first-party login, and the password check for back ends."""

from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from services.auth.accounts import NAME_PATTERN, Account
from services.auth.answers import never_cached
from services.auth.appkeys import AUTHENTICATION, LOGINS, SETTINGS
from services.auth.client_authentication import APP_CLIENT_ID, require_client
from services.auth.passwords import MAX_LENGTH, MIN_LENGTH
from services.common.bodies import Body, read_json

FIRST_PARTY_CLIENT_ID = "authscale-web"

routes = web.RouteTableDef()


class Registration(Body):
    """A new user's name and password."""

    username: Annotated[str, Field(pattern=NAME_PATTERN)]
    password: Annotated[str, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]


class Credentials(Body):
    """A name and a password as typed: anything that cannot be right is merely wrong."""

    username: str
    password: str


@routes.post("/auth/users")
async def register(request: web.Request) -> web.Response:
    """Create a user: 201; 409 if the name is taken."""
    body = await read_json(request, Registration)
    account = await request.app[AUTHENTICATION].register(body.username, body.password)
    return never_cached({"user": _user(account)}, HTTPStatus.CREATED)


@routes.post("/auth/login")
async def login(request: web.Request) -> web.Response:
    """Begin a login of our own pages: 200 with a token pair and the user. It is no OAuth grant (RFC 9700 §2.4)."""
    body = await read_json(request, Credentials)
    account = await request.app[AUTHENTICATION].authenticate(body.username, body.password)
    pair = await request.app[LOGINS].begin(account, FIRST_PARTY_CLIENT_ID)
    return never_cached(pair.as_dict() | {"user": _user(account)})


@routes.post("/auth/password/check")
async def check_password(request: web.Request) -> web.Response:
    """Tell the app whether a password is right: 200 with the user and roles, and no tokens.

    401 `invalid-client` if it is not the app that asks, 401 `unauthenticated` if the password is wrong.
    """
    require_client(request, APP_CLIENT_ID, request.app[SETTINGS].app_client_secret)
    body = await read_json(request, Credentials)
    account = await request.app[AUTHENTICATION].authenticate(body.username, body.password)
    return never_cached({"user": _user(account) | {"roles": list(account.roles)}})


def _user(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name}
