"""What every service has: health, metrics, its name on each answer, and a shutdown that drains before it closes."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import prometheus_client
import uvloop
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.typedefs import Handler
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from services.common.bodies import MAX_BODY_BYTES
from services.common.problems import Unavailable, problem_middleware

log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 128 * 1024  # far above nginx's limit: it is nginx that refuses a larger header, in our own words
BACKLOG = 1024  # connections that the kernel keeps for us until we accept them
KEEPALIVE_SECONDS = 75  # above nginx's keepalive_timeout in its upstreams: it is nginx that closes idle connections

ReadyCheck = Callable[[], Awaitable[str | None]]
"""Returns None when its part would serve now, else what is missing."""


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
    """Counts answers by first path segment and status: plain integers while serving, Prometheus' types when scraped."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count one answer. Unknown paths share the label `unmatched`, so that a scan cannot fill the memory."""
        response = await handler(request)
        resource = request.match_info.route.resource
        area = resource.canonical.split("/", 2)[1] if resource else "unmatched"
        self._counts[area, response.status] += 1
        return response

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as `http_requests_total{area, status}`."""
        family = CounterMetricFamily("http_requests", "Answers sent.", labels=["area", "status"])
        for (area, status), count in self._counts.items():
            family.add_metric([area, str(status)], count)
        yield family


def create_service(replica: str, checks: list[ReadyCheck]) -> web.Application:
    """Return an application with `/healthz`, `/readyz`, `/metrics`, problem details and `X-Replica`: *replica*."""
    counter, registry = RequestCounter(), CollectorRegistry()
    registry.register(counter)
    for stock in (prometheus_client.ProcessCollector, prometheus_client.GCCollector):
        stock(registry=registry)
    app = web.Application(middlewares=[counter.middleware, problem_middleware], client_max_size=MAX_BODY_BYTES)
    app[LIFECYCLE], app[REGISTRY] = Lifecycle(checks), registry

    async def sign(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Replica"] = replica
        if app[LIFECYCLE].draining:  # the load balancer shall not send another request on this connection
            response.force_close()
            response.headers["Connection"] = "close"

    app.on_response_prepare.append(sign)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


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


def run(app: web.Application, *, host: str, port: int, drain_seconds: float) -> None:
    """Serve *app* until SIGTERM or SIGINT, then drain for at most *drain_seconds* and close."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_without_request)
    uvloop.run(_serve(app, host, port, drain_seconds))


def _without_request(record: logging.LogRecord) -> bool:
    """Keep the text of a request that aiohttp cannot parse out of the log: it may hold a cookie or a token (S15)."""
    if record.exc_info and isinstance(error := record.exc_info[1], BadHttpMessage):
        record.exc_info, record.msg = None, f"{record.msg}: {type(error).__name__}"
    return True


async def _serve(app: web.Application, host: str, port: int, drain_seconds: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=1,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    try:
        await runner.setup()
        listener = socket.create_server((host, port), backlog=BACKLOG)
        listener.setblocking(False)
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        log.info("serving on %s:%d", host, port)
        await stop.wait()
        await _drain(runner, listener, drain_seconds)
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


async def _drain(runner: web.AppRunner, listener: socket.socket, seconds: float) -> None:
    """Take no new connection, end each open one with its next answer, and wait until all are gone.

    A connection is never closed under a request: nginx closes idle ones itself (`keepalive_timeout` in its upstreams),
    and a used one gets `Connection: close`. So not even a POST, which nginx would not repeat, is lost.
    """
    runner.app[LIFECYCLE].draining = True
    server = runner.server
    assert server is not None  # noqa: S101  # set up above
    waiting = _accept_waiting(listener)
    for site in list(runner.sites):
        await site.stop()
    for connection in waiting:
        await asyncio.get_running_loop().connect_accepted_socket(server, connection)
    log.info("draining %d connections", len(server.connections))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while server.connections:  # noqa: ASYNC110  # aiohttp offers no event for this
                await asyncio.sleep(0.05)
    log.info("closing with %d connections open", len(server.connections))
