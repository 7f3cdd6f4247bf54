"""The telemetry store: the last value of every tag, and a ring of what the tags were.

What is flushed together is written as a few *blocks*, 64 tags each, one after the other at the end of a table; that is
cheap to write and dear to read. Once a bundle of tags has enough of them they are folded into *segments*, some thousand
samples of one tag, with the lowest, highest and last value of each minute beside them; that is small, and cheap to read
(see `curves`). The ring forgets by age and by size, the oldest reception first.

Promises: a flush and the mark of where it came from commit together, so that nothing is stored twice or left out when
the process dies in between; samples lie at their own time, whenever they came; the same value of a tag at the same tick
counts once, in segments and in whatever is read. A tag has at most 24 segments a day and one more for every 4,096
samples. Functions take an open connection and open nothing; what computes takes none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors.samples import Batch, Keys, Numbers, Provenance, Quality, Sample, Ticks, Values, moment_of, ticks_of
from maintenance import curves
from maintenance.curves import CurveBroken, Stretch, Summary
from maintenance.store import CHUNK, telemetry

BUNDLE: Final = 64
"""Tags in a block: a flush of 5,000 tags writes 79 rows, and who reads one tag skips over 63."""
FOLD_SAMPLES: Final = 131_072
"""Of a bundle, until its blocks are folded; 2,048 for each tag, and 5 MB of memory while it is done."""
FOLD_BLOCKS: Final = 360
"""Of a bundle, however little is in them: an hour, flushed every ten seconds."""
FOLD_MAX: Final = 524_288
"""Samples folded at once; more wait for the next time."""
SEGMENT_SAMPLES: Final = 4_096
"""Reading one costs a tenth of a millisecond, and its own overhead is a fiftieth of it."""
FORGET_ROWS: Final = 256
"""Deleted in one transaction: about 2 MB, so that nobody waits long for it."""
BEYOND: Final = 2**62
"""Ticks beyond any time."""

tag = Table(
    "tag",
    telemetry,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(130), nullable=False),
    UniqueConstraint("key"),
)

latest = Table(
    "latest",
    telemetry,
    Column("tag", Integer, primary_key=True, autoincrement=False),
    Column("value", Float),  # null: not a number
    Column("text", Text),
    Column("quality", Integer, nullable=False),
    Column("source", BigInteger, nullable=False),  # ticks of 100 ns since 1970 UTC, here and below
    Column("received", BigInteger, nullable=False),
    Column("provenance", String(1), nullable=False),
)

mark = Table(
    "mark",
    telemetry,
    Column("reader", String(64), primary_key=True),
    Column("journal", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
)

block = Table(
    "block",
    telemetry,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("good", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_block_bundle", "bundle", "id", "samples"),
    Index("ix_block_received", "received"),
)

segment = Table(
    "segment",
    telemetry,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tag", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("good", Integer, nullable=False),
    Column("lowest", Float),  # null: no value that can be believed
    Column("highest", Float),
    Column("final", Float),
    Column("bad", Boolean(create_constraint=False), nullable=False),
    Column("minutes", LargeBinary),  # null: more minutes than samples are worth
    Column("content", LargeBinary, nullable=False),
    Index("ix_segment_tag", "tag", "first", "last"),
    Index("ix_segment_received", "received"),
)


class Numbered:
    """The store's numbers of tags, by the keys that batches carry; forgets nothing until it is told to."""

    def __init__(self) -> None:
        self._tables: WeakKeyDictionary[Keys, Numbers] = WeakKeyDictionary()

    def unknown(self, batches: Iterable[Batch]) -> list[Keys]:
        """Return the keys of which some have no number yet."""
        several = {id(batch.keys): batch.keys for batch in batches}
        return [keys for keys in several.values() if len(self._tables.get(keys, ())) < len(keys)]

    def learn(self, keys: Keys, ids: Mapping[str, int]) -> None:
        """Take the numbers of keys, as `tag_ids` gave them and once they are committed."""
        self._tables[keys] = np.array([ids[key] for key in keys], np.int32)

    def of(self, batch: Batch) -> Numbers:
        """Return the numbers of a batch's rows. Raises KeyError for keys that were not learned."""
        return self._tables[batch.keys][batch.tags]


LatestRow = tuple[Any, ...]
"""A row of `latest`, in the order of its columns."""


@dataclass(frozen=True, slots=True)
class Flush:
    """What one transaction writes: rows of `block`, and of `latest` for what came live and what was recalled."""

    blocks: Sequence[dict[str, Any]]
    live: Sequence[LatestRow]
    recalled: Sequence[LatestRow]
    samples: int


async def tag_ids(connection: AsyncConnection, keys: Iterable[str]) -> dict[str, int]:
    """Return the number of each tag, giving one to those that have none yet."""
    wanted = list(dict.fromkeys(keys))
    known = await _known(connection, wanted)
    new = [{"key": key} for key in wanted if key not in known]
    if new:
        await connection.execute(insert(tag), new)
        known |= await _known(connection, [row["key"] for row in new])
    return known


async def _known(connection: AsyncConnection, keys: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(keys), CHUNK):
        query = select(tag.c.key, tag.c.id).where(tag.c.key.in_(keys[start : start + CHUNK]))
        found |= {row.key: row.id for row in await connection.execute(query)}
    return found


def flush_of(batches: Sequence[Batch], numbered: Numbered) -> Flush:
    """Return batches as the rows to write. Raises KeyError for keys without a number."""
    stretch, received = _by_tag(batches, numbered)
    edges = np.flatnonzero(np.diff(stretch.tags // BUNDLE)) + 1
    cuts = [0, *edges.tolist(), len(stretch)]
    blocks = [
        _block_row(stretch.rows(slice(start, stop)), int(received[start:stop].max()))
        for start, stop in pairwise(cuts)
        if start < stop
    ]
    live = (stretch.flags & np.uint8(curves.RECALLED)) == 0
    return Flush(
        blocks,
        latest_rows(stretch, received, np.flatnonzero(live)),
        latest_rows(stretch, received, np.flatnonzero(~live), by_time=True),
        len(stretch),
    )


def _by_tag(batches: Sequence[Batch], numbered: Numbered) -> tuple[Stretch, Ticks]:
    """Return batches tag by tag, as they came, and when each sample came; one column after the other, to save room."""
    tags = np.concatenate([numbered.of(batch) for batch in batches])
    order = np.argsort(tags.astype(np.uint16) if tags.size and int(tags.max()) < 2**16 else tags, kind="stable")
    source = np.concatenate([batch.source for batch in batches])[order]
    received = np.concatenate([batch.received for batch in batches])[order]
    values = np.concatenate([batch.values for batch in batches])[order]
    told = [curves.flags_of(batch.quality, batch.provenance, recalled=batch.recalled) for batch in batches]
    flags, delays = np.concatenate(told)[order], curves.delays_of(source, received)
    return Stretch(tags[order], source, values, delays, flags, _texts(batches, order)), received


def _texts(batches: Sequence[Batch], order: NDArray[np.intp]) -> dict[int, str]:
    """Return the texts of batches by the row that each is in once it is in order."""
    texts, start = {}, 0
    for batch in batches:
        texts.update({start + row: text for row, text in batch.texts.items()})
        start += len(batch)
    if not texts:
        return {}
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    return {int(place[row]): text for row, text in texts.items()}


def _block_row(stretch: Stretch, received: int) -> dict[str, Any]:
    return {
        "bundle": int(stretch.tags[0]) // BUNDLE,
        "first": int(stretch.source.min()),
        "last": int(stretch.source.max()),
        "received": received,
        "samples": len(stretch),
        "good": _good(stretch),
        "content": curves.block(stretch),
    }


def _good(stretch: Stretch) -> int:
    return int(np.count_nonzero(stretch.quality == int(Quality.GOOD)))


def latest_rows(
    stretch: Stretch, received: Ticks, rows: NDArray[np.intp] | None = None, *, by_time: bool = False
) -> list[LatestRow]:
    """Return each tag's last as a row of `latest`, of rows that lie tag by tag as they came; by_time: by source."""
    if rows is None:
        rows = np.arange(len(stretch))
    if by_time:
        rows = rows[np.lexsort((stretch.source[rows], stretch.tags[rows]))]
    tags = stretch.tags[rows]
    rows = rows[np.append(tags[1:] != tags[:-1], True)] if rows.size else rows
    found = stretch.rows(rows)
    values: list[float | None] = found.values.tolist()
    for row in np.flatnonzero(~np.isfinite(found.values)).tolist():
        values[row] = None
    texts = [found.texts.get(row) for row in range(len(found))] if found.texts else [None] * len(found)
    columns = (found.tags.tolist(), values, texts, found.quality.tolist(), found.source.tolist())
    provenances = [provenance.value for provenance in found.provenances]
    return list(zip(*columns, received[rows].tolist(), provenances, strict=True))


async def marked(connection: AsyncConnection, reader: str) -> tuple[str, int] | None:
    """Return the mark that a reader has stored: a journal's name and the number of its last record in here."""
    row = (await connection.execute(select(mark).where(mark.c.reader == reader))).one_or_none()
    return None if row is None else (row.journal, row.number)


async def save_flush(connection: AsyncConnection, flush: Flush, reader: str, at: tuple[str, int]) -> bool:
    """Write a flush and its mark; returns False, and writes nothing, when that mark or a later one is stored."""
    before = await marked(connection, reader)
    if before is not None and before[0] == at[0] and before[1] >= at[1]:
        return False
    if flush.blocks:
        await connection.execute(insert(block), flush.blocks)
    await save_latest(connection, flush.live, flush.recalled)
    written = upsert(mark).values(reader=reader, journal=at[0], number=at[1])
    changed = {"journal": written.excluded.journal, "number": written.excluded.number}
    await connection.execute(written.on_conflict_do_update(index_elements=["reader"], set_=changed))
    return True


async def save_latest(connection: AsyncConnection, live: Sequence[LatestRow], recalled: Sequence[LatestRow]) -> None:
    """Keep last values: what came live replaces what was there, what was recalled only what is older."""
    for rows, where in ((live, ""), (recalled, _OLDER)):
        if rows:  # as the driver takes them: to prepare 5,000 rows by name takes longer than to write them
            await connection.exec_driver_sql(_UPSERT_LATEST + where, list(rows))


_UPSERT_LATEST = """
    INSERT INTO latest (tag, value, text, quality, source, received, provenance) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tag) DO UPDATE SET value = excluded.value, text = excluded.text, quality = excluded.quality,
    source = excluded.source, received = excluded.received, provenance = excluded.provenance"""
_OLDER = " WHERE latest.source < excluded.source"


async def load_latest(connection: AsyncConnection) -> list[Sample]:
    """Return the last sample of every tag, by key; its times are exact."""
    query = select(tag.c.key, latest).join(latest, latest.c.tag == tag.c.id).order_by(tag.c.key)
    return [
        Sample(
            row.key,
            math.nan if row.value is None else row.value,
            Quality(row.quality),
            moment_of(row.source),
            moment_of(row.received),
            Provenance(row.provenance),
            row.text,
        )
        for row in await connection.execute(query)
    ]


# --- folding blocks into segments ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Pile:
    """How many blocks of each bundle wait to be folded, and how many samples are in them."""

    blocks: dict[int, int] = field(default_factory=dict)
    samples: dict[int, int] = field(default_factory=dict)

    def add(self, bundle: int, samples: int, blocks: int = 1) -> None:
        """Count blocks that were written, or negative ones that were folded."""
        self.blocks[bundle] = self.blocks.get(bundle, 0) + blocks
        self.samples[bundle] = self.samples.get(bundle, 0) + samples

    def fullest(self) -> int | None:
        """Return the bundle that it is most worth to fold, None when none is."""
        worth = {
            bundle: max(self.samples[bundle] / FOLD_SAMPLES, blocks / FOLD_BLOCKS)
            for bundle, blocks in self.blocks.items()
        }
        found = max(worth, key=lambda bundle: worth[bundle], default=None)
        return found if found is not None and worth[found] >= 1 else None


async def load_pile(connection: AsyncConnection) -> Pile:
    """Return what waits to be folded."""
    query = select(block.c.bundle, func.count(), func.sum(block.c.samples)).group_by(block.c.bundle)
    pile = Pile()
    for bundle, blocks, samples in await connection.execute(query):
        pile.add(bundle, samples, blocks)
    return pile


@dataclass(frozen=True, slots=True)
class Foldable:
    """Blocks of one bundle, oldest first: their ids, samples, latest reception and contents."""

    bundle: int
    ids: Sequence[int]
    samples: int
    received: int
    contents: Sequence[bytes]


async def foldable(connection: AsyncConnection, bundle: int) -> Foldable:
    """Return the oldest blocks of a bundle, as many as are folded at once."""
    sizes = select(block.c.id, block.c.samples).where(block.c.bundle == bundle).order_by(block.c.id)
    chosen: list[int] = []
    samples = 0
    for row in await connection.execute(sizes):
        if chosen and samples + row.samples > FOLD_MAX:
            break
        chosen.append(row.id)
        samples += row.samples
    contents, received = [], 0
    for start in range(0, len(chosen), CHUNK):
        query = select(block.c.received, block.c.content).where(block.c.id.in_(chosen[start : start + CHUNK]))
        for row in await connection.execute(query.order_by(block.c.id)):
            contents.append(row.content)
            received = max(received, row.received)
    return Foldable(bundle, chosen, samples, received, contents)


@dataclass(frozen=True, slots=True)
class Folded:
    """Rows of `segment`, and how many samples were in blocks that proved broken, by the counts of those blocks."""

    segments: Sequence[dict[str, Any]]
    broken_blocks: int


def folded(found: Foldable) -> Folded:
    """Return blocks as segments. A broken block costs what is in it, and nothing else."""
    stretches = [_of(curves.of_block, content) for content in found.contents]
    broken = sum(not len(stretch) for stretch in stretches)
    whole = curves.ordered(Stretch.joined(stretches)) if stretches else curves.EMPTY
    del stretches  # as much again
    return Folded(_segments(whole, found.received), broken)


def segments_of(stretch: Stretch, received: int) -> list[dict[str, Any]]:
    """Return samples of any tags, in any order, as rows of `segment`."""
    return _segments(curves.ordered(stretch), received)


def _segments(whole: Stretch, received: int) -> list[dict[str, Any]]:
    edges = np.flatnonzero(np.diff(whole.tags)) + 1
    cuts = [0, *edges.tolist(), len(whole)]
    return [
        _segment_row(whole.rows(slice(at, min(at + SEGMENT_SAMPLES, stop))), received)
        for start, stop in pairwise(cuts)
        for at in range(start, stop, SEGMENT_SAMPLES)
    ]


def _segment_row(stretch: Stretch, received: int) -> dict[str, Any]:
    spans = curves.points(stretch)
    real = spans.last[~np.isnan(spans.last)]
    minutes = curves.minutes(stretch)
    return {
        "tag": int(stretch.tags[0]),
        "first": int(stretch.source[0]),
        "last": int(stretch.source[-1]),
        "received": received,
        "samples": len(stretch),
        "good": _good(stretch),
        "lowest": float(real.min()) if real.size else None,
        "highest": float(real.max()) if real.size else None,
        "final": float(real[-1]) if real.size else None,
        "bad": bool(spans.bad.any()),
        "minutes": curves.summary_bytes(minutes) if 2 * len(minutes.at) <= len(stretch) else None,
        "content": curves.segment(stretch),
    }


async def save_folded(connection: AsyncConnection, found: Foldable, result: Folded) -> None:
    """Put segments in the place of their blocks."""
    if result.segments:
        await connection.execute(insert(segment), result.segments)
    for start in range(0, len(found.ids), CHUNK):
        await connection.execute(delete(block).where(block.c.id.in_(found.ids[start : start + CHUNK])))


# --- the ring --------------------------------------------------------------------------------------------------------


async def used_bytes(connection: AsyncConnection) -> int:
    """Return what the database's pages hold; the file may be larger, and fills its empty pages first."""
    told = [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in _PAGES]
    return int((told[0] - told[1]) * told[2])


_PAGES = ("page_count", "freelist_count", "page_size")


async def forget(connection: AsyncConnection, before: int) -> int:
    """Delete some of what was received before a tick, the oldest first; returns the samples, 0 when there were none."""
    forgotten = 0
    for table in (segment, block):
        oldest = select(table.c.id, table.c.samples).where(table.c.received < before)
        rows = (await connection.execute(oldest.order_by(table.c.received, table.c.id).limit(FORGET_ROWS))).all()
        if rows:
            await connection.execute(delete(table).where(table.c.id.in_([row.id for row in rows])))
            forgotten += sum(row.samples for row in rows)
            break  # of the blocks nothing is older than the segments, but for what was folded since
    return forgotten


async def count(connection: AsyncConnection, *, good: bool = False) -> int:
    """Return how many samples there are; those in blocks that came twice count twice until they are folded."""
    total = 0
    for table in (segment, block):
        column = table.c.good if good else table.c.samples
        total += (await connection.execute(select(func.coalesce(func.sum(column), 0)))).scalar_one()
    return total


# --- reading --------------------------------------------------------------------------------------------------------


async def read(connection: AsyncConnection, key: str, since: datetime, until: datetime | None = None) -> Stretch:
    """Return the samples of a tag from one time to before another, in the order of their own time, each once.

    What proves broken is left out.
    """
    number = (await _known(connection, [key])).get(key)
    if number is None:
        return curves.EMPTY
    begin, end = ticks_of(since), BEYOND if until is None else ticks_of(until)
    query = select(segment.c.content).where(*_within(segment, begin, end), segment.c.tag == number)
    found = [_of(curves.of_segment, content) for (content,) in await connection.execute(query)]
    found += await _blocks(connection, number, begin, end)
    whole = curves.ordered(Stretch.joined(found)) if found else curves.EMPTY
    start, stop = np.searchsorted(whole.source, [begin, end])
    return whole.rows(slice(int(start), int(stop)))


async def history(connection: AsyncConnection, key: str, since: datetime, limit: int = 10_000) -> list[Sample]:
    """Return the newest samples of a tag since a time, oldest first, at most `limit`."""
    whole = await read(connection, key, since)
    stretch = whole.rows(slice(max(0, len(whole) - limit), len(whole)))
    columns = (stretch.values, stretch.quality, stretch.source, stretch.received)
    rows = zip(*(column.tolist() for column in columns), stretch.provenances, strict=True)
    return [
        Sample(key, value, Quality(quality), moment_of(source), moment_of(came), provenance, stretch.texts.get(row))
        for row, (value, quality, source, came, provenance) in enumerate(rows)
    ]


def _within(table: Table, begin: int, end: int) -> tuple[Any, ...]:
    return table.c.first < end, table.c.last >= begin


async def _blocks(connection: AsyncConnection, number: int, begin: int, end: int) -> list[Stretch]:
    query = select(block.c.content).where(block.c.bundle == number // BUNDLE, *_within(block, begin, end))
    rows = await connection.execute(query.order_by(block.c.id))
    return [_of(lambda data: curves.of_block(data, number), content) for (content,) in rows]


def _of(read: Callable[[bytes], Stretch], content: bytes) -> Stretch:
    try:
        return read(content)
    except CurveBroken:
        return curves.EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A chart's points, equally far from each other: lowest, highest and last value from `at` on to the next.

    at: ticks. NaN: nothing there that can be believed. gap: something there was BAD, so that no line may cross it.
    """

    at: Ticks
    lowest: Values
    highest: Values
    last: Values
    gap: NDArray[np.bool_]


async def series(connection: AsyncConnection, key: str, since: datetime, until: datetime, points: int) -> Series:
    """Return a tag between two times as so many points. Raises ValueError for no points or no time.

    What is short beside a point comes from sums that were made when it was stored: such a span counts as a whole where
    it begins, at most a quarter of a point off.
    """
    begin, end = ticks_of(since), ticks_of(until)
    if points < 1 or end <= begin:
        raise ValueError("a chart has points, and ends after it begins")
    width = max(1, -(-(end - begin) // points))
    number = (await _known(connection, [key])).get(key)
    found = [] if number is None else await _spans(connection, number, begin, end, width)
    return _sampled(found, begin, width, points)


async def _spans(connection: AsyncConnection, number: int, begin: int, end: int, width: int) -> list[Summary]:
    short = segment.c.last - segment.c.first <= width // 4
    inside = short & (segment.c.first >= begin) & (segment.c.last < end)
    by_minute = (segment.c.minutes.is_not(None)) if width >= 4 * curves.MINUTE_TICKS else segment.c.id.is_(None)
    query = select(
        segment.c.first,
        segment.c.lowest,
        segment.c.highest,
        segment.c.final,
        segment.c.bad,
        case((inside, None), (by_minute, segment.c.minutes)).label("minutes"),
        case((inside, None), (by_minute, None), else_=segment.c.content).label("content"),
    ).where(segment.c.tag == number, *_within(segment, begin, end))
    whole: list[tuple[int, float, float, float, bool]] = []
    found: list[Summary] = []
    for row in await connection.execute(query):
        if row.content is not None:
            found.append(curves.points(_of(curves.of_segment, row.content)))
        elif row.minutes is not None:
            found.append(_summary(row.minutes))
        else:
            whole.append((row.first, _float(row.lowest), _float(row.highest), _float(row.final), row.bad))
    if whole:
        at, lowest, highest, last, bad = (np.array(column) for column in zip(*whole, strict=True))
        found.append(Summary(at, lowest, highest, last, bad))
    return found + [curves.points(each) for each in await _blocks(connection, number, begin, end)]


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _summary(content: bytes) -> Summary:
    try:
        return curves.of_summary(content)
    except CurveBroken:
        return curves.points(curves.EMPTY)


def _sampled(found: Sequence[Summary], begin: int, width: int, points: int) -> Series:
    at = begin + np.arange(points, dtype=np.int64) * width
    lowest, highest, last = (np.full(points, np.nan) for _ in range(3))
    gap = np.zeros(points, bool)
    if found:
        spans = Summary.joined(found)
        inside = (spans.at >= begin) & (spans.at < begin + width * points)
        order = np.flatnonzero(inside)
        order = order[np.argsort(spans.at[order], kind="stable")]
        chosen = spans.rows(order)
        into = (chosen.at - begin) // width
        sums = curves.summed_up(chosen, into, lambda number: number)
        lowest[sums.at], highest[sums.at], last[sums.at] = sums.lowest, sums.highest, sums.last
        gap[sums.at] = sums.bad
    return Series(at, lowest, highest, last, gap)
