"""A TCP proxy whose server seems further away: `python -m loadtest.cluster.delaying_proxy PORT TO_PORT SECONDS`.

It listens on PORT of the loopback address and passes on to TO_PORT what clients send, and back what is answered, the
latter SECONDS later. It is a process of its own, so that its CPU is not billed to another.
"""

import asyncio
import selectors
import signal
import sys

READ_BYTES = 65536


class Pipe:
    """Passes on what one side sends to the other, in order, each piece *seconds* after it came."""

    def __init__(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
        self._source, self._target, self._seconds = source, target, seconds

    async def run(self) -> None:
        """Return when the source has ended; then the target is closed."""
        loop = asyncio.get_running_loop()
        try:
            while data := await self._source.read(READ_BYTES):
                if self._seconds:
                    loop.call_at(loop.time() + self._seconds, self._write, data)
                else:
                    self._write(data)
        except ConnectionError:
            pass
        finally:
            loop.call_at(loop.time() + self._seconds, self._target.close)

    def _write(self, data: bytes) -> None:
        if not self._target.is_closing():
            self._target.write(data)


async def serve(port: int, to_port: int, seconds: float) -> None:
    """Serve until SIGTERM."""

    async def connected(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", to_port)
        except OSError:
            to_client.close()
            return
        await asyncio.gather(Pipe(client, to_server, 0).run(), Pipe(server, to_client, seconds).run())

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with await asyncio.start_server(connected, "127.0.0.1", port):
        await stop.wait()


def main() -> None:
    """Run the proxy. The usual selectors wait for whole milliseconds; `select` waits for microseconds."""
    port, to_port, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(port, to_port, seconds))


if __name__ == "__main__":
    main()
