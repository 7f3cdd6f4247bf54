"""The end of an order whose goods are here: by invoices that agree, or by a person's word.

An order closes by itself when everything has come and everything is on invoices that agree; an invoice that agrees
answers an earlier one that did not, and settles the dispute about it. Anything else is a named person's to settle, with
a reason: a dispute, or an invoice that never came. They may say what is paid, and then no more than that stays bound;
it is never more than what was ordered, because nothing beyond the permitted bytes is ever bought or paid. It knows no
supplier and no schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor
from marketplace.authority import gate
from marketplace.money import Money
from marketplace.ordering.answers import LineSum, all_invoiced, over_delivered
from marketplace.ordering.edges import INVOICE_DIFFERS, move_order, problem_code, speaks_against
from marketplace.ordering.orders import StoredOrder, load
from marketplace.ordering.states import OrderState
from marketplace.store import Owner, purchase_order

S = OrderState

SETTLABLE: Final = frozenset({S.RECEIVED, S.DISPUTED})
"""States of which nothing but a person's word is certain to be an end."""
SETTLED: Final = "SETTLED"


async def close_if_done(
    tx: AsyncConnection, owner: Owner, number: str, lines: Sequence[LineSum], actor: Actor, at: datetime
) -> None:
    """Close an order of which everything has come and everything is on an invoice that agrees."""
    stored = await load(tx, owner, number)
    noted = stored.row.problem
    if not all_invoiced(lines):
        return
    if stored.state is S.RECEIVED and not speaks_against(noted):
        await move_order(tx, owner, number, S.RECEIVED, S.CLOSED, actor=actor, at=at)
    elif problem_code(noted) == INVOICE_DIFFERS and not over_delivered(lines):
        await _answered(tx, owner, stored, actor, at)


async def _answered(tx: AsyncConnection, owner: Owner, stored: StoredOrder, actor: Actor, at: datetime) -> None:
    """The invoice that did not agree has been corrected: the dispute is over, or will not begin with the goods."""
    number = stored.order.number
    if stored.state is S.DISPUTED:
        facts = {"answered": INVOICE_DIFFERS}
        await move_order(
            tx, owner, number, S.DISPUTED, S.CLOSED, actor=actor, at=at, facts=facts, problem="", next_ask_at=None
        )
        return
    mine = (purchase_order.c.plant == owner.plant) & (purchase_order.c.number == number)
    await tx.execute(update(purchase_order).where(mine).values(problem=""))


async def settle(
    tx: AsyncConnection, owner: Owner, stored: StoredOrder, person: Actor, at: datetime, reason: str, paid: Money | None
) -> str:
    """Close an order by a person's word; returns `SETTLED` or the code of why not. `paid`: None for all that is bound.

    Without a sum the whole stays bound, because it may still be billed.
    """
    if stored.state not in SETTLABLE:
        return "NOT_SETTLABLE"
    if not reason.strip():
        return "REASON_MISSING"
    number, bound = stored.order.number, await gate.bound(tx, stored.order.number)
    sum_of_it = bound if paid is None else paid
    if sum_of_it.currency != bound.currency or not 0 <= sum_of_it.minor <= bound.minor:
        return "PAID_BEYOND_ORDER"
    facts: dict[str, Any] = {
        "settled": str(sum_of_it),
        "code": problem_code(stored.row.problem),
        "note": await log.note(tx, owner, reason),
    }
    await move_order(
        tx, owner, number, stored.state, S.CLOSED, actor=person, at=at, facts=facts, problem="", next_ask_at=None
    )
    await gate.reduce(tx, owner, number, sum_of_it, at, actor=person)
    return SETTLED
