"""What the simulated suppliers read, strictly: quotation requests, orders, and what of them is switched."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from marketplace.suppliers.simulator.recall import Recall
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


Seconds = Annotated[int, Field(ge=0, le=10**10)]
"""Three centuries of plant time are for ever."""


class RecallBody(_Body):
    """What a supplier can tell of an order afterwards: `Recall` in whole seconds; null for `keys_s` is no keys."""

    keys_s: Seconds | None
    lookup_lag_s: Seconds = 0
    looks_up: bool = True

    @classmethod
    def of(cls, recall: Recall) -> RecallBody:
        """Return a recall as it is told."""
        keys = None if recall.keys is None else min(int(recall.keys.total_seconds()), 10**10)
        return cls(keys_s=keys, lookup_lag_s=int(recall.lookup_lag.total_seconds()), looks_up=recall.looks_up)

    def recall(self) -> Recall:
        """Return what it says."""
        keys = None if self.keys_s is None else timedelta(seconds=self.keys_s)
        return Recall(keys, timedelta(seconds=self.lookup_lag_s), self.looks_up)
