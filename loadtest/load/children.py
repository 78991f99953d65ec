"""Child processes that end when their stdin does: they outlive neither the block that started them nor their parent."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 5.0
LONGEST_LINE = 1 << 22
LAST_LINES = 12


class GeneratorError(Exception):
    """The load generator did not do what it was asked; the message ends with its last log lines, if there are any."""


class Child:
    """A child process that is asked, and answers, in JSON lines. *log* takes its stderr, *name* is for messages.

    *environment*: what it runs in; None for our own.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._command = command
        self._log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process, with an empty log."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        with self._log.open("ab") as log:  # appended to: a child may write to it by its name as well
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                limit=LONGEST_LINE,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise GeneratorError(f"{self._name} has not been started")
        return self._process.pid

    async def close(self) -> None:
        """End the process: politely by closing its stdin, then not."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def ask(self, **message: Any) -> None:
        """Send one line."""
        if self._process is None or self._process.stdin is None:
            raise GeneratorError(f"{self._name} has not been started")
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def expect(self, event: str, seconds: float) -> dict[str, Any]:
        """Return the next line, which must be *event*. Raises `GeneratorError` if it is not, or takes too long."""
        if self._process is None or self._process.stdout is None:
            raise GeneratorError(f"{self._name} has not been started")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError:
            raise self._failure(f"said nothing for {seconds:g} s, {event!r} was due") from None
        if not line:
            raise self._failure(f"ended, {event!r} was due")
        message: dict[str, Any] = json.loads(line)
        if message["event"] != event:
            raise self._failure(str(message.get("text", f"said {message['event']!r}, {event!r} was due")))
        return message

    def _failure(self, what: str) -> GeneratorError:
        with self._log.open(errors="replace") as file:
            last = "".join(deque(file, LAST_LINES))
        return GeneratorError(f"{self._name}: {what}" + (f"\n{self._log}:\n{last}" if last else ""))
