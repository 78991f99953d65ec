"""wrk, a load generator in C: so fast that the server is the bottleneck. It checks statuses, no content."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.cluster.cores import on_last_core
from loadtest.load.children import GeneratorError

REQUESTS = re.compile(r"(\d+) requests in ")
COMPLAINTS = re.compile(r"^\s*((?:Non-2xx|Socket errors).*)$", re.MULTILINE)


def find_wrk() -> str:
    """Return the program named by `WRK_BIN`, else `wrk` on the PATH. Raises `GeneratorError`."""
    named = os.environ.get("WRK_BIN", "wrk")
    if found := shutil.which(named):
        return found
    raise GeneratorError(f"there is no program {named!r}: `apt-get install wrk`, or set WRK_BIN to its path")


@dataclass(frozen=True)
class Wrk:
    """The program, and what all runs have in common: one thread, *connections*, and a duration in *seconds*."""

    program: str
    connections: int
    seconds: int

    async def run(self, url: str, headers: Mapping[str, str]) -> int:
        """Get *url* again and again, on our last core; return how often.

        Raises `GeneratorError` unless every answer was good.

        The headers are on wrk's command line, which other users of this machine can read: only throw-away accounts of a
        throw-away cluster belong here.
        """
        options = [f"-H{name}: {value}" for name, value in headers.items()]
        with on_last_core([os.getpid()]):  # wrk inherits it
            process = await asyncio.create_subprocess_exec(
                *(self.program, "-t1", f"-c{self.connections}", f"-d{self.seconds}s", *options, url),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return _requests(url, output.decode(errors="replace"))


def _requests(url: str, output: str) -> int:
    """Return how many requests wrk's *output* speaks of, all answered well."""
    found, complaints = REQUESTS.search(output), COMPLAINTS.findall(output)
    if complaints or not found or not int(found[1]):
        raise GeneratorError(f"wrk, {url}: {'; '.join(complaints) or output.strip() or 'no answer at all'}")
    return int(found[1])
