"""What goes around every handler: problem details, the replica's name, and a count of the answers."""

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
    """Refuse nobody: a `Guard`."""


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
