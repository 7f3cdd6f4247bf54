"""Checkpoints, keys and cosignatures held against the log that they speak of.

It promises to find a key that nobody handed over, a checkpoint that its key has not signed, one that speaks of leaves
which the log no longer has (it was cut off), one over other leaves (it was rewritten), and a witness that saw another
log than this. It believes the leaves that it is told of and no row; whether they are whole is for `verify`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import chain
from marketplace.audit.chain import HandOver, KeySpan
from marketplace.audit.checkpoint import SignedCheckpoint, origin_of
from marketplace.audit.note import Note, NoteBroken, VerifierKey, signatures, verify
from marketplace.store import Owner, audit_key, checkpoint, cosignature


@dataclass(frozen=True, slots=True)
class Trust:
    """What whoever verifies knows from elsewhere: keys of the log, and checkpoints that witnesses have seen.

    `seen`: notes, each with the key of the witness that cosigned it, None for one that the log alone has signed.
    """

    keys: tuple[VerifierKey, ...] = ()
    seen: tuple[tuple[SignedCheckpoint, VerifierKey | None], ...] = ()


async def sizes(connection: AsyncConnection, owner: Owner, trust: Trust) -> set[int]:
    """Return at which sizes the roots of the log are wanted."""
    query = select(checkpoint.c.size).where(
        checkpoint.c.plant == owner.plant, checkpoint.c.gateway_id == owner.gateway_id
    )
    return {*(await connection.execute(query)).scalars(), *(each.checkpoint.size for each, _key in trust.seen)}


async def broken(
    connection: AsyncConnection,
    owner: Owner,
    size: int,
    hand_overs: Sequence[HandOver],
    roots: Mapping[int, bytes],
    trust: Trust,
) -> AsyncIterator[str]:
    """Yield a sentence for each seal that does not hold, given the log's size, the leaves that hand over and its roots.

    Checkpoints at sizes without a root are not looked at, unless the log is too small for them.
    """
    rows = await _rows(connection, owner, audit_key)
    notes = [row for row in await _rows(connection, owner, checkpoint) if row.size in roots or row.size > size]
    if not rows:
        if notes or hand_overs or trust.keys or trust.seen:
            yield _("there is no key, but the log was signed")
        return
    try:
        keys = chain.spans(VerifierKey.parse(rows[0].key), hand_overs)
    except NoteBroken as error:
        yield _("the log's keys do not follow from each other: {reason}").format(reason=error)
        return
    for problem in _keys(rows, keys, trust):
        yield problem
    origin = origin_of(owner)
    for row in notes:  # the oldest that does not hold says most about the place; those after it follow
        if problem := _checkpoint(row, origin, keys, size, roots):
            yield problem
            break
    texts = {row.size: row.note for row in notes}
    for row in await _rows(connection, owner, cosignature):
        if row.size in roots and not _cosigned(texts.get(row.size), row.line, row.witness):
            yield _("checkpoint {size}: the signature of a witness does not hold").format(size=row.size)
    for signed, witness in trust.seen:
        for problem in _witnessed(signed, witness, origin, keys, size, roots):
            yield problem


async def _rows(connection: AsyncConnection, owner: Owner, table: Any) -> Sequence[Any]:
    query = select(table).where(table.c.plant == owner.plant, table.c.gateway_id == owner.gateway_id)
    return (await connection.execute(query.order_by(*table.primary_key.columns))).all()


def _keys(rows: Sequence[Any], keys: Sequence[KeySpan], trust: Trust) -> Iterator[str]:
    stored = [(row.from_size, row.key) for row in rows]
    if stored != [(each.from_size, str(each.key)) for each in keys]:
        yield _("the stored keys are not those that the log handed over")
    for key in trust.keys:
        if key not in [each.key for each in keys]:
            yield _("the log was never signed with the key {key}").format(key=key)


def _checkpoint(row: Any, origin: str, keys: Sequence[KeySpan], size: int, roots: Mapping[int, bytes]) -> str:
    """Return what is wrong with a stored checkpoint, empty when nothing is."""
    try:
        said = chain.require(SignedCheckpoint.parse(row.note), origin, keys)
    except NoteBroken as error:
        return _("checkpoint {size}: {reason}").format(size=row.size, reason=error)
    if said.size != row.size:
        return _("checkpoint {size}: it stands where another one was").format(size=row.size)
    if said.size > size:
        sentence = _("checkpoint {signed}: the log has only {size} leaves; it was cut off")
        return sentence.format(signed=said.size, size=size)
    if roots.get(said.size) != said.root:
        return _("checkpoint {size}: it was signed over other leaves").format(size=said.size)
    return ""


def _cosigned(note: str | None, line: str, witness: str) -> bool:
    try:
        text = SignedCheckpoint.parse(note or "").note.text
        verify(Note(text, signatures(line)), [VerifierKey.parse(witness)])
    except NoteBroken:
        return False
    return True


def _witnessed(
    signed: SignedCheckpoint,
    witness: VerifierKey | None,
    origin: str,
    keys: Sequence[KeySpan],
    size: int,
    roots: Mapping[int, bytes],
) -> Iterator[str]:
    who, said = witness.name if witness else origin, signed.checkpoint
    earlier = [each.key for each in keys if each.key.name == said.origin != chain.key_for(keys, said.size).name]
    try:
        if witness is not None:
            verify(signed.note, [witness])
        if earlier:
            verify(signed.note, earlier)
        elif witness is None or said.size <= size:  # what was rolled back may have forgotten the key, too
            chain.require(signed, origin, keys)
    except NoteBroken as error:
        yield _("what {witness} has seen cannot be believed: {reason}").format(witness=who, reason=error)
        return
    if earlier:
        sentence = _("{witness} has seen {seen} leaves of {origin}, more than there are of it here: the rest was lost")
        yield sentence.format(witness=who, seen=said.size, origin=said.origin)
    elif said.size > size:
        yield _("{witness} has seen {seen} leaves and the log has {size}: it was rolled back").format(
            witness=who, seen=said.size, size=size
        )
    elif roots.get(said.size) != said.root:
        yield _("{witness} has seen other leaves below {seen} than these: the log was forked").format(
            witness=who, seen=said.size
        )
