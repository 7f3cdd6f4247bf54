"""The tree as it is stored, and how a transaction grows it: once, just before it commits.

It promises that a gateway's leaves have no gap and no double, whoever else writes: the kept tree moves only from where
the new leaves begin. Where that is, a connection remembers from its last transaction; when the memory is wrong, because
somebody else wrote or the transaction was undone, the tree is read and the leaves are numbered anew. Leaves of one
transaction are kept until it commits and then written with the tree; who reads the log within it asks `flush` first.
Beside each leaf stands the root of the largest complete subtree that ends with it, so that any proof needs a few rows
only. It knows no meaning of a leaf.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.merkle import Frontier, leaf_hash
from marketplace.documents import canonical
from marketplace.statements import Prepared, short_way, told
from marketplace.store import AT_COMMIT, Owner, audit_leaf, audit_tree, microseconds

_MINE: Final = (audit_tree.c.plant == bindparam("of_plant"), audit_tree.c.gateway_id == bindparam("of_gateway"))
_READ_TREE: Final = Prepared(select(audit_tree.c.size, audit_tree.c.frontier, audit_tree.c.root).where(*_MINE))
_ADD_LEAF: Final = Prepared(insert(audit_leaf))
_ADD_TREE: Final = Prepared(insert(audit_tree))
_GROW_TREE: Final = Prepared(
    update(audit_tree)
    .where(*_MINE, audit_tree.c.size == bindparam("of_size"), audit_tree.c.root == bindparam("of_root"))
    .values({name: bindparam(name) for name in ("size", "frontier", "root")})
)
_REMEMBERED: Final = "audit_trees"
"""Under this name a connection's `info` holds each gateway's tree as its last transaction left it."""
_SAVEPOINT: Final = "audit_savepoint"
"""Under this name it stands there while a part of the transaction may be taken back, leaves and all."""


class AuditBroken(Exception):
    """The log cannot be continued as it stands; nothing of the caller's transaction may become durable."""


@dataclass(slots=True, eq=False)
class Growing:
    """One gateway's log in a writing transaction: the tree as it is stored, and as it will be with the new leaves."""

    owner: Owner
    stored: Frontier
    frontier: Frontier
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, leaf: bytes, row: dict[str, Any]) -> None:
        """Take in one leaf; `row` holds what else stands beside it."""
        index, digest = self.frontier.size, leaf_hash(leaf)
        self.frontier = self.frontier.append(digest)
        beside = {"leaf_index": index, "leaf": leaf, "leaf_hash": digest, "subtree": self.frontier.peaks[-1]}
        self.rows.append({**row, **self.owner.columns, **beside})

    async def __call__(self, tx: AsyncConnection) -> None:
        """Write what was added since the last time, and the tree. Raises `AuditBroken` when it cannot be continued."""
        if not self.rows:
            return
        if not await self._written(tx):
            await self._number_anew(tx)
            if not await self._written(tx):
                raise AuditBroken(f"somebody else writes the audit log of {self.owner.gateway_id}")
        self.rows, self.stored = [], self.frontier
        if AT_COMMIT in tx.info:
            tx.info.setdefault(_REMEMBERED, {})[self.owner] = self.frontier

    async def _written(self, tx: AsyncConnection) -> bool:
        tree = {"size": self.frontier.size, "frontier": self.frontier.encode(), "root": self.frontier.root}
        if self.stored.size == 0:
            return await _write(tx, _ADD_TREE, tree | self.owner.columns, self.rows)
        found = {"of_size": self.stored.size, "of_root": self.stored.root}
        return await _write(tx, _GROW_TREE, tree | found | _place(self.owner), self.rows)

    async def _number_anew(self, tx: AsyncConnection) -> None:
        """What was remembered is no longer so: begin where the tree ends now."""
        rows, self.rows = self.rows, []
        self.stored = self.frontier = await _stored(tx, self.owner)
        for row in rows:
            self.add(canonical(json.loads(row["leaf"]) | {"index": self.frontier.size}), row)


async def growing(tx: AsyncConnection, owner: Owner) -> Growing:
    """Return a gateway's log as this transaction grows it.

    Raises `AuditBroken` when the stored tree does not hold together, or inside of any savepoint but `savepoint`: a leaf
    that is kept until the commit could not be taken back with it.
    """
    if tx.in_nested_transaction() and _SAVEPOINT not in tx.info:
        raise AuditBroken("a leaf is written outside of savepoints")
    acts = tx.info.get(AT_COMMIT)
    for each in acts or ():
        if isinstance(each, Growing) and each.owner == owner:
            return each
    stored = tx.info.get(_REMEMBERED, {}).get(owner) or await _stored(tx, owner)
    begun = Growing(owner, stored, stored)
    if acts is not None:
        acts.append(begun)
    return begun


@asynccontextmanager
async def savepoint(tx: AsyncConnection) -> AsyncIterator[None]:
    """Do a part of a transaction that may fail by itself: its leaves are taken back with everything else of it."""
    acts: list[Any] = tx.info.get(AT_COMMIT, [])
    before = [(each, each.stored, each.frontier, list(each.rows)) for each in acts if isinstance(each, Growing)]
    tx.info[_SAVEPOINT] = True
    try:
        async with tx.begin_nested():
            yield
    except BaseException:
        known = [each for each, *_said in before]
        acts[:] = [each for each in acts if not isinstance(each, Growing) or each in known]
        for each, stored, frontier, rows in before:
            each.stored, each.frontier, each.rows = stored, frontier, rows
        raise
    finally:
        del tx.info[_SAVEPOINT]


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
    found = await _READ_TREE.rows(tx, _place(owner))
    if not found:
        return Frontier()
    size, peaks, root = found[0]
    try:
        frontier = Frontier.decode(size, peaks)
    except ValueError as error:
        raise AuditBroken(f"the audit tree of {owner.gateway_id} does not hold together: {error}") from error
    if frontier.root != root:
        raise AuditBroken(f"the audit tree of {owner.gateway_id} has another root than its subtrees give")
    return frontier


async def _write(tx: AsyncConnection, grow: Prepared, tree: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> bool:
    """Move the tree and insert leaves; returns false, without leaves, when the tree is elsewhere than was thought."""
    short = short_way(tx)
    if short is None:
        if await grow.run(tx, tree) != 1:
            return False
        await _ADD_LEAF.run(tx, *rows)
        return True
    plain = [{**row, "at": microseconds(row["at"])} for row in rows]
    try:
        return await short.together([(grow.text, [tree]), (_ADD_LEAF.text, plain)])
    except Exception as error:
        raise told(tx, grow, error) from error


def _place(owner: Owner) -> dict[str, str]:
    return {"of_plant": owner.plant, "of_gateway": owner.gateway_id}
