"""The promise of a connector as tests: whoever writes an adapter inherits them and supplies one fixture.

    class TestMyConnector(ConnectorContract):
        @pytest.fixture
        async def bench(self): ...      # yields a Bench: a real server on the loopback and a plug to pull

Promises: only the port is used, so any adapter can be held to it. Needs pytest and pytest-asyncio. Refuses to know
protocols.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

import pytest

from connectors.connector import ConnectionLost, Connector, TagFault
from connectors.samples import Batch, Provenance, Quality, Sample

PATIENCE_SECONDS = 15.0
"""A loaded machine that tests many things at once."""
DEATH_SECONDS = 5.0
"""Within which a dead machine has to be noticed."""
PRESENT, ABSENT = "bench/level", "bench/absent"
"""The tags of every connector of a bench: one that the machine has, and one that it has not."""


class Bench(Protocol):
    """A machine on the test bench, with a plug to pull."""

    provenance: Provenance
    """The class that its values count as."""

    def connector(self) -> Connector:
        """Return a fresh connector that reads `PRESENT` and `ABSENT`."""

    async def show(self, value: float) -> datetime | None:
        """Let `PRESENT` have a value; returns the device's time of it, None for a protocol that carries no time."""

    def cut(self) -> None:
        """Let the machine vanish: its connections break and new ones are refused."""

    def freeze(self) -> None:
        """Let the machine fall silent while its connections seem to stand, as when its power fails."""

    async def restore(self) -> None:
        """Undo `cut` and `freeze`."""


class Listener:
    """What one conversation has said so far; `fail` makes the delivery fail."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.batches: list[Batch] = []
        self.reports: list[tuple[TagFault, ...]] = []
        self.fail: Exception | None = None
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def deliver(self, batch: Batch) -> None:
        """Take a batch, or fail as told."""
        if self.fail is not None:
            raise self.fail
        self.samples += batch.samples
        self.batches.append(batch)
        self._news.set()

    def report(self, faults: Sequence[TagFault]) -> None:
        """Take a report of unreadable tags."""
        self.reports.append(tuple(faults))
        self._news.set()

    async def until(self, wish: Callable[[Listener], bool]) -> None:
        """Wait until the conversation has said what is wished for; raises what ended it before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not wish(self):
                assert self.task is not None
                if self.task.done():
                    self.task.result()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                self._news.clear()


@asynccontextmanager
async def listening(connector: Connector) -> AsyncIterator[Listener]:
    """Hold a conversation beside a test."""
    listener = Listener()
    listener.task = asyncio.create_task(connector.converse(listener.deliver, listener.report))
    try:
        yield listener
    finally:
        listener.task.cancel()
        await asyncio.gather(listener.task, return_exceptions=True)


def heard(value: float) -> Callable[[Listener], bool]:
    """Wish for a good sample of a value."""
    return lambda listener: any(s.value == value and s.quality is Quality.GOOD for s in listener.samples)


class ConnectorContract:
    """What every connector keeps; a subclass supplies the fixture `bench`."""

    async def test_values_arrive_with_their_times_and_their_class(self, bench: Bench) -> None:
        """The device's own time is kept to the microsecond."""
        async with listening(bench.connector()) as listener:
            await listener.until(lambda heard: bool(heard.reports))
            dated = await bench.show(12.0)
            await listener.until(heard(12.0))
        sample = next(s for s in listener.samples if s.value == 12.0)
        assert sample.tag == PRESENT
        assert sample.provenance is bench.provenance
        assert sample.source_time.utcoffset() is not None
        assert sample.source_time == (dated or sample.receive_time)

    async def test_a_missing_tag_is_named_and_the_others_run_on(self, bench: Bench) -> None:
        """One wrong address must not silence a machine."""
        await bench.show(3.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(3.0))
        (fault,) = listener.reports[-1]
        assert fault.tag == ABSENT
        assert fault.reason
        assert {s.tag for s in listener.samples} == {PRESENT}

    async def test_a_probe_names_the_missing_tag_and_leaves(self, bench: Bench) -> None:
        """It is what a check of the config shows."""
        await bench.show(3.0)
        faults = await bench.connector().probe()
        assert [fault.tag for fault in faults] == [ABSENT]

    async def test_what_is_not_a_number_is_bad_and_what_follows_is_good(self, bench: Bench) -> None:
        """NaN has to reach nobody as a value."""
        async with listening(bench.connector()) as listener:
            await bench.show(math.nan)
            await listener.until(lambda heard: any(math.isnan(s.value) for s in heard.samples))
            await bench.show(4.0)
            await listener.until(heard(4.0))
        assert {s.quality for s in listener.samples if math.isnan(s.value)} == {Quality.BAD}

    async def test_a_machine_that_is_off_is_a_lost_connection(self, bench: Bench) -> None:
        """Not an error of another kind, however the network says it."""
        bench.cut()
        with pytest.raises(ConnectionLost):
            await bench.connector().converse(Listener().deliver, Listener().report)

    async def test_the_death_of_a_machine_is_noticed(self, bench: Bench) -> None:
        """Within seconds, and not when some library's patience ends."""
        await bench.show(5.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(5.0))
            bench.cut()
            await self._is_lost_soon(listener)

    async def test_a_machine_that_falls_silent_is_noticed(self, bench: Bench) -> None:
        """A pulled plug sends no farewell."""
        await bench.show(6.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(6.0))
            bench.freeze()
            await self._is_lost_soon(listener)

    async def test_a_fresh_connector_delivers_again_when_the_machine_is_back(self, bench: Bench) -> None:
        """Nothing of the dead conversation is in its way."""
        await bench.show(7.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(7.0))
            bench.cut()
            await self._is_lost_soon(listener)
        await bench.restore()
        await bench.show(8.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(8.0))

    async def test_a_failing_delivery_is_not_a_lost_connection(self, bench: Bench) -> None:
        """A full disk of ours says nothing about the machine; a TimeoutError is an OSError, and must come through."""
        await bench.show(9.0)
        async with listening(bench.connector()) as listener:
            listener.fail = TimeoutError("the store is slow")
            assert listener.task is not None
            await asyncio.wait({listener.task}, timeout=PATIENCE_SECONDS)
            with pytest.raises(TimeoutError, match="the store is slow"):
                listener.task.result()

    async def test_a_cancelled_conversation_ends_at_once_and_leaves_no_task(self, bench: Bench) -> None:
        """A gateway that stops has no time to wait for machines."""
        before = asyncio.all_tasks()
        await bench.show(1.0)
        async with listening(bench.connector()) as listener:
            await listener.until(heard(1.0))
            assert listener.task is not None
            listener.task.cancel()
            done, _pending = await asyncio.wait({listener.task}, timeout=2.0)
            assert done
            assert listener.task.cancelled()
        await self._are_gone(asyncio.all_tasks() - before)

    @staticmethod
    async def _is_lost_soon(listener: Listener) -> None:
        assert listener.task is not None
        done, _pending = await asyncio.wait({listener.task}, timeout=DEATH_SECONDS)
        assert done, "the death was not noticed"
        with pytest.raises(ConnectionLost):
            listener.task.result()

    @staticmethod
    async def _are_gone(tasks: set[asyncio.Task[object]]) -> None:
        """A server in the same process needs a moment to see that its client left."""
        if tasks:
            _done, pending = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
            assert not pending
