"""What a leaf must hold so that "buy now" and the award can be decided again, and the deciding.

It promises that timing's verdict is a function of the kept reason alone, and the award's of the kept reason, the kept
offers and the record itself, which holds everything else: the request, plant time, and the weights that are no part of
a want. `advised` and `awarded` give the same verdict to the byte. It reads nothing: whoever replays brings the reason
and the offers, of which leaves hold the hashes. Verdicts on orders are `authority.decisions`'.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from marketplace.authority.mandate import hash_of
from marketplace.catalogue import Item
from marketplace.documents import Quotation, RequestedLine, RequestForQuotation, parse_timestamp, timestamp
from marketplace.money import Quantity, plain
from marketplace.ordering.reason import award_terms, read_belief, reason_text, weighed
from marketplace.sourcing.award import Award, AwardTerms, Cost, Refusal, award, refusals_of
from marketplace.timing import advise

ADVISE: Final = "advise"
AWARD: Final = "award"
NO_AWARD: Final = "NO_AWARD"
_MICROSECOND: Final = timedelta(microseconds=1)
_UNNAMED: Final = Item("", "", "", "", "")
"""What was asked for: an award weighs how much of it, and not what it is."""


def reason_hash(text: str) -> str:
    """Return the SHA-256 of a kept reason, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def advice_facts(reason: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the leaf of a want says of the timing behind it: the verdict, and the hash of what it rests on."""
    verdict = {"code": reason["code"], "parameters": reason["parameters"]}
    return {"act": ADVISE, **verdict, "reason_hash": reason_hash(reason_text(reason))}


def advised(reason: str) -> dict[str, Any]:
    """Return timing's verdict on a kept reason. Raises KeyError, TypeError or ValueError when it is none of ours."""
    told = json.loads(reason)
    by = weighed(told)
    advice = advise(read_belief(told["belief"]), by.terms, by.now)
    return {"code": advice.code, "parameters": advice.parameters}


def award_record(
    reason: str,
    request: RequestForQuotation,
    offers: Sequence[Quotation],
    terms: AwardTerms,
    found: Award | None,
    refusals: Sequence[Refusal],
    now: datetime,
    *,
    round: int,
    software: str,
) -> dict[str, Any]:
    """Return the record of an award on these offers, or of there being none, verdict included."""
    return {
        "act": AWARD,
        "verdict": _verdict(found, refusals),
        "round": round,
        "request": _request(request),
        "offers": len(offers),
        "offers_hash": offers_hash(offers),
        "reason_hash": reason_hash(reason),
        "approval_us": terms.approval // _MICROSECOND,
        "waiting_max_us": terms.waiting_max // _MICROSECOND,
        "excess_max": plain(terms.excess_max),
        "now": timestamp(now),
        "software": software,
    }


def awarded(record: Mapping[str, Any], reason: str, offers: Sequence[Quotation]) -> dict[str, Any]:
    """Return the verdict that a record gives with its reason and offers, by the rules of this version.

    Raises KeyError, TypeError or ValueError when the record is none of ours.
    """
    terms = replace(
        award_terms(json.loads(reason), record["approval_us"] * _MICROSECOND),
        waiting_max=record["waiting_max_us"] * _MICROSECOND,
        excess_max=Decimal(record["excess_max"]),
    )
    request, now = _requested(record["request"]), parse_timestamp(record["now"])
    found = award(offers, request, terms, now)
    return _verdict(found, found.refusals if found else refusals_of(offers, request, terms, now))


def offers_hash(offers: Sequence[Quotation]) -> str:
    """Return the SHA-256 of offers in their order, hexadecimal."""
    return hash_of({"offers": [_offer(each) for each in offers]})


def _verdict(found: Award | None, refusals: Sequence[Refusal]) -> dict[str, Any]:
    """Return the ranking, best first, with every term in minor units, and why the others cannot serve."""
    ranked: dict[str, dict[str, Any]] = {}
    for row in found.terms if found else ():
        ranked.setdefault(row.supplier, {"supplier": row.supplier})[row.term.value] = row.amount.minor
    return {
        "ranked": list(ranked.values()),
        "refused": [{"supplier": each.supplier, "code": each.code, **each.parameters} for each in refusals],
    }


def told(verdict: Mapping[str, Any]) -> str:
    """Return a verdict on offers in one line, for people."""
    ranked = (f"{each['supplier']} {sum(each[term.value] for term in Cost)}" for each in verdict["ranked"])
    refused = (f"{each['supplier']} {each['code']}" for each in verdict["refused"])
    return ", ".join((*ranked, *refused)) or NO_AWARD


def _request(request: RequestForQuotation) -> dict[str, Any]:
    """Return what the award reads of a request: how much, in what, until when."""
    return {
        "currency": request.currency,
        "needed_by": timestamp(request.needed_by) if request.needed_by else "",
        "lines": [
            {"number": line.number, "quantity": plain(line.quantity.amount), "unit": line.quantity.unit}
            for line in request.lines
        ],
    }


def _requested(written: Mapping[str, Any]) -> RequestForQuotation:
    lines = tuple(
        RequestedLine(each["number"], "", _UNNAMED, Quantity(Decimal(each["quantity"]), each["unit"]))
        for each in written["lines"]
    )
    needed_by = parse_timestamp(written["needed_by"]) if written["needed_by"] else None
    return RequestForQuotation("", lines, written["currency"], "", needed_by)


def _offer(offer: Quotation) -> dict[str, Any]:
    return {
        "supplier": offer.supplier,
        "reference": offer.reference,
        "freight": str(offer.freight),
        "fees": str(offer.fees),
        "valid_until": timestamp(offer.valid_until),
        "lines": [
            {
                "number": line.number,
                "sku": line.sku,
                "quantity": plain(line.quantity.amount),
                "unit": line.quantity.unit,
                "price": plain(line.unit_price.amount),
                "currency": line.unit_price.currency,
                "per": plain(line.unit_price.per),
                "lead_time_days": plain(line.lead_time_days),
                "available": "" if line.available is None else plain(line.available),
            }
            for line in offer.lines
        ],
    }
