"""What every service has: health, metrics, its name on each answer, and a shutdown that drains before it closes."""

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

import prometheus_client
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from services.common.http.bodies import MAX_BODY_BYTES, refuse_encoded
from services.common.http.connections import OPTIONS, Connection
from services.common.http.problems import Unavailable, problem_answer

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that the kernel keeps for us until we accept them

ReadyCheck = Callable[[], Awaitable[str | None]]
"""Returns None when its part would serve now, else what is missing."""
Guard = Callable[[web.Request], None]
"""Raises a problem if the request must not be handled."""


def everybody(_: web.Request) -> None:
    """Refuse nobody: a `Guard`."""


class Lifecycle:
    """Whether this process would serve a request now: yes from start-up's end until it begins to drain."""

    def __init__(self, checks: list[ReadyCheck]) -> None:
        self.checks = checks
        self.draining = False

    async def missing(self) -> str | None:
        """Return why this process would not serve now, or None."""
        if self.draining:
            return "draining: this process is about to stop"
        for check in self.checks:
            if reason := await check():
                return reason
        return None


LIFECYCLE: web.AppKey[Lifecycle] = web.AppKey("lifecycle", Lifecycle)
REGISTRY: web.AppKey[CollectorRegistry] = web.AppKey("registry", CollectorRegistry)


class RequestCounter(Collector):
    """Counts answers by area and status: plain integers while serving, Prometheus' types when scraped."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as `http_requests_total{area, status}`."""
        family = CounterMetricFamily("http_requests", "Answers sent.", labels=["area", "status"])
        for (area, status), count in self.counts.items():
            family.add_metric([area, str(status)], count)
        yield family


class Envelope:
    """What goes around every handler: errors become problem details, answers are signed by *replica* and counted.

    It is no middleware: having any costs an aiohttp application a tenth of a small request (docs/adr/0010-envelope.md).
    """

    def __init__(self, replica: str, lifecycle: Lifecycle, counter: RequestCounter) -> None:
        self._replica = replica
        self._lifecycle = lifecycle
        self._counts = counter.counts

    def around(self, area: str, handler: Handler, guard: Guard) -> Handler:
        """Return *handler* in its envelope; its answers are counted under *area*. *guard* is asked first."""

        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                if request.body_exists:
                    refuse_encoded(request)
                guard(request)
                response = await handler(request)
            except Exception as error:  # noqa: BLE001  # logged there if nobody foresaw it
                response = problem_answer(request, error)
            self._sign(request, response, area)
            return response

        return answered

    def sign(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Sign and count an answer that comes from no handler."""
        self._sign(request, response, "unmatched")

    def _sign(self, request: web.BaseRequest, response: web.StreamResponse, area: str) -> None:
        response.headers["X-Replica"] = self._replica
        # A connection that will be closed must say so, or the load balancer gives it to somebody else's request.
        # aiohttp closes it by itself when the rest of a body does not arrive or cannot be read.
        if self._lifecycle.draining or not request.content.is_eof():
            response.force_close()
            response.headers["Connection"] = "close"
        self._counts[area, response.status] += 1


ENVELOPE: web.AppKey[Envelope] = web.AppKey("envelope", Envelope)


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


def run(app: web.Application, *, host: str, port: int, drain_seconds: float) -> None:
    """Serve *app* until SIGTERM or SIGINT, then drain for at most *drain_seconds* and close."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _spare_the_collector()
    uvloop.run(_serve(app, host, port, drain_seconds))


def _spare_the_collector() -> None:
    """Let the garbage collector look at what requests leave behind, less often, and never at what start-up made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(app: web.Application, host: str, port: int, drain_seconds: float) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, shutdown_timeout=1)
    try:
        await runner.setup()
        server = runner.server
        assert server is not None  # noqa: S101  # set up above
        connect = partial(Connection, server, app[ENVELOPE].sign, loop=loop, **OPTIONS)
        with socket.create_server((host, port), backlog=BACKLOG) as listener:
            listener.setblocking(False)
            listening = await loop.create_server(connect, sock=listener, backlog=BACKLOG)
            log.info("serving on %s:%d", host, port)
            await stop.wait()
            app[LIFECYCLE].draining = True
            waiting = _accept_waiting(listener)
            listening.close()
        for connection in waiting:
            await loop.connect_accepted_socket(connect, connection)
        await _drained(server, drain_seconds)
    finally:
        await runner.cleanup()


def _accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that wait to be accepted: when the listener is closed, the kernel resets those."""
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(listener.accept()[0])
    for connection in waiting:
        connection.setblocking(False)
    return waiting


async def _drained(server: web.Server, seconds: float) -> None:
    """Return when all connections are gone, or after *seconds*. None is taken any more, and each ends with its answer.

    A connection is never closed under a request: nginx closes idle ones itself (`keepalive_timeout` in its upstreams),
    and a used one gets `Connection: close`. So not even a POST, which nginx would not repeat, is lost.
    """
    log.info("draining %d connections", len(server.connections))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while server.connections:  # noqa: ASYNC110  # aiohttp offers no event for this
                await asyncio.sleep(0.05)
    log.info("closing with %d connections open", len(server.connections))
