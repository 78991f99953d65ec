"""How far a drill has come."""

from collections.abc import Callable

Told = Callable[[int], None]
"""Is told how many of the repetitions are done."""


def nobody(done: int) -> None:
    """Be told, and tell nobody."""
