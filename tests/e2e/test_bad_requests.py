"""Bad requests are refused as described, do not fill the logs, and never fail somebody else's request (S17)."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from loadtest.cluster.local import LocalCluster
from tests.drills.bad_requests import APP, AUTH, CANARY, SERVICES, BadRequest, Service, request, table
from tests.support.clients.raw_http import RawAnswer, RawConnection

pytestmark = pytest.mark.e2e

TABLE = table()
ROUNDS = 50
AT_ONCE = 8  # requests of the table
ALIVE = b'{"status": "alive"}'


@pytest.fixture
def mistakes() -> Iterator[Counter[str]]:
    """Mistakes and their counts; any of them fails the test at its end."""
    seen: Counter[str] = Counter()
    yield seen
    assert not seen, "\n".join(f"{count} times {mistake}" for mistake, count in sorted(seen.items()))


@pytest.fixture(autouse=True)
def _quiet_logs(cluster: LocalCluster, mistakes: Counter[str]) -> Iterator[None]:
    """Fail the test if the services log an error in the meantime, or repeat what was sent (S15)."""
    sizes = {path: path.stat().st_size for path in (cluster.directory / "logs").glob("a*-*.log")}
    yield
    for path, size in sizes.items():
        logged = path.read_bytes()[size:]
        mistakes.update(f"{path.name}: {line!r}" for line in logged.splitlines() if b" ERROR " in line)
        mistakes[f"{path.name} repeats a request"] += logged.count(CANARY)
    mistakes += Counter()  # drops zeros


def faults(answer: RawAnswer | None) -> Iterator[str]:
    """Yield what is wrong with the answer to a bad request. Closing the connection without an answer is right."""
    if answer is None:
        return
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        yield f"{answer.status}"
    if len(answer.all_of(b"x-replica")) != 1:
        yield f"{answer.status} without X-Replica"
    if CANARY in answer.body:
        yield f"{answer.status} repeats the request"
    if answer.status >= HTTPStatus.BAD_REQUEST and answer.body:  # HEAD has none
        yield from _body_faults(answer)


def _body_faults(answer: RawAnswer) -> Iterator[str]:
    (kind,) = answer.all_of(b"content-type") or [b"no type"]
    if kind.startswith(b"application/problem+json"):
        if json.loads(answer.body)["status"] != answer.status:
            yield f"{answer.status} says {answer.body.decode()}"
    elif not (kind.startswith(b"application/json") and "error" in json.loads(answer.body)):  # RFC 6749 §5.2
        yield f"{answer.status} is {kind.decode()}"
    if answer.all_of(b"cache-control") != [b"no-store"]:
        yield f"{answer.status} may be cached"


async def answer_to(bad: BadRequest, service: Service, connection: RawConnection) -> tuple[RawAnswer | None, list[str]]:
    """Return the answer, if there is one, and what is wrong with it."""
    if bad.leaves:
        await connection.send(*service.pieces(bad))
        return None, []
    try:
        answer = await connection.exchange(*service.pieces(bad))
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        return None, [repr(error)]
    return answer, list(faults(answer))


async def faults_of_kept(connection: RawConnection) -> list[str]:
    """Send a valid request unless the server announced that it closes. Bytes after the bad request may be bad too."""
    answer = await connection.exchange(request(b"GET /healthz HTTP/1.1"))
    while answer is not None and not answer.closes and answer.body != ALIVE:
        answer = await connection.exchange(b"")
    return ["closed, but did not say so"] if answer is None else []


@pytest.mark.parametrize("name", SERVICES)
async def test_s17_a_bad_request_never_fails_somebody_elses_request(
    cluster: LocalCluster, name: str, mistakes: Counter[str]
) -> None:
    """Other clients' POSTs share nginx's connections to the service, and nginx does not repeat a POST that was sent."""
    port, service, turns = cluster.topology.lb_port, SERVICES[name], asyncio.Semaphore(AT_ONCE)

    async def send(title: str, bad: BadRequest) -> None:
        async with turns, RawConnection(port) as other:
            for _ in range(ROUNDS):
                async with RawConnection(port) as connection:
                    answer, found = await answer_to(bad, service, connection)
                mistakes.update(f"{title}: {fault}" for fault in found)
                good = await other.exchange(service.good)
                if good is None or good.status != service.good_status:
                    mistakes[f"after {title}: {good and good.status} for somebody else"] += 1
                if answer is not None and answer.all_of(b"x-replica") == [b"loadbalancer"]:
                    return  # it does not reach the service: once is enough

    await asyncio.gather(*(send(*row) for row in TABLE.items()))
    assert len(TABLE) >= 60


@pytest.mark.parametrize("name", SERVICES)
async def test_s17_a_service_announces_that_it_closes_a_connection(
    cluster: LocalCluster, name: str, mistakes: Counter[str]
) -> None:
    """Directly, without the load balancer, which would stop many of these requests."""
    ports = {"app": cluster.topology.app_ports(), "auth": cluster.topology.auth_ports()}
    turns = asyncio.Semaphore(AT_ONCE)

    async def send(title: str, bad: BadRequest) -> None:
        async with turns, RawConnection(ports[name][0]) as connection:
            answer, found = await answer_to(bad, SERVICES[name], connection)
            if answer is not None and not answer.closes:
                found += await faults_of_kept(connection)
            mistakes.update(f"{title}: {fault}" for fault in found)

    await asyncio.gather(*(send(*row) for row in TABLE.items()))


async def test_an_incomplete_body_is_not_waited_for_long(cluster: LocalCluster, mistakes: Counter[str]) -> None:
    half = BadRequest((request(b"POST @reads HTTP/1.1", b"Content-Type: @type", b"Content-Length: 9") + b"{",))
    whole = half._replace(pieces=(*half.pieces, b'"a": 1}\n'))
    for service, port in ((APP, cluster.topology.app_ports()[0]), (AUTH, cluster.topology.auth_ports()[0])):
        for bad, missing in ((half, True), (whole, False)):
            async with RawConnection(port) as connection:
                answer, found = await answer_to(bad, service, connection)
            assert answer is not None
            assert (answer.status, found) == (400, [])
            assert (answer.closes, b"did not arrive" in answer.body) == (missing, missing)
