"""When open-loop requests should start: decided before the first is sent, whatever the answers do."""

import itertools


class OpenSchedule:
    """Arrivals at `start + k / rate` until *end* (seconds of one clock). Users share it; each arrival is taken once.

    A late user takes an arrival that is overdue. Latency counted from the arrival, not from the sending, includes the
    time that the request could not even be sent: no coordinated omission.
    """

    def __init__(self, start: float, rate: float, end: float) -> None:
        if rate <= 0:
            raise ValueError(f"rate must be positive, not {rate}")
        self._arrivals = (start + k / rate for k in itertools.count())
        self._end = end
        self.exhausted = False

    def take(self) -> float | None:
        """Return the next arrival, or None after the last one."""
        arrival = next(self._arrivals)
        self.exhausted = arrival >= self._end
        return None if self.exhausted else arrival
