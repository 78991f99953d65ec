"""What every service serves: its health and metrics, and its own routes, each in an envelope."""

import itertools
from collections.abc import Iterable

import prometheus_client
from aiohttp import web
from prometheus_client.registry import CollectorRegistry

from services.common.http.bodies import MAX_BODY_BYTES
from services.common.http.envelope import ENVELOPE, Envelope, Guard, RequestCounter, everybody
from services.common.http.lifecycle import LIFECYCLE, Lifecycle, ReadyCheck
from services.common.http.problems import Unavailable

REGISTRY: web.AppKey[CollectorRegistry] = web.AppKey("registry", CollectorRegistry)


def create_service(replica: str, checks: list[ReadyCheck]) -> web.Application:
    """Return an application with what `OPERATIONS` serves; `add_routes` gives it more.

    *replica* is its name in `X-Replica`, *checks* say whether it would serve.
    """
    lifecycle, counter, registry = Lifecycle(checks), RequestCounter(), CollectorRegistry()
    registry.register(counter)
    for stock in (prometheus_client.ProcessCollector, prometheus_client.GCCollector):
        stock(registry=registry)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[LIFECYCLE], app[REGISTRY], app[ENVELOPE] = lifecycle, registry, Envelope(replica, lifecycle, counter)
    return app


def add_routes(app: web.Application, routes: Iterable[web.AbstractRouteDef], guard: Guard = everybody) -> None:
    """Let *app* serve *routes* and `OPERATIONS`, each in its envelope, and nothing else. To be called once.

    *guard* may refuse a request to any of *routes* by raising. Other methods are 405, other paths 404.
    """
    around = app[ENVELOPE].around
    by_path: dict[str, list[web.RouteDef]] = {}
    for route in (*OPERATIONS, *routes):
        assert isinstance(route, web.RouteDef)  # noqa: S101  # there are others, for files
        by_path.setdefault(route.path, []).append(route)
    for route in itertools.chain(*by_path.values()):  # those of one path in a row become one resource
        handler = around(route.path.split("/", 2)[1], route.handler, guard)
        web.RouteDef(route.method, route.path, handler, route.kwargs).register(app.router)
    for resource in list(app.router.resources()):
        assert isinstance(resource, web.Resource)  # noqa: S101  # it is what routes make
        resource.add_route("*", around("unmatched", method_not_allowed, everybody))
    app.router.add_route("*", "/{path:.*}", around("unmatched", not_found, everybody))


async def not_found(_: web.Request) -> web.Response:
    """Answer that there is no such path."""
    raise web.HTTPNotFound


async def method_not_allowed(request: web.Request) -> web.Response:
    """Answer which methods there are at this path (RFC 9110 §15.5.6)."""
    allowed = {route.method for route in request.match_info.route.resource or ()} - {"*"}
    raise web.HTTPMethodNotAllowed(request.method, sorted(allowed))


async def healthz(_: web.Request) -> web.Response:
    """Answer that the process is alive, whatever the state of its neighbours."""
    return web.json_response({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether a request would be served now (503 while draining)."""
    if reason := await request.app[LIFECYCLE].missing():
        raise Unavailable(reason)
    return web.json_response({"status": "ready"})


async def metrics(request: web.Request) -> web.Response:
    """Answer in Prometheus' text format. The load balancer does not pass this path on."""
    body = prometheus_client.generate_latest(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})


OPERATIONS = (web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics))
