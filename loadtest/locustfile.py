"""Locust users: each opens an account of its own, logs in, and reads my page for as long as it lives.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 [--strategy redis,jwt]

What a user does follows from the kind of its strategy, which the cluster tells (`GET /strategies`): a visitor without a
login, a browser with a cookie, or an app with tokens. A new strategy needs nothing here.
"""

import itertools
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from http.cookiejar import CookieJar
from typing import Any
from urllib.request import urlopen

from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpSession, ResponseContextManager
from locust.env import Environment
from locust.exception import StopTest
from locust.runners import MasterRunner

# A token is renewed after this share of its life, before the server refuses it, as a good client does.
RENEW_AFTER = 0.9
TIMEOUT_SECONDS = 15.0

Strategy = Mapping[str, Any]
"""One row of `GET /strategies`."""


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


class Visitor:
    """Reads my page under *strategy* without an account, and believes no answer that it has not checked."""

    def __init__(self, http: FastHttpSession, strategy: Strategy) -> None:
        self.http = http
        self.strategy: str = strategy["name"]
        self.login: str | None = strategy["login"]

    def start(self) -> None:
        """Become somebody: nothing to do without a login."""

    def visit(self) -> None:
        """Get my page and check the answer."""
        self.get_mypage({})

    def get_mypage(self, headers: dict[str, str]) -> int:
        """Return the status; everything about the answer that is not as it must be is a failure."""
        path = f"/{self.strategy}/mypage"
        with self.http.get(path, name=f"GET {path}", headers=headers, catch_response=True) as response:
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

    def who_is_wrong(self, user: dict[str, object]) -> str:  # noqa: ARG002 - the page greets no account
        """Return nothing: a page without a login belongs to nobody."""
        return ""


class Member(Visitor):
    """Somebody with an account, whose page must have their name, and the same id each time."""

    username = ""
    user_id: object = None

    def register(self) -> dict[str, str]:
        """Open an account and return its credentials."""
        self.username = f"load-{secrets.token_hex(8)}"
        credentials = {"username": self.username, "password": secrets.token_urlsafe(24)}
        self.post("/auth/users", credentials, expected=201)
        return credentials

    def log_in(self) -> dict[str, Any]:
        """Open an account, log in, and return the answer."""
        return self.post(str(self.login), self.register(), expected=200)

    def post(self, path: str, body: dict[str, str], *, expected: int, form: bool = False) -> dict[str, Any]:
        """Return the JSON answer to a POST. Any other status than *expected* ends this user: it has no login."""
        how: dict[str, Any] = {"data": body} if form else {"json": body}
        with self.http.post(path, name=f"POST {path}", catch_response=True, **how) as response:
            if response.status_code != expected:
                response.failure(f"status {response.status_code}, not {expected}")
                raise RuntimeError(f"POST {path}: status {response.status_code or 'none'}, not {expected}")
            answer: dict[str, Any] = response.json()
            return answer

    def who_is_wrong(self, user: dict[str, object]) -> str:
        """Return why this is not this user's page."""
        self.user_id = user.get("id") if self.user_id is None else self.user_id
        return "" if user.get("name") == self.username and user.get("id") == self.user_id else "another user's page"


class Browser(Member):
    """Logs in at the strategy and sends back the cookie that it was given last."""

    def start(self) -> None:
        """Register and log in."""
        self.user_id = self.log_in()["user"]["id"]


class App(Member):
    """Logs in at the auth service, sends the access token, renews it in time or when it is refused."""

    def start(self) -> None:
        """Register and log in."""
        self.keep(self.log_in())

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


CLIENTS: Mapping[str, type[Visitor]] = {"control": Visitor, "session": Browser, "token": App}
"""Who speaks the strategies of each kind."""


class Rotation:
    """The strategies of a test, of which each new user takes the next one."""

    def __init__(self) -> None:
        self._strategies: Iterator[Strategy] = iter(())

    def begin(self, strategies: Iterable[Strategy], first: int) -> None:
        """Begin with number *first* (counted round) of *strategies*."""
        self._strategies = itertools.islice(itertools.cycle(strategies), first, None)

    def next(self) -> Strategy:
        """Return whose turn it is."""
        return next(self._strategies)


class MyPageUser(FastHttpUser):
    """Reads my page as a client of its strategy's kind does. Waits a second between two."""

    wait_time = constant(1)
    network_timeout = TIMEOUT_SECONDS
    rotation = Rotation()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client.cookiejar = self.client.client.cookiejar = QuickJar()
        strategy = self.rotation.next()
        self.behaviour = CLIENTS[strategy["kind"]](self.client, strategy)

    def on_start(self) -> None:
        """Log in, if there is a login."""
        self.behaviour.start()

    @task
    def mypage(self) -> None:
        """Get my page."""
        self.behaviour.visit()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator] # Locust's is not annotated
def add_options(parser: LocustArgumentParser) -> None:
    """Let users of Locust choose strategies: on the command line, in the environment, or in the web UI."""
    parser.add_argument(
        "--strategy",
        metavar="NAME[,NAME...]",
        env_var="LOCUST_STRATEGY",
        default="",
        help="Strategies to read my page under, users taking turns; all that the host serves if this is empty",
    )


@events.test_start.add_listener  # type: ignore[untyped-decorator] # Locust's is not annotated
def choose_strategies(environment: Environment, **_: Any) -> None:
    """Ask the host what it serves, and let users take turns in what was chosen of it.

    That happens in each process, master and workers; worker N begins with strategy N. Raises `StopTest`.
    """
    chosen = environment.parsed_options.strategy if environment.parsed_options else ""
    try:
        strategies = among(served_by(environment.host), [name.strip() for name in chosen.split(",") if name.strip()])
    except (OSError, ValueError) as error:
        environment.process_exit_code = 1
        if isinstance(environment.runner, MasterRunner) and environment.web_ui is None:
            environment.runner.quit()  # Locust does so by itself in a process that is no master
        raise StopTest(str(error)) from None
    MyPageUser.rotation.begin(strategies, getattr(environment.runner, "worker_index", 0))


def served_by(host: str | None) -> list[Strategy]:
    """Return what the cluster at *host* serves. Raises `OSError` or `ValueError`."""
    if not host:
        raise ValueError("no host to test: give it as --host http://...")
    url = f"{host.rstrip('/')}/strategies"
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # the host that Locust was told to load
            strategies: list[Strategy] = json.load(answer)
    except (OSError, ValueError) as error:
        raise OSError(f"GET {url}: {error}") from None
    return strategies


def among(served: list[Strategy], names: list[str]) -> list[Strategy]:
    """Return the strategies called *names*, or all if there are none. Raises `ValueError` for a name not served."""
    known = {strategy["name"]: strategy for strategy in served}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no strategy {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names or known]
