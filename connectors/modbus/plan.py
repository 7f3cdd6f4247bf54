"""Which registers to read together: pure functions.

Promises: every tag is in exactly one block; a block is one read of one table, without holes, within the device's
limit; the order of a plan depends on the addresses alone. Refuses to know sockets. What makes polling fast is few
reads: 5,000 tags side by side are 80 requests, not 5,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.modbus.settings import ModbusTag, Table


@dataclass(frozen=True, slots=True)
class Point:
    """A tag and where it lies: its first register from 0."""

    key: str
    address: int
    tag: ModbusTag

    @property
    def end(self) -> int:
        """The address behind its last register."""
        return self.address + self.tag.words


@dataclass(frozen=True, slots=True)
class Block:
    """One read: `count` registers from `address` of a table, and the tags found in them."""

    table: Table
    address: int
    count: int
    points: tuple[Point, ...]

    def words(self, registers: list[int], point: Point) -> list[int]:
        """Return the registers of one of the block's points."""
        start = point.address - self.address
        return registers[start : start + point.tag.words]


def plan(tags: Mapping[str, ModbusTag], limit: int = 125) -> tuple[Block, ...]:
    """Group tags that lie side by side (or on one another) into reads of at most `limit` registers."""
    tables: dict[Table, list[Point]] = {}
    for key, tag in tags.items():
        table, address = tag.place
        tables.setdefault(table, []).append(Point(key, address, tag))
    return tuple(block for table in sorted(tables) for block in _blocks(table, tables[table], limit))


def halves(block: Block) -> tuple[Block, ...]:
    """Split a block that a device will not answer; a block of one point cannot be split and comes back alone."""
    if len(block.points) < 2:
        return (block,)
    middle = len(block.points) // 2
    return _block(block.table, block.points[:middle]), _block(block.table, block.points[middle:])


def _blocks(table: Table, points: Iterable[Point], limit: int) -> list[Block]:
    groups: list[list[Point]] = []
    end = -1
    for point in sorted(points, key=lambda each: (each.address, each.end, each.key)):
        joins = bool(groups) and point.address <= end and max(end, point.end) - groups[-1][0].address <= limit
        if joins:
            groups[-1].append(point)
            end = max(end, point.end)
        else:
            groups.append([point])
            end = point.end
    return [_block(table, group) for group in groups]


def _block(table: Table, points: Iterable[Point]) -> Block:
    held = tuple(points)
    start, end = min(point.address for point in held), max(point.end for point in held)
    return Block(table, start, end - start, held)
