"""Ask every supplier at the same time, and let no bad answer through.

One request goes to all who can quote; each has until the deadline, and none can hold up, break or speak for another.
An answer becomes an offer only when it fits the request: the same supplier, lines, units and currency, finite amounts
not below zero, a believable lead time, and an expiry in the future. Anything else is kept as what it was, with the
reason, so that `why` can tell it. Which offer is best is not decided here (`sourcing.award`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

import structlog

from marketplace.documents import Quotation, RequestForQuotation
from marketplace.suppliers.supplier import Supplier, SupplierRejected, SupplierUnavailable

LEAD_TIME_DAYS_MAX = Decimal(1000)
"""A part that takes longer is a project, not an order; it also catches lead times in other units."""
DETAIL_MAX = 200
"""A supplier's words are shown to people beside our own: a sentence, not a page."""
REFERENCE_MAX = 100
"""The width of the columns that keep a supplier's SKU and reference."""

_log = structlog.get_logger()


class Outcome(StrEnum):
    """What became of asking one supplier."""

    OFFERED = "offered"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    LATE = "late"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one supplier answered; `quotation` is there exactly when the outcome is offered.

    detail: why there is no offer. For an invalid one it begins with a stable code, then a colon.
    """

    supplier: str
    outcome: Outcome
    detail: str
    quotation: Quotation | None = None


async def ask(
    suppliers: Mapping[str, Supplier], request: RequestForQuotation, deadline: timedelta, *, now: datetime
) -> list[Answer]:
    """Return one answer for each supplier that can quote, in the order of their names.

    deadline: wall time that each has. now: plant time, for the expiry of offers.
    """
    able = sorted(name for name, supplier in suppliers.items() if supplier.capabilities.quotes)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask_one(name, suppliers[name], request, deadline, now)) for name in able]
    return [task.result() for task in tasks]


async def _ask_one(
    name: str, supplier: Supplier, request: RequestForQuotation, deadline: timedelta, now: datetime
) -> Answer:
    limit = asyncio.timeout(deadline.total_seconds())
    try:
        async with limit:
            quotation = await supplier.quote(request)
    except SupplierUnavailable as error:
        return Answer(name, Outcome.UNAVAILABLE, bounded(str(error)))
    except SupplierRejected as error:
        return Answer(name, Outcome.REJECTED, bounded(str(error)))
    except TimeoutError:
        detail = f"no answer within {deadline.total_seconds():g} s" if limit.expired() else "timed out"
        return Answer(name, Outcome.LATE, detail)
    except Exception as error:  # an adapter from outside may break in any way; the others are still asked
        _log.warning("supplier_adapter_broke", supplier=name, error=type(error).__name__)
        return Answer(name, Outcome.UNAVAILABLE, f"the adapter failed: {type(error).__name__}")
    fault = fault_of(quotation, name, request, now)
    if fault is not None:
        return Answer(name, Outcome.INVALID, bounded(fault))
    return Answer(name, Outcome.OFFERED, "", quotation)


def fault_of(quotation: Quotation, supplier: str, request: RequestForQuotation, now: datetime) -> str | None:
    """Return why a quotation is no offer for this request (`CODE: figures`), or None when it is one."""
    if quotation.supplier != supplier:
        return f"OTHER_SUPPLIER: {quotation.supplier}"
    if not 0 < len(quotation.reference) <= REFERENCE_MAX:
        return "REFERENCE_MISSING: an order cannot name the offer"
    currencies = {line.unit_price.currency for line in quotation.lines}
    currencies |= {quotation.freight.currency, quotation.fees.currency}
    if currencies != {request.currency}:
        return f"OTHER_CURRENCY: {', '.join(sorted(currencies))} instead of {request.currency}"
    if quotation.freight.minor < 0 or quotation.fees.minor < 0:
        return "NEGATIVE_AMOUNT: freight or fees below zero"
    if quotation.valid_until <= now:
        return f"EXPIRED: valid until {quotation.valid_until.isoformat()}"
    return _fault_of_lines(quotation, request)


def _fault_of_lines(quotation: Quotation, request: RequestForQuotation) -> str | None:
    wanted = {line.number: line for line in request.lines}
    offered = [line.number for line in quotation.lines]
    if sorted(offered) != sorted(wanted):
        return f"OTHER_LINES: {sorted(offered)} instead of {sorted(wanted)}"
    for line in quotation.lines:
        unit = wanted[line.number].quantity.unit
        if line.quantity.unit != unit:
            return f"OTHER_UNIT: {line.quantity.unit} instead of {unit}"
        if not 0 < len(line.sku) <= REFERENCE_MAX:
            return "SKU_MISSING: an order cannot name the goods"
        if not (line.lead_time_days.is_finite() and 0 <= line.lead_time_days <= LEAD_TIME_DAYS_MAX):
            return f"LEAD_TIME: {line.lead_time_days} days"
        if line.available is not None and not (line.available.is_finite() and line.available >= 0):
            return f"AVAILABLE: {line.available}"
        if line.unit_price.times(line.quantity).minor == 0:
            return "NO_PRICE: nothing is given away"
    return None


def bounded(text: str) -> str:
    """Return a supplier's words as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: DETAIL_MAX * 4]).split())
    return line if len(line) <= DETAIL_MAX else line[: DETAIL_MAX - 1] + "…"
