"""Samples as bytes, small: blocks of many tags for a while, segments of one tag for good.

A `Stretch` is samples in columns. A *block* is what was flushed together, as it came, so that writing costs next to
nothing; a *segment* is one tag's stretch in the order of its own time, each column coded on its own: times and counters
as differences of differences, readings as decimal integers where they are such exactly, else as floats of 4 or 8 bytes
with like bytes beside like, deflated where that pays. Everything comes back to the last bit but two: the payload of a
NaN, and the time of reception, which is kept to 10 ms. Pure functions; raises `CurveBroken` for what does not add up.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.samples import TICKS_PER_SECOND, Numbers, Provenance, Qualities, Ticks, Values

MINUTE_TICKS: Final = 60 * TICKS_PER_SECOND
DELAY_TICKS: Final = TICKS_PER_SECOND // 100
"""How finely the time of reception is kept: networks and polls are coarser."""
DECIMALS: Final = (0, 1, 2, 3, 4, 6)
"""What sensors and their drivers round to."""
_ALMANAC = 6 * 10**17
"""Ticks to either side of 1970 that a delay is counted up to; beyond them a time is no date."""
ROWS_MAX: Final = 1 << 20
"""Far more than any segment or summary has: what claims more is broken, and nothing is made ready for it."""
RECALLED: Final = 0b1000
"""In the flags: from the machine's own history."""
_QUALITY, _PLAIN_WIRE = 0b11, 0b100

Flags = NDArray[np.uint8]


class CurveBroken(ValueError):
    """The bytes are no block and no segment; the samples in them are lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Samples in columns of one length. tags: numbers in the store; the same for all rows in a segment.

    delays: units of 10 ms from the device's time to ours. flags: quality, class of the wire, recalled.
    """

    tags: Numbers
    source: Ticks
    values: Values
    delays: Ticks
    flags: Flags
    texts: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def quality(self) -> Qualities:
        """How far each value can be believed."""
        return self.flags & np.uint8(_QUALITY)

    @property
    def received(self) -> Ticks:
        """When each came, to 10 ms."""
        return np.clip(self.source, -_ALMANAC, _ALMANAC) + self.delays * DELAY_TICKS

    @property
    def provenances(self) -> list[Provenance]:
        """The class of each."""
        return [Provenance.B if plain else Provenance.A for plain in (self.flags & _PLAIN_WIRE).tolist()]

    def rows(self, chosen: NDArray[np.intp] | slice) -> Stretch:
        """Return chosen rows, in the order of the choice."""
        texts: dict[int, str] = {}
        if self.texts:
            numbers = np.arange(len(self))[chosen]
            texts = {new: self.texts[old] for new, old in enumerate(numbers.tolist()) if old in self.texts}
        source, values, delays = self.source[chosen], self.values[chosen], self.delays[chosen]
        return Stretch(self.tags[chosen], source, values, delays, self.flags[chosen], texts)

    @classmethod
    def joined(cls, several: Sequence[Stretch]) -> Stretch:
        """Return several as one, in their order."""
        texts, start = {}, 0
        for each in several:
            texts.update({start + row: text for row, text in each.texts.items()})
            start += len(each)
        return cls(
            np.concatenate([each.tags for each in several]),
            np.concatenate([each.source for each in several]),
            np.concatenate([each.values for each in several]),
            np.concatenate([each.delays for each in several]),
            np.concatenate([each.flags for each in several]),
            texts,
        )


EMPTY: Final = Stretch(
    np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, np.uint8)
)


def delays_of(source: Ticks, received: Ticks) -> Ticks:
    """Return how long each took from the device to us, in units of 10 ms."""
    return (np.clip(received, -_ALMANAC, _ALMANAC) - np.clip(source, -_ALMANAC, _ALMANAC)) // DELAY_TICKS


def flags_of(quality: Qualities, provenance: Provenance, *, recalled: bool) -> Flags:
    """Return quality, class of the wire and whether it was recalled as one column."""
    told = (_PLAIN_WIRE if provenance is Provenance.B else 0) | (RECALLED if recalled else 0)
    return quality | np.uint8(told)


def ordered(stretch: Stretch) -> Stretch:
    """Return the samples tag by tag and in the order of their own time, each once.

    The same value of a tag at the same tick is one sample, however often it came; the first that came stays. Two
    values at one tick are two: some clocks are coarser than what they date.
    """
    whole = stretch.rows(np.lexsort((stretch.source, stretch.tags)))
    same = (whole.tags[1:] == whole.tags[:-1]) & (whole.source[1:] == whole.source[:-1])
    if not same.any():
        return whole
    values = whole.values
    bits = values.view(np.int64)
    same &= (bits[1:] == bits[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    for row in np.flatnonzero(same).tolist() if whole.texts else ():
        same[row] = whole.texts.get(row) == whole.texts.get(row + 1)  # two words are two samples
    return whole.rows(np.flatnonzero(np.append(True, ~same)))


# --- blocks: many tags, a few seconds, as they came -----------------------------------------------------------------

_BLOCK = struct.Struct("<BIIqI")
"""Version, tags, samples, earliest source tick, bytes of texts."""


def block(stretch: Stretch) -> bytes:
    """Return a stretch whose rows lie tag by tag as a block."""
    starts = _runs(stretch.tags)
    source, base = _narrow(stretch.source)
    delays, _ = _fitting(stretch.delays)
    texts = _texts(stretch.texts)
    columns = (
        stretch.tags[starts].astype("<i4"),
        np.diff(np.append(starts, len(stretch))).astype("<u4"),
        source,
        stretch.values.astype("<f8", copy=False),
        delays,
        stretch.flags,
    )
    head = _BLOCK.pack(1, len(starts), len(stretch), base, len(texts))
    widths = bytes((source.itemsize, delays.itemsize))
    return b"".join((head, widths, *(column.tobytes() for column in columns), texts))


def of_block(content: bytes, tag: int | None = None) -> Stretch:
    """Return the samples of a block, of one tag or of all. Raises `CurveBroken`."""
    with _Careful():
        version, tags, samples, base, text_bytes = _BLOCK.unpack_from(content)
        source_width, delay_width = content[_BLOCK.size : _BLOCK.size + 2]
        if version != 1 or source_width not in (4, 8) or delay_width not in (2, 8):
            raise ValueError("another version")
        offset = _BLOCK.size + 2
        numbers = np.frombuffer(content, "<i4", tags, offset)
        counts = np.frombuffer(content, "<u4", tags, offset + 4 * tags).astype(np.int64)
        offset += 8 * tags
        start, stop = 0, samples
        if tag is not None:
            (found,) = np.nonzero(numbers == tag)
            if not found.size:
                return EMPTY
            start = int(counts[: found[0]].sum())
            stop = start + int(counts[found[0]])
            numbers, counts = numbers[found], counts[found]

        def column(kind: str) -> NDArray[Any]:
            nonlocal offset
            dtype = np.dtype(kind)
            found = np.frombuffer(content, dtype, stop - start, offset + start * dtype.itemsize)
            offset += samples * dtype.itemsize
            return found

        source = column(f"<{'u' if source_width == 4 else 'i'}{source_width}").astype(np.int64)
        source += base if source_width == 4 else 0
        values, delays, flags = column("<f8"), column(f"<i{delay_width}").astype(np.int64), column("|u1")
        texts = json.loads(content[offset : offset + text_bytes]) if text_bytes else []
        said = {int(row) - start: str(text) for row, text in texts if start <= row < stop}
        if int(counts.sum()) != stop - start:
            raise ValueError("the tags do not share all samples")
        return Stretch(np.repeat(numbers, counts), source, values, delays, flags, said)


# --- segments: one tag, an hour or so, small ------------------------------------------------------------------------


def segment(stretch: Stretch) -> bytes:
    """Return one tag's samples, in the order of their time, as a segment."""
    parts = (
        _integers(stretch.source),
        _readings(stretch.values),
        _integers(stretch.delays),
        _bytes(stretch.flags),
        _texts(stretch.texts),
    )
    head = struct.pack("<BiI", 1, int(stretch.tags[0]), len(stretch))
    return head + b"".join(struct.pack("<I", len(part)) + part for part in parts)


def of_segment(content: bytes) -> Stretch:
    """Return the samples of a segment. Raises `CurveBroken`."""
    with _Careful():
        version, tag, rows = struct.unpack_from("<BiI", content)
        if version != 1 or rows > ROWS_MAX:
            raise ValueError("another version")
        source, readings, delays, flags, texts = _parts(content, 9, 5)
        said = json.loads(texts) if texts else []
        return Stretch(
            np.full(rows, tag, np.int32),
            _of_integers(source, rows),
            _of_readings(readings, rows),
            _of_integers(delays, rows),
            _of_bytes(flags, rows),
            {int(row): str(text) for row, text in said},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What became of each of some spans of time: lowest, highest and last value, and whether any was bad.

    at: when each span begins, in ticks. NaN: no value that can be believed.
    """

    at: Ticks
    lowest: Values
    highest: Values
    last: Values
    bad: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.intp]) -> Summary:
        """Return chosen spans, in the order of the choice."""
        lowest, highest, last = self.lowest[chosen], self.highest[chosen], self.last[chosen]
        return Summary(self.at[chosen], lowest, highest, last, self.bad[chosen])

    @classmethod
    def joined(cls, several: Sequence[Summary]) -> Summary:
        """Return several one after the other."""
        return cls(
            np.concatenate([each.at for each in several]),
            np.concatenate([each.lowest for each in several]),
            np.concatenate([each.highest for each in several]),
            np.concatenate([each.last for each in several]),
            np.concatenate([each.bad for each in several]),
        )


def points(stretch: Stretch) -> Summary:
    """Return every sample as a span of its own."""
    bad = stretch.quality >= 2
    values = np.where(bad, np.nan, stretch.values)
    return Summary(stretch.source, values, values, values, bad)


def summed_up(spans: Summary, into: NDArray[np.int64], begins: Callable[[NDArray[np.int64]], Ticks]) -> Summary:
    """Return spans of time in ascending order as fewer; `into` numbers the span each goes to, `begins` dates them."""
    if not len(into):
        return spans
    starts = _runs(into)
    real = ~np.isnan(spans.last)
    latest = np.maximum.reduceat(np.where(real, np.arange(len(into)), -1), starts)
    return Summary(
        begins(into[starts]),
        np.fmin.reduceat(spans.lowest, starts),
        np.fmax.reduceat(spans.highest, starts),
        np.where(latest >= 0, spans.last[np.maximum(latest, 0)], np.nan),
        np.logical_or.reduceat(spans.bad, starts),
    )


def minutes(stretch: Stretch) -> Summary:
    """Return what became of each minute of one tag's ordered samples."""
    return summed_up(points(stretch), stretch.source // MINUTE_TICKS, lambda minute: minute * MINUTE_TICKS)


def summary_bytes(spans: Summary) -> bytes:
    """Return a summary of minutes as bytes."""
    parts = (
        _integers(spans.at // MINUTE_TICKS),
        _readings(spans.lowest),
        _readings(spans.highest),
        _readings(spans.last),
        _bytes(spans.bad.astype(np.uint8)),
    )
    return struct.pack("<BI", 1, len(spans.at)) + b"".join(struct.pack("<I", len(part)) + part for part in parts)


def of_summary(content: bytes) -> Summary:
    """Return the summary of minutes. Raises `CurveBroken`."""
    with _Careful():
        version, rows = struct.unpack_from("<BI", content)
        if version != 1 or rows > ROWS_MAX:
            raise ValueError("another version")
        at, lowest, highest, last, bad = _parts(content, 5, 5)
        return Summary(
            _of_integers(at, rows) * MINUTE_TICKS,
            _of_readings(lowest, rows),
            _of_readings(highest, rows),
            _of_readings(last, rows),
            _of_bytes(bad, rows) != 0,
        )


# --- columns --------------------------------------------------------------------------------------------------------


class _Careful:
    """Whatever goes wrong in reading bytes says that they are broken."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (ValueError, IndexError, TypeError, KeyError, OverflowError, struct.error, zlib.error)):
            raise CurveBroken(repr(error)[:200]) from error


def _runs(numbers: NDArray[Any]) -> NDArray[np.intp]:
    """Return where each run of equal numbers begins."""
    return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])) if numbers.size else np.empty(0, np.intp)


def _narrow(ticks: Ticks) -> tuple[NDArray[Any], int]:
    earliest, latest = int(ticks.min()), int(ticks.max())
    if latest - earliest < 2**32:
        return (ticks - earliest).astype("<u4"), earliest
    return ticks.astype("<i8", copy=False), 0


def _fitting(numbers: Ticks) -> tuple[NDArray[Any], int]:
    small = bool((np.abs(numbers) < 2**15).all())
    return numbers.astype("<i2" if small else "<i8"), 2 if small else 8


def _texts(texts: Mapping[int, str]) -> bytes:
    return json.dumps(sorted(texts.items()), separators=(",", ":")).encode() if texts else b""


def _parts(content: bytes, offset: int, count: int) -> list[bytes]:
    parts = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", content, offset)
        parts.append(content[offset + 4 : offset + 4 + length])
        offset += 4 + length
    if offset != len(content):
        raise ValueError("longer or shorter than it says")
    return parts


_INTEGERS = struct.Struct("<BBqqq")
"""Order of differences, bytes of each, the first number, the first difference, the smallest of the rest."""


def _integers(numbers: NDArray[np.int64]) -> bytes:
    """Return integers as what is left of them after differences; all is modulo 2^64, so that nothing overflows."""
    first = int(numbers[0]) if numbers.size else 0
    steps = np.diff(numbers)
    step = int(steps[0]) if steps.size else 0
    bends = np.diff(steps)
    order, rest = (2, bends) if _spread(bends) < _spread(steps) else (1, steps)
    least = int(rest.min()) if rest.size else 0
    above = (rest - np.int64(least)).view(np.uint64) if rest.size else rest.view(np.uint64)
    width = next(w for w in (0, 1, 2, 4, 8) if w == 8 or _spread(rest) < 256**w)
    kept = above.astype(f"<u{width}") if width else np.empty(0, np.uint8)
    return _INTEGERS.pack(order, width, first, step, least) + _planes(kept)


def _spread(numbers: NDArray[np.int64]) -> int:
    return int(numbers.max()) - int(numbers.min()) if numbers.size else 0


def _of_integers(data: bytes, rows: int) -> NDArray[np.int64]:
    order, width, first, step, least = _INTEGERS.unpack_from(data)
    if order not in (1, 2) or width not in (0, 1, 2, 4, 8):
        raise ValueError("no such coding")
    count = max(0, rows - order)
    kept = _of_planes(data[_INTEGERS.size :], count, np.dtype(f"<u{width}")) if width else np.zeros(count, np.uint64)
    rest = kept.astype(np.uint64).view(np.int64) + np.int64(least)
    with np.errstate(over="ignore"):
        if order == 2 and rows > 1:
            rest = np.cumsum(np.concatenate((np.array([step], np.int64), rest)))
        whole = np.cumsum(np.concatenate((np.array([first], np.int64), rest)))
    return whole[:rows]


_DECIMAL, _FLOAT4, _FLOAT8 = 0, 1, 2


def _readings(values: Values) -> bytes:
    """Return readings in the smallest form that gives them back to the last bit; NaN is a row in a list."""
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        values = values[~np.isnan(values)]
    gaps = _integers(missing.astype(np.int64)) if missing.size else b""
    head = struct.pack("<II", missing.size, len(gaps)) + gaps
    for places in DECIMALS:
        scaled = _decimal(values, places)
        if scaled is not None:
            return head + bytes((_DECIMAL, places)) + _integers(scaled)
    with np.errstate(over="ignore"):
        short = values.astype("<f4")
    if _equal(short.astype(np.float64), values):
        return head + bytes((_FLOAT4, 0)) + _planes(short)
    return head + bytes((_FLOAT8, 0)) + _planes(values.astype("<f8", copy=False))


def _decimal(values: Values, places: int) -> NDArray[np.int64] | None:
    """Return readings as whole numbers of their last decimal, None when they are not that exactly."""
    for some in (values[:32], values):
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(some * 10.0**places)
        if not (np.abs(scaled) < 2**53).all():
            return None
        whole = scaled.astype(np.int64)  # takes the sign of a zero away, which is no decimal
        if not _equal(whole / 10.0**places, some):
            return None
    return whole


def _equal(left: Values, right: Values) -> bool:
    return bool((left.view(np.int64) == right.view(np.int64)).all())


def _of_readings(data: bytes, rows: int) -> Values:
    count, length = struct.unpack_from("<II", data)
    if count > rows:
        raise ValueError("more is missing than there is")
    missing = _of_integers(data[8 : 8 + length], count) if count else np.empty(0, np.int64)
    kind, places = data[8 + length : 10 + length]
    body, real = data[10 + length :], rows - count
    if kind == _DECIMAL:
        values: Values = _of_integers(body, real) / 10.0**places
    elif kind in (_FLOAT4, _FLOAT8):
        values = _of_planes(body, real, np.dtype("<f4" if kind == _FLOAT4 else "<f8")).astype(np.float64)
    else:
        raise ValueError("no such coding")
    if not count:
        return values
    whole = np.full(rows, np.nan)
    there = np.ones(rows, bool)
    there[missing] = False
    whole[there] = values
    return whole


_RAW, _DEFLATED, _SAME = 0, 1, 2
_NOISE_BITS = 6.9
"""A byte that tells so much is not worth the attempt: deflating it takes more than it gives."""


def _planes(column: NDArray[Any]) -> bytes:
    """Return a column byte by byte: the first bytes of all, then the second, each in its smallest form."""
    if not column.size:
        return b""
    planes = column.view(np.uint8).reshape(column.size, column.itemsize).T
    return b"".join(_plane(np.ascontiguousarray(plane)) for plane in planes)


def _plane(plane: NDArray[np.uint8]) -> bytes:
    counts = np.bincount(plane, minlength=256)
    shares = counts[counts > 0] / plane.size
    if shares.size == 1:
        return struct.pack("<BI", _SAME, 1) + plane[:1].tobytes()
    if float(-(shares * np.log2(shares)).sum()) < _NOISE_BITS:
        deflated = zlib.compress(plane.tobytes(), 1)
        if len(deflated) < plane.size:
            return struct.pack("<BI", _DEFLATED, len(deflated)) + deflated
    return struct.pack("<BI", _RAW, plane.size) + plane.tobytes()


def _of_planes(data: bytes, rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not rows:
        return np.empty(0, dtype)
    planes = np.empty((dtype.itemsize, rows), np.uint8)
    offset = 0
    for number in range(dtype.itemsize):
        form, length = struct.unpack_from("<BI", data, offset)
        offset += 5
        planes[number] = _of_plane(form, data[offset : offset + length], rows)
        offset += length
    return np.ascontiguousarray(planes.T).reshape(-1).view(dtype)


def _of_plane(form: int, data: bytes, rows: int) -> NDArray[np.uint8]:
    if form == _SAME:
        return np.full(rows, data[0], np.uint8)
    if form == _DEFLATED:
        data = zlib.decompressobj().decompress(data, rows + 1)
    return np.frombuffer(data, np.uint8) if len(data) == rows else _refuse()


def _refuse() -> NDArray[np.uint8]:
    raise ValueError("a plane is longer or shorter than it says")


def _bytes(column: NDArray[np.uint8]) -> bytes:
    return _planes(column)


def _of_bytes(data: bytes, rows: int) -> NDArray[np.uint8]:
    return _of_planes(data, rows, np.dtype(np.uint8))
