"""The high-water mark of the spend database, kept beside it: a file swapped for an older one is found at the start.

`spend.mark` holds how far the gateway's audit log and its order numbers had come, and the log's root. It is written
whole and synced (a new file renamed over the old one) with the schedule and at stop, and compared at start: fewer
entries than marked, or another root over as many, and the database is not the one that ran here last. It is a cheap
first guard against a mistake with a copy, on the same disk and unsigned: who swaps the mark as well is found by the
witness, not here. It judges no entry; that is `audit verify`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.durable import write_durably
from marketplace.audit.merkle import Frontier
from marketplace.store import Owner, audit_leaf, audit_tree, order_counter

CHUNK_LEAVES: Final = 10_000
"""Leaf hashes read at once: a third of a megabyte."""
MARK_MAX: Final = 10_000
"""Bytes; a mark takes some two hundred."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a gateway had come: entries of its log, the root over them (hexadecimal), its last order counter."""

    plant: str
    gateway: str
    size: int
    root: str
    last_order: int


class RolledBack(Exception):
    """The database is older than the mark, or another one; `str()` is one sentence."""


def mark_file(directory: Path) -> Path:
    """Return where the mark of a data directory is."""
    return directory / "spend.mark"


async def read_mark(connection: AsyncConnection, owner: Owner) -> Mark:
    """Return how far the database has come."""
    mine = (audit_tree.c.plant == owner.plant) & (audit_tree.c.gateway_id == owner.gateway_id)
    tree = (await connection.execute(select(audit_tree.c.size, audit_tree.c.root).where(mine))).one_or_none()
    numbers = (order_counter.c.plant == owner.plant) & (order_counter.c.gateway_id == owner.gateway_id)
    last = (await connection.execute(select(order_counter.c.last).where(numbers))).scalar_one_or_none()
    size, root = (0, Frontier().root) if tree is None else (tree.size, tree.root)
    return Mark(owner.plant, owner.gateway_id, size, root.hex(), last or 0)


def load_mark(path: Path) -> Mark | None:
    """Return a kept mark; None when there is none, or none that can be read: then only the witness knows."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(MARK_MAX))
        mark = Mark(**said)
    except (OSError, ValueError, TypeError):
        return None
    return mark if isinstance(mark.size, int) and isinstance(mark.last_order, int) else None


def save_mark(path: Path, mark: Mark) -> None:
    """Keep a mark durably, whole or not at all. Raises OSError."""
    write_durably(path, json.dumps(asdict(mark)).encode() + b"\n")


async def require_not_older(connection: AsyncConnection, owner: Owner, path: Path) -> Mark:
    """Return how far the database has come, having compared it with the kept mark. Raises `RolledBack`."""
    found, kept = await read_mark(connection, owner), load_mark(path)
    if kept is None or (kept.plant, kept.gateway) != (found.plant, found.gateway):
        return found
    if found.size < kept.size or found.last_order < kept.last_order:
        raise RolledBack(_older(path, found, kept))
    if await _root_at(connection, owner, found, kept.size) != kept.root:
        raise RolledBack(_other(path, kept))
    return found


async def _root_at(connection: AsyncConnection, owner: Owner, found: Mark, size: int) -> str:
    """Return the root over the first `size` entries; after a clean stop that is the present one."""
    if found.size == size:
        return found.root
    mine = (audit_leaf.c.plant == owner.plant) & (audit_leaf.c.gateway_id == owner.gateway_id)
    frontier = Frontier()
    for first in range(0, size, CHUNK_LEAVES):
        upto = min(first + CHUNK_LEAVES, size)
        here = mine & (audit_leaf.c.leaf_index >= first) & (audit_leaf.c.leaf_index < upto)
        query = select(audit_leaf.c.leaf_hash).where(here).order_by(audit_leaf.c.leaf_index)
        for digest in (await connection.execute(query)).scalars():
            frontier = frontier.append(digest)
    return frontier.root.hex()


def _older(path: Path, found: Mark, kept: Mark) -> str:
    sentence = _(
        "the spend database beside {path} is older than what ran here last ({found} audit entries, and there were "
        "{kept}); nothing was started, because it has forgotten orders. Put the newer file back, or restore a backup "
        "with 'toolcrib restore'"
    )
    return sentence.format(path=path, found=found.size, kept=kept.size)


def _other(path: Path, kept: Mark) -> str:
    sentence = _(
        "the spend database beside {path} is not the one that ran here last (its first {kept} audit entries are "
        "others); nothing was started. Put the right file back, or restore a backup with 'toolcrib restore'"
    )
    return sentence.format(path=path, kept=kept.size)
