"""Suppliers in memory, and what people do: approvals through the real purchasing, the rest kept to be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.actions import HandAnswer, Outcome
from maintenance.alarms.alarm import Moved, Refused, acknowledged, shelved, unshelved
from maintenance.alarms.book import Book
from maintenance.needs import Measure
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.halts import BY_PERSON
from marketplace.authority.scopes import Scope, ScopeKind
from marketplace.documents import (
    OrderResponse,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    Reply,
    RequestForQuotation,
    ResponseLine,
    canonical,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.purchase import Act, Purchasing
from marketplace.ordering.stopping import Stopping
from marketplace.sentences import sentence
from marketplace.suppliers.supplier import Capabilities, SupplierUnavailable
from tests.showcase.data import PARTS, SIGNS


@dataclass
class Shop:
    """A supplier in memory: a price list, a lead time, and every order that reached it."""

    name: str
    factor: Decimal
    lead_days: Decimal
    freight: int
    clock: Callable[[], datetime]
    open: bool = True
    orders: list[str] = field(default_factory=list)
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(quotes=True, idempotency_key=timedelta(days=1))
    )

    def encode(self, order: PurchaseOrder) -> bytes:
        return canonical(order.document())

    async def quote(self, request: RequestForQuotation) -> Quotation:
        if not self.open:
            raise SupplierUnavailable(f"{self.name} does not answer")
        prices = {part.item: Decimal(part.price) for part in PARTS.values()}
        lines = tuple(
            QuotationLine(
                line.number,
                f"{self.name[:1].upper()}-{line.item.mpn}",
                line.quantity,
                UnitPrice((prices[line.item.key] * self.factor).quantize(Decimal("0.01")), "EUR"),
                self.lead_days,
                Decimal(20),
            )
            for line in request.lines
        )
        until = self.clock() + timedelta(days=3)
        return Quotation(
            self.name, f"Q-{len(self.orders) + 100}", lines, Money(self.freight, "EUR"), Money(0, "EUR"), until
        )

    async def place(self, permit: Any) -> OrderResponse:
        self.orders.append(permit.reference)
        order = json.loads(permit.request_bytes)
        promised = self.clock() + timedelta(days=float(self.lead_days))
        reference = f"AB-{7000 + len(self.orders)}"
        lines = tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), "EUR"),
            )
            for line in order["lines"]
        )
        return OrderResponse(
            permit.reference, reference, Reply.CONFIRMED, lines, Money(order["total"], "EUR"), promised
        )

    async def find(self, reference: str) -> OrderResponse | None:
        return None

    async def search(self, text: str) -> Sequence[Any]:
        return ()

    async def cancel(self, reference: str) -> OrderResponse:
        raise SupplierUnavailable("closed")

    async def documents(self, reference: str) -> Sequence[Any]:
        return ()

    async def close(self) -> None:
        return None


class PlantActions:
    """Approvals go through the real purchasing; what else people enter is kept to be looked at."""

    def __init__(self, purchasing: Purchasing, book: Book) -> None:
        self.purchasing = purchasing
        self.book = book
        self.stopping = Stopping(purchasing.database, purchasing.owner, purchasing.clock)
        self.stop_file_there = False
        self.refusal = ""
        self.entered: list[tuple[Any, ...]] = []
        self.answer = Outcome(True, "DONE", "Entered.")

    async def approve(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        return said(
            await self.purchasing.approve(number, order_hash, SIGNS, method, note),
            f"Order {number} is approved and on its way to the supplier.",
        )

    async def deny(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        act = await self.purchasing.deny(number, order_hash, Actor(ActorKind.PERSON, person, method), note)
        return said(act, f"Order {number} is rejected. Nothing was sent.")

    async def cancel(self, number: str, person: str, method: str) -> Outcome:
        act = await self.purchasing.cancel(number, Actor(ActorKind.PERSON, person, method))
        return said(act, f"Order {number} is cancelled.")

    async def release(self, subject: str, person: str, method: str) -> Outcome:
        act = await self.purchasing.release(subject, Actor(ActorKind.PERSON, person, method))
        return said(act, f"{subject} is taken up again.")

    async def answered(self, number: str, answer: HandAnswer, person: str, method: str) -> Outcome:
        return self._enter("answered", number, answer, person, method)

    async def received(
        self, number: str, quantities: Mapping[int, Decimal] | None, person: str, method: str
    ) -> Outcome:
        act = await self.purchasing.received(number, quantities, Actor(ActorKind.PERSON, person, method))
        return said(act, f"The receipt for {number} is entered.")

    async def reading(self, component: str, value: str, person: str, method: str, *, clock: str = "") -> Outcome:
        return self._enter("reading", component, value, *([clock] if clock else []), person, method)

    async def fitted(
        self, component: str, serial: str, used: str | None, note: str, person: str, method: str, *, found: str = ""
    ) -> Outcome:
        return self._enter("fitted", component, serial, used, note, *([found] if found else []), person, method)

    async def symptom(self, component: str, said: str, person: str, method: str) -> Outcome:
        return self._enter("symptom", component, said, person, method)

    async def symptom_over(self, component: str, said: str, person: str, method: str) -> Outcome:
        return self._enter("symptom_over", component, said, person, method)

    async def stock(self, item: str, quantity: str, person: str, method: str) -> Outcome:
        return self._enter("stock", item, quantity, person, method)

    async def stop(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        if self.refusal:
            return Outcome(False, "SCOPE_UNKNOWN", self.refusal)
        scope, actor = Scope(ScopeKind(kind), key), Actor(ActorKind.PERSON, person, method)
        stopped = await self.stopping.stop(scope, BY_PERSON, actor, note=reason)
        return Outcome(True, "STOPPED", f"Buying is stopped: {len(stopped.cancelled)} orders are off.")

    async def resume(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        scope, actor = Scope(ScopeKind(kind), key), Actor(ActorKind.PERSON, person, method)
        if self.stop_file_there:
            return Outcome(False, "STOP_FILE_THERE", "The file demands this stop: take it away first.")
        lifted = await self.stopping.resume(scope, actor, note=reason)
        return Outcome(lifted is not None, "STOP_LIFTED", "The stop is lifted." if lifted else "No such stop stands.")

    async def acknowledge(self, alarm: str, note: str, person: str, method: str) -> Outcome:
        condition = self.book.find(alarm)
        if condition is not None:
            return self._moved(lambda: acknowledged(condition, person, note, self.purchasing.clock()))
        seen = await self.stopping.acknowledge(alarm, Actor(ActorKind.PERSON, person, method), note=note)
        return Outcome(
            seen is not None, "ALARM_ACKNOWLEDGED", "The alarm is acknowledged." if seen else "There is none."
        )

    async def shelve(self, alarm: str, span: str, reason: str, person: str, method: str) -> Outcome:
        now, condition = self.purchasing.clock(), self.book.find(alarm)
        assert condition is not None
        return self._moved(lambda: shelved(condition, person, reason, now + Measure.parse(span).duration, now))

    async def unshelve(self, alarm: str, person: str, method: str) -> Outcome:
        condition = self.book.find(alarm)
        assert condition is not None
        return self._moved(lambda: unshelved(condition, person, self.purchasing.clock()))

    def _moved(self, act: Callable[[], Moved]) -> Outcome:
        try:
            self.book.put(act())
        except Refused as error:
            return Outcome(False, "ALARM_REFUSED", str(error))
        return Outcome(True, "ALARM_MOVED", "The alarm is acknowledged, or aside.")

    async def clock_accept(self, person: str, method: str) -> Outcome:
        return self._enter("clock", person, method)

    async def policy_apply(self, text: str, person: str, method: str) -> Outcome:
        return self._enter("policy", text, person, method)

    async def reload(self, person: str, method: str) -> Outcome:
        return self._enter("reload", person, method)

    async def audit_rotate(self, person: str, method: str) -> Outcome:
        return self._enter("audit_rotate", person, method)

    def _enter(self, *what: Any) -> Outcome:
        self.entered.append(what)
        return self.answer


def said(act: Act, done: str) -> Outcome:
    """Return what an act came to."""
    return Outcome(act.ok, act.code, done if act.ok else sentence(act.code, act.parameters))
