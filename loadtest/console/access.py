"""Who may see the console and press its buttons.

It can kill processes and it holds people's credentials. So there is a random token in the address that it prints, which
is traded for a strict cookie; and every request must name a host that is ours (DNS rebinding) and, if it changes
something, come from a page of ours (cross-site requests).
"""

import hmac
import ipaddress
import secrets
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

SAFE_METHODS = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer`, browsers send forms from the origin `null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  # to recognize it


class Access:
    """What lets viewers in. *names*: further names under which we may be asked, beside *host*; *port* is ours."""

    def __init__(self, host: str, port: int, names: Collection[str] = ()) -> None:
        self.token = secrets.token_urlsafe(24)
        self._cookie = secrets.token_urlsafe(24)
        self._name = f"authscale-console-{port}"  # cookies know no ports: two consoles must not share one
        self._port = port
        self._names = {*LOOPBACK, host, *names}
        self._anywhere = not is_loopback(host)

    def url(self, host: str) -> str:
        """Return the address that lets its reader in; for all interfaces, one that works here."""
        shown = LOOPBACK[0] if host in EVERYWHERE else host
        return str(URL.build(scheme="http", host=shown, port=self._port, path="/", query={"token": self.token}))

    def known(self, request: web.Request) -> bool:
        """Return whether the request has the cookie."""
        return _same(request.cookies.get(self._name, ""), self._cookie)

    def invited(self, request: web.Request) -> bool:
        """Return whether the request has the token."""
        return _same(request.query.get("token", ""), self.token)

    def let_in(self, response: web.StreamResponse) -> None:
        """Give a viewer the cookie."""
        response.set_cookie(self._name, self._cookie, httponly=True, samesite="Strict", path="/")

    def is_ours(self, host: str) -> bool:
        """Return whether *host* (a `Host` header) is an address or a name of ours.

        An IP address that was reached is ours: only a name can be made to point here by somebody else.
        """
        url = _parsed(host)
        if url is None or url.host is None or url.port != self._port:
            return False
        return url.host in self._names or (self._anywhere and _is_address(url.host))

    def is_same_origin(self, request: web.Request) -> bool:
        """Return whether a page of ours made the browser send this."""
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Sec-Fetch-Site") == "same-origin"
        return origin == f"http://{request.headers.get('Host', '')}"


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only viewers through, and put security headers on every answer."""
    try:
        response = await _checked(request, handler)
    except web.HTTPException as error:
        response = error
    if not response.prepared:
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
    if isinstance(response, web.HTTPException):
        raise response
    return response


async def _checked(request: web.Request, handler: Handler) -> web.StreamResponse:
    access = request.app[ACCESS]
    if not access.is_ours(request.headers.get("Host", "")):
        raise web.HTTPMisdirectedRequest(text="This console is not called that.")
    if request.method not in SAFE_METHODS and not access.is_same_origin(request):
        raise web.HTTPForbidden(text="This request does not come from a page of the console.")
    if not access.known(request) and request.path != "/":
        raise web.HTTPUnauthorized(text="Open the address that the console has printed.")
    return await handler(request)


ACCESS: web.AppKey[Access] = web.AppKey("access", Access)


def is_loopback(host: str) -> bool:
    """Return whether *host* can be reached from this machine only."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parsed(host: str) -> URL | None:
    try:
        return URL(f"http://{host}")
    except ValueError:
        return None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
