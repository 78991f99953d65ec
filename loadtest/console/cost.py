"""What the console itself costs."""

import time
from collections import deque

WINDOW = 10
"""readings"""


class OwnCost:
    """The share of one core that this process uses, over the last readings."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, float]] = deque([(time.monotonic(), time.process_time())], maxlen=WINDOW)

    def share(self) -> float:
        """Read the clocks, and return the percentage."""
        now = time.monotonic(), time.process_time()
        then = self._readings[0]
        self._readings.append(now)
        return round(100 * (now[1] - then[1]) / max(now[0] - then[0], 1e-9), 1)
