"""From data changes to a batch: what a status means, which time counts, what words and structures become.

Promises: a device's own time is never altered; what is not a finite number is BAD and NaN; a status is never softened;
a value dated too far from now is UNCERTAIN. Words become texts, the numbers of an enumeration get their names, arrays
and structures become one row for each number or word in them, under dotted keys, all of it bounded; an array of numbers
of a tag that is a window stays whole. Refuses to know
sessions and subscriptions. Status codes: OPC 10000-4, 7.39 and OPC 10000-8, 5.4.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from gettext import gettext as _
from typing import Any, Final

import numpy as np
from asyncua import ua
from numpy.typing import NDArray

from connectors.opcua.decode import OTHER, Changes
from connectors.opcua.variants import LONG, Structure
from connectors.samples import TICKS_PER_SECOND, WINDOW_MAX, Batch, Keys, Numbers, Provenance, Quality, Ticks, Values

EPOCH_TICKS: Final = 116_444_736_000_000_000
"""1970-01-01 in the protocol's ticks of 100 ns since 1601 (OPC 10000-6, 5.2.2.5)."""
LEAVES_MAX: Final = LONG
"""Rows that one array or structure may become: a recipe fits, a waveform does not belong among tags."""
DEPTH_MAX: Final = 5
TEXT_MAX: Final = 256
"""Characters of a text that are kept: a sentence, not a document."""

_OVERFLOW: Final = 0x0480
"""Info type "data value" (0x0400) with its overflow bit (0x0080): the server's queue was full and it dropped values."""
_QUALITIES: Final = np.array([Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD], np.uint8)
"""By the two highest bits of a status code; the reserved value is BAD."""

_PLAIN: Final = (type, ua.LocalizedText, ua.QualifiedName, ua.NodeId, ua.StatusCode)
"""What the library models as a structure and people read as one value."""

Leaf = tuple[str, float, str | None]
"""Where in a value (a dotted name, empty for itself), the number or NaN, and the text if it is one."""


@dataclass(slots=True)
class Reader:
    """What holds for every message of one conversation.

    keys: the tags, and the parts of their values. numbers: client handle to number in `keys`, -1 for a handle that no
    tag has any more. enumerations: handle to the names of its values. windows: handles whose values are whole arrays.
    """

    connection: str
    keys: Keys
    numbers: Numbers
    provenance: Provenance
    clock_tolerance_ticks: int
    enumerations: dict[int, Mapping[int, str]] = field(default_factory=dict)
    windows: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, connection: str, keys: Sequence[str], provenance: Provenance, clock_tolerance_s: float) -> Reader:
        """Return a reader of tags, by handle."""
        numbers = np.arange(len(keys), dtype=np.int32)
        return cls(connection, Keys(keys), numbers, provenance, round(clock_tolerance_s * TICKS_PER_SECOND))

    def give(self, key: str) -> int:
        """Give a tag a handle, and return it."""
        self.numbers = np.append(self.numbers, np.int32(self.keys.number(key)))
        return len(self.numbers) - 1

    def take_back(self, handle: int) -> None:
        """Read nothing under a handle any more."""
        self.numbers[handle] = -1
        self.enumerations.pop(handle, None)
        self.windows.discard(handle)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What data changes said.

    unreadable: handle to why its value can never be read. overflowed: values behind which the server's queue dropped
    others. clock_off: values dated too far from now. strange: values of handles that nobody gave out. fallbacks: values
    that the library had to decode. refused: windows that were none, or too long.
    """

    batch: Batch
    unreadable: Mapping[int, str]
    overflowed: int
    clock_off: int
    strange: int
    fallbacks: int
    refused: int = 0


def read(changes: Changes, reader: Reader, received: int, *, recalled: bool = False) -> Reading:
    """Return data changes as a batch; `received` is in ticks since 1970."""
    handles, values = changes.handles, changes.values
    tags = _tags(handles, reader)
    if tags is None:
        return _without_strangers(changes, reader, received, recalled)
    quality = _QUALITIES[changes.status >> 30]
    source = _source(changes, received)
    finite = np.isfinite(values)
    if not finite.all():
        lost = ~finite & (changes.kinds != OTHER)
        quality[lost] = Quality.BAD
        values = np.where(finite, values, math.nan)
    off = np.abs(source - received) > reader.clock_tolerance_ticks
    clock_off = 0 if recalled else int(off.sum())
    if clock_off:
        quality[off] = np.maximum(quality[off], Quality.UNCERTAIN)
    batch = Batch(
        reader.connection,
        reader.keys,
        tags,
        values,
        quality,
        source,
        np.full(len(handles), received, np.int64),
        reader.provenance,
        _names(changes, reader),
        recalled,
    )
    unreadable: dict[int, str] = {}
    refused = 0
    others = changes.others
    if reader.windows:
        windows, unreadable = _windows(changes, reader)
        others = {row: value for row, value in others.items() if row not in windows}
        batch = dataclasses.replace(batch, windows=windows)
        _doubt_empty(batch)
        refused = len(unreadable)
    if others:
        batch, faults = _unfolded(batch, changes, others, reader)
        unreadable |= faults
    overflowed = int((changes.status & _OVERFLOW == _OVERFLOW).sum())
    return Reading(batch, unreadable, overflowed, clock_off, 0, changes.fallbacks, refused)


def _tags(handles: NDArray[np.uint32], reader: Reader) -> Numbers | None:
    """The tags of some handles; None when one of them has no tag."""
    if len(handles) and int(handles.max()) >= len(reader.numbers):
        return None
    tags = reader.numbers[handles]
    return tags if not len(tags) or tags.min() >= 0 else None


def _without_strangers(changes: Changes, reader: Reader, received: int, recalled: bool) -> Reading:
    inside = changes.handles < len(reader.numbers)
    known = inside & (reader.numbers[np.where(inside, changes.handles, 0)] >= 0) if len(reader.numbers) else inside
    rows = np.flatnonzero(known)
    reading = read(changes.rows(rows), reader, received, recalled=recalled)
    return dataclasses.replace(reading, strange=len(changes) - len(rows))


def _source(changes: Changes, received: int) -> Ticks:
    """The device's time as it is; the server's, or ours, where it set none."""
    source = changes.source
    if (source > 0).all():
        return source - EPOCH_TICKS
    server = np.where(changes.server > 0, changes.server - EPOCH_TICKS, received)
    return np.where(source > 0, source - EPOCH_TICKS, server)


def _names(changes: Changes, reader: Reader) -> dict[int, str]:
    """The names of the values of enumerations; a number without a name stays a number."""
    if not reader.enumerations:
        return {}
    named = np.isin(changes.handles, np.fromiter(reader.enumerations, np.uint32))
    texts = {}
    for row in np.flatnonzero(named & np.isfinite(changes.values)).tolist():
        name = reader.enumerations[int(changes.handles[row])].get(int(changes.values[row]))
        if name is not None:
            texts[row] = name
    return texts


# ---- windows

_NOTHING: Final[Values] = np.zeros(0)


def _windows(changes: Changes, reader: Reader) -> tuple[dict[int, Values], dict[int, str]]:
    """Return the windows by row, an empty one where there is none to be read, and by handle why not."""
    whole = np.isin(changes.handles, np.fromiter(reader.windows, np.uint32))
    found: dict[int, Values] = {}
    unreadable: dict[int, str] = {}
    for row in np.flatnonzero(whole).tolist():
        try:
            found[row] = _window(changes.others.get(row), bool(changes.kinds[row]))
        except _Unreadable as error:
            found[row] = _NOTHING
            unreadable[int(changes.handles[row])] = str(error)
    return found, unreadable


def _window(value: Any, has_value: bool) -> Values:
    if not has_value or (isinstance(value, list) and not value):
        return _NOTHING
    if not isinstance(value, list | np.ndarray):
        raise _Unreadable(_("is no array of numbers, so it is no window"))
    if len(value) > WINDOW_MAX:
        raise _Unreadable(
            _("holds {count} numbers; a window has at most {most}").format(count=len(value), most=WINDOW_MAX)
        )
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different lengths
        numbers = np.array(None)
    if numbers.ndim != 1 or numbers.dtype.kind not in "fiu":
        raise _Unreadable(_("is no array of numbers, so it is no window"))
    return numbers.astype(np.float64, copy=False)


def _doubt_empty(batch: Batch) -> None:
    """Where no window came there is nothing to be believed."""
    for row, window in batch.windows.items():
        batch.values[row] = math.nan
        if not len(window):
            batch.quality[row] = Quality.BAD


# ---- words, arrays and structures


def _unfolded(
    batch: Batch, changes: Changes, others: Mapping[int, Any], reader: Reader
) -> tuple[Batch, dict[int, str]]:
    """Put each number and word of arrays and structures into a row of its own."""
    texts = dict(batch.texts)
    unreadable: dict[int, str] = {}
    rows: list[int] = []
    keys: list[int] = []
    leaves: list[Leaf] = []
    gone = np.zeros(len(batch), bool)
    for row, value in others.items():
        tag = reader.keys[int(batch.tags[row])]
        try:
            found = list(_bounded(_leaves("", value, 0)))
        except _Unreadable as error:
            unreadable[int(changes.handles[row])] = str(error)
            batch.quality[row] = Quality.BAD
            continue
        for leaf in found:
            if leaf[0] == "":
                batch.values[row] = leaf[1]
                if leaf[2] is not None:
                    texts[row] = leaf[2]
                elif not math.isfinite(leaf[1]):
                    batch.quality[row] = Quality.BAD
            else:
                rows.append(row)
                keys.append(reader.keys.number(f"{tag}.{leaf[0]}"))
                leaves.append(leaf)
        gone[row] = bool(found) and found[0][0] != ""
    return _joined(batch, texts, gone, rows, keys, leaves), unreadable


def _joined(
    batch: Batch, texts: dict[int, str], gone: NDArray[np.bool_], rows: list[int], keys: list[int], leaves: list[Leaf]
) -> Batch:
    if not rows:
        return dataclasses.replace(batch, texts=texts)
    kept = np.flatnonzero(~gone)
    places = {int(old): new for new, old in enumerate(kept)}
    words = {places[row]: text for row, text in texts.items() if row in places}
    words |= {len(kept) + new: leaf[2] for new, leaf in enumerate(leaves) if leaf[2] is not None}
    added = np.array([leaf[1] for leaf in leaves], np.float64)
    worded = np.array([leaf[2] is not None for leaf in leaves], bool)
    quality = np.where(np.isfinite(added) | worded, batch.quality[rows], np.uint8(Quality.BAD)).astype(np.uint8)
    return dataclasses.replace(
        batch,
        tags=np.concatenate([batch.tags[kept], np.array(keys, np.int32)]),
        values=np.concatenate([batch.values[kept], added]),
        quality=np.concatenate([batch.quality[kept], quality]),
        source=np.concatenate([batch.source[kept], batch.source[rows]]),
        received=np.concatenate([batch.received[kept], batch.received[rows]]),
        texts=words,
        windows={places[row]: window for row, window in batch.windows.items()},
    )


class _Unreadable(Exception):
    """A value that no rows can stand for; `str()` says why."""


def _bounded(leaves: Iterator[Leaf]) -> Iterator[Leaf]:
    for count, leaf in enumerate(leaves):
        if count == LEAVES_MAX:
            raise _Unreadable(_("holds more than {most} values").format(most=LEAVES_MAX))
        yield leaf


def _leaves(name: str, value: Any, depth: int) -> Iterator[Leaf]:
    """Yield the numbers and words in a value, with where they stand in it."""
    if isinstance(value, ua.Variant):
        value = value.Value
    if isinstance(value, ua.DataValue):
        value = value.Value.Value if value.Value is not None else None
    inner = _members(value)
    if inner is None:
        yield _leaf(name, value)
        return
    if depth == DEPTH_MAX:
        raise _Unreadable(_("is nested deeper than {most} levels").format(most=DEPTH_MAX))
    for part, member in inner:
        yield from _leaves(f"{name}.{part}" if name else part, member, depth + 1)


def _members(value: Any) -> Iterator[tuple[str, Any]] | None:
    """The parts of an array or of a structure whose type is known; None for what has none."""
    if isinstance(value, list | tuple | np.ndarray):
        return ((str(number), each) for number, each in enumerate(value))
    if isinstance(value, Mapping):
        return iter(value.items())
    if isinstance(value, Structure):
        raise _Unreadable(_("is a structure whose type the server does not describe"))
    if dataclasses.is_dataclass(value) and not isinstance(value, _PLAIN):
        return ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value) if each.name != "Encoding")
    return None


def _leaf(name: str, value: Any) -> Leaf:
    if value is None:
        return name, math.nan, None
    if isinstance(value, Enum):
        return name, float(value.value), value.name
    if isinstance(value, bool | int | float):
        number = float(value)
        return name, number if math.isfinite(number) else math.nan, None
    if isinstance(value, datetime):
        return name, value.replace(tzinfo=value.tzinfo or UTC).timestamp(), _text(value)
    return name, math.nan, _text(value)[:TEXT_MAX]


def _text(value: Any) -> str:
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value[:TEXT_MAX].hex()
    if isinstance(value, ua.StatusCode):
        return str(value.name)
    if isinstance(value, ua.QualifiedName):
        return value.Name or ""
    return str(value)
