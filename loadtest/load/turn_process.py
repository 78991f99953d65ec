"""The child's side of `turns.py`. JSON lines: the parent asks, and each line is answered by one.

    {"connect": {"host", "port", "connections", "logins": [{"target", "headers", "page"}, ...]}}
        ->  {"event": "connected"}
    {"disconnect": {}}
        ->  {"event": "disconnected"}
    {"turn": {"requests"}}
        ->  {"event": "done", "requests", "seconds", "bytes_sent", "bytes_received", "client_cpu"}

Whatever goes wrong is `{"event": "error", "text"}`. The end of stdin ends this process: it does not outlive its parent.
"""

import asyncio
import gc
import json
import sys
import time
from typing import Any

import uvloop

from loadtest.load.turn_client import Login, TurnClient, TurnError

LONGEST_LINE = 1 << 20


async def main() -> None:
    """Do what stdin says until it ends."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    gc.freeze()
    client = TurnClient()
    async for line in reader:
        try:
            answer = await obey(client, json.loads(line))
        except TurnError as error:
            answer = {"event": "error", "text": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    client.close()


async def obey(client: TurnClient, message: dict[str, Any]) -> dict[str, Any]:
    """Do what the parent asks for and return what it is told. Raises `TurnError`."""
    if to := message.get("connect"):
        logins = [Login(f"{to['host']}:{to['port']}", **login) for login in to["logins"]]
        await client.connect(to["host"], to["port"], logins, to["connections"])
        return {"event": "connected"}
    if "disconnect" in message:
        client.close()
        return {"event": "disconnected"}
    cpu = time.process_time()
    turn = await client.turn(message["turn"]["requests"])
    return {"event": "done", **turn._asdict(), "client_cpu": time.process_time() - cpu}


if __name__ == "__main__":
    uvloop.run(main())
