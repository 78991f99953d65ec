"""Open-loop arrivals, with a simulated clock."""

import heapq
import itertools

import pytest

from loadtest.load.schedule import OpenSchedule


def test_arrivals_are_evenly_spaced_within_the_window() -> None:
    schedule = OpenSchedule(start=10.0, rate=4, end=11.0)
    assert list(iter(schedule.take, None)) == [10.0, 10.25, 10.5, 10.75]
    assert schedule.take() is None


@pytest.mark.parametrize("rate", [0, -1])
def test_an_invalid_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        OpenSchedule(0, rate, 1)


def simulate(users: int, stall: float) -> tuple[list[float], list[float]]:
    """Return latencies of users of a server that stalls once, at 1 s: from the intended start, and from the sending."""
    schedule = OpenSchedule(start=0, rate=100, end=3)
    free = [(0.0, user) for user in range(users)]
    intended: list[float] = []
    sent: list[float] = []
    server_free = 0.0
    for number in itertools.count():
        now, user = heapq.heappop(free)
        arrival = schedule.take()
        if arrival is None:
            return intended, sent
        begins = max(now, arrival)
        server_free = max(server_free, begins) + (stall if number == 100 else 0.001)
        intended.append(server_free - arrival)
        sent.append(server_free - begins)
        heapq.heappush(free, (server_free, user))
    raise AssertionError


def test_a_stall_delays_every_request_that_should_have_started_during_it() -> None:
    intended, sent = simulate(users=4, stall=0.5)
    assert len(intended) == 300
    assert sum(latency > 0.1 for latency in intended) >= 40
    assert sum(latency > 0.1 for latency in sent) <= 8  # what a closed loop would have seen
