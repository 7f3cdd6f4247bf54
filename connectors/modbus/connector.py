"""One conversation with one Modbus line, by polling.

Promises: few and large reads; an answer that does not fit its question is never a number: its tags are BAD, and where
the line can no longer be trusted the conversation ends; registers that a device does not have cost their own tags only,
are looked for once and then remembered; a dead unit behind a shared gateway does not slow the others. Plain Modbus
neither authenticates nor encrypts, so its values are of class B; over TLS with a pinned certificate they are A. It
carries no time, so a value is dated when it arrives. Refuses to reconnect and to write.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from connectors.connector import ConnectionLost, Connector, Deliver, TagFault
from connectors.counters import Counters, Loss
from connectors.modbus.memory import recall, remember
from connectors.modbus.plan import Block, Holes, Limits, halves, plan, points_of
from connectors.modbus.reader import Opened, Reader, Silent, open_line
from connectors.modbus.registers import Counter, Decoder, modulus
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.modbus.units import Breaker
from connectors.modbus.wire import NOT_THERE, UNREACHABLE, DeviceException, Lie, Question
from connectors.samples import Batch, Keys, Provenance, Quality, ticks_of

USELESS_MAX: Final = 3
"""Polls in a row without one usable answer, after which the device is left: somebody has to look at it."""

_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Read:
    """A block as it is read: its question, its decoder, and the numbers of its tags."""

    block: Block
    question: Question
    decoder: Decoder
    tags: np.ndarray[tuple[int], np.dtype[np.int32]]


@dataclass(slots=True)
class _Sweep:
    """One poll's columns as they come in. answered: something could be used; useless: something could not."""

    batches: list[Batch] = field(default_factory=list)
    answered: bool = False
    useless: bool = False
    distrusted: Lie | None = None


class ModbusConnector:
    """Keeps `connectors.connector.Connector`'s promise for Modbus; use a fresh one for every attempt.

    counters: may be replaced before it converses, by those of the connection.
    """

    Settings = ModbusSettings
    TagSettings = ModbusTag

    def __init__(
        self,
        name: str,
        settings: ModbusSettings,
        tags: Mapping[str, ModbusTag],
        *,
        clock: Callable[[], datetime],
        state: Path,
    ) -> None:
        self.name = name
        self.counters = Counters()
        self._settings = settings
        self._clock = clock
        self._state = state
        self._keys = Keys(tags)
        self._useless = 0
        self._provenance = Provenance.B
        self._turns: dict[str, Counter] = {}
        self._breakers: dict[int, Breaker] = {}
        self._trials: set[asyncio.Task[None]] = set()
        self._holes = Holes()
        self._take(tags)

    def succeed(self, predecessor: Connector) -> None:
        """Go on where the conversation before this one ended: counters turn on, silent units stay in peace."""
        if isinstance(predecessor, ModbusConnector):
            self._turns, self._breakers = predecessor._turns, predecessor._breakers
            if all(breaker.is_open for breaker in self._breakers.values()):
                self._breakers = {}  # the line itself was gone, and says nothing of its units
            if predecessor._tags == self._tags:
                self._holes = predecessor._holes
            self._plan()

    async def adjust(self, tags: Mapping[str, ModbusTag]) -> None:
        """Read other tags from the next poll on; nothing has to be asked of the device for it."""
        changed = [key for key, tag in self._tags.items() if tags.get(key) != tag]
        for key in changed:
            self._turns.pop(key, None)
        self._take(tags)

    def _take(self, tags: Mapping[str, ModbusTag]) -> None:
        self._tags = dict(tags)
        self._holes = recall(self._state, self.name, self._settings, self._tags)
        self._faults: dict[str, TagFault] = {}
        self._faults_told = -1
        self._plan()

    def _plan(self) -> None:
        """Plan the reads anew, around what is known not to be there."""
        points = points_of(self._tags, self._settings.device_id)
        limits = Limits(self._settings.registers_per_read, self._settings.bits_per_read, self._settings.gap)
        for point in points:
            if point.tag.counter and point.key not in self._turns:
                self._turns[point.key] = Counter(modulus(point.tag.type))
            if point.key in self._holes.missing:
                self._missing(point.key, point.table, point.address)
        self._reads = [self._read_of(block) for block in plan(points, limits, self._rhythms(), self._holes)]

    def _rhythms(self) -> dict[str, int]:
        """At every how-many-th poll each tag is read."""
        sampling = self._settings.sampling
        return {key: max(1, round(tag.every / sampling)) for key, tag in self._tags.items() if tag.every is not None}

    def _read_of(self, block: Block) -> _Read:
        question = Question(block.unit, block.table, block.address, block.count)
        tags = np.array([self._keys.number(point.key) for point in block.points], np.int32)
        return _Read(block, question, Decoder(block, self._turns), tags)

    # ---- conversing

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Open the line, report unreadable tags, deliver a batch for each poll. Raises `ConnectionLost`."""
        reader = await self._open()
        try:
            due, poll = asyncio.get_running_loop().time(), 0
            while True:
                await self._poll(reader, poll, deliver, report)
                due, poll = await self._rest(due), poll + 1
        finally:
            await self._leave(reader)

    async def probe(self) -> Sequence[TagFault]:
        """Open the line, read every tag once, leave; returns the tags that cannot be read. Raises `ConnectionLost`."""
        reader = await self._open()
        try:
            sweep = await self._sweep(reader, self._reads)
            self._require(sweep)
            if not sweep.answered:
                raise ConnectionLost(_("the device gives no answer that fits its question"))
        finally:
            await self._leave(reader)
        return tuple(self._faults.values())

    async def _open(self) -> Reader:
        opened: Opened = await open_line(self._settings, self._state)
        self._provenance = Provenance.A if opened.secured else Provenance.B
        return opened.reader

    async def _leave(self, reader: Reader) -> None:
        reader.close()
        for trial in self._trials:
            trial.cancel()
        await asyncio.gather(*self._trials, return_exceptions=True)

    async def _poll(
        self, reader: Reader, poll: int, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]
    ) -> None:
        reads = self._reads
        sweep = await self._sweep(reader, [read for read in reads if poll % read.block.each == 0])
        if len(self._faults) != self._faults_told:
            self._faults_told = len(self._faults)
            report(tuple(self._faults.values()))
        if sweep.batches:
            await deliver(joined(sweep.batches))
        self._require(sweep)
        self._try_silent_units(reader)

    def _require(self, sweep: _Sweep) -> None:
        """Raise `ConnectionLost` for a line that is worth nothing as it is."""
        if sweep.distrusted is not None:
            raise ConnectionLost(_("the device lies: {what}").format(what=sweep.distrusted))
        self._useless = self._useless + 1 if sweep.useless and not sweep.answered else 0
        if self._useless >= USELESS_MAX:
            raise ConnectionLost(_("the device gives no answer that fits its question"))
        if not self._reads:
            raise ConnectionLost(_("the device has none of the registers asked for"))
        units = {read.block.unit for read in self._reads}
        if all(self._breaker(unit).is_open for unit in units):
            raise ConnectionLost(_("the device stopped answering"))

    async def _rest(self, due: float) -> float:
        """Sleep until the next poll is due and return that time; a poll that is late moves the rhythm along."""
        now = asyncio.get_running_loop().time()
        due += self._settings.sampling.total_seconds()
        if due <= now:
            self.counters.losses.count(Loss.POLL_LATE)
            due = now
        await asyncio.sleep(due - now)
        return due

    # ---- one poll

    async def _sweep(self, reader: Reader, reads: Iterable[_Read]) -> _Sweep:
        """Read blocks, as many under way as the line may have; units that are left in peace are not asked."""
        sweep = _Sweep()
        waiting = [read for read in reads if not self._breaker(read.block.unit).is_open]
        if self._settings.pipeline == 1:
            for read in waiting:
                await self._take_in(reader, read, sweep)
        else:
            turn = asyncio.Semaphore(self._settings.pipeline)
            await _together([self._in_turn(turn, reader, read, sweep) for read in waiting])
        return sweep

    async def _in_turn(self, turn: asyncio.Semaphore, reader: Reader, read: _Read, sweep: _Sweep) -> None:
        async with turn:
            await self._take_in(reader, read, sweep)

    async def _take_in(self, reader: Reader, read: _Read, sweep: _Sweep) -> None:
        """Read one block into a sweep, whatever becomes of it. Raises `ConnectionLost`."""
        if self._breaker(read.block.unit).is_open or sweep.distrusted is not None:
            return
        try:
            data = await self._asked(reader, read.question)
        except Silent:
            self._was_silent(read.block.unit, sweep)
        except Lie as lie:
            self._lied(lie, read, sweep)
            if reader_is_gone(reader):
                sweep.distrusted = lie
        except DeviceException as error:
            if error.code not in UNREACHABLE:
                self._answered(read.block.unit)
            if error.code in NOT_THERE:
                sweep.answered = True
                await self._look_closer(reader, read, sweep)
            elif error.code in UNREACHABLE:
                self._was_silent(read.block.unit, sweep)
            else:  # in trouble: its registers may be anything
                sweep.useless = True
                sweep.batches.append(self._bad(read))
        else:
            sweep.answered = True
            self._answered(read.block.unit)
            sweep.batches.append(self._batch(read, data))

    async def _asked(self, reader: Reader, question: Question) -> bytes:
        """Ask, and once more where nobody answered and the unit is not known to be silent."""
        loop, seconds = asyncio.get_running_loop(), self._settings.timeout.total_seconds()
        tries = 1 if self._breaker(question.unit).silences else 1 + self._settings.retries
        for left in range(tries - 1, -1, -1):
            began = loop.time()
            try:
                return await reader.ask(question, seconds)
            except Silent:
                if left == 0:
                    raise
            finally:
                self.counters.polls.observe(loop.time() - began)
        raise Silent

    async def _look_closer(self, reader: Reader, read: _Read, sweep: _Sweep) -> None:
        """Find out which registers of a block the device has not: once, for it is remembered."""
        waiting, found = list(reversed(halves(read.block))), []
        if len(waiting) < 2 and len(read.block.points) < 2:
            self._learn(read, [])
            return
        while waiting:
            part = self._read_of(waiting.pop())
            try:
                data = await self._asked(reader, part.question)
            except DeviceException as error:
                if error.code not in NOT_THERE:
                    return  # in trouble for now: nothing is learned from that
                if len(part.block.points) > 1:
                    waiting += reversed(halves(part.block))
            except (Silent, Lie):
                return
            else:
                found.append(part.block)
                sweep.batches.append(self._batch(part, data))
        self._learn(read, found)

    def _learn(self, read: _Read, found: Sequence[Block]) -> None:
        """Remember which parts of a block answered, and which tags the device has not."""
        there = {point.key for block in found for point in block.points}
        missing = {point.key for point in read.block.points} - there
        breaks = {(block.unit, block.table, block.address) for block in found if block.address != read.block.address}
        self._holes = Holes(self._holes.breaks | breaks, self._holes.missing | missing)
        self._plan()
        try:
            remember(self._state, self.name, self._settings, self._tags, self._holes)
        except OSError as error:  # it is looked for again after a restart
            _log.warning("what was learned of a device is not kept", connection=self.name, error=str(error))

    def _missing(self, key: str, table: str, address: int) -> None:
        text = _("the device has no {table} register {address} (counted from 0) for it")
        self._faults[key] = TagFault(key, text.format(table=table, address=address))

    # ---- units

    def _breaker(self, unit: int) -> Breaker:
        return self._breakers.setdefault(unit, Breaker())

    def _answered(self, unit: int) -> None:
        if self._breaker(unit).answered():
            _log.info("a unit answers again", connection=self.name, unit=unit)
            for point in points_of(self._tags, self._settings.device_id):
                if point.unit == unit and point.key not in self._holes.missing:
                    self._faults.pop(point.key, None)

    def _was_silent(self, unit: int, sweep: _Sweep) -> None:
        """Count a silence; a unit that is left in peace from now on has its tags shown as BAD, once."""
        if not self._breaker(unit).was_silent(asyncio.get_running_loop().time()):
            return
        _log.warning("a unit does not answer and is asked alone from now on", connection=self.name, unit=unit)
        text = _("unit {unit} does not answer").format(unit=unit)
        for read in self._reads:
            if read.block.unit == unit:
                sweep.batches.append(self._bad(read))
                for point in read.block.points:
                    self._faults[point.key] = TagFault(point.key, text)

    def _try_silent_units(self, reader: Reader) -> None:
        """Ask one block of each unit whose time has come, beside the polls."""
        now = asyncio.get_running_loop().time()
        for unit, breaker in self._breakers.items():
            if breaker.is_due(now):
                read = next((read for read in self._reads if read.block.unit == unit), None)
                breaker.again_at = math.inf  # until this trial has ended
                if read is not None:
                    trial = asyncio.create_task(self._try(reader, read))
                    self._trials.add(trial)
                    trial.add_done_callback(self._trials.discard)

    async def _try(self, reader: Reader, read: _Read) -> None:
        breaker = self._breaker(read.block.unit)
        try:
            await reader.ask(read.question, self._settings.timeout.total_seconds())
        except DeviceException as error:
            if error.code in UNREACHABLE:
                breaker.was_silent(asyncio.get_running_loop().time())
            else:
                self._answered(read.block.unit)
        except (Silent, Lie, ConnectionLost):
            breaker.was_silent(asyncio.get_running_loop().time())
        else:
            self._answered(read.block.unit)
        finally:
            if breaker.again_at == math.inf:  # cancelled: it is tried again by the next conversation
                breaker.again_at = asyncio.get_running_loop().time()

    # ---- values

    def _batch(self, read: _Read, data: bytes) -> Batch:
        values, texts = read.decoder.values(data), read.decoder.texts(data)
        quality = np.where(np.isfinite(values), np.uint8(Quality.GOOD), np.uint8(Quality.BAD))
        for row in texts:
            quality[row] = Quality.GOOD
        return self._columns(read, values, quality.astype(np.uint8), texts)

    def _bad(self, read: _Read) -> Batch:
        """The tags of a block without a value: what was read before no longer stands."""
        count = len(read.tags)
        return self._columns(read, np.full(count, math.nan), np.full(count, Quality.BAD, np.uint8), {})

    def _lied(self, lie: Lie, read: _Read, sweep: _Sweep) -> None:
        if self.counters.losses[Loss.ANSWER_REFUSED] == 0:
            _log.warning("an answer does not fit its question", connection=self.name, reason=lie.reason.value)
        self.counters.losses.count(Loss.ANSWER_REFUSED, len(read.tags))
        sweep.useless = True
        sweep.batches.append(self._bad(read))

    def _columns(
        self,
        read: _Read,
        values: np.ndarray[tuple[int], np.dtype[np.float64]],
        quality: np.ndarray[tuple[int], np.dtype[np.uint8]],
        texts: Mapping[int, str],
    ) -> Batch:
        now = np.full(len(values), ticks_of(self._clock()), np.int64)
        return Batch(self.name, self._keys, read.tags, values, quality, now, now, self._provenance, texts)


def reader_is_gone(reader: Reader) -> bool:
    """Whether a line hung up because nothing on it can be told apart any more."""
    return getattr(reader, "transport", reader) is None


async def _together(acts: Sequence[Awaitable[None]]) -> None:
    """Await all, and raise what the first of them raised once every one has ended."""
    ended = await asyncio.gather(*acts, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each


def joined(batches: Sequence[Batch]) -> Batch:
    """Return the batches of one poll as one, in their order."""
    if len(batches) == 1:
        return batches[0]
    texts: dict[int, str] = {}
    start = 0
    for each in batches:
        texts |= {start + row: text for row, text in each.texts.items()}
        start += len(each)
    first = batches[0]
    return Batch(
        first.connection,
        first.keys,
        np.concatenate([each.tags for each in batches]),
        np.concatenate([each.values for each in batches]),
        np.concatenate([each.quality for each in batches]),
        np.concatenate([each.source for each in batches]),
        np.concatenate([each.received for each in batches]),
        first.provenance,
        texts,
    )
