"""The files of the backlog: records one after the other, numbered for ever, the oldest dropped first.

Promises: a record that `append` returned from survives the death of the process; a half-written one is found and left
out; a damaged one costs itself alone, and whatever cannot be read is counted in samples. The space stays within the
bound in bytes, the age within the bound in hours, both kept by dropping whole files, the oldest first. Numbers are
never given twice while any reader remembers one. Each file can be read without the others.

It is used by one thread at a time and waits for the disk; `connectors.backlog` is its asynchronous face. Raises OSError
when the disk does not do what it is told, and is then as it was before.
"""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from connectors.counters import Loss, Losses
from connectors.records import Numbering, RecordBroken, Translation, learn, packed, unpacked
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, ticks_of

BYTES_MAX: Final = 2 * 2**30
"""Of all files: 72 h of 1,000 tags a second, squeezed, or half an hour of 50,000 samples a second as they are."""
AGE_MAX: Final = timedelta(hours=72)
"""A weekend without the store, and the Monday on which somebody looks; in wall time, however fast the plant's runs."""
FILE_BYTES: Final = 16 * 2**20
"""What is dropped at once: less than a hundredth of the bound."""
FILE_TICKS: Final = 3600 * TICKS_PER_SECOND
"""Time that one file spans at most, so that the bound in hours is kept to an hour when little arrives."""
REUSED_BYTES: Final = 2**20
"""A file that everybody has read is begun anew from this size on."""
ASIDE_MAX: Final = 2
"""Broken files that are kept for people to look at; each is at most as large as a file."""
SYNC_EVERY: Final = 4
"""Records between two waits for the disk: about a second, and all that a power cut costs beyond a kill."""
PARCEL_RECORDS: Final = 2_000
"""Read at once, however small they are: a tenth of a second."""
RECORD_BYTES_MAX: Final = 256 * 2**20
"""A length beyond it is damage."""

_FILE = struct.Struct("<4s16s")
_FILE_MAGIC, _RECORD_MAGIC, _END_MAGIC = b"TCJ1", b"TCR1", b"TCE1"
_SUFFIX, _ASIDE = ".journal", ".broken"
_EARLIEST = -(2**63)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a reader has come: a journal's name and the number of its last record that is safe."""

    journal: str
    number: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """Batches in their order, out of the records up to `mark`; `samples` are all of them."""

    mark: Mark
    batches: Sequence[Batch]
    samples: int


@dataclass(frozen=True, slots=True)
class _Header:
    """Before each record, and at the end of a file that is done (then of the whole file).

    before: samples of the file ahead of this record, so that a gap tells how many are lost. oldest, newest: when it was
    written, in ticks of wall time.
    """

    length: int
    number: int
    samples: int
    before: int
    oldest: int
    newest: int
    payload_sum: int

    _FIELDS = struct.Struct("<4sIQIQqqI")
    _SUM = struct.Struct("<I")
    SIZE = _FIELDS.size + _SUM.size

    def to_bytes(self, magic: bytes) -> bytes:
        fields = (self.length, self.number, self.samples, self.before, self.oldest, self.newest, self.payload_sum)
        told = self._FIELDS.pack(magic, *fields)
        return told + self._SUM.pack(zlib.crc32(told))

    @classmethod
    def of(cls, data: bytes, magic: bytes) -> _Header | None:
        """Return what bytes say, None when they are no header."""
        if len(data) != cls.SIZE or data[:4] != magic:
            return None
        told = data[: cls._FIELDS.size]
        if cls._SUM.unpack(data[cls._FIELDS.size :])[0] != zlib.crc32(told):
            return None
        header = cls(*cls._FIELDS.unpack(told)[1:])
        return header if header.length <= RECORD_BYTES_MAX else None


@dataclass(slots=True)
class _File:
    """A file and what is in it; `size` are the bytes up to the end of its last whole record."""

    path: Path
    first: int
    last: int = 0
    samples: int = 0
    size: int = 0
    oldest: int = 0
    newest: int = _EARLIEST


@dataclass(slots=True)
class Cursor:
    """Where a reader is. safe: the last record that is safe with it. read: the last one that it was given.

    depth: samples that are not safe yet. reached: when the last record that it was given was written, in ticks.
    """

    name: str
    safe: int = 0
    read: int = 0
    depth: int = 0
    reached: int | None = None
    losses: Losses = field(default_factory=Losses)
    keys: Keys = field(default_factory=Keys)
    _file: Path | None = None
    _offset: int = 0
    _passed: int = 0
    _known: Translation = field(default_factory=lambda: Translation(Keys()))


_TIMELESS: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Journal:
    """Records on disk; `cursors` are its readers' by name, `losses` what was lost before any reader was there."""

    def __init__(
        self,
        directory: Path,
        *,
        bytes_max: int = BYTES_MAX,
        age_max: timedelta = AGE_MAX,
        file_bytes: int = FILE_BYTES,
        clock: Callable[[], datetime] = lambda: _TIMELESS,
    ) -> None:
        """Keep records in a directory; `clock` is the wall's, and without one they do not age."""
        self.name = secrets.token_hex(8)
        self.losses = Losses()
        self.cursors: dict[str, Cursor] = {}
        self._directory = directory
        self._bytes_max, self._file_bytes = bytes_max, min(file_bytes, max(1, bytes_max // 8))
        self._age_max = age_max // timedelta(microseconds=1) * 10
        self._clock = clock
        self._files: list[_File] = []
        self._next = 1
        self._open: int | None = None
        self._numbering = Numbering()
        self._unsynced = 0

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self._files)

    def behind_ticks(self, cursor: Cursor) -> int:
        """Return the wall time between what a reader was given last and what was written last."""
        first = next((file for file in self._files if file.last > cursor.safe), None)
        if first is None or not cursor.depth:
            return 0
        return max(0, self._files[-1].newest - (first.oldest if cursor.reached is None else cursor.reached))

    def look(self) -> None:
        """Find what an earlier run left; makes nothing. Raises OSError."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            file, name = _surveyed(path)
            if name is None or (name and self._files and name != self.name):
                self._set_aside(file)
            elif file.last == 0:
                path.unlink()  # it died before its first record
            else:
                self.name = name
                self._files.append(file)
        if self._files:
            self._next = self._files[-1].last + 1

    def cursor(self, name: str, after: Mark | None = None) -> Cursor:
        """Return a reader's cursor: behind `after` where that is of this journal, else behind what it last kept here.

        Raises OSError.
        """
        number = self._kept(name) if after is None else after.number if after.journal == self.name else 0
        self._next = max(self._next, number + 1)  # numbers that somebody remembers are never given again
        self.cursors[name] = cursor = Cursor(name, number, number)
        for file in self._files:
            if file.last > number:
                cursor.depth += file.samples
                if file.first <= number:
                    self._position(cursor, file)
                    cursor.depth -= cursor._passed
        return cursor

    def append(self, batches: Sequence[Batch], *, squeeze: bool = False) -> None:
        """Write batches as one record. Raises OSError; what was there before is untouched by that."""
        samples = sum(len(batch) for batch in batches)
        now = ticks_of(self._clock())
        if self._open is not None and self._is_full(now):
            self._finish()
        descriptor = self._begin() if self._open is None else self._open
        file = self._files[-1]
        payload = packed(batches, self._numbering, squeeze=squeeze)
        header = _Header(len(payload), self._next, samples, file.samples, now, now, zlib.crc32(payload))
        try:
            _write(descriptor, header.to_bytes(_RECORD_MAGIC) + payload)
        except OSError:
            self._undo(file)
            raise
        file.size += _Header.SIZE + len(payload)
        file.oldest = now if file.last == 0 else min(file.oldest, now)
        file.newest = max(file.newest, now)
        file.last, file.samples = self._next, file.samples + samples
        self._next += 1
        for cursor in self.cursors.values():
            cursor.depth += samples
        self._look_after(descriptor, now)

    def read(self, cursor: Cursor, samples_max: int) -> Parcel | None:
        """Return what comes next for a reader, whole records up to about so many samples; None when there is nothing.

        What was given before must be safe. Raises OSError when the disk does not let it, for now.
        """
        batches: list[Batch] = []
        samples = 0
        while samples < samples_max and cursor.read - cursor.safe < PARCEL_RECORDS:
            found = self._following(cursor)
            if found is None:
                break
            batches += found
            samples += sum(len(batch) for batch in found)
        if not batches:  # what was not given is lost, and counted
            cursor.safe, cursor.depth = cursor.read, 0
            self._tidy()
            return None
        return Parcel(Mark(self.name, cursor.read), batches, samples)

    def done(self, cursor: Cursor, parcel: Parcel) -> None:
        """Take that a parcel is safe; what no reader wants any more is deleted. Raises OSError."""
        cursor.safe = max(cursor.safe, parcel.mark.number)
        cursor.depth -= parcel.samples
        self._tidy()

    def keep(self, cursor: Cursor) -> None:
        """Remember on disk how far a reader has come that remembers nothing itself. Raises OSError."""
        path = self._directory / f"{cursor.name}.cursor"
        beside = path.with_suffix(".new")
        beside.write_text(f"{self.name} {cursor.safe}\n")
        beside.replace(path)

    def close(self) -> None:
        """Close the file that is written; a later `append` begins another."""
        if self._open is not None:
            try:
                os.fdatasync(self._open)
            finally:
                os.close(self._open)
                self._open = None

    def _kept(self, name: str) -> int:
        try:
            journal, number = (self._directory / f"{name}.cursor").read_text().split()
            return int(number) if journal == self.name else 0
        except (OSError, ValueError):  # it gets everything that is there: too much is better than too little
            return 0

    def _begin(self) -> int:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{self._next:016d}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, _FILE.pack(_FILE_MAGIC, self.name.encode()))
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._open, self._numbering = descriptor, Numbering()
        self._files.append(_File(path, self._next, size=_FILE.size))
        return descriptor

    def _is_full(self, now: int) -> bool:
        file = self._files[-1]
        return file.last > 0 and (file.size >= self._file_bytes or now - file.oldest >= FILE_TICKS)

    def _undo(self, file: _File) -> None:
        """Cut off what a failed write left. Its tags may be numbered but never written, so the file goes on no more."""
        descriptor, self._open = self._open, None
        assert descriptor is not None
        try:
            os.ftruncate(descriptor, file.size)
        finally:
            os.close(descriptor)
            if file.last == 0:
                self._files.remove(file)
                file.path.unlink(missing_ok=True)

    def _finish(self) -> None:
        """Say at the end of a file what is in it, so that a start need not walk it; without it a start does."""
        descriptor, self._open, file = self._open, None, self._files[-1]
        assert descriptor is not None
        end = _Header(0, file.last, file.samples % 2**32, file.samples, file.oldest, file.newest, 0)
        try:
            _write(descriptor, end.to_bytes(_END_MAGIC))
            os.fdatasync(descriptor)
        except OSError as error:
            _log.warning("a file of the backlog could not be finished", file=str(file.path), error=repr(error)[:200])
        finally:
            os.close(descriptor)

    def _look_after(self, descriptor: int, now: int) -> None:
        """Do what may fail once a record is written: raised, it would have the record written a second time."""
        try:
            self._sync_sometimes(descriptor)
            self._keep_bounds(now)
        except OSError as error:
            _log.warning("the backlog's disk did not do all that it was told", error=repr(error)[:200])

    def _sync_sometimes(self, descriptor: int) -> None:
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            self._unsynced = 0
            os.fdatasync(descriptor)

    def _keep_bounds(self, now: int) -> None:
        while len(self._files) > 1 and (self.size > self._bytes_max or now - self._files[0].newest > self._age_max):
            self._drop(self._files[0], Loss.BACKLOG_FULL)

    def _drop(self, file: _File, reason: Loss) -> None:
        """Give up a file; each reader loses what it was not given yet."""
        for cursor in self.cursors.values():
            if file.last > cursor.read:
                lost = file.samples - (cursor._passed if cursor._file == file.path else 0)
                cursor.losses.count(reason, lost)
                cursor.depth -= lost
                cursor.read = file.last
                cursor._file = None
        self._files.remove(file)
        file.path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        wanted = min((cursor.safe for cursor in self.cursors.values()), default=0)
        for file in [each for each in self._files if 0 < each.last <= wanted]:
            if file is self._files[-1] and self._open is not None:
                if file.size < REUSED_BYTES:
                    continue
                os.close(self._open)
                self._open = None
            self._files.remove(file)
            file.path.unlink(missing_ok=True)

    def _set_aside(self, file: _File) -> None:
        """Put a broken file out of the way, for people to look at."""
        _log.error("a file of the backlog was broken and is set aside", file=str(file.path), samples=file.samples)
        self.losses.count(Loss.BACKLOG_BROKEN, file.samples)
        file.path.replace(file.path.with_suffix(_ASIDE))
        for path in sorted(self._directory.glob(f"*{_ASIDE}"))[:-ASIDE_MAX]:
            path.unlink()

    def _following(self, cursor: Cursor) -> list[Batch] | None:
        """Return the batches of the record after the last one that was read."""
        while True:
            file = next((each for each in self._files if each.last > cursor.read), None)
            if file is None:
                return None
            if cursor._file != file.path:
                self._position(cursor, file)
            found = self._next_in(cursor, file)
            if found is not None:
                return found
            # The end, and records are missing before it.
            self._lose(cursor, file.samples - cursor._passed)
            cursor.read, cursor._file = file.last, None

    def _position(self, cursor: Cursor, file: _File) -> None:
        """Go behind the last record that was read, learning the keys on the way."""
        cursor._file, cursor._offset, cursor._passed = file.path, _FILE.size, 0
        cursor._known = Translation(cursor.keys)
        with file.path.open("rb") as content:
            for offset, header in _headers(content.fileno(), file.size):
                if header.number > cursor.read:
                    if header.number == cursor.read + 1:
                        cursor._passed = header.before  # what is damaged before it is safe
                    return
                cursor._offset, cursor._passed = offset + _Header.SIZE + header.length, header.before + header.samples
                try:
                    learn(os.pread(content.fileno(), header.length, offset + _Header.SIZE), cursor._known)
                except RecordBroken:
                    continue

    def _next_in(self, cursor: Cursor, file: _File) -> list[Batch] | None:
        with file.path.open("rb") as content:
            for offset, header in _headers(content.fileno(), file.size, cursor._offset):
                payload = os.pread(content.fileno(), header.length, offset + _Header.SIZE)
                self._lose(cursor, header.before - cursor._passed)
                cursor._offset = offset + _Header.SIZE + header.length
                cursor._passed, cursor.read = header.before + header.samples, header.number
                cursor.reached = header.newest
                try:
                    if zlib.crc32(payload) != header.payload_sum:
                        raise RecordBroken("its sum is wrong")
                    return unpacked(payload, cursor._known)
                except RecordBroken as error:
                    _log.error("a record of the backlog is broken", file=str(file.path), error=str(error))
                    self._lose(cursor, header.samples)
        return None

    def _lose(self, cursor: Cursor, samples: int) -> None:
        if samples > 0:
            cursor.losses.count(Loss.BACKLOG_BROKEN, samples)
            cursor.depth -= samples


def _headers(descriptor: int, size: int, offset: int = _FILE.size) -> Iterator[tuple[int, _Header]]:
    """Yield where each whole record begins, and its header; damage is passed over to the next one that is whole."""
    while offset + _Header.SIZE <= size:
        header = _Header.of(os.pread(descriptor, _Header.SIZE, offset), _RECORD_MAGIC)
        if header is not None and offset + _Header.SIZE + header.length <= size:
            yield offset, header
            offset += _Header.SIZE + header.length
        else:
            found = os.pread(descriptor, size - offset, offset).find(_RECORD_MAGIC, 1)
            offset = size if found < 0 else offset + found


def _surveyed(path: Path) -> tuple[_File, str | None]:
    """Return what is in a file, and the name of its journal, None when it does not say."""
    size = path.stat().st_size
    first = int(path.stem) if path.stem.isdigit() else 0
    with path.open("rb") as content:
        begin = content.read(_FILE.size)
        magic, name = _FILE.unpack(begin) if len(begin) == _FILE.size else (b"", b"")
        end = _Header.of(os.pread(content.fileno(), _Header.SIZE, max(0, size - _Header.SIZE)), _END_MAGIC)
        if end is not None:
            file = _File(path, first, end.number, end.before, size - _Header.SIZE, end.oldest, end.newest)
        else:
            file = _File(path, first)
            for offset, header in _headers(content.fileno(), size):
                file.oldest = header.oldest if file.last == 0 else min(file.oldest, header.oldest)
                file.newest = max(file.newest, header.newest)
                file.last, file.samples = header.number, header.before + header.samples
                file.size = offset + _Header.SIZE + header.length
    if magic == _FILE_MAGIC and name.isalnum():
        return file, name.decode()
    return file, None if size >= _FILE.size else ""


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises OSError when the disk takes a part only."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
