import asyncio
import time

import pytest

from tests.campaigns import virtual_time


def test_a_month_of_waiting_takes_no_time():
    async def wait() -> float:
        await asyncio.sleep(30 * 86_400)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert virtual_time.run(wait()) == pytest.approx(30 * 86_400)
    assert time.monotonic() - before < 5


def test_timers_ring_in_their_order_and_deadlines_hold():
    async def story() -> list[str]:
        told: list[str] = []

        async def after(seconds: float, word: str) -> None:
            await asyncio.sleep(seconds)
            told.append(word)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.gather(after(3, "never"), after(1, "first"))
        await asyncio.gather(after(7, "third"), after(5, "second"))
        return told

    assert virtual_time.run(story()) == ["first", "second", "third"]


def test_who_waits_for_nothing_is_told_so():
    with pytest.raises(virtual_time.NothingLeft):
        virtual_time.run(asyncio.Event().wait())
