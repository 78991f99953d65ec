"""What viewers are told as it happens, as server-sent events."""

import asyncio
from typing import NamedTuple

LIMIT = 300
"""Messages that may wait for a viewer: half a minute. A slower one is let go, and begins anew when they come back."""


class Message(NamedTuple):
    """One server-sent event."""

    event: str
    data: str


class Feed:
    """Hands each message to all viewers."""

    def __init__(self) -> None:
        self._viewers: set[asyncio.Queue[Message | None]] = set()

    def __len__(self) -> int:
        return len(self._viewers)

    def join(self) -> "asyncio.Queue[Message | None]":
        """Return a queue that gets every message from now on. None in it means the end."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue(LIMIT)
        self._viewers.add(queue)
        return queue

    def leave(self, queue: "asyncio.Queue[Message | None]") -> None:
        """Stop sending to *queue*."""
        self._viewers.discard(queue)

    def send(self, event: str, data: str) -> None:
        """Tell everybody."""
        message = Message(event, data)
        for queue in list(self._viewers):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._let_go(queue)

    def close(self) -> None:
        """Let everybody go."""
        for queue in list(self._viewers):
            self._let_go(queue)

    def _let_go(self, queue: "asyncio.Queue[Message | None]") -> None:
        self.leave(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
