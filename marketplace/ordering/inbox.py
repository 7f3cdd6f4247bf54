"""The one door for answers: kept durably first, then applied once, whether they come at once or days later.

`receive` keeps an answer under its fingerprint: the same answer counts once, however often it is told. `apply` moves
the order it speaks of, in one transaction with lines, shelf, budget and audit. An answer that cannot be applied is
set aside with a code and never lost; one that is early (goods before the confirmation) waits. A confirmation on other
terms than ours stops the order for a person and suspends the supplier: silence is never acceptance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace import stock
from marketplace.audit.actor import Actor, ActorKind
from marketplace.documents import DespatchAdvice, GoodsReceipt, Invoice, OrderResponse, Reply
from marketplace.money import Money, plain
from marketplace.ordering import arrival
from marketplace.ordering.answers import (
    Answer,
    AnswerBroken,
    Judgement,
    LineSum,
    add_shipped,
    all_invoiced,
    fingerprint,
    judge_response,
    kind_of,
    read,
    state_by_lines,
    write,
)
from marketplace.ordering.edges import (
    move_order,
    need_again,
    note_problem,
    problem,
    record,
    speaks_against,
    withdraw_wants,
)
from marketplace.ordering.orders import OrderUnknown, StoredOrder, keep_sums, load, sums_of
from marketplace.ordering.states import FAILED, UNSENT, OrderState
from marketplace.ordering.suspension import suspend
from marketplace.ordering.terms import PurchasingTerms
from marketplace.store import Owner, inbox, purchase_order

S = OrderState

APPLIED: Final = "APPLIED"
WAITS: Final = ""
"""An early answer has no verdict yet."""

_OPEN_TO_ANSWERS: Final = frozenset({S.SUBMITTING, S.SUBMITTED, S.UNKNOWN})
_GOODS_MAY_MOVE: Final = frozenset({S.CONFIRMED, S.SHIPPED, S.CANCELLING, S.RECEIVED, S.DISPUTED, S.CLOSED})


@dataclass(frozen=True, slots=True)
class Received:
    """A kept answer: its row, and whether it was the first time that it came."""

    id: int
    new: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One answer beside the order it speaks of, in one transaction; `at` is plant time, `asked` as in `apply`."""

    tx: AsyncConnection
    owner: Owner
    stored: StoredOrder
    actor: Actor
    at: datetime
    terms: PurchasingTerms
    asked: bool

    @property
    def number(self) -> str:
        """The order's number."""
        return self.stored.order.number

    async def move(self, after: OrderState, facts: dict[str, Any] | None = None, **columns: Any) -> None:
        """Move the order along one edge from where it was when the answer was taken up."""
        await move_order(
            self.tx,
            self.owner,
            self.number,
            self.stored.state,
            after,
            actor=self.actor,
            at=self.at,
            facts=facts,
            **columns,
        )


async def receive(
    tx: AsyncConnection, owner: Owner, supplier: str, answer: Answer, actor: Actor, at: datetime
) -> Received:
    """Keep an answer, once. Raises `AnswerBroken` when it is larger than anything honest."""
    kind, document = kind_of(answer), write(answer)
    mark = fingerprint(supplier, kind, document)
    known = select(inbox.c.id).where(inbox.c.plant == owner.plant, inbox.c.fingerprint == mark)
    id = (await tx.execute(known)).scalar_one_or_none()
    if id is not None:
        return Received(id, new=False)
    reference = answer.reference[:64]
    row = {
        "supplier": supplier,
        "order_number": reference,
        "kind": kind,
        "fingerprint": mark,
        "document": json.dumps(document, sort_keys=True, ensure_ascii=False),
        "actor": write_actor(actor),
        "received_at": at,
        "verdict": WAITS,
    }
    inserted = insert(inbox).values(**row, **owner.columns).returning(inbox.c.id)
    id = (await tx.execute(inserted)).scalar_one()
    facts = {"kind": kind, "supplier": supplier, "fingerprint": mark}
    await record(tx, owner, "answer", reference, "received", actor, at, facts)
    return Received(id, new=True)


def write_actor(actor: Actor) -> str:
    """Return an actor as the inbox keeps it."""
    return f"{actor.kind}:{actor.method}:{actor.id}"


def read_actor(written: str) -> Actor:
    """Return an actor that the inbox kept."""
    kind, method, id = written.split(":", 2)
    return Actor(ActorKind(kind), id, method)


async def waiting(tx: AsyncConnection, owner: Owner, number: str | None = None) -> list[Row[Any]]:
    """Return id and order number of the answers that nobody has applied yet, oldest first."""
    query = (
        select(inbox.c.id, inbox.c.order_number)
        .where(inbox.c.plant == owner.plant, inbox.c.gateway_id == owner.gateway_id, inbox.c.applied_at.is_(None))
        .order_by(inbox.c.id)
    )
    if number is not None:
        query = query.where(inbox.c.order_number == number)
    return list(await tx.execute(query))


async def apply(
    tx: AsyncConnection, owner: Owner, id: int, at: datetime, terms: PurchasingTerms, *, asked: bool = False
) -> str:
    """Apply a kept answer and return its verdict: `APPLIED`, a code why it was set aside, or "" while it is early.

    asked: it is the reply to what we have just asked about an order whose state is open. Then a response counts even
    if the same words were heard before; goods and invoices never count twice.
    """
    row = (await tx.execute(select(inbox).where(inbox.c.plant == owner.plant, inbox.c.id == id))).one()
    again = row.applied_at is not None
    if again and not (asked and row.kind == "response"):
        return str(row.verdict)
    verdict = await _verdict(tx, owner, row, at, terms, asked)
    if verdict == WAITS or again:
        return verdict
    await tx.execute(update(inbox).where(inbox.c.id == id).values(applied_at=at, verdict=verdict))
    facts = {"kind": row.kind, "supplier": row.supplier, "fingerprint": row.fingerprint, "verdict": verdict}
    event = "applied" if verdict == APPLIED else "set_aside"
    await record(tx, owner, "answer", row.order_number, event, read_actor(row.actor), at, facts)
    if verdict == APPLIED and row.kind == "response":
        await _apply_early(tx, owner, row.order_number, at, terms)
    return verdict


async def _apply_early(tx: AsyncConnection, owner: Owner, number: str, at: datetime, terms: PurchasingTerms) -> None:
    """What came before its time may count now."""
    for row in await waiting(tx, owner, number):
        await apply(tx, owner, row.id, at, terms)


async def _verdict(
    tx: AsyncConnection, owner: Owner, row: Row[Any], at: datetime, terms: PurchasingTerms, asked: bool
) -> str:
    try:
        answer = read(row.kind, json.loads(row.document))
        stored = await load(tx, owner, row.order_number)
    except OrderUnknown:
        return "UNKNOWN_REFERENCE"
    except AnswerBroken:
        return "UNREADABLE"
    if row.kind != "receipt" and stored.order.supplier != row.supplier:
        return "OTHER_SUPPLIER"
    case = Case(tx, owner, stored, read_actor(row.actor), at, terms, asked)
    if stored.state in FAILED or stored.state in UNSENT:
        return await _too_late(case, answer)
    if isinstance(answer, OrderResponse):
        return await _respond(case, answer)
    if isinstance(answer, GoodsReceipt):
        return await arrival.take_in(case.tx, owner, stored, answer, case.actor, at)
    if stored.state not in _GOODS_MAY_MOVE:
        return WAITS
    return await (_despatch(case, answer) if isinstance(answer, DespatchAdvice) else _invoice(case, answer))


async def _too_late(case: Case, answer: Answer) -> str:
    """A supplier speaks of an order that, as far as we know, it never got or that has ended: a person must see it."""
    if isinstance(answer, OrderResponse) and answer.reply is Reply.REJECTED:
        return "REPEATED"
    code = "ANSWER_BEFORE_SENDING" if case.stored.state in UNSENT else "ANSWER_AFTER_END"
    if case.stored.state is S.APPROVED:  # it would be sent at any moment, and perhaps for the second time
        await case.move(S.AWAITING_APPROVAL, authority="", decided_by="", rule=code)
    await note_problem(
        case.tx, case.owner, case.number, code, {"kind": kind_of(answer), "state": str(case.stored.state)}
    )
    return code


async def _respond(case: Case, response: OrderResponse) -> str:
    judgement = judge_response(case.stored.order, response)
    if not judgement.agrees:
        return await _other_terms(case, judgement, response)
    if response.reply is Reply.REJECTED:
        return await _rejected(case, response)
    if response.reply is Reply.CONFIRMED:
        return await _confirmed(case, response)
    if case.stored.state in (S.SUBMITTING, S.UNKNOWN):
        await case.move(S.SUBMITTED, _said(response), **_columns(response), problem="", next_ask_at=None)
        return APPLIED
    return "REPEATED"


async def _confirmed(case: Case, response: OrderResponse) -> str:
    state = case.stored.state
    if state is S.CANCELLING and case.asked:  # it is still on
        await case.move(S.CONFIRMED, _said(response), next_ask_at=None)
        return APPLIED
    if state in _OPEN_TO_ANSWERS or (state is S.NEEDS_PERSON and case.actor.kind is ActorKind.PERSON):
        await case.move(S.CONFIRMED, _said(response), **_columns(response), problem="", next_ask_at=None)
        await confirm_lines(case.tx, case.owner, case.stored)
        return APPLIED
    if state in (S.CONFIRMED, S.SHIPPED) and response.promised_at not in (None, case.stored.row.promised_at):
        mine = (purchase_order.c.plant == case.owner.plant) & (purchase_order.c.number == case.number)
        await case.tx.execute(update(purchase_order).where(mine).values(promised_at=response.promised_at))
        return APPLIED
    return "WAITS_FOR_PERSON" if state is S.NEEDS_PERSON else "REPEATED"


async def confirm_lines(tx: AsyncConnection, owner: Owner, stored: StoredOrder) -> None:
    """Note on every line that it is confirmed as ordered, and that the goods are on their way."""
    lines = await sums_of(tx, stored.order.number)
    await keep_sums(tx, stored.order.number, tuple(replace(line, confirmed=line.quantity) for line in lines))
    before = {line.number: line.confirmed for line in lines}
    for line in stored.order.lines:
        if before[line.number] == 0 and await arrival.is_goods(tx, line):
            await stock.expect(tx, owner, line.item.key, line.quantity)


async def goods_will_not_come(tx: AsyncConnection, owner: Owner, stored: StoredOrder) -> None:
    """An order that had been confirmed ended without its goods."""
    sums = {line.number: line for line in await sums_of(tx, stored.order.number)}
    for line in stored.order.lines:
        outstanding = sums[line.number].confirmed - sums[line.number].received
        if outstanding > 0 and await arrival.is_goods(tx, line):
            await stock.expect_no_more(tx, owner, line.item.key, outstanding)


async def _rejected(case: Case, response: OrderResponse) -> str:
    state, row = case.stored.state, case.stored.row
    if state is S.CANCELLING:
        await case.move(S.CANCELLED, _said(response), next_ask_at=None)
        await goods_will_not_come(case.tx, case.owner, case.stored)
        await withdraw_wants(case.tx, case.owner, case.number, case.actor, case.at, case.terms.hold)
        return APPLIED
    if state is S.SUBMITTING and row.first_sent_at != row.last_sent_at:
        return await _stop(case, "REJECTED_AFTER_UNKNOWN", {})  # the first send may have been taken, the second refused
    if state in _OPEN_TO_ANSWERS:
        await case.move(S.REJECTED, _said(response), **_columns(response), next_ask_at=None)
        await need_again(
            case.tx, case.owner, case.number, case.actor, case.at, quoting_after=case.at + case.terms.ask_again
        )
        return APPLIED
    if state is S.CONFIRMED:
        return await _stop(case, "REJECTED_AFTER_CONFIRMATION", {})
    return "WAITS_FOR_PERSON" if state is S.NEEDS_PERSON else "REJECTED_TOO_LATE"


async def _other_terms(case: Case, judgement: Judgement, response: OrderResponse) -> str:
    supplier, terms = case.stored.order.supplier, case.terms.alarms
    await suspend(case.tx, case.owner, supplier, judgement.code, case.number, case.at, terms)
    if case.stored.state in _OPEN_TO_ANSWERS or case.stored.state is S.CONFIRMED:
        return await _stop(case, judgement.code, dict(judgement.parameters), supplier_reference=_reference(response))
    await note_problem(case.tx, case.owner, case.number, judgement.code, judgement.parameters)
    return judgement.code


async def _stop(case: Case, code: str, parameters: dict[str, str], **columns: Any) -> str:
    facts = {"code": code, "parameters": parameters}
    await case.move(S.NEEDS_PERSON, facts, problem=problem(code, parameters), next_ask_at=None, **columns)
    return code


async def _despatch(case: Case, advice: DespatchAdvice) -> str:
    try:
        lines = add_shipped(await sums_of(case.tx, case.number), advice.quantities)
    except AnswerBroken as error:
        return str(error)
    await keep_sums(case.tx, case.number, lines)
    state = case.stored.state
    facts = {"despatch": advice.despatch, "lines": {str(n): plain(q) for n, q in advice.quantities.items()}}
    if state is S.CANCELLING:  # too late to cancel
        after = state_by_lines(S.CONFIRMED, lines)
        await case.move(S.SHIPPED if after is S.SHIPPED else S.CONFIRMED, facts, next_ask_at=None)
    elif state is S.CONFIRMED and state_by_lines(state, lines) is not state:
        await case.move(S.SHIPPED, facts, next_ask_at=None)
    return APPLIED


async def _invoice(case: Case, invoice: Invoice) -> str:
    order = case.stored.order
    billed = await _billed(case, invoice)
    if billed is None or billed > order.total:
        parameters = {"ordered": str(order.total), "invoiced": str(billed or invoice.total), "invoice": invoice.invoice}
        await note_problem(case.tx, case.owner, case.number, "INVOICE_DIFFERS", parameters)
        if case.stored.state is S.RECEIVED:
            await case.move(S.DISPUTED, {"code": "INVOICE_DIFFERS", "parameters": parameters})
        return "INVOICE_DIFFERS"
    if billed == order.total:
        lines = tuple(replace(line, invoiced=line.quantity) for line in await sums_of(case.tx, case.number))
        await keep_sums(case.tx, case.number, lines)
        await close_if_done(case.tx, case.owner, case.number, lines, case.actor, case.at)
    return APPLIED


async def _billed(case: Case, invoice: Invoice) -> Money | None:
    """Return the sum of the order's applied invoices and this one, None when a currency differs."""
    if invoice.total.currency != case.stored.order.currency or invoice.total.minor < 0:
        return None
    rows = await case.tx.execute(
        select(inbox.c.document).where(
            inbox.c.plant == case.owner.plant,
            inbox.c.order_number == case.number,
            inbox.c.kind == "invoice",
            inbox.c.verdict == APPLIED,
        )
    )
    totals = [json.loads(row.document)["total"]["minor"] for row in rows]
    return Money(sum(totals, start=invoice.total.minor), invoice.total.currency)


async def close_if_done(
    tx: AsyncConnection, owner: Owner, number: str, lines: Sequence[LineSum], actor: Actor, at: datetime
) -> None:
    """Close an order of which everything has come and everything is on an invoice that agrees."""
    stored = await load(tx, owner, number)
    if stored.state is S.RECEIVED and all_invoiced(lines) and not speaks_against(stored.row.problem):
        await move_order(tx, owner, number, S.RECEIVED, S.CLOSED, actor=actor, at=at)


def _said(response: OrderResponse) -> dict[str, Any]:
    return {"reply": str(response.reply), "supplier_reference": _reference(response)}


def _columns(response: OrderResponse) -> dict[str, Any]:
    return {"supplier_reference": _reference(response), "promised_at": response.promised_at}


def _reference(response: OrderResponse) -> str:
    return response.supplier_reference[:100]
