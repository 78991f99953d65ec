"""The cookie of a session strategy: found quickly, and set and deleted with the right attributes (S8, S9)."""

import re
from collections.abc import Sequence

from aiohttp import hdrs, web

MAX_CANDIDATES = 4


class SessionCookie:
    """The cookie called *name*, whose values match the pattern *value*.

    If *secure*, it is a `__Host-` cookie (draft-ietf-httpbis-rfc6265bis §4.1.3.2), which browsers accept over TLS only.
    Without TLS, on localhost, it must not be.
    """

    def __init__(self, name: str, value: str, *, secure: bool) -> None:
        self.name = f"__Host-{name}" if secure else name
        self._secure = secure
        self._pattern = re.compile(rf"(?:^|; ?){re.escape(self.name)}=({value})(?=;|$)", re.ASCII)

    def candidates(self, request: web.Request) -> Sequence[str]:
        """Return the values that could be ours, in the browser's order, at most `MAX_CANDIDATES`.

        There may be several cookies with this name: other paths of this host and sibling domains can set it, too
        (draft-ietf-httpbis-rfc6265bis §8.6), and a browser may send those first.

        `request.cookies` is not used: it parses all cookies, which costs as much as the rest of a small request.
        """
        return self._pattern.findall(request.headers.get(hdrs.COOKIE, ""))[:MAX_CANDIDATES]

    def set(self, response: web.StreamResponse, value: str) -> None:
        """Set the cookie until the browser is closed. The session decides how long it is valid."""
        response.set_cookie(self.name, value, path="/", secure=self._secure, httponly=True, samesite="Lax")

    def delete(self, response: web.StreamResponse) -> None:
        """Delete the cookie. Browsers ignore the deletion of a `__Host-` cookie without its attributes."""
        response.del_cookie(self.name, path="/", secure=self._secure, httponly=True, samesite="Lax")
