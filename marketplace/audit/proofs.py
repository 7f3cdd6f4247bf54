"""Proofs from the stored log: the root of any tree that it ever was, that a leaf stands in it, that it was continued.

It promises to read a few rows for each hash of a proof, however long the log is: beside every leaf stands the root of
the largest complete subtree that ends with it. What it returns is as good as what is stored; whoever gets a proof
checks it with `merkle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.merkle import EMPTY_ROOT, consistency_ranges, inclusion_ranges, node_hash, subtrees
from marketplace.audit.tree import AuditBroken, flush
from marketplace.store import Owner, audit_leaf

_AT_ONCE = 500
"""Rows named in one query; SQLite takes 32,766 parameters, older ones 999."""


async def roots(connection: AsyncConnection, owner: Owner, ranges: list[tuple[int, int]]) -> list[bytes]:
    """Return the roots over ranges of leaves. Raises `AuditBroken` when a leaf that is needed is not there."""
    await flush(connection)
    wanted = {row for first, last in ranges for row in _rows(first, last)}
    stored = await _stored(connection, owner, sorted(wanted))
    return [_root(first, last, stored) for first, last in ranges]


async def root_at(connection: AsyncConnection, owner: Owner, size: int) -> bytes:
    """Return the root of the tree when it had `size` leaves. Raises `AuditBroken`."""
    return (await roots(connection, owner, [(0, size)]))[0]


async def inclusion(connection: AsyncConnection, owner: Owner, index: int, size: int) -> list[bytes]:
    """Return the audit path of a leaf in the tree of `size` leaves. Raises `AuditBroken`, IndexError."""
    return await roots(connection, owner, inclusion_ranges(index, size))


async def consistency(connection: AsyncConnection, owner: Owner, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` leaves continues that of `old`. Raises `AuditBroken`, IndexError."""
    return await roots(connection, owner, consistency_ranges(old, new))


def _rows(first: int, last: int) -> Iterable[int]:
    """Yield the leaves beside which stands what the root over a range is made of."""
    for start, height in subtrees(first, last):
        yield from (index for index, _height in _parts(start, height))


def _parts(start: int, height: int) -> list[tuple[int, int]]:
    """Return the leaves beside which the parts of one complete subtree stand, as (leaf, height), left to right.

    A left subtree stands beside its last leaf as it is. Beside the last leaf of a right one stands the larger subtree
    that ends there too, so it is put together of its left half and what remains, down to the leaf's own hash.
    """
    parts = []
    while height and (start >> height) & 1:
        height -= 1
        parts.append((start + (1 << height) - 1, height))
        start += 1 << height
    return [*parts, (start + (1 << height) - 1, height)]


def _root(first: int, last: int, stored: Mapping[int, tuple[bytes, bytes]]) -> bytes:
    peaks = [_subtree(start, height, stored) for start, height in subtrees(first, last)]
    if not peaks:
        return EMPTY_ROOT
    *rest, node = peaks
    for peak in reversed(rest):
        node = node_hash(peak, node)
    return node


def _subtree(start: int, height: int, stored: Mapping[int, tuple[bytes, bytes]]) -> bytes:
    *rest, (index, height) = _parts(start, height)
    leaf_hash, subtree = stored[index]
    node = subtree if height else leaf_hash
    for index, _height in reversed(rest):
        node = node_hash(stored[index][1], node)
    return node


async def _stored(connection: AsyncConnection, owner: Owner, indexes: list[int]) -> dict[int, tuple[bytes, bytes]]:
    c = audit_leaf.c
    found: dict[int, tuple[bytes, bytes]] = {}
    for at in range(0, len(indexes), _AT_ONCE):
        some = indexes[at : at + _AT_ONCE]
        query = select(c.leaf_index, c.leaf_hash, c.subtree).where(
            c.plant == owner.plant, c.gateway_id == owner.gateway_id, c.leaf_index.in_(some)
        )
        found |= {row.leaf_index: (row.leaf_hash, row.subtree) for row in await connection.execute(query)}
    for index in indexes:
        if index not in found:
            raise AuditBroken(f"leaf {index} of {owner.gateway_id} is missing, so nothing can be proven with it")
    return found
