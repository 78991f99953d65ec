"""The cookie of a session strategy: found quickly, set and deleted with the right attributes (S8, S9)."""

import re
from collections.abc import Sequence

from aiohttp import hdrs, web

MAX_CANDIDATES = 4


class SessionCookie:
    """The cookie called *name*, whose values match the pattern *value*.

    *secure*: with TLS, where it is a `__Host-` cookie (draft-ietf-httpbis-rfc6265bis §4.1.3.2); without, on localhost
    only, browsers would refuse that.
    """

    def __init__(self, name: str, value: str, *, secure: bool) -> None:
        self.name = f"__Host-{name}" if secure else name
        self._secure = secure
        self._pattern = re.compile(rf"(?:^|; ?){re.escape(self.name)}=({value})(?=;|$)", re.ASCII)

    def candidates(self, request: web.Request) -> Sequence[str]:
        """Return the values that could be ours, in the browser's order; `MAX_CANDIDATES` at most.

        There may be several cookies of one name: other paths of this host and sibling domains can set some, too
        (draft-ietf-httpbis-rfc6265bis §8.6), and a browser may send those first.

        Parsing all cookies, as `request.cookies` does, costs as much as the rest of a small request.
        """
        return self._pattern.findall(request.headers.get(hdrs.COOKIE, ""))[:MAX_CANDIDATES]

    def set(self, response: web.StreamResponse, value: str) -> None:
        """Let the browser keep *value* until it is closed; how long it is good is up to the session."""
        response.set_cookie(self.name, value, path="/", secure=self._secure, httponly=True, samesite="Lax")

    def delete(self, response: web.StreamResponse) -> None:
        """Let the browser forget it. Browsers ignore the deletion of a `__Host-` cookie that lacks its attributes."""
        response.del_cookie(self.name, path="/", secure=self._secure, httponly=True, samesite="Lax")
