"""Is the log whole, and do the tables agree with it? Everything is computed anew from the stored bytes.

It promises to name the place: the leaf that was changed, exchanged, taken out, put in or cut off, and where bytes and
hash were changed together, the first complete subtree that no longer gives its stored root. It reads in chunks, so
that a log of years fits in memory, and changes nothing. A whole log that somebody replaced by another whole one can
only be found by a witness off the box.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import epochs, hashing, log, seals
from marketplace.audit.accounts import CHUNK, StoredRow, disagreements
from marketplace.audit.chain import EPOCH, HANDING_OVER, HandOver
from marketplace.audit.hashing import Hashed, LeafBroken, Stretch, hash_log, hash_stretch
from marketplace.audit.log import AuditBroken
from marketplace.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from marketplace.audit.seals import Trust
from marketplace.audit.testimony import Testimony
from marketplace.audit.tree import flush
from marketplace.documents import parse_timestamp, spelt
from marketplace.store import Owner, audit_leaf, audit_tree, checkpoint

PROBLEMS_MAX: Final = 100
"""Enough to see what happened; a log of millions of broken leaves must not fill the memory with sentences."""

_UNREADABLE: Final = (DBAPIError, OverflowError, ValueError, TypeError)
"""What a column gives that holds no text or no time."""
_NO_TRUST: Final = Trust()


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: `entries` leaves read, the root over them (hexadecimal), and plain sentences on what is wrong.

    `breaks`: sentences on where the log itself says that entries are lost and who let it go on (see `epochs`).
    """

    entries: int
    root: str
    verified: bool
    problems: tuple[str, ...]
    breaks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """One log while it is read."""

    size: int
    frontier: Frontier = field(default_factory=Frontier)
    expected: int = 0
    read: int = 0
    shifted: bool = False  # a leaf was found that is another, so that no later subtree can fit
    heard: Testimony = field(default_factory=Testimony)
    wanted: set[int] = field(default_factory=set)  # sizes at which roots are compared with what was signed
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    hand_overs: list[HandOver] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)


class _Problems:
    """A bounded list of sentences."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, problem: str) -> None:
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(problem)

    async def take(self, problems: AsyncIterator[str]) -> None:
        """Take in all of them; a row that the database cannot give is one more."""
        try:
            async for problem in problems:
                self.add(problem)
        except _UNREADABLE as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            self.add(_("a row beside the log cannot be read: {reason}").format(reason=reason))


async def verify(connection: AsyncConnection, owner: Owner | None = None, trust: Trust = _NO_TRUST) -> Verification:
    """Recompute one gateway's log, or every log in the database, and hold seals and tables against it.

    `trust` is what is known of one gateway's log from elsewhere.
    """
    await flush(connection)
    problems = _Problems()
    readings = [await _verify_one(connection, each, problems, trust) for each in await _owners(connection, owner)]
    roots = [reading.frontier.root.hex() for reading in readings] or [EMPTY_ROOT.hex()]
    entries = sum(reading.read for reading in readings)
    breaks = tuple(each for reading in readings for each in reading.breaks)
    return Verification(entries, " ".join(roots), not problems.found, tuple(problems.found), breaks)


async def verify_quickly(
    connection: AsyncConnection, file: Path, owner: Owner, trust: Trust = _NO_TRUST
) -> Verification:
    """Hash every leaf of a gateway's log in a SQLite file and hold tree, newest checkpoint and keys against the root.

    Contents, older checkpoints and tables are not looked at, and no place is named: `verify` does both.
    """
    leaf, tree = audit_leaf.c, audit_tree.c
    mine = (leaf.plant == owner.plant, leaf.gateway_id == owner.gateway_id)
    size = (await connection.execute(select(func.max(leaf.leaf_index)).where(*mine))).scalar_one()
    size = 0 if size is None else size + 1
    try:
        hashed = await asyncio.to_thread(hash_log, file, owner.plant, owner.gateway_id, size)
        roots = {0: EMPTY_ROOT, size: tree_of(hashed).root}
        roots |= await _newest_root(connection, file, owner, hashed, size)
    except LeafBroken:
        return Verification(size, "", False, (_("a leaf is missing or cannot be read"),))
    kept = select(tree.size, tree.root).where(tree.plant == owner.plant, tree.gateway_id == owner.gateway_id)
    stored = (await connection.execute(kept)).one_or_none()
    problems = [] if hashed.leaves == size else [_("leaves are missing")]
    if (stored.size, stored.root) != (size, roots[size]) if stored else size:
        problems.append(_("the leaves do not give the tree that was kept"))
    told = select(leaf.leaf_index, leaf.leaf).where(*mine, leaf.kind.in_(HANDING_OVER)).order_by(leaf.leaf_index)
    rows = (await connection.execute(told)).all()
    try:
        handing = [log.parse(owner.gateway_id, row.leaf_index, row.leaf) for row in rows]
        breaks = tuple(epochs.sentence(each.index, each.actor.id, each.facts) for each in handing if each.kind == EPOCH)
    except AuditBroken as error:
        return Verification(size, roots[size].hex(), False, (*problems, str(error)))
    hand_overs = [(each.index, each.kind, each.facts) for each in handing]
    problems += [each async for each in seals.broken(connection, owner, size, hand_overs, roots, trust)]
    return Verification(hashed.leaves, roots[size].hex(), not problems, tuple(problems[:PROBLEMS_MAX]), breaks)


def tree_of(hashed: Hashed) -> Frontier:
    """Return the tree over what was hashed."""
    frontier = Frontier()
    for root in hashed.chunks:
        frontier = frontier.append(root)
    frontier = Frontier(frontier.size * hashing.CHUNK, frontier.peaks)
    for leaf in hashed.rest:
        frontier = frontier.append(leaf)
    return frontier


async def _newest_root(
    connection: AsyncConnection, file: Path, owner: Owner, hashed: Hashed, size: int
) -> dict[int, bytes]:
    """Return the root at the newest checkpoint that the log is large enough for, hashed as everything else."""
    c = checkpoint.c
    mine = (c.plant == owner.plant, c.gateway_id == owner.gateway_id, c.size <= size)
    newest = (await connection.execute(select(func.max(c.size)).where(*mine))).scalar_one()
    if newest is None:
        return {}
    whole = newest // hashing.CHUNK
    stretch = Stretch(file, owner.plant, owner.gateway_id, whole * hashing.CHUNK, newest)
    rest = (await asyncio.to_thread(hash_stretch, stretch)).rest
    return {newest: tree_of(Hashed(hashed.chunks[:whole], rest)).root}


async def _owners(connection: AsyncConnection, owner: Owner | None) -> list[Owner]:
    if owner is not None:
        return [owner]
    found: set[tuple[str, str]] = set()
    for table in (audit_tree, audit_leaf):
        rows = await connection.execute(select(table.c.plant, table.c.gateway_id).distinct())
        found |= {(row.plant, row.gateway_id) for row in rows}
    return [Owner(*each) for each in sorted(found)]


async def _verify_one(connection: AsyncConnection, owner: Owner, problems: _Problems, trust: Trust) -> _Reading:
    query = select(audit_tree).where(audit_tree.c.plant == owner.plant, audit_tree.c.gateway_id == owner.gateway_id)
    tree = (await connection.execute(query)).one_or_none()
    reading = _Reading(tree.size if tree else 0, wanted=await seals.sizes(connection, owner, trust))
    located = len(problems.found)
    async for row in _leaves(connection, owner):
        for problem in _unreadable(row, reading) if isinstance(row, int) else _read(row, reading):
            problems.add(problem)
    if reading.expected < reading.size:
        problems.add(_missing(reading.expected, reading.size - 1))
    if tree is not None and len(problems.found) == located:  # a leaf that is named explains a tree that differs
        for problem in _compare(tree, reading):
            problems.add(problem)
    size = reading.expected
    await problems.take(seals.broken(connection, owner, size, reading.hand_overs, reading.roots, trust))
    await problems.take(disagreements(connection, owner, reading.heard))
    return reading


async def _leaves(connection: AsyncConnection, owner: Owner) -> AsyncIterator[StoredRow | int]:
    """Yield every leaf in its order; of one that the database cannot give, only the index."""
    c = audit_leaf.c
    mine = (c.plant == owner.plant, c.gateway_id == owner.gateway_id)
    last = -1
    while True:
        here = (*mine, c.leaf_index > last)
        try:
            rows = (await connection.execute(select(audit_leaf).where(*here).order_by(c.leaf_index).limit(CHUNK))).all()
            indexes = [row.leaf_index for row in rows]
            for row in rows:
                yield row if isinstance(row.leaf, bytes) else row.leaf_index
        except _UNREADABLE:
            found = await connection.execute(select(c.leaf_index).where(*here).order_by(c.leaf_index).limit(CHUNK))
            indexes = list(found.scalars())
            for index in indexes:
                yield await _leaf(connection, mine, index)
        if len(indexes) < CHUNK:
            return
        last = indexes[-1]


async def _leaf(connection: AsyncConnection, mine: Sequence[ColumnElement[bool]], index: int) -> StoredRow | int:
    try:
        query = select(audit_leaf).where(*mine, audit_leaf.c.leaf_index == index)
        return (await connection.execute(query)).one()
    except _UNREADABLE:
        return index


def _unreadable(index: int, reading: _Reading) -> Iterator[str]:
    if index > reading.expected:
        yield _missing(reading.expected, index - 1)
    yield _("leaf {index} cannot be read").format(index=index)
    reading.frontier, reading.shifted = reading.frontier.append(EMPTY_ROOT), True
    reading.expected, reading.read = index + 1, reading.read + 1


def _read(row: StoredRow, reading: _Reading) -> Iterator[str]:
    """Take one leaf into the reading and yield what is wrong with it."""
    index = row.leaf_index
    if index > reading.expected:
        yield _missing(reading.expected, index - 1)
    if index == 0 == reading.size:
        yield _("the kept tree is missing or empty, but there are leaves")
    elif index >= reading.size > 0:
        yield _("leaf {index} was added: the tree has {size} leaves").format(index=index, size=reading.size)
    computed = leaf_hash(row.leaf)
    if computed != row.leaf_hash:
        yield _("leaf {index} was changed: its bytes do not give its hash").format(index=index)
    reading.frontier = reading.frontier.append(computed)
    reading.shifted |= computed != row.leaf_hash or index != reading.expected
    if row.subtree != reading.frontier.peaks[-1] and not reading.shifted:
        reading.shifted = True  # what follows is built on this one
        yield _("leaf {index} was changed with its hash, or the subtree beside it: they do not fit").format(index=index)
    reading.expected, reading.read = index + 1, reading.read + 1
    if reading.frontier.size in reading.wanted:
        reading.roots[reading.frontier.size] = reading.frontier.root
    yield from _content(row, computed, reading)


def _content(row: StoredRow, digest: bytes, reading: _Reading) -> Iterator[str]:
    """Yield in what a leaf's text differs from its place; take in what it says."""
    index = row.leaf_index
    try:
        said = json.loads(row.leaf, parse_float=_no_float)
        if said["index"] != index:
            yield _("leaf {index} was exchanged: it says that it is leaf {said}").format(
                index=index, said=said["index"]
            )
        elif not _in_place(row, said):
            yield _("leaf {index} is not in its place: its text and its row differ").format(index=index)
        if spelt(said) != row.leaf:
            yield _("leaf {index} is not in canonical form").format(index=index)
        entry = log.understood(row.gateway_id, index, said, digest)
        if entry.kind in HANDING_OVER:
            reading.hand_overs.append((index, entry.kind, entry.facts))
        if entry.kind == EPOCH:
            reading.breaks.append(epochs.sentence(index, entry.actor.id, entry.facts))
        reading.heard.hear(entry)
    except (AuditBroken, ValueError, KeyError, TypeError):
        yield _("leaf {index} cannot be read").format(index=index)


def _no_float(text: str) -> float:
    raise ValueError(f"{text} has no canonical form")


def _in_place(row: StoredRow, said: dict[str, Any]) -> bool:
    told = (said["plant"], said["gateway"], said["kind"], said["subject"], parse_timestamp(said["at"]))
    return bool(told == (row.plant, row.gateway_id, row.kind, row.subject, row.at))


def _missing(first: int, last: int) -> str:
    if first == last:
        return _("leaf {index} is missing").format(index=first)
    return _("leaves {first} to {last} are missing").format(first=first, last=last)


def _compare(tree: StoredRow, reading: _Reading) -> Iterator[str]:
    """Yield where the tree over the leaves differs from the one that was kept."""
    computed = reading.frontier
    try:
        kept = Frontier.decode(tree.size, tree.frontier)
    except (ValueError, TypeError):
        yield _("the kept tree does not hold together")
        return
    first = 0
    for stored, found in zip(kept.peaks, computed.peaks, strict=True):
        leaves = 1 << ((tree.size - first).bit_length() - 1)
        if stored != found:
            yield _("leaves {first} to {last} do not give the tree that was kept").format(
                first=first, last=first + leaves - 1
            )
        first += leaves
    if tree.root != kept.root:
        yield _("the kept root is not that of the kept tree")
