"""Requests that another site made a browser send change nothing (S14)."""

from urllib.parse import urlsplit

from aiohttp import web

from services.common.http.problems import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def same_origin(request: web.Request) -> None:
    """Refuse (`Forbidden`) an unsafe request whose browser says that a page of another origin sent it: a `Guard`."""
    if request.method not in SAFE and _is_foreign(request):
        raise Forbidden("A page of another origin sent this request.")


def _is_foreign(request: web.Request) -> bool:
    """Tell whether another origin sent it: by Fetch metadata, else by Origin against Host (as Go's net/http does).

    Clients that are no browsers send neither header; they carry no cookies of other people either.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site not in ("same-origin", "none")
    if origin := request.headers.get("Origin"):
        try:
            return urlsplit(origin).netloc != request.headers.get("Host")
        except ValueError:
            return True
    return False
