"""What the simulated suppliers read: the bodies of `POST /quotes` and `POST /orders`, strictly."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from marketplace.suppliers.wire import LINES_MAX, Currency, LineNumber, Name, Note, Number, Unit, When

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{1,20}$")]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class QuoteBodyLine(_Body):
    """One line of a request for quotation."""

    number: LineNumber
    manufacturer: Name
    mpn: Name
    quantity: Number
    unit: Unit


class QuoteBody(_Body):
    """A request for quotation."""

    reference: Name
    account: Note = ""
    currency: Currency
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    needed_by: When | None = None
    lines: Annotated[list[QuoteBodyLine], Field(min_length=1, max_length=LINES_MAX)]


class OrderBodyLine(_Body):
    """One line of an order."""

    number: LineNumber
    sku: Name
    manufacturer: Name
    mpn: Name
    quantity: Number
    unit: Unit
    unit_price: Number


class OrderBody(_Body):
    """An order."""

    reference: Reference
    quotation: Name
    currency: Currency
    total: Number
    order_hash: Note = ""
    lines: Annotated[list[OrderBodyLine], Field(min_length=1, max_length=LINES_MAX)]
