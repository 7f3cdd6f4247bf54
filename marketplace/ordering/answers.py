"""What a supplier's answer means beside our intent: pure comparison, line sums, and the form in which answers are kept.

An answer counts only for the order whose number it names, and only if it says what we said: lines, SKU, quantity,
unit, unit price, currency and total, and the order's hash where the supplier repeats it. Any difference is a code for
a person, the cheaper price as much as the dearer one; a part of what was ordered, on our terms, is one of them. What no
honest supplier says (endless references, control characters, quantities beyond all measure) is refused before it is
kept. It decides nothing about money or storage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from marketplace.documents import (
    DespatchAdvice,
    GoodsReceipt,
    Invoice,
    OrderLine,
    OrderResponse,
    PurchaseOrder,
    Reply,
    ResponseLine,
    SupplierDocument,
    canonical,
    parse_timestamp,
    timestamp,
)
from marketplace.money import Money, Quantity, UnitPrice, plain
from marketplace.ordering.states import OrderState

Answer = SupplierDocument | GoodsReceipt
"""Everything that may enter the inbox about an order."""

REASON_MAX: Final = 500
"""A supplier's words are shown to people beside our own: a paragraph, not a book."""
REFERENCE_MAX: Final = 100
LINES_MAX: Final = 200
"""More lines than any order of ours has: an answer beyond it is no answer."""
PARTLY_CONFIRMED: Final = "PARTLY_CONFIRMED"
QUANTITY_MAX: Final = Decimal(10**12)
"""Nobody ships so much of anything; a number that takes a page to write is an attack."""
QUANTITY_PLACES: Final = 9
FAR_AWAY: Final = timedelta(days=400)
"""Longer than any lead time and shorter than a mistyped year: a date beyond it, either way, was not meant."""


class AnswerBroken(ValueError):
    """An answer cannot be kept or read: a field is missing, or larger than anything honest."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a response differs in from our intent; an empty code means in nothing."""

    code: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether the response says what we said."""
        return self.code == ""


def judge_response(order: PurchaseOrder, response: OrderResponse) -> Judgement:
    """Compare a response with the order; the first difference names the code.

    A rejection is not compared. A mere receipt ("we have it, and will look") may leave out the lines; a confirmation
    may leave out nothing.
    """
    if response.reference != order.number:
        return _differs("REFERENCE_DIFFERS", order.number, response.reference)
    if response.order_hash not in ("", order.hash):  # the same number, and another order: somebody else's
        return _differs("ORDER_DIFFERS", order.hash, response.order_hash)
    if response.reply is Reply.REJECTED or (response.reply is Reply.RECEIVED and not response.lines):
        return Judgement()
    answered = {line.number: line for line in response.lines}
    if len(answered) != len(response.lines) or set(answered) != {line.number for line in order.lines}:
        return _differs("LINES_DIFFER", _numbers(order.lines), _numbers(response.lines))
    part = part_of(order, response)
    if part is not None:
        ordered = {line.number: line.quantity.amount for line in order.lines}
        return _differs(PARTLY_CONFIRMED, _by_line(ordered), _by_line(part))
    for line in order.lines:
        judgement = _judge_line(line, answered[line.number])
        if not judgement.agrees:
            return judgement
    if response.total.currency != order.currency:
        return _differs("CURRENCY_DIFFERS", order.currency, response.total.currency)
    if response.total != order.total:
        return _differs("TOTAL_DIFFERS", order.total, response.total)
    return Judgement()


def part_of(order: PurchaseOrder, response: OrderResponse) -> Mapping[int, Decimal] | None:
    """Return what a confirmation takes on by line, when it is less than ordered and otherwise says what we said.

    Every line is there, with less or as much of the same at the same price, and the total is that of the part.
    """
    answered = {line.number: line for line in response.lines}
    part = {line.number: answered[line.number].quantity.amount for line in order.lines}
    fewer = any(part[line.number] < line.quantity.amount for line in order.lines)
    if response.reply is not Reply.CONFIRMED or not fewer:
        return None
    for line in order.lines:
        theirs = answered[line.number]
        whole = replace(theirs, quantity=Quantity(line.quantity.amount, theirs.quantity.unit))
        if part[line.number] > line.quantity.amount or not _judge_line(line, whole).agrees:
            return None
    return part if response.total == total_of(order, part) else None


def total_of(order: PurchaseOrder, quantities: Mapping[int, Decimal]) -> Money:
    """Return the net total of an order if it brings so much of each line, freight and fees included."""
    total = order.freight + order.fees
    for line in order.lines:
        if quantities[line.number] > 0:
            total = total + line.unit_price.times(Quantity(quantities[line.number], line.quantity.unit))
    return total


def _by_line(quantities: Mapping[int, Decimal]) -> str:
    return ", ".join(f"{number}: {plain(quantity)}" for number, quantity in quantities.items())


def is_far_away(answer: Answer, now: datetime) -> bool:
    """Return whether an answer names a date that nobody can have meant: another year's, another century's."""
    dates = [
        getattr(answer, name, None) for name in ("promised_at", "shipped_at", "expected_at", "issued_at", "received_at")
    ]
    return any(abs(moment - now) > FAR_AWAY for moment in dates if moment is not None)


def _judge_line(ours: OrderLine, theirs: ResponseLine) -> Judgement:
    line = {"line": str(ours.number)}
    if theirs.sku != ours.sku:
        return _differs("SKU_DIFFERS", ours.sku, theirs.sku[:REFERENCE_MAX], **line)
    if theirs.quantity.unit != ours.quantity.unit:
        return _differs("UNIT_DIFFERS", ours.quantity.unit, theirs.quantity.unit, **line)
    if theirs.quantity.amount != ours.quantity.amount:
        return _differs("QUANTITY_DIFFERS", ours.quantity, theirs.quantity, **line)
    if theirs.unit_price.currency != ours.unit_price.currency:
        return _differs("CURRENCY_DIFFERS", ours.unit_price.currency, theirs.unit_price.currency, **line)
    # cross-multiplied: 12 for 100 is 0.12 for 1, and nothing is rounded
    if theirs.unit_price.amount * ours.unit_price.per != ours.unit_price.amount * theirs.unit_price.per:
        return _differs("PRICE_DIFFERS", ours.unit_price, theirs.unit_price, **line)
    return Judgement()


def _differs(code: str, ordered: object, answered: object, **parameters: str) -> Judgement:
    return Judgement(code, {**parameters, "ordered": str(ordered), "answered": str(answered)})


def _numbers(lines: Iterable[OrderLine | ResponseLine]) -> str:
    return ", ".join(str(line.number) for line in lines)


@dataclass(frozen=True, slots=True)
class LineSum:
    """What has become of one line so far, in the unit of the line."""

    number: int
    quantity: Decimal
    confirmed: Decimal = Decimal(0)
    shipped: Decimal = Decimal(0)
    received: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)


def add_shipped(lines: Sequence[LineSum], quantities: Mapping[int, Decimal]) -> tuple[LineSum, ...]:
    """Return the lines with a despatch added. Raises `AnswerBroken` on an unknown line or an odd quantity."""
    _require_quantities(lines, quantities)
    return tuple(replace(line, shipped=line.shipped + quantities.get(line.number, Decimal(0))) for line in lines)


def add_received(lines: Sequence[LineSum], quantities: Mapping[int, Decimal]) -> tuple[LineSum, ...]:
    """Return the lines with a receipt added. Raises `AnswerBroken` on an unknown line or an odd quantity."""
    _require_quantities(lines, quantities)
    return tuple(replace(line, received=line.received + quantities.get(line.number, Decimal(0))) for line in lines)


def _require_quantities(lines: Sequence[LineSum], quantities: Mapping[int, Decimal]) -> None:
    if not quantities or not set(quantities) <= {line.number for line in lines}:
        raise AnswerBroken("UNKNOWN_LINE")
    if not all(quantity.is_finite() and quantity > 0 for quantity in quantities.values()):
        raise AnswerBroken("ODD_QUANTITY")


def state_by_lines(state: OrderState, lines: Sequence[LineSum]) -> OrderState:
    """Return where a confirmed or shipped order stands by its lines; any other state is left as it is.

    Shipped: everything has left the supplier. Received: everything is here, however it came.
    """
    if state not in (OrderState.CONFIRMED, OrderState.SHIPPED):
        return state
    if all(line.received >= line.quantity for line in lines):
        return OrderState.RECEIVED
    if all(max(line.shipped, line.received) >= line.quantity for line in lines):
        return OrderState.SHIPPED
    return state


def over_delivered(lines: Sequence[LineSum]) -> tuple[int, ...]:
    """Return the numbers of the lines of which more arrived than was ordered."""
    return tuple(line.number for line in lines if line.received > line.quantity)


def all_invoiced(lines: Sequence[LineSum]) -> bool:
    """Return whether every line is on an invoice."""
    return all(line.invoiced >= line.quantity for line in lines)


# The form in which answers are kept. Everything is text or integer, so that one answer has one form and one
# fingerprint, however often it comes.

KINDS: Final[Mapping[type, str]] = {
    OrderResponse: "response",
    DespatchAdvice: "despatch",
    Invoice: "invoice",
    GoodsReceipt: "receipt",
}


def kind_of(answer: Answer) -> str:
    """Return the kind under which an answer is kept."""
    return KINDS[type(answer)]


def fingerprint(supplier: str, kind: str, document: Mapping[str, Any]) -> str:
    """Return the SHA-256 by which the same answer of the same supplier counts once, hexadecimal."""
    return hashlib.sha256(canonical({"supplier": supplier, "kind": kind, "document": document})).hexdigest()


def write(answer: Answer) -> dict[str, Any]:
    """Return an answer as it is kept. Raises `AnswerBroken` when it is larger than anything honest."""
    if isinstance(answer, OrderResponse):
        return _write_response(answer)
    if isinstance(answer, Invoice):
        return {
            "reference": _bounded(answer.reference),
            "invoice": _bounded(answer.invoice),
            "total": _money(answer.total),
            "issued_at": timestamp(answer.issued_at),
        }
    if isinstance(answer, DespatchAdvice):
        return {
            "reference": _bounded(answer.reference),
            "despatch": _bounded(answer.despatch),
            "quantities": _quantities(answer.quantities),
            "shipped_at": timestamp(answer.shipped_at),
            "expected_at": _maybe(answer.expected_at),
        }
    return {
        "reference": _bounded(answer.reference),
        "receipt": _bounded(answer.receipt),
        "quantities": _quantities(answer.quantities),
        "received_at": timestamp(answer.received_at),
        "by": answer.by,
        "note": answer.note,
    }


def _write_response(response: OrderResponse) -> dict[str, Any]:
    if len(response.lines) > LINES_MAX:
        raise AnswerBroken("TOO_MANY_LINES")
    return {
        "reference": _bounded(response.reference),
        "supplier_reference": _bounded(response.supplier_reference),
        "reply": str(response.reply),
        "total": _money(response.total),
        "promised_at": _maybe(response.promised_at),
        "reason": _readable(response.reason[:REASON_MAX]),
        **({"order_hash": _bounded(response.order_hash)} if response.order_hash else {}),
        "lines": [
            {
                "number": line.number,
                "sku": _bounded(line.sku),
                "quantity": plain(_sane(line.quantity.amount)),
                "unit": line.quantity.unit,
                "unit_price": f"{_sane(line.unit_price.amount):f}",
                "per": plain(_sane(line.unit_price.per)),
                "currency": line.unit_price.currency,
            }
            for line in response.lines
        ],
    }


def read(kind: str, document: Mapping[str, Any]) -> Answer:
    """Return a kept answer. Raises `AnswerBroken` when it is none."""
    try:
        return _READERS[kind](document)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise AnswerBroken(f"a kept {kind} cannot be read") from error


def _read_response(document: Mapping[str, Any]) -> OrderResponse:
    return OrderResponse(
        reference=document["reference"],
        supplier_reference=document["supplier_reference"],
        reply=Reply(document["reply"]),
        lines=tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), line["currency"], Decimal(line["per"])),
            )
            for line in document["lines"]
        ),
        total=Money(document["total"]["minor"], document["total"]["currency"]),
        promised_at=_moment(document["promised_at"]),
        reason=document["reason"],
        order_hash=document.get("order_hash", ""),
    )


def _read_despatch(document: Mapping[str, Any]) -> DespatchAdvice:
    return DespatchAdvice(
        document["reference"],
        document["despatch"],
        _read_quantities(document["quantities"]),
        parse_timestamp(document["shipped_at"]),
        _moment(document["expected_at"]),
    )


def _read_invoice(document: Mapping[str, Any]) -> Invoice:
    total = Money(document["total"]["minor"], document["total"]["currency"])
    return Invoice(document["reference"], document["invoice"], total, parse_timestamp(document["issued_at"]))


def _read_receipt(document: Mapping[str, Any]) -> GoodsReceipt:
    return GoodsReceipt(
        document["reference"],
        document["receipt"],
        _read_quantities(document["quantities"]),
        parse_timestamp(document["received_at"]),
        document["by"],
        document["note"],
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Answer]]] = {
    "response": _read_response,
    "despatch": _read_despatch,
    "invoice": _read_invoice,
    "receipt": _read_receipt,
}


def _bounded(reference: str) -> str:
    if len(reference) > REFERENCE_MAX:
        raise AnswerBroken("REFERENCE_TOO_LONG")
    if not reference.isprintable():  # no control, no invisible and no half character: two that look alike are two
        raise AnswerBroken("REFERENCE_ODD")
    return reference


def _readable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _sane(number: Decimal) -> Decimal:
    if not number.is_finite() or abs(number) >= QUANTITY_MAX or (number and number.adjusted() < -QUANTITY_PLACES):
        raise AnswerBroken("ODD_QUANTITY")
    return number


def _money(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def _quantities(quantities: Mapping[int, Decimal]) -> dict[str, str]:
    if len(quantities) > LINES_MAX:
        raise AnswerBroken("ODD_QUANTITY")
    return {str(number): plain(_sane(quantity)) for number, quantity in quantities.items()}


def _read_quantities(written: Mapping[str, str]) -> dict[int, Decimal]:
    return {int(number): Decimal(quantity) for number, quantity in written.items()}


def _maybe(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text)
