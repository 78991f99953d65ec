"""Composition root, and the pages."""

from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp_sse import sse_response
from jinja2 import Environment, PackageLoader, StrictUndefined

from loadtest.console.access import ACCESS, Access, guarded
from loadtest.console.actions import ACTIONS, begin
from loadtest.console.feed import Feed
from loadtest.console.picture import PARTS, Picture
from loadtest.console.stage import Stage
from loadtest.console.texts import DEFAULT, LANGUAGES, preferred, text
from loadtest.console.tour import Tour
from loadtest.console.view import View

STATIC = Path(__file__).with_name("static")
LANGUAGE_COOKIE = "authscale-language"
SEND_SECONDS = 30.0
STAGE: web.AppKey[Stage] = web.AppKey("stage", Stage)
PICTURE: web.AppKey[Picture] = web.AppKey("picture", Picture)
FEED: web.AppKey[Feed] = web.AppKey("feed", Feed)
TOUR: web.AppKey[Tour] = web.AppKey("tour", Tour)
REPORTS: web.AppKey[Path] = web.AppKey("reports", Path)
TEMPLATES: web.AppKey[Environment] = web.AppKey("templates", Environment)

routes = web.RouteTableDef()


def create_app(
    access: Access, stage: Stage, picture: Picture, feed: Feed, tour: Tour, reports: Path
) -> web.Application:
    """Return the console. It starts nothing. *reports*: where the last report is, if there is one."""
    app = web.Application(middlewares=[guarded], client_max_size=4096)
    app[ACCESS], app[STAGE], app[PICTURE], app[FEED], app[TOUR] = access, stage, picture, feed, tour
    app[REPORTS] = reports
    app[TEMPLATES] = Environment(
        loader=PackageLoader("loadtest.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    app.add_routes(routes)
    app.router.add_static("/static", STATIC)
    return app


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    """The whole page; or, for a request with the token, the cookie."""
    access = request.app[ACCESS]
    if access.invited(request):
        response = _rendered(request, "welcome.html.j2")
        access.let_in(response)
        return response
    if not access.known(request):
        return _rendered(request, "stranger.html.j2", status=HTTPStatus.UNAUTHORIZED)
    if "language" in request.query:
        answer = web.HTTPSeeOther("/")
        if request.query["language"] in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, request.query["language"], samesite="Strict", httponly=True)
        raise answer
    return _rendered(request, "page.html.j2")


@routes.get("/parts/{name}")
async def part(request: web.Request) -> web.Response:
    """A part of the page, as it is now."""
    name = request.match_info["name"]
    if name not in PARTS:
        raise web.HTTPNotFound
    return _rendered(request, f"{name}.html.j2")


@routes.get("/report")
async def report(request: web.Request) -> web.FileResponse:
    """The last report, to be saved: as a page of ours it would need styles that our policy forbids."""
    page = request.app[REPORTS] / "report.html"
    if not page.exists():
        raise web.HTTPNotFound
    return web.FileResponse(page, headers={"Content-Disposition": 'attachment; filename="report.html"'})


@routes.get("/events")
async def events(request: web.Request) -> web.StreamResponse:
    """Everything that happens, from now on."""
    feed = request.app[FEED]
    async with sse_response(request, sep="\n", send_timeout=SEND_SECONDS) as response:
        queue = feed.join()
        try:
            await response.send(request.app[PICTURE].whole(), event="whole")
            while message := await queue.get():
                await response.send(message.data, event=message.event)
        except (ConnectionResetError, TimeoutError):  # they have left, or have fallen asleep
            pass
        finally:
            feed.leave(queue)
    return response


@routes.post("/actions/{key}")
async def act(request: web.Request) -> web.Response:
    """Press a button: 204 for htmx, and the page for a browser without JavaScript."""
    key, stage = request.match_info["key"], request.app[STAGE]
    if key not in ACTIONS:
        raise web.HTTPNotFound
    try:
        form = await request.post()
    except ValueError:
        raise web.HTTPBadRequest from None
    target, seat = str(form.get("target", "")), _seat(stage, str(form.get("seat", "")))
    of = ACTIONS[key].of
    if of == "process" and target not in {process.name for process in stage.processes}:
        raise web.HTTPUnprocessableEntity(text=text(_language(request), "refused.process"))
    begin(stage, key, target=target if of == "process" else "", seat=seat if of == "person" else None)
    return _done(request)


@routes.post("/tour/{step:[0-9]}")
async def go(request: web.Request) -> web.Response:
    """Go to a step of the tour; 0 leaves it."""
    try:
        request.app[TOUR].go(int(request.match_info["step"]))
    except ValueError:
        raise web.HTTPNotFound from None
    return _done(request)


def _seat(stage: Stage, given: str) -> int:
    """Return the seat that was chosen, or else the next one."""
    if given.isdecimal() and 0 < int(given) <= stage.crowd.size:
        return int(given) - 1
    return stage.crowd.next_seat()


def _done(request: web.Request) -> web.Response:
    if "HX-Request" in request.headers:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    raise web.HTTPSeeOther("/")


def _rendered(request: web.Request, template: str, status: int = HTTPStatus.OK) -> web.Response:
    app = request.app
    view = View(app[STAGE], app[PICTURE], app[REPORTS], _language(request))
    body = app[TEMPLATES].get_template(template).render(view=view, t=view.text)
    return web.Response(text=body, content_type="text/html", status=status)


def _language(request: web.Request) -> str:
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("Accept-Language", DEFAULT))
