"""A connection is kept for ever, whatever happens to it; waiting is virtual."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import ConnectionLost, ConnectionRefused, Deliver, TagFault
from connectors.counters import Counters, Loss
from connectors.samples import Batch, Provenance, Quality, Sample
from connectors.settings import RetrySettings
from connectors.supervisor import ConnectionStatus, Supervisor, pause

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SAMPLE = Sample("m/t", 1.0, Quality.GOOD, START, START, Provenance.A)
Report = Callable[[Sequence[TagFault]], None]
Talk = Callable[[Deliver, Report], Awaitable[None]]


class Machine:
    """A connector that follows a plan of what each conversation does."""

    name = "hall"

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.counters = Counters()

    async def converse(self, deliver: Deliver, report: Report) -> None:
        await self._talk(deliver, report)

    async def probe(self) -> Sequence[TagFault]:
        return ()


class Bench:
    """A supervisor under virtual time, ended when the plan is at its end."""

    def __init__(self, *talks: Talk, deliver: Deliver | None = None, notify: Callable[..., None] | None = None) -> None:
        self.now = START
        self.statuses: list[ConnectionStatus] = []
        self.taken: list[Batch] = []
        self.waits: list[float] = []
        self.made: list[Machine] = []
        self._talks: Iterator[Talk] = iter(talks)
        self.supervisor = Supervisor(
            "hall",
            self._connect,
            deliver or self._take,
            notify or self.statuses.append,
            clock=lambda: self.now,
            rng=random.Random(1),
            sleep=self._sleep,
        )

    def _connect(self) -> Machine:
        talk = next(self._talks, None)
        if talk is None:
            raise asyncio.CancelledError
        self.made.append(Machine(talk))
        return self.made[-1]

    async def _take(self, batch: Batch) -> None:
        self.taken.append(batch)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def run(self) -> list[ConnectionStatus]:
        with pytest.raises(asyncio.CancelledError):
            await self.supervisor.run()
        return self.statuses


async def lost(deliver: Deliver, report: Report) -> None:
    raise ConnectionLost("the plug is out")


async def refused(deliver: Deliver, report: Report) -> None:
    raise ConnectionRefused("another certificate")


async def talk_then_lose(deliver: Deliver, report: Report) -> None:
    report([])
    await deliver(Batch.of("hall", (SAMPLE,)))
    raise ConnectionLost("the plug is out")


async def test_a_lost_connection_is_sought_again_with_a_fresh_connector():
    bench = Bench(lost, talk_then_lose, lost)
    await bench.run()
    assert len({id(machine) for machine in bench.made}) == 3
    assert len(bench.taken) == 1
    counted = bench.supervisor.counters
    assert (counted.attempts, counted.connects, counted.disconnects, counted.reconnects) == (4, 1, 1, 0)


async def test_every_change_is_told_once_with_the_time_it_began():
    statuses = await Bench(lost, lost, talk_then_lose, lost).run()
    assert [(s.connected, s.reason) for s in statuses] == [
        (False, "the plug is out"),
        (True, ""),
        (False, "the plug is out"),
    ]
    assert statuses[0].since == START
    assert START < statuses[1].since <= statuses[2].since


async def test_unreadable_tags_are_told_and_stay_known_while_the_connection_is_down():
    fault = TagFault("m/x", "no such node")

    async def talk(deliver: Deliver, report: Report) -> None:
        report([fault])
        report([fault])
        raise ConnectionLost("gone")

    statuses = await Bench(talk).run()
    assert [(s.connected, s.faults) for s in statuses] == [(True, (fault,)), (False, (fault,))]


async def test_a_failing_delivery_is_not_called_a_lost_machine():
    async def fail(batch: Batch) -> None:
        raise TimeoutError("the store is slow")

    (_connected, down) = await Bench(talk_then_lose, deliver=fail).run()
    assert "handed on" in down.reason
    assert "the store is slow" in down.reason


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), ValueError("bytes"), OSError("socket"), TimeoutError()])
async def test_no_failure_of_a_connector_ends_the_supervision(failure: Exception):
    async def fail(deliver: Deliver, report: Report) -> None:
        raise failure

    async def end(deliver: Deliver, report: Report) -> None:
        return None

    bench = Bench(fail, end, talk_then_lose)
    await bench.run()
    assert len(bench.taken) == 1


async def test_a_status_that_cannot_be_shown_ends_nothing():
    def fail(status: ConnectionStatus) -> None:
        raise RuntimeError("the page is broken")

    bench = Bench(lost, talk_then_lose, notify=fail)
    await bench.run()
    assert len(bench.taken) == 1


async def test_a_refusal_is_shown_as_such_and_tried_slowly():
    bench = Bench(refused, lost)
    statuses = await bench.run()
    assert [s.refused for s in statuses] == [True, False]
    assert bench.waits[0] >= 30


async def test_a_machine_that_is_off_for_long_is_still_found_within_a_second():
    bench = Bench(*[lost] * 100, talk_then_lose)
    await bench.run()
    assert all(0.5 <= wait <= 1 for wait in bench.waits)


@given(st.integers(1, 10_000), st.integers())
def test_attempts_grow_rarer_and_never_rarer_than_the_longest(failures: int, seed: int):
    settings = RetrySettings.model_validate({"longest": "30 s"})
    seconds = pause(failures, False, settings, random.Random(seed))
    assert 0.5 <= seconds <= 30
    assert seconds <= pause(failures + 2, False, settings, random.Random(seed))


async def test_what_a_connection_counts_outlives_its_conversations():
    async def talk(deliver: Deliver, report: Report) -> None:
        report(())
        bench.made[-1].counters.fallbacks += 2
        bench.made[-1].counters.losses.count(Loss.SERVER_OVERFLOW, 3)
        await deliver(replace(Batch.of("hall", [SAMPLE, SAMPLE]), recalled=True))
        await deliver(Batch.of("hall", [SAMPLE]))

    bench = Bench(talk, talk, talk)
    await bench.run()
    counted = bench.supervisor.counters
    assert (counted.samples, counted.batches, counted.recalled) == (9, 6, 6)
    assert (counted.connects, counted.reconnects, counted.disconnects) == (3, 2, 3)
    assert (counted.fallbacks, counted.losses[Loss.SERVER_OVERFLOW], counted.losses.total) == (6, 9, 9)
