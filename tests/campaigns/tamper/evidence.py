"""A plant that bought for a while, with a signed log, a rotated key and two witnesses: something to tamper with.

The log is real: purchases from need to confirmed order, checkpoints every few of them, each shown to the first witness.
The second witness was shown another log under the same key, forked off half-way, as a thief of key and database would.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.databases import open_databases, spend_file
from gateway.storage import FULL, Storage
from marketplace.audit.attendance import Attendance
from marketplace.audit.checkpoint import SignedCheckpoint
from marketplace.audit.merkle import Frontier, leaf_hash
from marketplace.audit.notary import Notary, stored_keys
from marketplace.audit.note import VerifierKey
from marketplace.audit.seals import Trust
from marketplace.audit.witness import Answer, Witness
from marketplace.documents import canonical
from marketplace.store import Owner, audit_leaf, audit_tree, checkpoint, cosignature
from tests.unit.marketplace.fakes import ANNA, AcceptingSupplier, Clock, Plant

OWNER = Owner("northworks", "G1")
BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)
WINDOW = {"days": 30, "per_machine": "100000000 EUR"}
PURCHASES, APART = 75, 15
"""Some thousand entries, with a checkpoint after every fifteenth purchase."""


class Beside:
    """A witness in this process."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.key = witness.public

    async def submit(self, request: str) -> Answer | None:
        return self.witness.consider(request, int(BEGAN.timestamp()))


@dataclass(frozen=True, slots=True)
class Evidence:
    """`honest` and `forked` are two databases of one log; each witness has seen one of them."""

    honest: Path
    forked: Path
    size: int
    checkpoints: tuple[int, ...]
    seen_honest: tuple[SignedCheckpoint, VerifierKey]
    seen_forked: tuple[SignedCheckpoint, VerifierKey]
    key: VerifierKey

    @property
    def trust(self) -> Trust:
        """What the first witness knows."""
        return Trust((self.key,), (self.seen_honest,))

    @property
    def two(self) -> Trust:
        """What both witnesses know."""
        return Trust((self.key,), (self.seen_honest, self.seen_forked))


async def gather(directory: Path, purchases: int = PURCHASES, apart: int = APART) -> Evidence:
    """Let a plant buy, and return what is left of it."""
    async with open_databases(directory / "honest") as databases:
        key_file = directory / "audit.key"
        notary = Notary(databases.spend, OWNER, key_file, lambda: BEGAN)
        await notary.sign()
        async with databases.spend.read() as connection:
            first = (await stored_keys(connection, OWNER))[0].key
        clock = Clock(BEGAN)
        plant = Plant(databases.spend, OWNER, clock, {"supplier-1": AcceptingSupplier("supplier-1", clock)})
        await plant.apply_policy(window=WINDOW)
        ways = [Beside(Witness(directory / "first", "first.example/w", [first]))]
        attendance = Attendance(databases.spend, OWNER, ways, lambda: BEGAN)
        for number in range(purchases):
            await plant.want(life=f"life-{number}")
            if number % apart == apart - 1:
                await attendance.show(await _signed(notary))
            if number == purchases // 2:
                await notary.rotate(ANNA)  # the witness follows
        signed = await _signed(notary)
        await attendance.show(signed)
        async with databases.spend.read() as connection:
            sizes = tuple((await connection.execute(select(checkpoint.c.size).order_by(checkpoint.c.size))).scalars())
    honest = spend_file(directory / "honest")
    forked = await _fork(honest, directory, key_file, first, signed.checkpoint.size)
    witness = ways[0].witness
    seen = witness.seen(signed.checkpoint.origin)
    assert seen is not None
    return Evidence(honest, forked[0], signed.checkpoint.size, sizes, (seen, witness.public), forked[1], first)


async def _signed(notary: Notary) -> SignedCheckpoint:
    signed = await notary.sign()
    assert signed is not None, notary.trouble
    return signed


async def _fork(
    honest: Path, directory: Path, key_file: Path, first: VerifierKey, size: int
) -> tuple[Path, tuple[SignedCheckpoint, VerifierKey]]:
    """Rewrite the last entry of a copy, sign it with the real key, and show it to a witness that saw nothing yet."""
    forked = directory / "forked.db"
    shutil.copyfile(honest, forked)
    storage = Storage(forked, FULL)
    async with storage.write() as tx:
        await rewrite(tx, size - 1)
        await tx.execute(delete(cosignature).where(cosignature.c.size == size))
        await tx.execute(delete(checkpoint).where(checkpoint.c.size == size))
    notary = Notary(storage, OWNER, key_file, lambda: BEGAN)
    signed = await _signed(notary)
    async with storage.read() as connection:
        keys = [each.key for each in await stored_keys(connection, OWNER)]
    witness = Witness(directory / "second", "second.example/w", keys)
    await Attendance(storage, OWNER, [Beside(witness)], lambda: BEGAN).show(signed)
    await storage.close()
    seen = witness.seen(signed.checkpoint.origin)
    assert seen is not None
    return forked, (seen, witness.public)


async def rewrite(tx: AsyncConnection, index: int) -> None:
    """Write another last entry, with hash, subtree and tree as they must be for it: only what is signed can tell."""
    leaf = (await tx.execute(select(audit_leaf.c.leaf).where(audit_leaf.c.leaf_index == index))).scalar_one()
    said = json.loads(leaf)
    said["actor"]["method"] = "forged"
    await tx.execute(update(audit_leaf).where(audit_leaf.c.leaf_index == index).values(leaf=canonical(said)))
    await rebuild(tx)


async def rebuild(tx: AsyncConnection) -> Frontier:
    """Give every entry the hash and subtree of its bytes, and the log its tree, as somebody with this program could."""
    frontier = Frontier()
    rows = (await tx.execute(select(audit_leaf).order_by(audit_leaf.c.leaf_index))).all()
    for row in rows:
        digest = leaf_hash(row.leaf)
        frontier = frontier.append(digest)
        if (row.leaf_hash, row.subtree) != (digest, frontier.peaks[-1]):
            values = {"leaf_hash": digest, "subtree": frontier.peaks[-1]}
            await tx.execute(update(audit_leaf).where(audit_leaf.c.leaf_index == row.leaf_index).values(**values))
    tree = {"size": frontier.size, "frontier": frontier.encode(), "root": frontier.root}
    await tx.execute(update(audit_tree).values(**tree))
    return frontier


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[Storage]:
    """Open a database for tampering."""
    storage = Storage(file, FULL)
    try:
        yield storage
    finally:
        await storage.close()
