"""The one door for answers: kept durably first, then applied once, whether they come at once or days later.

`receive` keeps an answer under its fingerprint: the same answer counts once, however often it is told. `apply` moves
the order it speaks of, in one transaction with lines, shelf, budget and audit. An answer that cannot be applied is
set aside with a code and never lost; one that is early (goods before the confirmation) waits. A confirmation on other
terms than ours stops the order for a person and suspends the supplier: silence is never acceptance. So does one of a
part, whose quantities are kept on the lines until the person says what becomes of the rest. An answer that comes after
the end, or whose dates are another year's, moves nothing and is shown to a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace import stock
from marketplace.acts import record
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.documents import DespatchAdvice, GoodsReceipt, Invoice, OrderResponse, Reply
from marketplace.money import Money, Quantity, plain
from marketplace.ordering import arrival
from marketplace.ordering.answers import (
    PARTLY_CONFIRMED,
    Answer,
    AnswerBroken,
    Judgement,
    add_shipped,
    fingerprint,
    is_far_away,
    judge_response,
    kind_of,
    read,
    state_by_lines,
    total_of,
    write,
)
from marketplace.ordering.closing import close_if_done
from marketplace.ordering.edges import (
    INVOICE_DIFFERS,
    REFERENCE_TAKEN,
    move_order,
    note_problem,
    problem,
    problem_code,
    speaks_against,
)
from marketplace.ordering.orders import OrderUnknown, StoredOrder, keep_sums, load, sums_of
from marketplace.ordering.serving import keep_shares, need_again, withdraw_wants
from marketplace.ordering.states import FAILED, UNSENT, OrderState
from marketplace.ordering.suspension import suspend
from marketplace.ordering.terms import PurchasingTerms
from marketplace.store import Owner, inbox, purchase_order

S = OrderState

APPLIED: Final = "APPLIED"
FAR_AWAY_CODE: Final = "DATE_FAR_AWAY"
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


@dataclass(frozen=True, slots=True)
class Known:
    """An answer that came before: its row, and its verdict once that is final, however often the same words come."""

    id: int
    verdict: str


async def known(tx: AsyncConnection, owner: Owner, supplier: str, answer: Answer, *, asked: bool) -> Known | None:
    """Return what is known of an answer, without writing anything. Raises `AnswerBroken` as `receive` does.

    asked: as in `apply`; then a response may count although it was heard before, so that its verdict is not final.
    """
    kind = kind_of(answer)
    mark = fingerprint(supplier, kind, write(answer))
    query = select(inbox.c.id, inbox.c.applied_at, inbox.c.verdict).where(
        inbox.c.plant == owner.plant, inbox.c.fingerprint == mark
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    final = row.applied_at is not None and not (asked and kind == "response")
    return Known(row.id, str(row.verdict) if final else WAITS)


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


async def waiting(tx: AsyncConnection, owner: Owner, number: str) -> list[Row[Any]]:
    """Return id and order number of the answers to an order that nobody has applied yet, oldest first."""
    query = (
        select(inbox.c.id, inbox.c.order_number)
        .where(inbox.c.plant == owner.plant, inbox.c.gateway_id == owner.gateway_id, inbox.c.applied_at.is_(None))
        .where(inbox.c.order_number == number)
        .order_by(inbox.c.id)
    )
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
    if is_far_away(answer, at):
        return await _far_away(case, answer)
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


async def _far_away(case: Case, answer: Answer) -> str:
    """A date that nobody can have meant: either the supplier or our own clock is wrong, and a person must see which."""
    said = {"kind": kind_of(answer)}
    if isinstance(answer, OrderResponse) and case.stored.state in _OPEN_TO_ANSWERS:
        return await _stop(case, FAR_AWAY_CODE, said, supplier_reference=_reference(answer))
    if not speaks_against(case.stored.row.problem):
        await note_problem(case.tx, case.owner, case.number, FAR_AWAY_CODE, said)
    return FAR_AWAY_CODE


async def _respond(case: Case, response: OrderResponse) -> str:
    judgement = judge_response(case.stored.order, response)
    if _may_be_anothers(case, response):
        return await _stop(case, REFERENCE_TAKEN, {})
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


def _may_be_anothers(case: Case, response: OrderResponse) -> bool:
    """The supplier has our number for an order that it did not take for ours: only the hash says whose it is."""
    taken = case.stored.state is S.UNKNOWN and problem_code(case.stored.row.problem) == REFERENCE_TAKEN
    return taken and case.actor.kind is not ActorKind.PERSON and response.order_hash != case.stored.order.hash


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
    await _expect(tx, owner, stored, {line.number: line.quantity for line in lines})


async def _expect(tx: AsyncConnection, owner: Owner, stored: StoredOrder, confirmed: Mapping[int, Decimal]) -> None:
    """Note how much of each line the supplier takes on; the shelf expects as much more or less than before."""
    lines = await sums_of(tx, stored.order.number)
    after = {line.number: max(confirmed[line.number], line.received) for line in lines}
    await keep_sums(tx, stored.order.number, tuple(replace(line, confirmed=after[line.number]) for line in lines))
    before = {line.number: max(line.confirmed, line.received) for line in lines}
    for line in stored.order.lines:
        more = after[line.number] - before[line.number]
        if more == 0 or not await arrival.is_goods(tx, line):
            continue
        if more > 0:
            await stock.expect(tx, owner, line.item.key, Quantity(more, line.quantity.unit))
        else:
            await stock.expect_no_more(tx, owner, line.item.key, -more)


async def take_part(tx: AsyncConnection, owner: Owner, stored: StoredOrder, person: Actor, at: datetime) -> None:
    """A person lets the order be for what was confirmed of it: lines, shares and money are cut, the rest needed again.

    The caller has just moved the order to confirmed; if the whole part is here already, it goes on from there. What
    was cut once stays cut: of a larger part that is confirmed later no more counts than was agreed before.
    """
    number = stored.order.number
    lines = tuple(replace(line, quantity=min(line.quantity, line.confirmed)) for line in await sums_of(tx, number))
    await keep_sums(tx, number, lines)
    agreed = {line.number: line.quantity for line in lines}
    await _expect(tx, owner, stored, agreed)
    await keep_shares(tx, owner, number, agreed)
    await gate.reduce(tx, owner, number, total_of(stored.order, agreed), at, actor=person)
    await need_again(tx, owner, number, person, at, quoting_after=None)
    state = state_by_lines(S.CONFIRMED, lines)
    if state is not S.CONFIRMED:
        await move_order(tx, owner, number, S.CONFIRMED, state, actor=person, at=at)
        await close_if_done(tx, owner, number, lines, person, at)


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
        if judgement.code == PARTLY_CONFIRMED:
            part = {line.number: line.quantity.amount for line in response.lines}
            await _expect(case.tx, case.owner, case.stored, part)
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
    lines = await sums_of(case.tx, case.number)
    due = total_of(case.stored.order, {line.number: line.quantity for line in lines})
    if case.stored.state is S.CLOSED:  # a person may have settled it for less
        due = min(due, await gate.bound(case.tx, case.number))
    billed = await _billed(case, invoice)
    if billed is None or billed > due:
        parameters = {"ordered": str(due), "invoiced": str(billed or invoice.total), "invoice": invoice.invoice}
        code = "INVOICE_AFTER_END" if case.stored.state is S.CLOSED else INVOICE_DIFFERS
        await note_problem(case.tx, case.owner, case.number, code, parameters)
        if case.stored.state is S.RECEIVED:
            await case.move(S.DISPUTED, {"code": code, "parameters": parameters})
        return code
    if billed == due:
        lines = tuple(replace(line, invoiced=line.quantity) for line in lines)
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


def _said(response: OrderResponse) -> dict[str, Any]:
    return {"reply": str(response.reply), "supplier_reference": _reference(response)}


def _columns(response: OrderResponse) -> dict[str, Any]:
    return {"supplier_reference": _reference(response), "promised_at": response.promised_at}


def _reference(response: OrderResponse) -> str:
    return response.supplier_reference[:100]
