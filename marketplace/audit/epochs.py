"""A new epoch: how a log goes on that has truly lost entries which a witness saw, and cannot hide it.

It promises one leaf that says what was lost: how far the restored log had come and over which root, and what each
witness last said of it; who began the epoch is the leaf's actor. The leaf hands over to a key under a new name, so a
witness sees another log than the one it objects to, and its owner must accept that one by name. Who objected is read
from the leaf again, so no restart forgets whom to wait for (see `attendance`). Who may begin one, and when, is not
decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import chain, log, proofs
from marketplace.audit.actor import Actor
from marketplace.audit.notary import Notary, stored_keys
from marketplace.audit.note import VerifierKey
from marketplace.audit.tree import AuditBroken
from marketplace.store import Owner, audit_leaf

OBJECTIONS: Final = frozenset({"rolled_back", "forked"})
"""What a witness says whose entries are lost, as `attendance.Attested` spells it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The part of a log that one name has signed: from which size on, by which key now, and who objected before."""

    start: int
    key: VerifierKey
    objected: frozenset[str] = frozenset()


Said = tuple[str, str, int | None]
"""A witness's name, what it said last, and how many leaves it has seen, where that is known."""


async def begin(notary: Notary, actor: Actor, entries: int, said: Iterable[Said]) -> VerifierKey:
    """Let a log of which `entries` were restored go on in a new epoch; returns the key that witnesses must accept.

    Raises `KeyUnreadable`, `AuditBroken`, `NoteBroken`; then none was begun.
    """
    async with notary.database.read() as connection:
        root = await proofs.root_at(connection, notary.owner, entries)
    witnesses = [
        {"witness": witness, "said": word} | ({} if seen is None else {"seen": seen}) for witness, word, seen in said
    ]
    return await notary.begin_epoch(actor, {"entries": entries, "root": root.hex(), "witnesses": witnesses})


def sentence(index: int, person: str, facts: Mapping[str, Any]) -> str:
    """Return for people what was lost when an epoch began. Raises `AuditBroken` for a leaf that does not say it."""
    try:
        lost = [
            _("entries after {entries} that witness {witness} had seen ({seen}) are lost").format(
                entries=int(facts["entries"]), witness=repr(each["witness"]), seen=repr(each.get("seen", "?"))
            )
            for each in facts["witnesses"]
            if each["said"] in OBJECTIONS
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AuditBroken(f"leaf {index} does not say what was lost") from error
    return _("epoch began at entry {index} by {person}: {lost}").format(
        index=index, person=repr(person), lost="; ".join(lost)
    )


async def current(connection: AsyncConnection, owner: Owner, size: int) -> Epoch:
    """Return the epoch that a tree of that size belongs to. Raises `NoteBroken`, `AuditBroken`."""
    spans = await stored_keys(connection, owner)
    start, key = chain.epoch_start(spans, size), chain.key_for(spans, size)
    if start == 0:
        return Epoch(start, key)
    c = audit_leaf.c
    mine = (c.plant == owner.plant, c.gateway_id == owner.gateway_id, c.leaf_index == start - 1)
    leaf = (await connection.execute(select(c.leaf).where(*mine))).scalar_one_or_none()
    if leaf is None:
        raise AuditBroken(f"leaf {start - 1}, with which an epoch began, is missing")
    facts = log.parse(owner.gateway_id, start - 1, leaf).facts
    sentence(start - 1, "", facts)
    return Epoch(start, key, frozenset(each["witness"] for each in facts["witnesses"] if each["said"] in OBJECTIONS))
