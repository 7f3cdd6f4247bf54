"""Batches as bytes and back: what the backlog writes down in one go, exactly as it came.

A record holds several batches, their columns joined: tags by number, ticks as distances from the first of them, and
what is the same for all rows said once; 14 bytes a sample as a rule, 3 to 9 when squeezed. The numbers of the tags are
those of one file (`Numbering`); a record brings the keys that are new in it. Reading refuses whatever does not add up
to the last byte. Pure functions of their arguments: no file, no clock.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from connectors.samples import Batch, Keys, Numbers, Provenance, Ticks

SQUEEZED_MAX: Final = 256 * 2**20
"""Bytes that a squeezed record may unfold to; memory holds less than a tenth of it when one is made."""
_PLAIN, _SQUEEZED = b"\0", b"\1"
_HEAD = struct.Struct("<I")


class RecordBroken(ValueError):
    """The bytes are no record; whoever holds them may only count what is lost."""


class Numbering:
    """The tags of one file by number, and the numbers of each connection's own tags in it."""

    def __init__(self) -> None:
        self.keys = Keys()
        self._tables: WeakKeyDictionary[Keys, Numbers] = WeakKeyDictionary()

    def numbers(self, batch: Batch) -> Numbers:
        """Return the batch's tags by the numbers of the file, giving numbers to new ones."""
        table = self._tables.get(batch.keys)
        if table is None or len(table) < len(batch.keys):
            table = np.array([self.keys.number(key) for key in batch.keys], np.int32)
            self._tables[batch.keys] = table
        return table[batch.tags]


class Translation:
    """The numbers of one file's tags in somebody's own keys, as far as they were learned."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.table: Numbers = np.empty(0, np.int32)

    def learn(self, new: Sequence[str]) -> None:
        """Take over the next keys of the file."""
        if new:
            self.table = np.append(self.table, np.array([self.keys.number(str(key)) for key in new], np.int32))


def packed(batches: Sequence[Batch], numbering: Numbering, *, squeeze: bool = False) -> bytes:
    """Return batches as a record; `numbering` learns their tags. squeeze: for 0.1 us a sample, a third of the bytes."""
    known = len(numbering.keys)
    tags = np.concatenate([numbering.numbers(batch) for batch in batches])
    quality = np.concatenate([batch.quality for batch in batches])
    source, base = _offsets(np.concatenate([batch.source for batch in batches]))
    same = quality.size > 0 and bool((quality == quality[0]).all())
    columns: list[NDArray[Any]] = [
        tags.astype("<u2") if len(numbering.keys) <= 2**16 else tags.astype("<i4"),
        np.concatenate([batch.values for batch in batches]).astype("<f8", copy=False),
        source,
    ]
    if not same:
        columns.append(quality)
    told, start = [], 0
    texts: list[tuple[int, str]] = []
    for batch in batches:
        arrival = _same(batch.received)
        if arrival is None:
            columns.append(batch.received.astype("<i8", copy=False))
        told.append((batch.connection, len(batch), batch.provenance.value, batch.recalled, arrival))
        texts += [(start + row, text) for row, text in batch.texts.items()]
        start += len(batch)
    head = {
        "keys": [numbering.keys[number] for number in range(known, len(numbering.keys))],
        "batches": told,
        "texts": texts,
        "tags": columns[0].dtype.str,
        "source": (source.dtype.str, base),
        "quality": int(quality[0]) if same else None,
    }
    written = json.dumps(head, separators=(",", ":")).encode()
    if not squeeze:
        return b"".join((_PLAIN, _HEAD.pack(len(written)), written, *(each.tobytes() for each in columns)))
    planes = (_planes(each) for each in columns)
    return _SQUEEZED + zlib.compress(b"".join((_HEAD.pack(len(written)), written, *planes)), 1)


def unpacked(record: bytes, known: Translation) -> list[Batch]:
    """Return a record's batches, their tags by the keys of `known`, which learns new ones. Raises `RecordBroken`."""
    try:
        return _unpacked(record, known)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error, zlib.error) as error:
        raise RecordBroken(repr(error)[:200]) from error


def learn(record: bytes, known: Translation) -> None:
    """Take over the keys that a record brings, and nothing else of it. Raises `RecordBroken`."""
    try:
        known.learn(_head(_body(record))[0]["keys"])
    except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
        raise RecordBroken(repr(error)[:200]) from error


def _body(record: bytes) -> bytes:
    if record[:1] != _SQUEEZED:
        return record[1:]
    unfolding = zlib.decompressobj()
    body = unfolding.decompress(record[1:], SQUEEZED_MAX)
    if not unfolding.eof:
        raise ValueError("a record unfolds to more than it may")
    return body


def _head(body: bytes) -> tuple[dict[str, Any], int]:
    (length,) = _HEAD.unpack_from(body)
    return json.loads(body[_HEAD.size : _HEAD.size + length]), _HEAD.size + length


def _unpacked(record: bytes, known: Translation) -> list[Batch]:
    body = _body(record)
    head, offset = _head(body)
    known.learn(head["keys"])
    column = _columns(body, offset, planes=record[:1] == _SQUEEZED)
    lengths = [int(told[1]) for told in head["batches"]]
    rows = sum(lengths)
    tags = known.table[column(head["tags"], rows)]
    values = column("<f8", rows)
    source = _ticks(column, head["source"], rows)
    quality = column("|u1", rows) if head["quality"] is None else np.full(rows, head["quality"], np.uint8)
    texts = {int(row): str(text) for row, text in head["texts"]}
    batches, start = [], 0
    for connection, length, provenance, recalled, arrival in head["batches"]:
        part = slice(start, start + length)
        received = column("<i8", length) if arrival is None else np.broadcast_to(np.int64(arrival), (length,))
        said = {row - start: text for row, text in texts.items() if start <= row < start + length} if texts else {}
        batches.append(
            Batch(
                str(connection),
                known.keys,
                tags[part],
                values[part],
                quality[part],
                source[part],
                received,
                Provenance(provenance),
                said,
                bool(recalled),
            )
        )
        start += length
    column("", 0)
    return batches


def _columns(body: bytes, offset: int, *, planes: bool) -> Callable[[str, int], NDArray[Any]]:
    """Return what gives the columns of a body one after the other; asked for none, it wants to be at the end."""

    def column(kind: str, rows: int) -> NDArray[Any]:
        nonlocal offset
        if not kind:
            if offset != len(body):
                raise ValueError("a record is longer than it says")
            return np.empty(0)
        dtype = np.dtype(kind)
        if dtype.kind not in "iuf" or rows < 0:
            raise ValueError("a column of numbers is of numbers")
        flat = np.frombuffer(body, np.uint8, rows * dtype.itemsize, offset)
        offset += flat.size
        if planes:
            flat = np.ascontiguousarray(flat.reshape(dtype.itemsize, rows).T).reshape(-1)
        return flat.view(dtype)

    return column


def _ticks(column: Callable[[str, int], NDArray[Any]], told: Sequence[Any], rows: int) -> Ticks:
    kind, base = told
    if np.dtype(kind).itemsize == 8:
        return column(kind, rows)
    return column(kind, rows).astype(np.int64) + np.int64(base)


def _offsets(ticks: Ticks) -> tuple[NDArray[Any], int]:
    """Return ticks as distances from the earliest, in half the bytes when all lie within seven minutes."""
    if ticks.size == 0:
        return ticks.astype("<u4"), 0
    earliest, latest = int(ticks.min()), int(ticks.max())
    if latest - earliest < 2**32:
        return (ticks - earliest).astype("<u4"), earliest
    return ticks.astype("<i8", copy=False), 0


def _same(ticks: Ticks) -> int | None:
    """Return the one time of all rows, None when there are several or no rows."""
    if ticks.size and (ticks.strides == (0,) or bool((ticks == ticks[0]).all())):
        return int(ticks[0])
    return None


def _planes(column: NDArray[Any]) -> bytes:
    """Return a column with first bytes beside first bytes: they are alike, and squeeze well."""
    return column.view(np.uint8).reshape(column.size, column.itemsize).T.tobytes()
