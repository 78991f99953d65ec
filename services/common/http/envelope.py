"""What wraps every handler: problem details, the name of the replica, and a count of answers."""

from collections import Counter
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common.http.bodies import refuse_encoded
from services.common.http.lifecycle import Lifecycle
from services.common.http.problems import problem_answer

Guard = Callable[[web.Request], None]
"""Raises a problem if the request must not be handled."""


def everybody(_: web.Request) -> None:
    """Refuse nobody (a `Guard`)."""


class RequestCounter(Collector):
    """Counts answers by area and status: as plain integers while serving, in Prometheus's types when scraped."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as `http_requests_total{area, status}`."""
        family = CounterMetricFamily("http_requests", "Answers sent.", labels=["area", "status"])
        for (area, status), count in self.counts.items():
            family.add_metric([area, str(status)], count)
        yield family


class Envelope:
    """Wraps handlers: errors become problem details, and answers get the name of the *replica* and are counted.

    It is not a middleware: any middleware makes small requests about 10 % more expensive (docs/adr/0010-envelope.md).
    """

    def __init__(self, replica: str, lifecycle: Lifecycle, counter: RequestCounter) -> None:
        self._replica = replica
        self._lifecycle = lifecycle
        self._counts = counter.counts

    def around(self, area: str, handler: Handler, guard: Guard) -> Handler:
        """Return *handler* in an envelope, which calls *guard* first and counts the answers under *area*."""

        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                if request.body_exists:
                    refuse_encoded(request)
                guard(request)
                response = await handler(request)
            except Exception as error:  # noqa: BLE001  # unexpected ones are logged there
                response = problem_answer(request, error)
            self._sign(request, response, area)
            return response

        return answered

    def sign(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Add what every answer has to one that does not come from a handler, and count it."""
        self._sign(request, response, "unmatched")

    def _sign(self, request: web.BaseRequest, response: web.StreamResponse, area: str) -> None:
        response.headers["X-Replica"] = self._replica
        # If the connection is about to close, say so, or the load balancer may use it for another request.
        # aiohttp closes it by itself if the rest of a body does not arrive or cannot be read.
        if self._lifecycle.draining or not request.content.is_eof():
            response.force_close()
            response.headers["Connection"] = "close"
        self._counts[area, response.status] += 1


ENVELOPE: web.AppKey[Envelope] = web.AppKey("envelope", Envelope)
