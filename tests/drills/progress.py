"""The progress of a drill."""

from collections.abc import Callable

Told = Callable[[int], None]
"""Is told how many of the repetitions are done."""


def nobody(done: int) -> None:
    """Ignore the progress."""
