"""The business documents, named as in UBL, as values.

They say what was asked, offered, ordered, answered, shipped, received and invoiced. The identity of a purchase order
is the hash of its canonical form: supplier, items, quantities, units, prices, currency, delivery and expiry. Whatever
changes one of them makes another order, which returns to the gate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from marketplace.catalogue import Item
from marketplace.money import Money, Quantity, UnitPrice, plain


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8; integers and texts only, so that it has one form.

    Raises TypeError on a float or anything else that JSON could write in two ways.
    """
    _refuse_floats(document)
    return spelt(document)


def spelt(document: Mapping[str, Any]) -> bytes:
    """Return the canonical spelling of what is known to hold nothing that could be written in two ways."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_PLAIN = frozenset({str, int, bool, type(None)})
"""What has one form as it stands; most of a document is this, and is passed without a call."""


def _refuse_floats(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError("keys are texts")
            if type(inner) not in _PLAIN:
                _refuse_floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            if type(inner) not in _PLAIN:
                _refuse_floats(inner)
    elif not (value is None or isinstance(value, bool | int | str)):
        raise TypeError(f"{type(value).__name__} has no canonical form")


def timestamp(moment: datetime) -> str:
    """Return plant time as RFC 3339 UTC with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Return the aware UTC time of an RFC 3339 text. Raises ValueError when it is naive or no time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the calendar") from None


@dataclass(frozen=True, slots=True)
class RequestedLine:
    """One line of a request for quotation; `requisition` is ours and never leaves the plant."""

    number: int
    requisition: str
    item: Item
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class RequestForQuotation:
    """What we ask of every supplier at once; amounts shall be in `currency`."""

    reference: str
    lines: tuple[RequestedLine, ...]
    currency: str
    country: str
    needed_by: datetime | None


@dataclass(frozen=True, slots=True)
class QuotationLine:
    """One offered line. `quantity` is what the supplier would ship: its pack size or minimum may raise ours."""

    number: int
    sku: str
    quantity: Quantity
    unit_price: UnitPrice
    lead_time_days: Decimal
    available: Decimal | None


@dataclass(frozen=True, slots=True)
class Quotation:
    """A supplier's offer until `valid_until`; net amounts; `freight` and `fees` for the whole order."""

    supplier: str
    reference: str
    lines: tuple[QuotationLine, ...]
    freight: Money
    fees: Money
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of our commitment; `requisitions` names whose wants it serves."""

    number: int
    requisitions: tuple[str, ...]
    item: Item
    sku: str
    quantity: Quantity
    unit_price: UnitPrice

    @property
    def amount(self) -> Money:
        """The line's net amount."""
        return self.unit_price.times(self.quantity)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the goods and the invoice go, and who answers the phone."""

    organisation: str
    vat_id: str
    ship_to: str
    bill_to: str
    contact: str
    cost_centre: str
    erp_reference: str


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """Our exact commitment to one supplier. Its `hash` is what a person approves and what a permit allows."""

    number: str
    plant: str
    gateway: str
    supplier: str
    account: str
    quotation: str
    lines: tuple[OrderLine, ...]
    freight: Money
    fees: Money
    deliver_by: datetime
    quoted_until: datetime
    delivery: Delivery

    @property
    def currency(self) -> str:
        """The one currency of the order."""
        return self.freight.currency

    @property
    def total(self) -> Money:
        """The net total, freight and fees included."""
        total = self.freight + self.fees
        for line in self.lines:
            total = total + line.amount
        return total

    def document(self) -> dict[str, Any]:
        """Return the canonical form; requisitions are ours and are left out."""
        return {
            "number": self.number,
            "plant": self.plant,
            "gateway": self.gateway,
            "supplier": self.supplier,
            "account": self.account,
            "quotation": self.quotation,
            "currency": self.currency,
            "freight": self.freight.minor,
            "fees": self.fees.minor,
            "total": self.total.minor,
            "deliver_by": timestamp(self.deliver_by),
            "quoted_until": timestamp(self.quoted_until),
            "delivery": {name: getattr(self.delivery, name) for name in Delivery.__slots__},
            "lines": [
                {
                    "number": line.number,
                    "item": line.item.key,
                    "manufacturer": line.item.manufacturer,
                    "mpn": line.item.mpn,
                    "description": line.item.description,
                    "sku": line.sku,
                    "quantity": plain(line.quantity.amount),
                    "unit": line.quantity.unit,
                    "unit_price": f"{line.unit_price.amount:f}",
                    "per": plain(line.unit_price.per),
                    "amount": line.amount.minor,
                    **({"category": line.item.category} if line.item.category else {}),
                }
                for line in self.lines
            ],
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hashlib.sha256(canonical(self.document())).hexdigest()


class Reply(StrEnum):
    """What a supplier's answer to an order says (UBL OrderResponseCode: AP, CA, RE; NOT_FOUND is a look-up's)."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ResponseLine:
    """A line as the supplier understood it."""

    number: int
    sku: str
    quantity: Quantity
    unit_price: UnitPrice


@dataclass(frozen=True, slots=True)
class OrderResponse:
    """A supplier's answer to the order `reference` (our number).

    `order_hash` is the hash of the order that it answers, where the supplier repeats it: a number may be used twice.
    """

    reference: str
    supplier_reference: str
    reply: Reply
    lines: tuple[ResponseLine, ...]
    total: Money
    promised_at: datetime | None
    reason: str = ""
    order_hash: str = ""


@dataclass(frozen=True, slots=True)
class DespatchAdvice:
    """It left the supplier: which lines, how much, and when it shall arrive."""

    reference: str
    despatch: str
    quantities: Mapping[int, Decimal]
    shipped_at: datetime
    expected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invoice:
    """What the supplier wants paid for the order `reference`; net of tax."""

    reference: str
    invoice: str
    total: Money
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class GoodsReceipt:
    """It arrived and was checked at the plant by `by`, an opaque person id."""

    reference: str
    receipt: str
    quantities: Mapping[int, Decimal]
    received_at: datetime
    by: str
    note: str = field(default="")


SupplierDocument = OrderResponse | DespatchAdvice | Invoice
"""What a supplier may send about an order, at once or days later."""
