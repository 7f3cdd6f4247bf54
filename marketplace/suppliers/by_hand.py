"""Suppliers who are asked by hand: on the phone, over the counter. A real adapter without key and without look-up.

Prices come from a list that a named person entered (`enter_prices`). An order is a text to read on the phone; handing
it to a person is all that `place` does, so nothing here can be bought by a program. What the supplier says is typed
in by a named person (`enter_answer`) and comes back through `documents` like any other supplier's answer. Prices and
answers are audited in the transaction that stores them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from gettext import gettext as _
from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor
from marketplace.authority.permit import PermitRefused, SpendPermit, require
from marketplace.documents import (
    OrderResponse,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    Reply,
    RequestedLine,
    RequestForQuotation,
    ResponseLine,
    SupplierDocument,
    canonical,
    timestamp,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.settings import SupplierSettings
from marketplace.store import Database, Owner, hand_answer, hand_price
from marketplace.suppliers import wire
from marketplace.suppliers.price_list import PriceRow
from marketplace.suppliers.supplier import (
    Capabilities,
    NotSupported,
    Offer,
    SupplierContext,
    SupplierRejected,
    SupplierUnavailable,
)

_ICAO = (
    "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec Romeo "
    "Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu"
)
SPELLING: Mapping[str, str] = {word[0]: word for word in _ICAO.split()}
"""ICAO Annex 10, volume II, 5.2.1.3."""
ANSWERS_MAX = 100
"""Answers read for one order; nobody telephones more often about one."""


class ByHandSettings(SupplierSettings):
    """A supplier who is telephoned."""

    phone: str = Field(default="", max_length=40)


class ByHandSupplier:
    """One supplier asked by hand; keeps the promise of `marketplace.suppliers.supplier.Supplier`."""

    Settings: ClassVar[type[SupplierSettings]] = ByHandSettings

    def __init__(
        self, name: str, settings: ByHandSettings, *, database: Database, owner: Owner, clock: Callable[[], datetime]
    ) -> None:
        self.name = name
        self.capabilities = Capabilities(quotes=True, documents=True)
        self._settings = settings
        self._database = database
        self._owner = owner
        self._clock = clock

    @classmethod
    def build(cls, name: str, settings: ByHandSettings, context: SupplierContext) -> ByHandSupplier:
        """Return the supplier; it needs the spend database, where prices and answers are."""
        return cls(name, settings, database=context.database, owner=context.owner, clock=context.clock)

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the text to read on the phone, as UTF-8."""
        return order_text(order, self._settings).encode()

    async def search(self, text: str) -> Sequence[Offer]:
        """A telephone has no search."""
        raise self._none(_("search"))

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Return an offer from the entered prices. Raises `SupplierRejected` when one is missing or has ended."""
        async with self._database.read() as connection:
            rows = await prices(connection, self._owner, self.name)
        now = self._clock()
        found = [(line, self._price(rows, line, now)) for line in request.lines]
        freights = [row.freight for _line, row in found]
        if len({freight.currency for freight in freights}) > 1:
            raise SupplierRejected(_("{supplier}: prices in several currencies").format(supplier=self.name))
        return Quotation(
            supplier=self.name,
            reference=f"list {min(row.valid_until for _line, row in found):%Y-%m-%d}",
            lines=tuple(_offer(line, row) for line, row in found),
            freight=max(freights),
            fees=Money(0, freights[0].currency),
            valid_until=min(row.valid_until for _line, row in found),
        )

    def _price(self, rows: Mapping[str, PriceRow], line: RequestedLine, now: datetime) -> PriceRow:
        row = rows.get(line.item.key)
        if row is None or row.valid_until <= now:
            sentence = _("{supplier}: no price for {item} that still holds")
            raise SupplierRejected(sentence.format(supplier=self.name, item=line.item.key))
        return row

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Hand the order to a person: it counts as received, and waits for what they will be told."""
        require(permit, self.name, self._clock())
        return OrderResponse(
            permit.reference, "", Reply.RECEIVED, (), total_of(permit.request_bytes), None, _("to be ordered by hand")
        )

    async def find(self, reference: str) -> OrderResponse | None:
        """Nobody can be asked but a person."""
        raise self._none(_("look-up"))

    async def cancel(self, reference: str) -> OrderResponse:
        """A person telephones, and enters the answer."""
        raise self._none(_("cancellation"))

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """Return what people have entered about an order, oldest first. Raises `SupplierUnavailable`."""
        query = (
            select(hand_answer.c.document)
            .where(
                hand_answer.c.plant == self._owner.plant,
                hand_answer.c.supplier == self.name,
                hand_answer.c.order_number == reference,
            )
            .order_by(hand_answer.c.id)
            .limit(ANSWERS_MAX)
        )
        async with self._database.read() as connection:
            texts = (await connection.execute(query)).scalars().all()
        try:
            return [wire.parse_response(reference, text.encode()) for text in texts]
        except wire.Unreadable as error:
            raise SupplierUnavailable(f"{self.name}: an entered answer cannot be read: {error}") from error

    async def close(self) -> None:
        """Nothing to release."""

    def _none(self, what: str) -> NotSupported:
        return NotSupported(_("{supplier} is asked by hand: no {what}").format(supplier=self.name, what=what))


def order_text(order: PurchaseOrder, settings: ByHandSettings) -> str:
    """Return an order as a text to read on the phone; its last line is the net total, in figures."""
    delivery = order.delivery
    lines = [
        _("Order {number}").format(number=order.number),
        _("  spelled: {spelled}").format(spelled=spell(order.number)),
        _("To {name}, phone {phone}").format(name=settings.name, phone=settings.phone or "-"),
        _("From {organisation}, our account {account}").format(
            organisation=delivery.organisation, account=order.account or "-"
        ),
        "",
        *(_line_text(order, number) for number in range(len(order.lines))),
        "",
        _("Freight {freight}, fees {fees}").format(freight=order.freight, fees=order.fees),
        _("Deliver by {day} to: {place}").format(day=f"{order.deliver_by:%Y-%m-%d}", place=_one_line(delivery.ship_to)),
        _("Invoice to: {place}, VAT id {vat}").format(place=_one_line(delivery.bill_to), vat=delivery.vat_id),
        _("Our contact: {contact}").format(contact=_one_line(delivery.contact)),
        _("Ask for: their order number, the price, the day of delivery. Enter them afterwards."),
        _("Total net of tax:"),
        f"= {order.total}",
    ]
    return "\n".join(lines) + "\n"


def _line_text(order: PurchaseOrder, index: int) -> str:
    line = order.lines[index]
    return _("{number}. {quantity} of {sku} ({manufacturer} {mpn}, {description}) at {price}: {amount}").format(
        number=line.number,
        quantity=line.quantity,
        sku=line.sku,
        manufacturer=line.item.manufacturer,
        mpn=line.item.mpn,
        description=line.item.description,
        price=line.unit_price,
        amount=line.amount,
    )


def spell(number: str) -> str:
    """Return an order number as one says it: letters by the ICAO alphabet, figures one by one."""
    return " - ".join(" ".join(SPELLING.get(sign, sign) for sign in part) for part in number.split("-"))


def _one_line(text: str) -> str:
    return ", ".join(part.strip() for part in text.splitlines() if part.strip())


def total_of(request_bytes: bytes) -> Money:
    """Return the total in the last line of an order's text. Raises `PermitRefused` when it is no such text."""
    match = re.search(rb"\n= ([0-9.]+ [A-Z]{3})\n\Z", request_bytes)
    if match is None:
        raise PermitRefused("the permitted bytes are no order to read on the phone: nothing was handed over")
    return Money.parse(match[1].decode())


def _offer(line: RequestedLine, row: PriceRow) -> QuotationLine:
    quantity = Quantity(line.quantity.amount, row.unit).in_packs(row.pack)
    return QuotationLine(line.number, row.sku, quantity, row.unit_price, row.lead_time_days, None)


async def prices(connection: AsyncConnection, owner: Owner, supplier: str) -> dict[str, PriceRow]:
    """Return the entered prices of a supplier by item."""
    query = select(hand_price).where(hand_price.c.plant == owner.plant, hand_price.c.supplier == supplier)
    return {
        row.item: PriceRow(
            item=row.item,
            sku=row.sku,
            unit_price=UnitPrice(row.unit_price, row.currency, row.per),
            unit=row.unit,
            pack=row.pack,
            freight=Money(row.freight_minor, row.currency),
            lead_time_days=row.lead_time_days,
            valid_until=row.valid_until,
        )
        for row in await connection.execute(query)
    }


async def enter_prices(
    tx: AsyncConnection, owner: Owner, supplier: str, rows: Sequence[PriceRow], person: Actor, now: datetime
) -> int:
    """Store prices, each over the earlier one for its item; return how many. Audited as `prices.entered`."""
    for row in rows:
        await tx.execute(
            delete(hand_price).where(
                hand_price.c.plant == owner.plant, hand_price.c.supplier == supplier, hand_price.c.item == row.item
            )
        )
    if rows:
        columns = [_price_columns(row) | owner.columns | {"supplier": supplier} for row in rows]
        who: dict[str, Any] = {"entered_by": person.id, "entered_at": now}
        await tx.execute(insert(hand_price), [column | who for column in columns])
    facts = {"supplier": supplier, "prices": {row.item: f"{row.unit_price}" for row in rows[:FACTS_MAX]}}
    await log.append(tx, owner, "prices.entered", supplier, person, facts | {"count": len(rows)}, now)
    return len(rows)


FACTS_MAX = 500
"""Prices spelled out in one leaf, within its size; the rows themselves hold all of them."""


def _price_columns(row: PriceRow) -> dict[str, Any]:
    return {
        "item": row.item,
        "sku": row.sku,
        "unit_price": row.unit_price.amount,
        "per": row.unit_price.per,
        "currency": row.unit_price.currency,
        "unit": row.unit,
        "pack": row.pack,
        "freight_minor": row.freight.minor,
        "lead_time_days": row.lead_time_days,
        "valid_until": row.valid_until,
    }


async def enter_answer(
    tx: AsyncConnection,
    owner: Owner,
    order: PurchaseOrder,
    person: Actor,
    now: datetime,
    *,
    reply: Reply = Reply.CONFIRMED,
    total: Money | None = None,
    promised_at: datetime | None = None,
    supplier_reference: str = "",
    reason: str = "",
) -> OrderResponse:
    """Store what the supplier said about an order, as a named person typed it; return it as `documents` will.

    total: the net price that the supplier named; None is the order's own. Audited as `answer.entered`; the reason is
    free text: it goes to the erasable table alone. Raises ValueError when a reference is too long or unprintable.
    """
    response = OrderResponse(
        order.number,
        supplier_reference,
        reply,
        tuple(ResponseLine(line.number, line.sku, line.quantity, line.unit_price) for line in order.lines),
        order.total if total is None else total,
        promised_at,
    )
    document = canonical(wire.response_document(response))
    answer = wire.parse_response(order.number, document)  # what cannot be read back is never stored
    await tx.execute(
        insert(hand_answer).values(
            supplier=order.supplier,
            order_number=order.number,
            document=document.decode(),
            entered_by=person.id,
            entered_at=now,
            **owner.columns,
        )
    )
    facts = {
        "supplier": order.supplier,
        "reply": str(reply),
        "total": answer.total.minor,
        "currency": answer.total.currency,
        "promised_at": "" if promised_at is None else timestamp(promised_at),
        "supplier_reference": supplier_reference,
        "note": await log.note(tx, owner, reason),
    }
    await log.append(tx, owner, "answer.entered", order.number, person, facts, now)
    return answer
