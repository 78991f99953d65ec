"""Time as a parameter: `time.time` in production, set by hand in tests."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds since the epoch."""
