import asyncio
from datetime import timedelta

from gateway.schedule import Schedule


async def test_an_act_is_repeated_and_a_failing_one_is_counted_and_stops_nobody():
    schedule = Schedule(speed=3600)
    done = asyncio.Semaphore(0)

    async def good() -> None:
        done.release()

    async def bad() -> None:
        raise RuntimeError

    schedule.every(timedelta(minutes=30), "good", good)
    schedule.every(timedelta(minutes=30), "bad", bad)
    schedule.start()
    for _ in range(2):
        await asyncio.wait_for(done.acquire(), 5)
    await schedule.stop()
    assert schedule.failures["good"] == 0
    assert schedule.failures["bad"] >= 1


async def test_stopping_waits_for_what_is_under_way():
    schedule = Schedule(speed=3600)
    begun, ended = asyncio.Event(), asyncio.Event()
    may_end = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    schedule.every(timedelta(minutes=30), "slow", slow)
    schedule.start()
    await asyncio.wait_for(begun.wait(), 5)
    stopping = asyncio.create_task(schedule.stop())
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.wait_for(stopping, 5)
    assert ended.is_set()


async def test_an_act_that_hangs_is_cut_off_at_the_stop():
    schedule = Schedule(speed=3600)
    begun, cut = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    schedule.every(timedelta(minutes=30), "hang", hang)
    schedule.start()
    await asyncio.wait_for(begun.wait(), 5)
    await asyncio.wait_for(schedule.stop(), 5)
    assert cut.is_set()
    assert schedule.failures["hang"] == 0


async def test_what_falls_due_in_the_moment_of_the_stop_does_not_begin():
    schedule = Schedule(speed=3600)
    begun = asyncio.Queue[str]()

    async def hang() -> None:
        begun.put_nowait("begun")
        await asyncio.Event().wait()

    schedule.every(timedelta(minutes=30), "hang", hang)
    schedule.start()
    await asyncio.wait_for(begun.get(), 5)
    late = asyncio.create_task(schedule._guarded("hang", hang))  # as the scheduler would, a moment before the stop
    async with asyncio.timeout(5):
        await schedule.stop()
    assert late.done()
    assert begun.empty()
