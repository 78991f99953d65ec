"""What every service serves: health checks, metrics, and its own routes, each in an envelope."""

import itertools
from collections.abc import Iterable

import prometheus_client
from aiohttp import web
from prometheus_client.registry import CollectorRegistry

from services.common.http.bodies import MAX_BODY_BYTES
from services.common.http.envelope import ENVELOPE, Envelope, Guard, RequestCounter, everybody
from services.common.http.lifecycle import LIFECYCLE, Lifecycle, ReadyCheck
from services.common.http.problems import Unavailable


class Operations:
    """Handlers for the operators of the service."""

    def __init__(self, lifecycle: Lifecycle, registry: CollectorRegistry) -> None:
        self._lifecycle = lifecycle
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz), web.get("/metrics", self.metrics)]

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer that the process is alive, whatever the state of its dependencies."""
        return web.json_response({"status": "alive"})

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer whether the process would serve a request now: 503 if not, for example while it drains."""
        if reason := await self._lifecycle.missing():
            raise Unavailable(reason)
        return web.json_response({"status": "ready"})

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer in Prometheus's text format. The load balancer does not forward this path."""
        body = prometheus_client.generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})


OPERATIONS: web.AppKey[Operations] = web.AppKey("operations", Operations)


def create_service(replica: str, checks: list[ReadyCheck]) -> web.Application:
    """Return an application without routes; `add_routes` adds them.

    *replica* is its name in `X-Replica`; *checks* tell whether it is ready.
    """
    lifecycle, counter, registry = Lifecycle(checks), RequestCounter(), CollectorRegistry()
    registry.register(counter)
    for stock in (prometheus_client.ProcessCollector, prometheus_client.GCCollector):
        stock(registry=registry)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[LIFECYCLE], app[ENVELOPE] = lifecycle, Envelope(replica, lifecycle, counter)
    app[OPERATIONS] = Operations(lifecycle, registry)
    return app


def add_routes(app: web.Application, routes: Iterable[web.AbstractRouteDef], guard: Guard = everybody) -> None:
    """Let *app* serve *routes* and its `Operations`, each in its envelope. Call this once.

    *guard* may refuse any request by raising a problem. Other methods are answered with 405, other paths with 404.
    """
    around = app[ENVELOPE].around
    by_path: dict[str, list[web.RouteDef]] = {}
    for route in (*app[OPERATIONS].routes(), *routes):
        assert isinstance(route, web.RouteDef)  # noqa: S101  # the only other kind serves files
        by_path.setdefault(route.path, []).append(route)
    for route in itertools.chain(*by_path.values()):  # routes with the same path in a row become one resource
        handler = around(route.path.split("/", 2)[1], route.handler, guard)
        web.RouteDef(route.method, route.path, handler, route.kwargs).register(app.router)
    for resource in list(app.router.resources()):
        assert isinstance(resource, web.Resource)  # noqa: S101  # that is what routes make
        resource.add_route("*", around("unmatched", method_not_allowed, everybody))
    app.router.add_route("*", "/{path:.*}", around("unmatched", not_found, everybody))


async def not_found(_: web.Request) -> web.Response:
    """Answer that nothing is served at this path."""
    raise web.HTTPNotFound


async def method_not_allowed(request: web.Request) -> web.Response:
    """Answer with the methods that this path allows (RFC 9110 §15.5.6)."""
    allowed = {route.method for route in request.match_info.route.resource or ()} - {"*"}
    raise web.HTTPMethodNotAllowed(request.method, sorted(allowed))
