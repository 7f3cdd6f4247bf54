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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from connectors.connector import ConnectionLost, Connector, Deliver, TagFault
from connectors.counters import Counters, Loss
from connectors.modbus.memory import LineMemory
from connectors.modbus.plan import Block, Holes, Limits, Point, halves, plan, points_of
from connectors.modbus.reader import Answer, Opened, Reader, Silent, Unasked, open_line
from connectors.modbus.registers import Decoder
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.modbus.units import Breaker
from connectors.modbus.wire import BITS, NOT_THERE, UNREACHABLE, DeviceException, Lie, Question, Reason
from connectors.samples import (
    TICKS_PER_SECOND,
    Batch,
    Keys,
    Numbers,
    Provenance,
    Qualities,
    Quality,
    Ticks,
    Values,
    ticks_of,
)

USELESS_MAX: Final = 3
"""Polls in a row without one usable answer, after which the device is left: somebody has to look at it."""

ASK_AGAIN_SECONDS: Final = 60.0
"""How often one of the registers that a device has not is asked for again."""

PATTERNS_MAX: Final = 64
"""Sets of blocks that come together and are kept worked out; with several rhythms there are a few."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A block as it is read: its question, and the numbers of its tags."""

    block: Block
    question: Question
    tags: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """Blocks that are decoded together, and the numbers of their tags; `widths` is how many tags each block has."""

    decoder: Decoder
    tags: Numbers
    widths: NDArray[np.int64]


@dataclass(slots=True)
class _Swept:
    """What became of one poll. answered: something could be used; useless: something could not."""

    good: list[tuple[_Read, Answer]] = field(default_factory=list)
    bad: list[_Read] = field(default_factory=list)
    refused: list[_Read] = field(default_factory=list)
    silent: set[int] = field(default_factory=set)
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
        self._depth = settings.pipeline
        self._provenance = Provenance.B
        self._breakers: dict[int, Breaker] = {}
        self._trials: set[asyncio.Task[None]] = set()
        self._memory = LineMemory(state, name, settings)
        self._holes = Holes()
        self._turn = 0
        self._asked_again_at = 0.0
        self._take(tags)

    def succeed(self, predecessor: Connector) -> None:
        """Go on where the conversation before this one ended: counters turn on, silent units stay in peace."""
        if isinstance(predecessor, ModbusConnector):
            self._breakers = predecessor._breakers
            if all(breaker.is_open for breaker in self._breakers.values()):
                self._breakers = {}  # the line itself was gone, and says nothing of its units
            if self._memory.succeeds(predecessor._memory):
                self._memory = predecessor._memory
            if predecessor._tags == self._tags:
                self._holes = predecessor._holes
            self._plan()

    async def adjust(self, tags: Mapping[str, ModbusTag]) -> None:
        """Read other tags from the next poll on; nothing has to be asked of the device for it."""
        self._take(tags)

    def _take(self, tags: Mapping[str, ModbusTag]) -> None:
        self._tags = dict(tags)
        self._holes = Holes(self._memory.breaks)
        self._faults: dict[str, TagFault] = {}
        self._faults_told: dict[str, TagFault] | None = None
        self._plan()

    def _plan(self) -> None:
        """Plan the reads anew, around what is known not to be there."""
        points = points_of(self._tags, self._settings.device_id)
        self._counters = {point.key: self._memory.counter(point) for point in points if point.tag.counter}
        for point in points:
            if point.key in self._holes.missing:
                self._missing(point.key, point.table, point.address)
        self._reads = [self._read_of(block) for block in self._planned(points)]
        self._values: dict[tuple[_Read, ...], _Values] = {}

    def _planned(self, points: Sequence[Point]) -> Sequence[Block]:
        said = self._settings
        limits = Limits(said.registers_per_read, said.bits_per_read, said.gap)
        units = {
            unit: Limits(
                limits.registers if less.registers_per_read is None else less.registers_per_read,
                limits.bits if less.bits_per_read is None else less.bits_per_read,
                limits.gap if less.gap is None else less.gap,
            )
            for unit, less in said.devices.items()
        }
        return plan(points, limits, self._rhythms(), self._holes, units)

    def _rhythms(self) -> dict[str, int]:
        """At every how-many-th poll each tag is read."""
        sampling = self._settings.sampling
        return {key: max(1, round(tag.every / sampling)) for key, tag in self._tags.items() if tag.every is not None}

    def _read_of(self, block: Block) -> _Read:
        question = Question(block.unit, block.table, block.address, block.count)
        return _Read(block, question, np.array([self._keys.number(point.key) for point in block.points], np.int32))

    # ---- conversing

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Open the line, report unreadable tags, deliver a batch for each poll. Raises `ConnectionLost`."""
        reader = await self._open()
        try:
            due, poll = asyncio.get_running_loop().time(), 0
            while True:
                if await self._poll(reader, poll, deliver, report):
                    reader.close()
                    reader = await self._open()
                due, poll = await self._rest(due), poll + 1
        finally:
            await self._leave(reader)

    async def probe(self) -> Sequence[TagFault]:
        """Open the line, read every tag once, leave; returns the tags that cannot be read. Raises `ConnectionLost`."""
        reader = await self._open()
        try:
            swept, _batches = await self._sweep(reader, self._reads)
            self._require(swept)
            for _unit in self._breakers:  # at most one of them is found out each time
                if swept.distrusted is None:
                    break
                reader.close()
                reader = await self._open()
                swept, _batches = await self._sweep(reader, self._reads)
                self._require(swept)
            if not swept.answered:
                raise ConnectionLost(_("the device gives no answer that fits its question"))
        finally:
            await self._leave(reader)
        return tuple(self._faults.values())

    async def _open(self) -> Reader:
        opened: Opened = await open_line(self._settings, self._state)
        self._provenance = Provenance.A if opened.secured else Provenance.B
        return opened.reader

    async def _leave(self, reader: Reader) -> None:
        self._memory.keep()
        reader.close()
        for trial in self._trials:
            trial.cancel()
        await asyncio.gather(*self._trials, return_exceptions=True)

    async def _poll(
        self, reader: Reader, poll: int, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]
    ) -> bool:
        """Read what is due and deliver it; returns whether the line has to be opened anew. Raises `ConnectionLost`."""
        due = [read for read in self._reads if poll % read.block.each == 0]
        swept, batches = await self._sweep(reader, due)
        if self._faults != self._faults_told:
            self._faults_told = dict(self._faults)
            report(tuple(self._faults.values()))
        if batches:
            await deliver(joined(batches))
        self._require(swept)
        self._memory.keep_counters(asyncio.get_running_loop().time())
        if swept.distrusted is None:
            self._try_silent_units(reader)
            await self._ask_again(reader)
        return swept.distrusted is not None

    def _require(self, swept: _Swept) -> None:
        """Raise `ConnectionLost` for a line that is worth nothing as it is."""
        units = {read.block.unit for read in self._reads}
        if swept.distrusted is not None and len(units) < 2:
            raise ConnectionLost(_("the device lies: {what}").format(what=swept.distrusted))
        self._useless = self._useless + 1 if swept.useless and not swept.answered else 0
        if self._useless >= USELESS_MAX:
            raise ConnectionLost(_("the device gives no answer that fits its question"))
        if not self._reads:
            self._forget_missing(self._holes.missing)  # a device that boots refuses all of them
            raise ConnectionLost(_("the device has none of the registers asked for"))
        if all(self._breaker(unit).is_open for unit in units):
            raise ConnectionLost(_("the device stopped answering"))

    async def _rest(self, due: float) -> float:
        """Sleep until the next poll is due and return that time; those whose whole time has passed are lost."""
        now, period = asyncio.get_running_loop().time(), self._settings.sampling.total_seconds()
        due += period
        missed = int((now - due) / period) if now > due else 0
        if missed:
            a_poll = sum(len(read.tags) / read.block.each for read in self._reads)
            self.counters.losses.count(Loss.POLL_LATE, round(missed * a_poll))
        due += missed * period
        await asyncio.sleep(max(0.0, due - now))
        return due

    # ---- one poll

    async def _sweep(self, reader: Reader, reads: Sequence[_Read]) -> tuple[_Swept, list[Batch]]:
        """Read blocks, as many under way as the line may have; units that are left in peace are not asked."""
        waiting = [read for read in reads if not self._breaker(read.block.unit).is_open]
        answers = await self._asked(reader, waiting)
        swept = _Swept()
        for read, answer in zip(waiting, answers, strict=True):
            self._sort(read, answer, swept)
        batches = self._batches(swept.good) + [self._bad(read) for read in swept.bad]
        if answers and reader_is_gone(reader):
            batches += self._set_apart(waiting, answers, swept)
        if swept.distrusted is None:
            for read in swept.refused:
                batches += await self._look_closer(reader, read)
        for unit in sorted(swept.silent):
            batches += self._was_silent(unit)
        return swept, batches

    def _set_apart(self, reads: Sequence[_Read], answers: Sequence[Answer], swept: _Swept) -> list[Batch]:
        """Find who told the lie that cost the trust in the line; with others on it, it is left in peace.

        The last who lied is who was asked last. Of several that were under way any may have been it: from now on they
        are asked one after the other, and the next lie will tell.
        """
        liars = [
            (read, answer.error) for read, answer in zip(reads, answers, strict=True) if isinstance(answer.error, Lie)
        ]
        swept.distrusted = liars[-1][1] if liars else Lie(Reason.TRANSACTION)
        alone, self._depth = self._depth == 1, 1
        if not liars or not alone or len({read.block.unit for read in self._reads}) < 2:
            return []
        unit = liars[-1][0].block.unit
        breaker, now = self._breaker(unit), asyncio.get_running_loop().time()
        return self._left_in_peace(unit, breaker.lied(now), _("unit {unit} lies").format(unit=unit))

    async def _asked(self, reader: Reader, reads: Sequence[_Read]) -> list[Answer]:
        """Ask for blocks, and once more where nobody answered and the unit is not known to be silent."""
        seconds, depth = self._settings.timeout.total_seconds(), self._depth
        answers = await reader.sweep([read.question for read in reads], seconds, depth)
        for _retry in range(self._settings.retries):
            again = [
                place
                for place, answer in enumerate(answers)
                if isinstance(answer.error, Silent | Unasked) and not self._breaker(reads[place].block.unit).silences
            ]
            if not again or reader_is_gone(reader):
                break
            better = await reader.sweep([reads[place].question for place in again], seconds, depth)
            for place, answer in zip(again, better, strict=True):
                answers[place] = answer
        if answers:
            self.counters.polls.observe_all(
                [answer.ended_at - answer.asked_at for answer in answers if answer.asked_at]
            )
        return answers

    def _sort(self, read: _Read, answer: Answer, swept: _Swept) -> None:
        """Put a block where it belongs by what became of its question."""
        error = answer.error
        if error is None:
            swept.answered = True
            self._answered(read.block.unit)
            swept.good.append((read, answer))
        elif isinstance(error, Silent) or (isinstance(error, DeviceException) and error.code in UNREACHABLE):
            swept.silent.add(read.block.unit)
        elif isinstance(error, DeviceException) and error.code in NOT_THERE:
            swept.answered = True
            self._answered(read.block.unit)
            swept.refused.append(read)
        elif not isinstance(error, Unasked):  # a lie, or a device in trouble, whose registers may be anything
            swept.useless = True
            swept.bad.append(read)
            if isinstance(error, Lie):
                self._lied(error, read)

    async def _look_closer(self, reader: Reader, read: _Read) -> list[Batch]:
        """Find out which registers of a block the device has not: once, for it is remembered."""
        found: list[tuple[_Read, Answer]] = []
        waiting = list(reversed(halves(read.block))) if len(read.block.points) > 1 else []
        while waiting:
            part = self._read_of(waiting.pop())
            (answer,) = await self._asked(reader, [part])
            if answer.error is None:
                found.append((part, answer))
            elif not isinstance(answer.error, DeviceException) or answer.error.code not in NOT_THERE:
                return self._batches(found)  # in trouble for now: nothing is learned from that
            elif len(part.block.points) > 1:
                waiting += reversed(halves(part.block))
        self._learn(read, [part.block for part, _answer in found])
        return self._batches(found)

    def _learn(self, read: _Read, found: Sequence[Block]) -> None:
        """Remember which parts of a block answered, and which tags the device has not."""
        there = {point.key for block in found for point in block.points}
        missing = {point.key for point in read.block.points} - there
        breaks = {(block.unit, block.table, block.address) for block in found if block.address != read.block.address}
        self._holes = Holes(self._holes.breaks | breaks, self._holes.missing | missing)
        self._plan()
        self._asked_again_at = asyncio.get_running_loop().time()
        self._memory.learn(self._holes.breaks)

    def _forget_missing(self, there: Collection[str]) -> None:
        """Ask for tags again from the next poll on."""
        for key in there:
            self._faults.pop(key, None)
        self._holes = Holes(self._holes.breaks, self._holes.missing - frozenset(there))
        self._plan()

    async def _ask_again(self, reader: Reader) -> None:
        """Ask for one missing tag a minute: what a device refused while it booted, it has later, and all at once."""
        now = asyncio.get_running_loop().time()
        if not self._holes.missing or now < self._asked_again_at + ASK_AGAIN_SECONDS:
            return
        self._asked_again_at = now
        missing = [
            point
            for point in points_of(self._tags, self._settings.device_id)
            if point.key in self._holes.missing and not self._breaker(point.unit).is_open
        ]
        if not missing:
            return
        point = missing[self._turn % len(missing)]
        self._turn += 1
        (block,) = plan([point], Limits())
        (answer,) = await self._asked(reader, [self._read_of(block)])
        if answer.error is None:
            self._forget_missing([each.key for each in missing if each.unit == point.unit])

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

    def _was_silent(self, unit: int) -> list[Batch]:
        """Count a silence; a unit that is left in peace from now on has its tags shown as BAD, once."""
        news = self._breaker(unit).was_silent(asyncio.get_running_loop().time())
        return self._left_in_peace(unit, news, _("unit {unit} does not answer").format(unit=unit))

    def _left_in_peace(self, unit: int, news: bool, text: str) -> list[Batch]:
        if not news:
            return []
        _log.warning("a unit is asked alone from now on", connection=self.name, unit=unit, reason=text)
        silent = [read for read in self._reads if read.block.unit == unit]
        for read in silent:
            for point in read.block.points:
                self._faults[point.key] = TagFault(point.key, text)
        return [self._bad(read) for read in silent]

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
        breaker, loop = self._breaker(read.block.unit), asyncio.get_running_loop()
        own: Reader | None = None
        try:
            own = await self._open() if breaker.liar else None
            (answer,) = await (own or reader).sweep([read.question], self._settings.timeout.total_seconds(), 1)
        except ConnectionLost:
            if breaker.liar:  # it has no line to itself, and is never to be heard on that of the others
                breaker.was_silent(loop.time())
            return
        finally:
            if own is not None:
                own.close()
            if breaker.again_at == math.inf:  # unless it is tried again by the next conversation
                breaker.again_at = loop.time()
        error = answer.error
        spoke = error is None or (isinstance(error, DeviceException) and error.code not in UNREACHABLE)
        if spoke:
            self._answered(read.block.unit)
        else:
            breaker.was_silent(loop.time())

    # ---- values

    def _batches(self, good: Sequence[tuple[_Read, Answer]]) -> list[Batch]:
        """Return what came as batches: all registers decoded together, and each block of bits by itself."""
        bits = [pair for pair in good if pair[0].block.table in BITS]
        words = [pair for pair in good if pair[0].block.table not in BITS]
        return [self._batch(part) for part in ([words] if words else []) + [[pair] for pair in bits]]

    def _batch(self, pairs: Sequence[tuple[_Read, Answer]]) -> Batch:
        known = self._known(tuple(read for read, _answer in pairs))
        data = b"".join(answer.data for _read, answer in pairs)
        values, texts = known.decoder.values(data), known.decoder.texts(data)
        quality = np.where(np.isfinite(values), np.uint8(Quality.GOOD), np.uint8(Quality.BAD)).astype(np.uint8)
        for row in texts:
            quality[row] = Quality.GOOD
        now, at = ticks_of(self._clock()), asyncio.get_running_loop().time()
        ages = np.array([round((at - answer.ended_at) * TICKS_PER_SECOND) for _read, answer in pairs], np.int64)
        return self._columns(known.tags, values, quality, np.repeat(now - ages, known.widths), texts)

    def _known(self, reads: tuple[_Read, ...]) -> _Values:
        """Return how blocks are decoded together; worked out once for those that usually come together."""
        known = self._values.get(reads)
        if known is None:
            known = _Values(
                Decoder([read.block for read in reads], self._counters),
                np.concatenate([read.tags for read in reads]),
                np.array([len(read.tags) for read in reads], np.int64),
            )
            if len(self._values) >= PATTERNS_MAX:
                self._values.clear()
            self._values[reads] = known
        return known

    def _bad(self, read: _Read) -> Batch:
        """The tags of a block without a value: what was read before no longer stands."""
        count = len(read.tags)
        now = np.full(count, ticks_of(self._clock()), np.int64)
        return self._columns(read.tags, np.full(count, math.nan), np.full(count, Quality.BAD, np.uint8), now, {})

    def _lied(self, lie: Lie, read: _Read) -> None:
        if self.counters.losses[Loss.ANSWER_REFUSED] == 0:
            _log.warning("an answer does not fit its question", connection=self.name, reason=lie.reason.value)
        self.counters.losses.count(Loss.ANSWER_REFUSED, len(read.tags))

    def _columns(
        self, tags: Numbers, values: Values, quality: Qualities, times: Ticks, texts: Mapping[int, str]
    ) -> Batch:
        return Batch(self.name, self._keys, tags, values, quality, times, times, self._provenance, texts)


def reader_is_gone(reader: Reader) -> bool:
    """Whether a line hung up because nothing on it can be told apart any more."""
    return getattr(reader, "transport", reader) is None


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
