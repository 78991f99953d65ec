"""Work that is repeated in the background."""

import asyncio

import pytest

from services.common import background
from services.common.background import repeating


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()


async def test_the_step_is_repeated_until_the_block_ends() -> None:
    calls, enough = 0, asyncio.Event()

    async def step() -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()
        return 0

    async with repeating(step):
        await until(enough)
    done = calls
    for _ in range(10):
        await asyncio.sleep(0)
    assert calls == done


async def test_the_first_call_waits() -> None:
    called = asyncio.Event()

    async def step() -> float:
        called.set()
        return 0

    async with repeating(step, first_after=3600):
        for _ in range(10):
            await asyncio.sleep(0)
        assert not called.is_set()


async def test_an_unexpected_error_is_logged_and_the_step_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0)
    failed, recovered = False, asyncio.Event()

    async def step() -> float:
        nonlocal failed
        if not failed:
            failed = True
            raise ZeroDivisionError
        recovered.set()
        return 0

    async with repeating(step):
        await until(recovered)
    assert "step failed; trying again" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_step_that_swallows_a_cancellation_is_cancelled_again() -> None:
    started, swallowed = asyncio.Event(), 0

    async def step() -> float:
        nonlocal swallowed
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed += 1
            if swallowed > 2:
                raise
        return 0

    async with asyncio.timeout(5):
        async with repeating(step):
            await until(started)
    assert swallowed == 3


async def test_an_error_in_the_block_ends_the_repetition_and_is_raised() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def step() -> float:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return 0

    async def fail() -> None:
        async with repeating(step):
            await until(started)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert stopped.is_set()
