"""The tongue of our HTTP supplier API: documents to bytes, and bytes from outside to documents.

Pure functions, no server in sight. What comes from outside is bounded and strict: UTF-8 JSON of at most 1 MiB and a
modest depth, no float, no NaN, no key twice, no unknown type; amounts and quantities are decimal texts, times are RFC
3339 with a zone, texts are printable. Anything else raises `Unreadable`, and the caller says what that allows.
Unknown keys are let pass, so that a supplier may add what we do not read. `simulator/API.md` describes every message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, ValidationError

from marketplace.catalogue import Item
from marketplace.documents import (
    DespatchAdvice,
    Invoice,
    OrderResponse,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    Reply,
    RequestForQuotation,
    ResponseLine,
    SupplierDocument,
    canonical,
    parse_timestamp,
    timestamp,
)
from marketplace.money import Money, Quantity, UnitPrice, plain
from marketplace.suppliers.supplier import Offer

BYTES_MAX = 1 << 20
"""A thousand documents fit into it; a supplier that sends more is broken or means harm."""
LINES_MAX = 200
DOCUMENTS_MAX = 500
HITS_MAX = 500


class Unreadable(ValueError):
    """Bytes from outside that are not what the API describes; `str()` says where, and repeats none of them."""


def encode_request(request: RequestForQuotation, account: str) -> bytes:
    """Return the body of `POST /quotes`. Requisitions and item keys are ours and stay here."""
    return canonical(
        {
            "reference": request.reference,
            "account": account,
            "currency": request.currency,
            "country": request.country,
            "needed_by": None if request.needed_by is None else timestamp(request.needed_by),
            "lines": [
                {
                    "number": line.number,
                    "manufacturer": line.item.manufacturer,
                    "mpn": line.item.mpn,
                    "quantity": plain(line.quantity.amount),
                    "unit": line.quantity.unit,
                }
                for line in request.lines
            ],
        }
    )


def encode_order(order: PurchaseOrder) -> bytes:
    """Return the body of `POST /orders`; canonical, so that one order has one form."""
    document = order.document()
    del document["plant"], document["gateway"]
    document["order_hash"] = order.hash
    document["reference"] = document.pop("number")
    document["total"] = f"{order.total.amount:f}"
    document["freight"] = f"{order.freight.amount:f}"
    document["fees"] = f"{order.fees.amount:f}"
    for written, line in zip(document["lines"], order.lines, strict=True):
        del written["item"]
        written.pop("category", None)  # how the plant sorts what it buys is nobody else's affair
        written["amount"] = f"{line.amount.amount:f}"
    return canonical(document)


def load(content: bytes) -> Any:
    """Return what strict JSON says. Raises `Unreadable`."""
    if len(content) > BYTES_MAX:
        raise Unreadable(f"more than {BYTES_MAX} bytes")
    try:
        return json.loads(
            content.decode(),
            object_pairs_hook=_once,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no strict JSON: {type(error).__name__}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key stands twice")
    return keys


def _no_float(text: str) -> Any:
    raise ValueError("a float: amounts are texts")


def _integer(text: str) -> int:
    if len(text) > 10:  # line numbers are all that the API counts in integers
        raise ValueError("an integer that counts nothing here")
    return int(text)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters")
    return text


def _number(value: object) -> Decimal:
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value) is None:
        raise ValueError("a decimal text of at most 12 digits and 6 places, not below zero")
    return Decimal(value)


def _when(value: object) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("an RFC 3339 text")
    moment = parse_timestamp(value)
    if not 2000 <= moment.year < 2200:  # what is added to it later stays within the calendar
        raise ValueError("a year of this business")
    return moment


Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Note = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Number = Annotated[Decimal, PlainValidator(_number)]
When = Annotated[datetime, PlainValidator(_when)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Unit = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,3}$")]
LineNumber = Annotated[int, Field(ge=1, le=100_000)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class _Line(_Message):
    number: LineNumber
    sku: Name
    quantity: Number
    unit: Unit
    unit_price: Number
    per: Number = Decimal(1)


class _QuotationLine(_Line):
    lead_time_days: Number
    available: Number | None = None


class _Quotation(_Message):
    reference: Name
    currency: Currency
    freight: Number
    fees: Number
    valid_until: When
    lines: Annotated[list[_QuotationLine], Field(min_length=1, max_length=LINES_MAX)]


class _Response(_Message):
    kind: Literal["response"] = "response"
    reference: Name
    supplier_reference: Note
    reply: Literal["received", "confirmed", "rejected"]
    currency: Currency
    total: Number
    promised_at: When | None = None
    reason: Note = ""
    order_hash: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    lines: Annotated[list[_Line], Field(max_length=LINES_MAX)] = []


class _Shipped(_Message):
    number: LineNumber
    quantity: Number


class _Despatch(_Message):
    kind: Literal["despatch"]
    reference: Name
    despatch: Name
    shipped_at: When
    expected_at: When | None = None
    lines: Annotated[list[_Shipped], Field(min_length=1, max_length=LINES_MAX)]


class _Invoice(_Message):
    kind: Literal["invoice"]
    reference: Name
    invoice: Name
    currency: Currency
    total: Number
    issued_at: When


class _Documents(_Message):
    documents: Annotated[list[dict[str, Any]], Field(max_length=DOCUMENTS_MAX)]


class _Hit(_Message):
    sku: Name
    manufacturer: Name
    mpn: Name
    description: Note = ""
    unit: Unit


class _Hits(_Message):
    items: Annotated[list[_Hit], Field(max_length=HITS_MAX)]


class Refused(_Message):
    """The documented body of a refusal: a stable code, and a sentence for people."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,40}$")]
    reason: Note = ""


M = TypeVar("M", bound=_Message)
D = TypeVar("D")


def _message(model: type[M], content: bytes) -> M:
    return _checked(model, load(content))


def _checked(model: type[M], value: object) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])[:80]
        raise Unreadable(f"{place if place.isprintable() else '?'}: {first['type']}") from None


def _built(build: Callable[[], D]) -> D:
    """Return a document whose values are checked as it is built. Raises `Unreadable`."""
    try:
        return build()
    except ArithmeticError:
        raise Unreadable("an amount out of all bounds") from None
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(str(error)[:200]) from None


def parse_refusal(content: bytes) -> Refused | None:
    """Return the refusal that a body states, or None when it states none."""
    try:
        return _message(Refused, content)
    except Unreadable:
        return None


def parse_quotation(supplier: str, content: bytes) -> Quotation:
    """Return the offer of `supplier`. Whether it fits what was asked is judged by `sourcing.quoting`."""
    message = _message(_Quotation, content)
    currency = message.currency
    return _built(
        lambda: Quotation(
            supplier,
            message.reference,
            tuple(
                QuotationLine(
                    line.number,
                    line.sku,
                    Quantity(line.quantity, line.unit),
                    UnitPrice(line.unit_price, currency, line.per),
                    line.lead_time_days,
                    line.available,
                )
                for line in message.lines
            ),
            Money.of(message.freight, currency),
            Money.of(message.fees, currency),
            message.valid_until,
        )
    )


def parse_response(reference: str, content: bytes) -> OrderResponse:
    """Return the answer to our order `reference`; an answer to another order is unreadable here."""
    return _response(reference, load(content))


def _response(reference: str, value: object) -> OrderResponse:
    message = _checked(_Response, value)
    _ours(reference, message.reference)
    currency = message.currency
    return _built(
        lambda: OrderResponse(
            reference,
            message.supplier_reference,
            Reply(message.reply),
            tuple(
                ResponseLine(
                    line.number,
                    line.sku,
                    Quantity(line.quantity, line.unit),
                    UnitPrice(line.unit_price, currency, line.per),
                )
                for line in message.lines
            ),
            Money.of(message.total, currency),
            message.promised_at,
            message.reason,
            message.order_hash,
        )
    )


def parse_documents(reference: str, content: bytes) -> tuple[SupplierDocument, ...]:
    """Return what the supplier has about our order; kinds that we do not know are passed over."""
    message = _message(_Documents, content)
    kinds = [(_PARSERS.get(str(value.get("kind"))), value) for value in message.documents]
    return tuple(parse(reference, value) for parse, value in kinds if parse is not None)


def _despatch(reference: str, value: object) -> DespatchAdvice:
    message = _checked(_Despatch, value)
    _ours(reference, message.reference)
    quantities = {line.number: line.quantity for line in message.lines}
    if len(quantities) != len(message.lines):
        raise Unreadable("a line is shipped twice in one despatch")
    return DespatchAdvice(reference, message.despatch, quantities, message.shipped_at, message.expected_at)


def _invoice(reference: str, value: object) -> Invoice:
    message = _checked(_Invoice, value)
    _ours(reference, message.reference)
    return _built(
        lambda: Invoice(reference, message.invoice, Money.of(message.total, message.currency), message.issued_at)
    )


_PARSERS: dict[str, Callable[[str, object], SupplierDocument]] = {
    "response": _response,
    "despatch": _despatch,
    "invoice": _invoice,
}


def _ours(reference: str, found: str) -> None:
    if found != reference:
        raise Unreadable("about another order")


def parse_hits(supplier: str, content: bytes) -> tuple[Offer, ...]:
    """Return the hits of a search; the items have no key of ours, it is their MPN here."""
    message = _message(_Hits, content)
    return tuple(
        Offer(supplier, hit.sku, Item(hit.mpn, hit.manufacturer, hit.mpn, hit.description, hit.unit))
        for hit in message.items
    )


def response_document(response: OrderResponse) -> dict[str, Any]:
    """Return an order response as the API writes it; what `parse_response` reads back."""
    return {
        "kind": "response",
        "reference": response.reference,
        "supplier_reference": response.supplier_reference,
        "reply": str(response.reply),
        "currency": response.total.currency,
        "total": f"{response.total.amount:f}",
        "promised_at": None if response.promised_at is None else timestamp(response.promised_at),
        "reason": response.reason,
        **({"order_hash": response.order_hash} if response.order_hash else {}),
        "lines": [
            {
                "number": line.number,
                "sku": line.sku,
                "quantity": plain(line.quantity.amount),
                "unit": line.quantity.unit,
                "unit_price": f"{line.unit_price.amount:f}",
                "per": plain(line.unit_price.per),
            }
            for line in response.lines
        ],
    }
