"""A gateway that starts on a restored backup: what it must have forgotten, and why it buys nothing until told to.

Between the backup and the disaster orders may have been approved, sent and drawn of which this database knows
nothing. So, in this order:

1. Buying is stopped (`Cause.RESTORED`); machines are watched.
2. Once, in one transaction: the order counter jumps `JUMP` beyond the last number that is known to have been drawn,
   because numbers drawn since may stand in a supplier's book, and a number used twice would find the wrong order. What
   was approved may have been sent: it becomes `unknown`, as if sent when the backup was made, which is the earliest
   moment that it can have been and so the most careful one for an idempotency key's age. What was still being wanted
   asks a person. The log says all that in one leaf.
3. The ordinary pass asks suppliers about every open order. Every number that may have been drawn since is looked up at
   every supplier that can be asked: up to the last one that the mark remembers, else until `SILENCE` numbers in a row
   are known to nobody. What is found is named; an order found at its supplier that waits here for an approval is
   cancelled, as approving it would buy it again.
4. A named person who has read that confirms. Buying goes on, and for `CAREFUL` every order asks a person: an order
   that is lost here cannot keep its component's slot.

Suppliers without look-up cannot be asked; they are named too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.durable import write_durably
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor
from marketplace.authority.policy import Mode
from marketplace.ordering.edges import gateway_actor, mark_ordered, move_order
from marketplace.ordering.numbers import format_number
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import Owner, audit_leaf, order_counter, purchase_order, requisition
from marketplace.suppliers.supplier import Supplier

S, R = OrderState, RequisitionState
log = structlog.get_logger()

NOTE: Final = "restored.json"
NOTE_MAX: Final = 1 << 20
JUMP: Final = 1_000
"""More orders than a gateway places between two backups, by far."""
SILENCE: Final = 20
"""Numbers are drawn one after the other, and most are sent: twenty in a row that nobody knows are past the end."""
CAREFUL: Final = timedelta(days=30)
KIND: Final = "gateway.restored"


@dataclass(frozen=True, slots=True)
class Lost:
    """An order that a supplier has and this database does not know as sent."""

    order: str
    supplier: str
    total: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What is known about the gap. `lost_*`: how far the lost database had come, None when nothing remembers it.

    looked: whether suppliers were asked for what is lost; `unasked` are those who could not be.
    """

    made_at: datetime
    restored_at: datetime
    size: int
    last_order: int
    lost_size: int | None = None
    lost_order: int | None = None
    looked: bool = False
    lost: tuple[Lost, ...] = ()
    unasked: tuple[str, ...] = ()
    careful_until: datetime | None = None

    @property
    def confirmed(self) -> bool:
        """Whether a person has let buying go on."""
        return self.careful_until is not None

    @property
    def id(self) -> str:
        """What the log calls this restore."""
        return self.restored_at.isoformat()

    def sentence(self) -> str:
        """Why buying is stopped, for people."""
        if not self.looked:
            sentence = _(
                "Buying is stopped: this is a backup of {made_at}, and suppliers are being asked what was bought since."
            )
        else:
            sentence = _(
                "Buying is stopped: this is a backup of {made_at}. Read what was bought since with 'toolcrib "
                "restored', then let buying go on with 'toolcrib restored --confirm'."
            )
        return sentence.format(made_at=self.made_at.isoformat(timespec="minutes"))


def load_note(directory: Path) -> Restored | None:
    """Return what a restore left in a data directory, None where there was none. Raises OSError, ValueError."""
    path = directory / NOTE
    if not path.exists():
        return None
    with path.open("rb") as file:
        said = json.loads(file.read(NOTE_MAX))
    for name in ("made_at", "restored_at", "careful_until"):
        said[name] = None if said[name] is None else datetime.fromisoformat(said[name])
    lost = tuple(Lost(**each) for each in said.pop("lost"))
    return Restored(**{**said, "lost": lost, "unasked": tuple(said["unasked"])})


def save_note(directory: Path, note: Restored) -> None:
    """Keep the note durably. Raises OSError."""
    said = asdict(note)
    for name in ("made_at", "restored_at", "careful_until"):
        said[name] = None if said[name] is None else said[name].isoformat()
    write_durably(directory / NOTE, json.dumps(said, indent=2).encode())


async def settle(tx: AsyncConnection, owner: Owner, note: Restored, now: datetime) -> None:
    """Do step 2 of the header, once."""
    done = select(audit_leaf.c.leaf_index).where(
        audit_leaf.c.plant == owner.plant,
        audit_leaf.c.gateway_id == owner.gateway_id,
        audit_leaf.c.kind == KIND,
        audit_leaf.c.subject == note.id,
    )
    if (await tx.execute(done)).first() is not None:
        return
    actor = gateway_actor(owner, "restore")
    first = max(note.last_order, note.lost_order or 0) + JUMP
    await _jump(tx, owner, first)
    doubted = await _doubt(tx, owner, note, actor, now)
    await _ask_for_wants(tx, owner)
    facts = {
        "made_at": note.made_at.isoformat(),
        "entries": note.size,
        "entries_lost": "unknown" if note.lost_size is None else note.lost_size - note.size,
        "orders_from": first + 1,
        "doubted": doubted,
    }
    await audit.append(tx, owner, KIND, note.id, actor, facts, now)


async def _jump(tx: AsyncConnection, owner: Owner, to: int) -> None:
    mine = (order_counter.c.plant == owner.plant) & (order_counter.c.gateway_id == owner.gateway_id)
    moved = await tx.execute(update(order_counter).where(mine, order_counter.c.last < to).values(last=to))
    if moved.rowcount == 0 and (await tx.execute(select(order_counter.c.last).where(mine))).first() is None:
        await tx.execute(order_counter.insert().values(last=to, **owner.columns))


async def _doubt(tx: AsyncConnection, owner: Owner, note: Restored, actor: Actor, now: datetime) -> list[str]:
    """Take every approved order for one that may have been sent; returns their numbers."""
    table = purchase_order.c
    mine = (table.plant == owner.plant, table.gateway_id == owner.gateway_id, table.state == S.APPROVED)
    found = (await tx.execute(select(purchase_order).where(*mine).order_by(table.number))).all()
    for row in found:
        number, send = row.number, row.sends + 1
        sent = {"sends": send, "first_sent_at": row.first_sent_at or note.made_at, "last_sent_at": note.made_at}
        facts = {"code": KIND, "send": send}
        await move_order(tx, owner, number, S.APPROVED, S.SUBMITTING, actor=actor, at=now, facts=facts, **sent)
        await mark_ordered(tx, owner, number, actor, now)
        facts = {"reason": KIND}
        await move_order(tx, owner, number, S.SUBMITTING, S.UNKNOWN, actor=actor, at=now, facts=facts, next_ask_at=None)
    return [row.number for row in found]


async def _ask_for_wants(tx: AsyncConnection, owner: Owner) -> None:
    """What was wanted when the backup was made may have been bought since: a person looks at its order."""
    table = requisition.c
    open_ones = (table.plant == owner.plant, table.gateway_id == owner.gateway_id, table.mode == Mode.BUY)
    states = table.state.in_((R.NEEDED, R.QUOTING, R.PROPOSED))
    await tx.execute(update(requisition).where(*open_ones, states).values(mode=Mode.ASK))


async def look(purchasing: Purchasing, note: Restored) -> Restored:
    """Do step 3 of the header and return what is known now."""
    lost: list[Lost] = []
    unasked = {name for name, each in purchasing.suppliers.items() if each.capabilities.lookup_window is None}
    async for number in _numbers(purchasing, note, lost):
        for name, supplier in sorted(purchasing.suppliers.items()):
            if name not in unasked:
                try:
                    lost += await _found(purchasing, supplier, number)
                except Exception as error:  # whatever ails a supplier, the others are asked
                    log.warning("a supplier cannot be asked for lost orders", supplier=name, error=type(error).__name__)
                    unasked.add(name)
    for waiting in await _waiting(purchasing):
        asked = purchasing.suppliers.get(waiting.supplier)
        if asked is not None and waiting.supplier not in unasked:
            found = await _found(purchasing, asked, waiting.number)
            lost += found
            if found:
                await purchasing.cancel(waiting.number, gateway_actor(purchasing.owner, "restore"))
    return replace(note, looked=True, lost=tuple(lost), unasked=tuple(sorted(unasked)))


async def _numbers(purchasing: Purchasing, note: Restored, lost: Sequence[Lost]) -> AsyncIterator[str]:
    """Yield every number that may have been drawn since the backup."""
    counter, silent, before = note.last_order, 0, 0
    while counter < note.last_order + JUMP:
        counter += 1
        if counter > (note.lost_order or 0) and silent >= SILENCE:
            return
        if note.lost_order is not None and counter > note.lost_order + SILENCE:
            return
        yield format_number(purchasing.owner.gateway_id, counter)
        silent = 0 if len(lost) > before else silent + 1
        before = len(lost)


async def _found(purchasing: Purchasing, supplier: Supplier, number: str) -> list[Lost]:
    async with asyncio.timeout(purchasing.terms.wire_timeout.total_seconds()):
        response = await supplier.find(number)
    return [] if response is None else [Lost(number, supplier.name, str(response.total))]


async def _waiting(purchasing: Purchasing) -> Sequence[Any]:
    table, owner = purchase_order.c, purchasing.owner
    mine = (table.plant == owner.plant, table.gateway_id == owner.gateway_id, table.state == S.AWAITING_APPROVAL)
    async with purchasing.database.read() as tx:
        return list(await tx.execute(select(table.number, table.supplier).where(*mine)))


async def confirm(tx: AsyncConnection, owner: Owner, note: Restored, person: Actor, now: datetime) -> Restored:
    """A named person lets buying go on; the log says who, and what they were shown."""
    lost: list[Mapping[str, str]] = [asdict(each) for each in note.lost[:100]]
    facts = {"lost": lost, "unasked": list(note.unasked), "careful_until": (now + CAREFUL).isoformat()}
    await audit.append(tx, owner, "gateway.restore_confirmed", note.id, person, facts, now)
    return replace(note, careful_until=now + CAREFUL)
