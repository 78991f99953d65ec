"""Registration, first-party login, change of password, and the password check for back ends."""

import contextlib
from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, Field

from services.auth.accounts.common_passwords import refuse_common
from services.auth.accounts.precis import new_password, typed_password
from services.auth.accounts.store import NAME_PATTERN, Account
from services.auth.http.answers import never_cached
from services.auth.http.appkeys import AUTHENTICATION, CLOCK, LOGINS, SETTINGS
from services.auth.http.bearer import require_bearer
from services.auth.http.client_authentication import APP_CLIENT_ID, FIRST_PARTY_CLIENT_ID, require_client
from services.auth.logins.logins import AccountChangedError
from services.common.devices import device_of
from services.common.http.addresses import client_address
from services.common.http.bodies import Body, read_json
from services.common.http.problems import Unavailable

ATTEMPTS = 3  # at a login of an account that is being changed

NewPassword = Annotated[str, AfterValidator(new_password)]
TypedPassword = Annotated[str, AfterValidator(typed_password)]

routes = web.RouteTableDef()


class Registration(Body):
    """A new user's name and password."""

    username: Annotated[str, Field(pattern=NAME_PATTERN)]
    password: NewPassword


class PasswordChange(Body):
    """The password that is, as typed, and the one that shall be."""

    old_password: TypedPassword
    new_password: NewPassword


class Credentials(Body):
    """A name and a password as typed: anything that cannot be right is merely wrong."""

    username: str
    password: TypedPassword


@routes.post("/auth/users")
async def register(request: web.Request) -> web.Response:
    """Create a user: 201; 400 if the password is a common one; 409 if the name is taken, in whatever case."""
    body = await read_json(request, Registration)
    refuse_common(body.password, body.username, "password")
    account = await request.app[AUTHENTICATION].register(body.username, body.password, client_address(request))
    return never_cached({"user": _user(account)}, HTTPStatus.CREATED)


@routes.post("/auth/login")
async def login(request: web.Request) -> web.Response:
    """Begin a login of our own pages: 200 with a token pair and the user; 409 if it is denied as one too many.

    It is no OAuth grant (RFC 9700 §2.4).
    """
    body = await read_json(request, Credentials)
    device = device_of(request)
    for _ in range(ATTEMPTS):
        account = await request.app[AUTHENTICATION].authenticate(body.username, body.password, device.address)
        with contextlib.suppress(AccountChangedError):
            pair = await request.app[LOGINS].begin(account, FIRST_PARTY_CLIENT_ID, device)
            return never_cached(pair.as_dict() | {"user": _user(account)})
    raise Unavailable("This account is being changed.")


@routes.post("/auth/password")
async def change_password(request: web.Request) -> web.Response:
    """Change the own password and end the other logins: 204; 403 if the old one is wrong.

    After a 503 it may have been changed: sent again with the new one as both, the other logins are ended.
    """
    bearer = await require_bearer(request)
    body = await read_json(request, PasswordChange)
    refuse_common(body.new_password, bearer.account.name, "new_password")
    await request.app[AUTHENTICATION].change_password(
        bearer.account, body.old_password, body.new_password, client_address(request)
    )
    await request.app[LOGINS].end_all(bearer.account.id, keep=bearer.session_id)
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


@routes.post("/auth/password/check")
async def check_password(request: web.Request) -> web.Response:
    """Tell the app whether a password is right: 200 with the user and roles, and no tokens.

    401 `invalid-client` if it is not the app that asks, 401 `unauthenticated` if the password is wrong. The app says
    in `X-Forwarded-For` for whom it asks. Without Redis guesses are not counted: `memory` needs no Redis to log in.

    `checked_at` is a time before the account was looked at: whatever ends the user's logins later means the app's
    session, too, even if that is still to be made.
    """
    require_client(request, APP_CLIENT_ID, request.app[SETTINGS].app_client_secret)
    body = await read_json(request, Credentials)
    checked_at = request.app[CLOCK]()
    account = await request.app[AUTHENTICATION].authenticate(
        body.username, body.password, client_address(request), fail_open=True
    )
    return never_cached({"user": _user(account) | {"roles": list(account.roles)}, "checked_at": checked_at})


def _user(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name}
