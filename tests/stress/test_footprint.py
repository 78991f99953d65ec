"""What 100,000 logins cost in memory, key, index and expiry included (tests/drills/footprint.py)."""

import asyncio
import sys

import pytest

from loadtest.cluster.topology import REPOSITORY
from tests.drills.footprint import redis_bytes
from tests.stress.conftest import Say

pytestmark = [pytest.mark.stress, pytest.mark.timeout(300)]

MEMORY_BYTES, REDIS_BYTES = 512, 300


async def test_a_login_in_memory_takes_at_most_512_bytes(say: Say) -> None:
    measuring = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.drills.footprint", cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await measuring.communicate()
    assert measuring.returncode == 0
    each = float(output)
    say(f"memory: {each:.0f} bytes for each login (USS)")
    assert 0 < each <= MEMORY_BYTES


async def test_a_login_in_redis_takes_at_most_300_bytes(say: Say) -> None:
    each = await redis_bytes()
    say(f"Redis: {each.used:.0f} bytes for each login (used_memory; resident {each.resident:.0f}; {each.allocator})")
    assert 0 < each.used <= REDIS_BYTES
