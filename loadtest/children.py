"""Child processes that end when their stdin does: they outlive neither the block that started them nor their parent."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 5.0


def pipes() -> dict[str, Any]:
    """Return the arguments by which a child listens to us and is heard."""
    return {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE, "cwd": ROOT}


async def end(process: asyncio.subprocess.Process) -> None:
    """End *process*: politely by closing its stdin, then not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
