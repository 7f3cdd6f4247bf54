"""A purchase at which the program fails again and again is set apart, so that the others go on.

Every failure in a row is counted on the purchase's own row and makes the next try wait longer. After `failures_max` of
them the purchase, an order or a requisition, is quarantined: nothing but a named person's release makes a pass or an
answer touch it again, and until then it stands among what needs a person. Both are told to the audit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit.actor import Actor
from marketplace.ordering.edges import BROKE, QUARANTINED, gateway_actor, problem, problem_code
from marketplace.ordering.terms import PurchasingTerms, backed_off
from marketplace.store import Owner, purchase_order, requisition

SEEN: Final = frozenset({"ANSWER_AFTER_END", "INVOICE_AFTER_END", "DATE_FAR_AWAY"})
"""Told to a person, who has nothing to settle about it: to have seen it is enough."""
_CLEARED: Final = SEEN | {BROKE, QUARANTINED}


async def note_failure(
    tx: AsyncConnection, owner: Owner, subject: str, error: str, now: datetime, terms: PurchasingTerms
) -> bool:
    """Count a failure at an order or a requisition; returns whether that was one too many, and it is quarantined.

    `error` is the error's name; what is wrong with the order itself stays noted. A subject that is neither is left.
    """
    found = await _find(tx, owner, subject)
    if found is None:
        return False
    table, mine, row = found
    failures = row.failures + 1
    given_up = failures >= terms.failures_max
    values: dict[str, Any] = {"failures": failures}
    values[_again(table)] = now + backed_off(terms.ask_again, terms.ask_again_max, failures)
    if problem_code(row.problem) in ("", BROKE):
        values["problem"] = problem(QUARANTINED if given_up else BROKE, {"error": error})
    if given_up:
        values["quarantined_at"] = now
        facts = {"error": error, "failures": failures}
        await record(tx, owner, "purchase", subject, "quarantined", gateway_actor(owner, "reconciliation"), now, facts)
    await tx.execute(update(table).where(mine).values(**values))
    return bool(given_up)


async def forget_failures(tx: AsyncConnection, owner: Owner, subject: str) -> None:
    """It went well this time: only failures in a row count."""
    found = await _find(tx, owner, subject)
    if found is not None and found[2].quarantined_at is None:
        table, mine, row = found
        kept = "" if problem_code(row.problem) == BROKE else row.problem
        await tx.execute(update(table).where(mine).values(failures=0, problem=kept))


async def release(tx: AsyncConnection, owner: Owner, subject: str, person: Actor, at: datetime) -> bool:
    """A named person has looked: the purchase is taken up again at once. False when there was nothing to release."""
    found = await _find(tx, owner, subject)
    if found is None:
        return False
    table, mine, row = found
    code = problem_code(row.problem)
    if row.quarantined_at is None and code not in SEEN:
        return False
    kept = "" if code in _CLEARED else row.problem
    values = {"failures": 0, "quarantined_at": None, "problem": kept, _again(table): None}
    await tx.execute(update(table).where(mine).values(**values))
    await record(tx, owner, "purchase", subject, "released", person, at, {"code": code})
    return True


async def _find(tx: AsyncConnection, owner: Owner, subject: str) -> tuple[Table, ColumnElement[bool], Any] | None:
    """Return the table of an order's number or a requisition's id, the condition that names it, and what is noted."""
    for table, key in ((purchase_order, purchase_order.c.number), (requisition, requisition.c.id)):
        mine: ColumnElement[bool] = and_(table.c.plant == owner.plant, key == subject)
        noted = select(table.c.failures, table.c.quarantined_at, table.c.problem).where(mine)
        row = (await tx.execute(noted)).one_or_none()
        if row is not None:
            return table, mine, row
    return None


def _again(table: Table) -> str:
    """Return the column that says when a pass looks again."""
    return "next_ask_at" if table is purchase_order else "quoting_after"
