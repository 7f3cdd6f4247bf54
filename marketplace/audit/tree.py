"""The tree as it is stored, and how a transaction grows it: once, just before it commits.

It promises that a gateway's leaves have no gap and no double, whoever else writes: the kept tree is read at the first
leaf of each transaction and moves only from where it was found. Leaves of one transaction are kept in memory until it
commits and then written together with the tree; what reads the log inside of a writing transaction asks `flush` first.
Beside each leaf stands the root of the largest complete subtree that ends with it, so that any proof needs a few rows
only. It knows no meaning of a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from sqlalchemy import Executable, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.merkle import Frontier
from marketplace.store import AT_COMMIT, Owner, audit_leaf, audit_tree, microseconds

_MINE: Final = (audit_tree.c.plant == bindparam("of_plant"), audit_tree.c.gateway_id == bindparam("of_gateway"))
_READ_TREE: Final = select(audit_tree.c.size, audit_tree.c.frontier, audit_tree.c.root).where(*_MINE)
_ADD_LEAF: Final = insert(audit_leaf)
_ADD_TREE: Final = insert(audit_tree)
_GROW_TREE: Final = (
    update(audit_tree)
    .where(*_MINE, audit_tree.c.size == bindparam("of_size"))
    .values({name: bindparam(name) for name in ("size", "frontier", "root")})
)
_NAMED: Final = sqlite.dialect(paramstyle="named")
_TEXTS: Final[Mapping[Executable, str]] = {
    each: str(each.compile(dialect=_NAMED)) for each in (_READ_TREE, _ADD_LEAF, _ADD_TREE, _GROW_TREE)
}
"""Built once: an act writes several leaves, and building a statement costs as much as running it."""


class AuditBroken(Exception):
    """The log cannot be continued as it stands; nothing of the caller's transaction may become durable."""


class _ShortWay(Protocol):
    """A driver's connection that offers one hop to its thread for several statements with named parameters."""

    async def look(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return the rows of a query."""

    async def together(self, statements: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> list[int]:
        """Run each statement for all of its rows; return how many rows each has touched."""


@dataclass(slots=True)
class Growing:
    """One gateway's log in a writing transaction: the tree as it is stored, and as it will be with the new leaves."""

    owner: Owner
    stored: Frontier
    frontier: Frontier
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, leaf_hash: bytes, row: dict[str, Any]) -> None:
        """Take in one leaf; `row` holds its other columns."""
        index = self.frontier.size
        self.frontier = self.frontier.append(leaf_hash)
        subtree = self.frontier.peaks[-1]
        self.rows.append({**row, **self.owner.columns, "leaf_index": index, "leaf_hash": leaf_hash, "subtree": subtree})

    async def __call__(self, tx: AsyncConnection) -> None:
        """Write what was added since the last time, and the tree. Raises `AuditBroken` when somebody else did."""
        if not self.rows:
            return
        rows, self.rows = self.rows, []
        tree = {"size": self.frontier.size, "frontier": self.frontier.encode(), "root": self.frontier.root}
        if self.stored.size == 0:
            moved = await _write(tx, rows, _ADD_TREE, tree | self.owner.columns)
        else:
            moved = await _write(tx, rows, _GROW_TREE, tree | _place(self.owner) | {"of_size": self.stored.size})
        if moved != 1:  # another writer of the same gateway: there must never be two
            raise AuditBroken(f"somebody else writes the audit log of {self.owner.gateway_id}")
        self.stored = self.frontier


async def growing(tx: AsyncConnection, owner: Owner) -> Growing:
    """Return a gateway's log as this transaction grows it; the tree is read the first time.

    Raises `AuditBroken` when the stored tree does not hold together, or inside of a savepoint: a leaf that is kept
    until the commit could not be taken back with it.
    """
    if tx.in_nested_transaction():
        raise AuditBroken("a leaf is written outside of savepoints")
    acts = tx.info.get(AT_COMMIT, [])
    for each in acts:
        if isinstance(each, Growing) and each.owner == owner:
            return each
    stored = await _stored(tx, owner)
    begun = Growing(owner, stored, stored)
    acts.append(begun)
    return begun


async def settle(tx: AsyncConnection, grown: Growing) -> None:
    """Write a leaf at once where the database keeps nothing until the commit."""
    if AT_COMMIT not in tx.info:
        await grown(tx)


async def flush(connection: AsyncConnection) -> None:
    """Write what this transaction has added so far, so that a read in it sees it; nothing to do anywhere else."""
    for each in connection.info.get(AT_COMMIT, ()):
        if isinstance(each, Growing):
            await each(connection)


async def head(connection: AsyncConnection, owner: Owner) -> Frontier:
    """Return the tree as this transaction sees it. Raises `AuditBroken` when it does not hold together."""
    await flush(connection)
    return await _stored(connection, owner)


async def _stored(tx: AsyncConnection, owner: Owner) -> Frontier:
    found = await _read(tx, owner)
    if found is None:
        return Frontier()
    size, peaks, root = found
    try:
        frontier = Frontier.decode(size, peaks)
    except ValueError as error:
        raise AuditBroken(f"the audit tree of {owner.gateway_id} does not hold together: {error}") from error
    if frontier.root != root:
        raise AuditBroken(f"the audit tree of {owner.gateway_id} has another root than its subtrees give")
    return frontier


async def _read(tx: AsyncConnection, owner: Owner) -> Sequence[Any] | None:
    short = _short_way(tx)
    if short is None:
        return (await tx.execute(_READ_TREE, _place(owner))).one_or_none()
    try:
        rows = await short.look(_TEXTS[_READ_TREE], _place(owner))
    except Exception as error:
        raise _told(tx, _READ_TREE, error) from error
    return rows[0] if rows else None


async def _write(tx: AsyncConnection, rows: list[dict[str, Any]], grow: Executable, tree: Mapping[str, Any]) -> int:
    """Insert leaves and move the tree; returns how many trees moved."""
    short = _short_way(tx)
    if short is None:
        await tx.execute(_ADD_LEAF, rows)
        return (await tx.execute(grow, dict(tree))).rowcount
    plain = [{**row, "at": microseconds(row["at"])} for row in rows]
    try:
        return (await short.together([(_TEXTS[_ADD_LEAF], plain), (_TEXTS[grow], [tree])]))[1]
    except Exception as error:
        raise _told(tx, grow, error) from error


def _short_way(tx: AsyncConnection) -> _ShortWay | None:
    """Return the driver's connection if it has a short way; any other database is asked in the ordinary one."""
    opened = tx.sync_connection
    found = opened.connection.driver_connection if opened is not None else None
    return cast(_ShortWay, found) if hasattr(found, "together") else None


def _told(tx: AsyncConnection, statement: Executable, error: Exception) -> BaseException:
    """Return a driver's error as everybody above knows it."""
    base = tx.dialect.loaded_dbapi.Error
    return DBAPIError.instance(_TEXTS[statement], None, error, base, dialect=tx.dialect)


def _place(owner: Owner) -> dict[str, str]:
    return {"of_plant": owner.plant, "of_gateway": owner.gateway_id}
