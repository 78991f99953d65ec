"""Protection against cross-site request forgery (S14)."""

from urllib.parse import urlsplit

from aiohttp import web

from services.common.http.problems import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def same_origin(request: web.Request) -> None:
    """Raise `Forbidden` if a browser says that a page of another origin sent an unsafe request (a `Guard`)."""
    if request.method not in SAFE and _is_foreign(request):
        raise Forbidden("Requests from another origin are not allowed.")


def _is_foreign(request: web.Request) -> bool:
    """Return whether another origin sent it: by Fetch metadata, or else by comparing Origin with Host.

    Go's net/http does the same. Clients other than browsers send neither header, but no cookies of other people either.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site not in ("same-origin", "none")
    if origin := request.headers.get("Origin"):
        try:
            return urlsplit(origin).netloc != request.headers.get("Host")
        except ValueError:
            return True
    return False
