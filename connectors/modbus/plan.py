"""Which registers to read together: pure functions.

Promises: every tag is in exactly one block; a block is one read of one table of one unit at one rhythm, within the
device's limits; small gaps are read over where that saves a request, and never where the device is known to have a
hole; the order of a plan depends on the addresses alone. Refuses to know sockets. What makes polling fast is few reads:
5,000 tags side by side are 80 requests, not 5,000.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from connectors.modbus.settings import ModbusTag, Table

Breaks = frozenset[tuple[int, Table, int]]
"""Unit, table and address of blocks that are not to be joined with what is before them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device takes: registers and bits in one read, and how wide a gap may be read over."""

    registers: int = 125
    bits: int = 2000
    gap: int = 0

    def of(self, table: Table) -> int:
        """Return how many of a table fit into one read."""
        return self.bits if table in ("coil", "discrete") else self.registers


@dataclass(frozen=True, slots=True)
class Point:
    """A tag and where it lies: its unit, table, and first register from 0."""

    key: str
    unit: int
    table: Table
    address: int
    tag: ModbusTag

    @property
    def end(self) -> int:
        """The address behind its last register."""
        return self.address + self.tag.words


@dataclass(frozen=True, slots=True)
class Block:
    """One read: `count` registers (or bits) from `address` of a table of a unit, and the tags found in them.

    each: read at every so-many-th poll.
    """

    unit: int
    table: Table
    address: int
    count: int
    each: int
    points: tuple[Point, ...]

    @property
    def has_gap(self) -> bool:
        """Whether it holds registers that no tag asked for."""
        end = self.address
        for point in self.points:
            if point.address > end:
                return True
            end = max(end, point.end)
        return False


@dataclass(frozen=True, slots=True)
class Holes:
    """What was learned of a device: where blocks are not to be joined, and tags that it does not have."""

    breaks: Breaks = frozenset()
    missing: frozenset[str] = field(default_factory=frozenset)


def points_of(tags: Mapping[str, ModbusTag], unit: int) -> list[Point]:
    """Return where tags lie; `unit` is that of tags that name none."""
    return [Point(key, unit if tag.device_id is None else tag.device_id, *tag.place, tag) for key, tag in tags.items()]


def plan(
    points: Iterable[Point],
    limits: Limits,
    each: Mapping[str, int] | None = None,
    holes: Holes | None = None,
    units: Mapping[int, Limits] | None = None,
) -> tuple[Block, ...]:
    """Group tags into the fewest reads within the limits, or those of `units` that take less.

    each: by key, at every how-many-th poll a tag is read; 1 if left out. holes: what is known not to be there.
    """
    holes = holes or Holes()
    rows: dict[tuple[int, Table, int], list[Point]] = {}
    for point in points:
        if point.key not in holes.missing:
            rows.setdefault((point.unit, point.table, (each or {}).get(point.key, 1)), []).append(point)
    return tuple(
        block
        for unit, table, rate in sorted(rows)
        for block in _blocks(rows[unit, table, rate], (units or {}).get(unit, limits), rate, holes.breaks)
    )


def halves(block: Block) -> tuple[Block, ...]:
    """Split a block that a device will not answer: at its gaps if it has any, else in the middle.

    A block of one point cannot be split and comes back alone.
    """
    if block.has_gap:
        return tuple(_blocks(block.points, Limits(block.count, block.count, 0), block.each, frozenset()))
    if len(block.points) < 2:
        return (block,)
    middle = len(block.points) // 2
    return _block(block.points[:middle], block.each), _block(block.points[middle:], block.each)


def _blocks(
    points: Iterable[Point], limits: Limits, each: int, breaks: Collection[tuple[int, Table, int]]
) -> list[Block]:
    groups: list[list[Point]] = []
    end = -1
    for point in sorted(points, key=lambda one: (one.address, one.end, one.key)):
        joins = (
            bool(groups)
            and point.address <= end + limits.gap
            and max(end, point.end) - groups[-1][0].address <= limits.of(point.table)
            and ((point.unit, point.table, point.address) not in breaks or point.address < end)
        )
        if joins:
            groups[-1].append(point)
            end = max(end, point.end)
        else:
            groups.append([point])
            end = point.end
    return [_block(group, each) for group in groups]


def _block(points: Iterable[Point], each: int) -> Block:
    held = tuple(points)
    start, end = held[0].address, max(point.end for point in held)
    return Block(held[0].unit, held[0].table, start, end - start, each, held)
