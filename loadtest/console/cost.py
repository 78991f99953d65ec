"""What the console itself costs."""

import time


class OwnCost:
    """The share of one core that this process uses."""

    def __init__(self) -> None:
        self._then = time.monotonic(), time.process_time()
        self.percent = 0.0
        """as of the last two readings"""

    def read(self) -> None:
        """Read the clocks."""
        now = time.monotonic(), time.process_time()
        self.percent = round(100 * (now[1] - self._then[1]) / (now[0] - self._then[0]), 1)
        self._then = now
