"""From the bytes of a publish response to columns: the hot path of OPC-UA, and nothing else.

Promises: the same numbers, statuses and times as asyncua's own decoder finds, at many times its speed; times stay the
server's 100 ns ticks; what is unusual (arrays, texts, diagnostics, foreign headers) is left to asyncua's decoder, piece
by piece and counted; what is malformed raises `Malformed`, whatever the bytes are, and reads nothing beyond them.
Refuses to know sessions, tags and what a value means.

How: a message whose items have all one shape is one view of memory. Else one pass finds where each item begins, and
every column is then gathered at once, through views that begin at every byte. Encoding: OPC 10000-6, 5.2; services:
OPC 10000-4, 5.14 and 7.25.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary
from numpy.typing import NDArray

from connectors.opcua.variants import read_variant

Bytes = NDArray[np.uint8]

PUBLISH_RESPONSE: Final = 829
SERVICE_FAULT: Final = 397
DATA_CHANGE: Final = 811
STATUS_CHANGE: Final = 820
EVENTS: Final = 916
"""Numeric ids of the binary encodings, namespace 0 (OPC 10000-6, annex A)."""

HAS_VALUE, HAS_STATUS, HAS_SOURCE, HAS_SERVER = 0x01, 0x02, 0x04, 0x08
_HAS_SOURCE_PICOSECONDS, _HAS_SERVER_PICOSECONDS = 0x10, 0x20

OTHER: Final = 255
"""The kind of a value that is no plain number; it stands in `Changes.others`."""

_FIXED: Final[Mapping[int, str]] = {
    1: "?",
    2: "i1",
    3: "u1",
    4: "<i2",
    5: "<u2",
    6: "<i4",
    7: "<u4",
    8: "<i8",
    9: "<u8",
    10: "<f4",
    11: "<f8",
}
"""The built-in types that are plain numbers, and how they lie in memory (OPC 10000-6, table 1)."""

_WHOLE_RUN: Final = 32
"""Items of one shape that are worth a view of their own; fewer are gathered with the rest."""


class Malformed(Exception):
    """The bytes are no publish response; nothing of it can be used."""


class ServiceFault(Exception):
    """The server answered with a fault in place of a message; `code` is its status."""

    def __init__(self, code: int) -> None:
        super().__init__(ua.StatusCode(ua.UInt32(code)).name)
        self.code = code


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Data changes in columns of one length, in the order of the wire.

    handles: the client handles. values: NaN where a row has none, or no plain number. kinds: the built-in type, 0 for
    none, `OTHER` for what stands in `others`. status: the status code, 0 (good) where the wire has none. source,
    server: ticks of 100 ns since 1601, 0 where the wire has none.
    others: row to whatever else its value is, as the library reads it; structures as `variants.Structure`. fallbacks:
    how many those are.
    """

    handles: NDArray[np.uint32]
    values: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    status: NDArray[np.uint32]
    source: NDArray[np.int64]
    server: NDArray[np.int64]
    others: Mapping[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.handles)

    def rows(self, rows: NDArray[np.int64]) -> Changes:
        """Return some rows, in their order."""
        places = {int(old): new for new, old in enumerate(rows)} if self.others else {}
        return Changes(
            self.handles[rows],
            self.values[rows],
            self.kinds[rows],
            self.status[rows],
            self.source[rows],
            self.server[rows],
            {places[row]: value for row, value in self.others.items() if row in places},
        )

    @property
    def fallbacks(self) -> int:
        """Values that were decoded by asyncua."""
        return len(self.others)


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What one publish response says.

    available: sequence numbers that the server can still republish. more: whether it has more to send at once.
    number: the sequence number; of a keep-alive, the next one to come. ended: the status by which the server ends the
    subscription, or None. events: notifications of events, which nobody asked for. refused: acknowledgements that the
    server did not take.
    """

    subscription: int
    available: tuple[int, ...]
    more: bool
    number: int
    changes: tuple[Changes, ...]
    ended: int | None
    events: int
    keep_alive: bool
    refused: int


def decode(body: bytes) -> Message:
    """Return what a publish response says. Raises `ServiceFault`, `Malformed`."""
    try:
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            return _response(body)
    except (ServiceFault, Malformed):
        raise
    except Exception as error:  # whatever the bytes make struct, numpy or asyncua raise
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


def decode_republished(body: bytes) -> Message:
    """Return what a republish response says, as if it had been published. Raises `ServiceFault`, `Malformed`."""
    try:
        at, kind = _type(body, 0)
        at, result = _header(body, at)
        if kind == SERVICE_FAULT or result >> 30:
            raise ServiceFault(result)
        with np.errstate(invalid="ignore"):
            return _notification(body, at, subscription=0, available=(), more=False)[1]
    except (ServiceFault, Malformed):
        raise
    except Exception as error:
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


HISTORY_RESPONSE: Final = 667
HISTORY_DATA: Final = 658


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What a server's history holds of one node: the status of the answer, its values, and where more begins."""

    status: int
    changes: Changes
    more: bytes


def decode_history(body: bytes) -> list[Remembered]:
    """Return what a response to reading raw history says of each node. Raises `ServiceFault`, `Malformed`."""
    try:
        with np.errstate(invalid="ignore"):
            return _history(body)
    except (ServiceFault, Malformed):
        raise
    except Exception as error:
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


def _history(body: bytes) -> list[Remembered]:
    at, kind = _type(body, 0)
    at, result = _header(body, at)
    if kind == SERVICE_FAULT or result >> 30:
        raise ServiceFault(result)
    if kind != HISTORY_RESPONSE:
        raise Malformed(f"the answer is of type {kind}, not of history")
    (count,) = _I32.unpack_from(body, at)
    if count * 9 > len(body) - at:
        raise Malformed(f"{count} results are announced and not there")
    at += 4
    found = []
    for _result in range(max(count, 0)):
        status, length = _STATUS_AND_LENGTH.unpack_from(body, at)
        point = at + _STATUS_AND_LENGTH.size
        at = point + max(length, 0)
        at, kind = _type(body, at)
        start, end = _extent(body, at)
        changes = _changes(body, start, end, handle_bytes=0) if kind == HISTORY_DATA else _EMPTY
        found.append(Remembered(status, changes, body[point : point + max(length, 0)]))
        at = end
    return found


_STATUS_AND_LENGTH: Final = struct.Struct("<Ii")
_ENVELOPE: Final = struct.Struct("<qIIBiHB")
"""Of a response: time, handle, result, no diagnostics, no texts, no further header (a null node id and encoding)."""
_I32, _U32 = struct.Struct("<i"), struct.Struct("<I")
_NUMBERED: Final = struct.Struct("<Iq")


def _response(body: bytes) -> Message:
    at, kind = _type(body, 0)
    if kind not in (PUBLISH_RESPONSE, SERVICE_FAULT):
        raise Malformed(f"the answer is of type {kind}, not a publish response")
    at, result = _header(body, at)
    if kind == SERVICE_FAULT or result >> 30:
        raise ServiceFault(result)
    (subscription,) = _U32.unpack_from(body, at)
    at, available = _numbers(body, at + 4)
    at, message = _notification(body, at + 1, subscription=subscription, available=available, more=bool(body[at]))
    if len(body) - at >= 4:
        _at, results = _numbers(body, at)
        refused = sum(code >> 30 != 0 for code in results)
        return replace(message, refused=refused) if refused else message
    return message


def _type(body: bytes, at: int) -> tuple[int, int]:
    """Return where a type's node id ends, and its number; -1 for one that is none of namespace 0."""
    if body[at] == 1:
        return at + 4, (body[at + 2] | body[at + 3] << 8) if body[at + 1] == 0 else -1
    buffer = Buffer(body, at)
    node = nodeid_from_binary(buffer)
    return buffer.cur_pos, int(node.Identifier) if node.NamespaceIndex == 0 and isinstance(node.Identifier, int) else -1


def _header(body: bytes, at: int) -> tuple[int, int]:
    """Return where the response header ends, and its result."""
    _time, _handle, result, diagnostics, texts, node, encoding = _ENVELOPE.unpack_from(body, at)
    if diagnostics == 0 and texts <= 0 and node == 0 and encoding == 0:
        return at + _ENVELOPE.size, int(result)
    buffer = Buffer(body, at)
    struct_from_binary(ua.ResponseHeader, buffer)
    return buffer.cur_pos, int(result)


def _numbers(body: bytes, at: int) -> tuple[int, tuple[int, ...]]:
    """Return where an array of UInt32 ends, and the array."""
    (count,) = _I32.unpack_from(body, at)
    at += 4
    if count <= 0:
        return at, ()
    if count * 4 > len(body) - at:
        raise Malformed(f"{count} numbers are announced and not there")
    return at + 4 * count, struct.unpack_from(f"<{count}I", body, at)


def _notification(
    body: bytes, at: int, *, subscription: int, available: tuple[int, ...], more: bool
) -> tuple[int, Message]:
    number, _time = _NUMBERED.unpack_from(body, at)
    (parts,) = _I32.unpack_from(body, at + 12)
    at += 16
    changes: list[Changes] = []
    ended: int | None = None
    events = 0
    for _part in range(max(parts, 0)):
        at, kind = _type(body, at)
        start, end = _extent(body, at)
        if kind == DATA_CHANGE:
            changes.append(_changes(body, start, end))
        elif kind == STATUS_CHANGE:
            (ended,) = _U32.unpack_from(body, start)
        else:
            events += kind == EVENTS
        at = end
    message = Message(subscription, available, more, number, tuple(changes), ended, events, parts <= 0, 0)
    return at, message


def _extent(body: bytes, at: int) -> tuple[int, int]:
    """Return where the content of an extension object begins and ends."""
    if body[at] == 0:
        return at + 1, at + 1
    (length,) = _I32.unpack_from(body, at + 1)
    start = at + 5
    if not 0 <= length <= len(body) - start:
        raise Malformed(f"a part of {length} bytes is announced and not there")
    return start, start + length


# ---- the items

_VALUE_BYTES: Final = {0: 0, **{kind: np.dtype(form).itemsize for kind, form in _FIXED.items()}}


def _shape(key: int) -> tuple[int, int]:
    """Return the bytes of an item by its mask and its value's type (mask + 256 x type), and where its status begins.

    An item is handle, mask, value (type, content), status, source time and its picoseconds, server time and its
    (OPC 10000-6, 5.2.2.17). (0, 0) is an item that only asyncua can measure.
    """
    mask, kind = key & 0xFF, key >> 8
    if mask & 0xC0 or (mask & HAS_VALUE and kind not in _VALUE_BYTES):
        return 0, 0
    status = 5 + (1 + _VALUE_BYTES[kind] if mask & HAS_VALUE else 0)
    width = status
    for bit, size in (
        (HAS_STATUS, 4),
        (HAS_SOURCE, 8),
        (_HAS_SOURCE_PICOSECONDS, 2),
        (HAS_SERVER, 8),
        (_HAS_SERVER_PICOSECONDS, 2),
    ):
        width += size if mask & bit else 0
    return width, status


_WIDTHS, _STATUSES = (bytes(each) for each in zip(*map(_shape, range(65536)), strict=True))
"""By mask and type, a byte each: as lists they would be two megabytes."""
_STATUS_AT: Final = np.frombuffer(_STATUSES, np.uint8)


def _changes(body: bytes, at: int, end: int, handle_bytes: int = 4) -> Changes:
    """Return an array of items; of data values, which have no handle in front of them, with `handle_bytes` 0."""
    (count,) = _I32.unpack_from(body, at)
    at += 4
    if count <= 0:
        return _EMPTY
    if count * (1 + handle_bytes) > end - at:
        raise Malformed(f"{count} items are announced and not there")
    missing = 4 - handle_bytes
    at -= missing  # as if the handle were there: everything else lies where it lies in an item
    read = _uniform if _is_uniform(body, at, end, count, missing) else _gathered
    changes = read(body, at, end, count, missing)
    return replace(changes, handles=np.zeros(count, np.uint32)) if missing else changes


def _is_uniform(body: bytes, at: int, end: int, count: int, missing: int) -> bool:
    """Tell whether all items have the first one's shape."""
    width = _WIDTHS[body[at + 4] | body[at + 5] << 8] if at + 5 < end else 0
    stride = width - missing
    if width == 0 or at + missing + count * stride > end or not body[at + 4] & HAS_VALUE:
        return False
    shapes = np.ndarray((count,), "<u2", body, at + 4, (stride,))
    return bool((shapes == shapes[0]).all())


def _uniform(body: bytes, at: int, _end: int, count: int, missing: int) -> Changes:
    """Read items of one shape: every column is a view of the message, copied once into its own type."""
    mask, kind = body[at + 4], body[at + 5]
    width, place = _WIDTHS[mask | kind << 8], _STATUSES[mask | kind << 8]

    def column(form: str, offset: int) -> NDArray[Any]:
        return np.ndarray((count,), form, body, at + offset, (width - missing,))

    values = column(_FIXED[kind], 6).astype(np.float64) if kind else np.full(count, np.nan)
    status = np.zeros(count, np.uint32)
    source = server = np.zeros(count, np.int64)
    if mask & HAS_STATUS:
        status, place = column("<u4", place).astype(np.uint32), place + 4
    if mask & HAS_SOURCE:
        source, place = column("<i8", place).astype(np.int64), place + 8
    place += 2 if mask & _HAS_SOURCE_PICOSECONDS else 0
    if mask & HAS_SERVER:
        server = column("<i8", place).astype(np.int64)
    handles = column("<u4", 0).astype(np.uint32)
    return Changes(handles, values, np.full(count, kind, np.uint8), status, source, server)


def _gathered(body: bytes, at: int, end: int, count: int, missing: int) -> Changes:
    """Read items of mixed shapes: find where each begins, then gather every column at once."""
    starts, keys, others = _beginnings(body, at, end, count, missing)
    begin, key = np.array(starts, np.int64), np.array(keys, np.int64)
    mask, kinds = key & 0xFF, (key >> 8).astype(np.uint8)
    kinds[mask & HAS_VALUE == 0] = 0
    place = begin + _STATUS_AT[key]
    for row, (_value, behind) in others.items():
        place[row] = behind

    def gather(form: str, places: NDArray[np.int64]) -> NDArray[Any]:
        return np.ndarray((len(body) - np.dtype(form).itemsize + 1,), form, body, 0, (1,))[places]

    def optional(bit: int, form: str) -> NDArray[Any]:
        column = np.zeros(count, form)
        has = mask & bit != 0
        column[has] = gather(form, place[has])
        np.add(place, has * column.itemsize, out=place)
        return column

    values = np.full(count, np.nan)
    for kind in np.flatnonzero(np.bincount(kinds)).tolist():
        if kind in _FIXED:
            rows = np.flatnonzero(kinds == kind)
            values[rows] = gather(_FIXED[kind], begin[rows] + 6)
    status, source = optional(HAS_STATUS, "<u4"), optional(HAS_SOURCE, "<i8")
    optional(_HAS_SOURCE_PICOSECONDS, "<u2")
    server = optional(HAS_SERVER, "<i8")
    texts = {row: value for row, (value, _behind) in others.items()}
    return Changes(gather("<u4", begin), values, kinds, status, source, server, texts)


def _beginnings(
    body: bytes, at: int, end: int, count: int, missing: int
) -> tuple[list[int], list[int], dict[int, tuple[Any, int]]]:
    """Return where each item begins, its mask and type, and the values that only asyncua can read, with their ends."""
    starts: list[int] = []
    keys: list[int] = []
    others: dict[int, tuple[Any, int]] = {}
    widths = _WIDTHS
    for row in range(count):
        key = body[at + 4] | body[at + 5] << 8
        width = widths[key]
        starts.append(at)
        if width:
            keys.append(key)
            at += width - missing
        else:
            mask = key & 0xFF
            others[row] = _value, behind = read_variant(body, at + 5, end)
            keys.append(mask | OTHER << 8)
            at = behind + _times(mask) - missing
        if at + missing > end:
            raise Malformed("an item ends behind its message")
    return starts, keys, others


def _times(mask: int) -> int:
    """Return how many bytes an item has behind its value."""
    if mask & 0xC0:
        raise Malformed(f"an item has the unknown encoding mask {mask:#x}")
    plain = mask & ~HAS_VALUE
    return _WIDTHS[plain] - _STATUSES[plain]


_EMPTY: Final = Changes(
    np.zeros(0, np.uint32),
    np.zeros(0, np.float64),
    np.zeros(0, np.uint8),
    np.zeros(0, np.uint32),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
)
