"""Registration, first-party login, password changes, and the password check for the app."""

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, Field

from services.auth.accounts.authentication import Authentication
from services.auth.accounts.common_passwords import refuse_common
from services.auth.accounts.precis import new_password, typed_password
from services.auth.accounts.store import NAME_PATTERN, Account
from services.auth.clock import Clock
from services.auth.http.answers import never_cached
from services.auth.http.bearer import BearerAuthentication
from services.auth.http.client_authentication import FIRST_PARTY_CLIENT_ID, ClientAuthentication
from services.auth.logins.logins import AccountChangedError, Logins
from services.common.devices import device_of
from services.common.http.addresses import client_address
from services.common.http.answers import no_content
from services.common.http.bodies import Body, read_json
from services.common.http.problems import Unavailable

ATTEMPTS = 3  # to log in to an account that is being changed

NewPassword = Annotated[str, AfterValidator(new_password)]
TypedPassword = Annotated[str, AfterValidator(typed_password)]


class Registration(Body):
    """Body of `POST /auth/users`."""

    username: Annotated[str, Field(pattern=NAME_PATTERN)]
    password: NewPassword


class PasswordChange(Body):
    """Body of `POST /auth/password`. The old password is not checked against the rules for new ones."""

    old_password: TypedPassword
    new_password: NewPassword


class Credentials(Body):
    """Body of both login calls. A password that breaks the rules is not an error here, merely wrong."""

    username: str
    password: TypedPassword


class AccountHandlers:
    """Handlers for accounts and their passwords."""

    def __init__(
        self,
        authentication: Authentication,
        logins: Logins,
        bearers: BearerAuthentication,
        clients: ClientAuthentication,
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._logins = logins
        self._bearers = bearers
        self._clients = clients
        self._clock = clock

    def routes(self) -> Iterator[web.RouteDef]:
        """Yield the routes."""
        yield web.post("/auth/users", self.register)
        yield web.post("/auth/login", self.log_in)
        yield web.post("/auth/password", self.change_password)
        yield web.post("/auth/password/check", self.check_password)

    async def register(self, request: web.Request) -> web.Response:
        """Create an account: 201; 400 if the password is common; 409 if the name is taken, whatever its case."""
        body = await read_json(request, Registration)
        refuse_common(body.password, body.username, "password")
        account = await self._authentication.register(body.username, body.password, client_address(request))
        return never_cached({"user": _user(account)}, HTTPStatus.CREATED)

    async def log_in(self, request: web.Request) -> web.Response:
        """Log in from our own pages: 200 with a token pair and the user; 409 if the limit of logins is reached.

        This is not an OAuth grant (RFC 9700 §2.4).
        """
        body = await read_json(request, Credentials)
        device = device_of(request)
        for _ in range(ATTEMPTS):
            account = await self._authentication.authenticate(body.username, body.password, device.address)
            with contextlib.suppress(AccountChangedError):
                pair = await self._logins.begin(account, FIRST_PARTY_CLIENT_ID, device)
                return never_cached(pair.as_dict() | {"user": _user(account)})
        raise Unavailable("This account is being changed. Please try again.")

    async def change_password(self, request: web.Request) -> web.Response:
        """Change the user's password and end their other logins: 204; 403 if the old password is wrong.

        After a 503 the password may have been changed. If the request is repeated with the new password as the old one,
        the other logins are ended.
        """
        bearer = await self._bearers.user(request)
        body = await read_json(request, PasswordChange)
        refuse_common(body.new_password, bearer.account.name, "new_password")
        await self._authentication.change_password(
            bearer.account, body.old_password, body.new_password, client_address(request)
        )
        await self._logins.end_all(bearer.account.id, keep=bearer.session_id)
        return no_content()

    async def check_password(self, request: web.Request) -> web.Response:
        """Check a password for the app: 200 with the user and their roles, but no tokens.

        401 `invalid-client` if the caller is not the app, 401 `unauthenticated` if the password is wrong. The app sends
        the user's address in `X-Forwarded-For`. Without Redis, wrong passwords are not counted, so that users of
        `memory` can log in.

        `checked_at` is a time before the account was read. Whatever ends the user's logins after that time also ends
        the session that the app is about to create.
        """
        self._clients.require_app(request)
        body = await read_json(request, Credentials)
        checked_at = self._clock()
        account = await self._authentication.authenticate(
            body.username, body.password, client_address(request), fail_open=True
        )
        return never_cached({"user": _user(account) | {"roles": list(account.roles)}, "checked_at": checked_at})


def _user(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name}
