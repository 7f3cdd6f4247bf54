import asyncio
import threading

from gateway.stopping import at_last, end_tasks, leave_in_time


async def test_what_ends_in_time_is_waited_for_and_what_does_not_is_cancelled():
    quick, slow = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(asyncio.Event().wait())
    await end_tasks([quick, slow], 0.05)
    assert quick.done()
    assert not quick.cancelled()
    assert slow.cancelled()


async def test_where_nothing_is_under_way_nothing_is_waited_for():
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    await end_tasks([done], 60)
    await end_tasks([], 60)


async def test_a_last_act_that_fails_does_not_hold_up_the_end():
    done = []

    async def good() -> None:
        done.append("good")

    async def bad() -> None:
        raise OSError

    await at_last(bad, "bad")
    await at_last(good, "good")
    assert done == ["good"]


def test_a_stop_that_takes_too_long_is_cut_off():
    left, codes = threading.Event(), []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    leave_in_time(0.01, leave)
    assert left.wait(5)
    assert codes == [0]


def test_a_stop_in_time_is_left_alone():
    watchdog = leave_in_time(60, lambda _code: None)
    assert watchdog.daemon
    watchdog.cancel()
