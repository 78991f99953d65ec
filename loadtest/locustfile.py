"""Locust users: each registers an account of its own, logs in, and reads my page for as long as it lives.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 [RedisUser JwtUser ...]

A class is a client's behaviour: a browser with a cookie, an app with tokens, a visitor without a login. The strategies
stand at the end of the file: **add a class there for a new one** (`two-words` is looked for as `TwoWordsUser`).
"""

import secrets
import time
from http.cookiejar import CookieJar
from typing import Any, ClassVar

from locust import FastHttpUser, constant, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

# A token is renewed when this share of its life is over: before the server refuses it, as a good client does.
RENEW_AFTER = 0.9


class QuickJar(CookieJar):
    """A cookie jar that works out what to send anew only when an answer sets another cookie (ours have no date).

    Python's does so for each request and each answer, and nginx sets the cookie of its affinity with every answer. So
    Locust spent more on a user of `memory` than on others, asked less often, and what is asked less often costs more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, str] = {}
        self._set: list[str] = []

    def add_cookie_header(self, request: Any) -> None:
        """Add the cookies for *request*."""
        url = request.full_url
        if url not in self._known:
            super().add_cookie_header(request)
            self._known[url] = request.get_header("Cookie", "")
        elif cookies := self._known[url]:
            request.add_unredirected_header("Cookie", cookies)

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep what *response* sets."""
        cookies = response.info().getlist("set-cookie")
        if cookies and cookies != self._set:
            super().extract_cookies(response, request)
            self._set = cookies
            self._known.clear()


class MyPageUser(FastHttpUser):
    """Reads `/{strategy}/mypage` and believes no answer that it has not checked. Waits a second between two."""

    abstract = True
    strategy: ClassVar[str]
    wait_time = constant(1)
    network_timeout = 15.0
    username = ""
    user_id: object = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client.cookiejar = self.client.client.cookiejar = QuickJar()

    def on_start(self) -> None:
        """Become somebody: nothing to do without a login."""

    def register(self) -> dict[str, str]:
        """Open an account and return its credentials."""
        self.username = f"load-{secrets.token_hex(8)}"
        credentials = {"username": self.username, "password": secrets.token_urlsafe(24)}
        self.post("/auth/users", credentials, expected=201)
        return credentials

    def post(self, path: str, body: dict[str, str], *, expected: int, form: bool = False) -> dict[str, Any]:
        """Return the JSON answer to a POST. Any other status than *expected* ends this user: it has no login."""
        how: dict[str, Any] = {"data": body} if form else {"json": body}
        with self.client.post(path, name=f"POST {path}", catch_response=True, **how) as response:
            if response.status_code != expected:
                response.failure(f"status {response.status_code}, not {expected}")
                raise RuntimeError(f"POST {path}: status {response.status_code or 'none'}, not {expected}")
            answer: dict[str, Any] = response.json()
            return answer

    @task
    def mypage(self) -> None:
        """Get my page as this client does. Locust collects the tasks of all bases, so behaviours override `visit`."""
        self.visit()

    def visit(self) -> None:
        """Get my page and check the answer."""
        self.get_mypage({})

    def get_mypage(self, headers: dict[str, str]) -> int:
        """Return the status; everything about the answer that is not as it must be is a failure."""
        path = f"/{self.strategy}/mypage"
        with self.client.get(path, name=f"GET {path}", headers=headers, catch_response=True) as response:
            if wrong := self.what_is_wrong(response):
                response.failure(wrong)
            return int(response.status_code)

    def what_is_wrong(self, response: ResponseContextManager) -> str:
        """Return what the answer should not say, or an empty string. Whose page it is instead, stays untold."""
        if response.status_code != 200:
            return f"status {response.status_code or 'none: no answer'}"
        if not response.headers or not str(response.headers.get("content-type")).startswith("application/json"):
            return "the answer is not JSON"
        page = response.json()
        if page.get("strategy") != self.strategy:
            return f"answered by strategy {page.get('strategy')!r}"
        return self.who_is_wrong(page.get("user") or {})

    def who_is_wrong(self, user: dict[str, object]) -> str:
        """Return why this is not this user's page: it must have our name, and the same id each time."""
        self.user_id = user.get("id") if self.user_id is None else self.user_id
        return "" if user.get("name") == self.username and user.get("id") == self.user_id else "another user's page"


class ControlUser(MyPageUser):
    """A visitor: no account, no login, no credential."""

    abstract = True

    def who_is_wrong(self, user: dict[str, object]) -> str:  # noqa: ARG002 - whoever the page greets, it is no account
        """Return nothing: a page without a login belongs to nobody."""
        return ""


class SessionUser(MyPageUser):
    """A browser: logs in at the strategy and sends back the cookie that it was given last."""

    abstract = True

    def on_start(self) -> None:
        """Register and log in."""
        self.user_id = self.post(f"/{self.strategy}/login", self.register(), expected=200)["user"]["id"]


class TokenUser(MyPageUser):
    """An app: logs in at the auth service, sends the access token, renews it in time or when it is refused."""

    abstract = True

    def on_start(self) -> None:
        """Register and log in."""
        self.keep(self.post("/auth/login", self.register(), expected=200))

    def keep(self, tokens: dict[str, Any]) -> None:
        """Remember *tokens* and when to renew them."""
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        self.refresh_token = tokens["refresh_token"]
        self.renew_at = time.monotonic() + RENEW_AFTER * tokens["expires_in"]

    def refresh(self) -> None:
        """Trade the refresh token for new tokens (RFC 6749 §6)."""
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        self.keep(self.post("/auth/token", form, expected=200, form=True))

    def visit(self) -> None:
        """Get my page; renew the tokens first if they are old, and once more if the page refuses them."""
        if time.monotonic() >= self.renew_at:
            self.refresh()
        if self.get_mypage(self.headers) == 401:
            self.refresh()
            self.get_mypage(self.headers)


class AnonymousUser(ControlUser):
    """The control."""

    strategy = "anonymous"


class MemoryUser(SessionUser):
    """Sessions in a replica's memory."""

    strategy = "memory"


class RedisUser(SessionUser):
    """Sessions in Redis."""

    strategy = "redis"


class JwtUser(TokenUser):
    """Access tokens, verified by each replica."""

    strategy = "jwt"


class RedisCachedUser(SessionUser):
    """Sessions in Redis, which each replica remembers until Redis says that they have changed."""

    strategy = "redis-cached"


class CookieUser(SessionUser):
    """Sessions in a sealed cookie: whatever the last answer set is sent back."""

    strategy = "cookie"


class JwtCachedUser(TokenUser):
    """Access tokens, verified by each replica once."""

    strategy = "jwt-cached"


class JwtDenylistUser(TokenUser):
    """Access tokens, verified by each replica and looked up among those that were revoked."""

    strategy = "jwt-denylist"
