"""Timing and the award come out of their records again, to the byte; whatever they rest on is in the record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from marketplace.catalogue import Item
from marketplace.documents import Quotation, QuotationLine, RequestedLine, RequestForQuotation, canonical, timestamp
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering import decisions
from marketplace.ordering.reason import award_terms, reason_for, reason_text
from marketplace.settings import BuyingSettings
from marketplace.sourcing.award import award, refusals_of
from marketplace.timing import TimingTerms, advise
from tests.unit.marketplace.fakes import LINE, a_need, advice

ECONOMICS = BuyingSettings.model_validate({"lead_time": "5 d", "price": "60 EUR", "standstill": "900 EUR/h"})
TIMING = TimingTerms(timedelta(days=5), timedelta(hours=8), timedelta(minutes=1), 0.1)
ITEM = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Bearing", "C62")
WANTED = RequestedLine(1, "r1", ITEM, Quantity(Decimal(2), "C62"))
REQUEST = RequestForQuotation("R-1", (WANTED,), "EUR", "DE", None)


def offer_of(supplier: str, now: datetime, price: str = "61.50", days: str = "5", **line) -> Quotation:
    offered = QuotationLine(
        1, "L-7014", Quantity(Decimal(2), "C62"), UnitPrice(Decimal(price), "EUR"), Decimal(days), None
    )
    freight, fees = Money(900, "EUR"), Money(150, "EUR")
    return Quotation(supplier, f"Q-{supplier}", (replace(offered, **line),), freight, fees, now + timedelta(days=14))


@pytest.fixture
def reason(now):
    need = a_need(now)
    return reason_text(reason_for(need, LINE, advise(need.belief, TIMING, now), ECONOMICS))


@pytest.fixture
def recorded(reason, now):
    """The record of an award, as `Rounds` makes it, and what it is computed from."""

    def record(*offers: Quotation, request: RequestForQuotation = REQUEST, **changes):
        told = reason_for(a_need(now), LINE, advice(now), ECONOMICS)
        terms = replace(award_terms(told, timedelta(hours=8)), **changes)
        found = award(offers, request, terms, now)
        refusals = refusals_of(offers, request, terms, now)
        return decisions.award_record(reason, request, offers, terms, found, refusals, now, round=3, software="0.1+abc")

    return record


def test_an_award_comes_out_again(recorded, reason, now):
    offers = (offer_of("dear", now, "90"), offer_of("cheap", now), offer_of("late", now, "20", "9"))
    record = recorded(*offers)
    assert canonical(decisions.awarded(record, reason, offers)) == canonical(record["verdict"])
    assert [each["supplier"] for each in record["verdict"]["ranked"]] == ["cheap", "dear", "late"]


def test_a_record_says_all_that_it_rests_on(recorded, reason, now):
    record = recorded(offer_of("cheap", now))
    assert record["act"] == "award"
    assert (record["round"], record["offers"], record["software"]) == (3, 1, "0.1+abc")
    assert record["now"] == timestamp(now)
    assert record["reason_hash"] == hashlib.sha256(reason.encode()).hexdigest() == decisions.reason_hash(reason)
    assert record["offers_hash"] == decisions.offers_hash([offer_of("cheap", now)])
    assert (record["approval_us"], record["waiting_max_us"]) == (8 * 3600 * 10**6, 14 * 86400 * 10**6)
    assert record["excess_max"] == "0.5"
    assert canonical(record)  # no float is in it
    lines = [{"number": 1, "quantity": "2", "unit": "C62"}]
    assert record["request"] == {"currency": "EUR", "needed_by": "", "lines": lines}


def test_every_term_of_every_offer_is_in_the_verdict(recorded, now):
    (ranked,) = recorded(offer_of("cheap", now))["verdict"]["ranked"]
    assert set(ranked) == {"supplier", "goods", "freight", "fees", "lateness", "holding"}
    assert (ranked["goods"], ranked["freight"], ranked["fees"]) == (12_300, 900, 150)
    assert ranked["lateness"] > 0


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ("approval", {"approval": timedelta(days=4)}),
        ("waiting_max", {"waiting_max": timedelta(hours=1)}),
        ("excess_max", {"excess_max": Decimal(2)}),
    ],
)
def test_the_weights_of_the_record_count_and_no_others(recorded, reason, now, change, other):
    offers = (offer_of("cheap", now), offer_of("much", now, quantity=Quantity(Decimal(4), "C62")))
    record = recorded(*offers, **other)
    assert decisions.awarded(record, reason, offers) == record["verdict"], change
    assert record["verdict"] != recorded(*offers)["verdict"], change


def test_a_day_that_was_named_counts(recorded, reason, now):
    offers, named = (offer_of("cheap", now),), replace(REQUEST, needed_by=now + timedelta(days=300))
    record = recorded(*offers, request=named)
    assert decisions.awarded(record, reason, offers) == record["verdict"]
    assert record["verdict"] != recorded(*offers)["verdict"]


def test_no_award_comes_out_again_with_its_reasons(recorded, reason, now):
    offers = (
        offer_of("few", now, available=Decimal(1)),
        replace(offer_of("old", now), valid_until=now),
    )
    record = recorded(*offers)
    assert decisions.awarded(record, reason, offers) == record["verdict"]
    assert record["verdict"]["ranked"] == []
    few, old = record["verdict"]["refused"]
    assert (few["supplier"], few["code"], few["line"]) == ("few", "NOT_AVAILABLE", "1")
    assert (old["supplier"], old["code"]) == ("old", "EXPIRED")


def test_a_verdict_is_told_in_one_line(recorded, now):
    verdict = recorded(offer_of("cheap", now), offer_of("few", now, available=Decimal(1)))["verdict"]
    total = sum(value for term, value in verdict["ranked"][0].items() if term != "supplier")
    assert decisions.told(verdict) == f"cheap {total}, few NOT_AVAILABLE"
    assert decisions.told({"ranked": [], "refused": []}) == "NO_AWARD"


CHANGED = {
    "supplier": lambda offer: replace(offer, supplier="other"),
    "reference": lambda offer: replace(offer, reference="Q-2"),
    "freight": lambda offer: replace(offer, freight=Money(901, "EUR")),
    "fees": lambda offer: replace(offer, fees=Money(151, "EUR")),
    "valid_until": lambda offer: replace(offer, valid_until=offer.valid_until + timedelta(microseconds=1)),
    "sku": lambda offer: replace(offer, lines=(replace(offer.lines[0], sku="L"),)),
    "quantity": lambda offer: replace(offer, lines=(replace(offer.lines[0], quantity=Quantity(Decimal(3), "C62")),)),
    "unit": lambda offer: replace(offer, lines=(replace(offer.lines[0], quantity=Quantity(Decimal(2), "KGM")),)),
    "number": lambda offer: replace(offer, lines=(replace(offer.lines[0], number=2),)),
    "price": lambda offer: replace(offer, lines=(replace(offer.lines[0], unit_price=UnitPrice(Decimal(61), "EUR")),)),
    "currency": lambda offer: replace(
        offer, lines=(replace(offer.lines[0], unit_price=UnitPrice(Decimal("61.50"), "USD")),)
    ),
    "per": lambda offer: replace(
        offer, lines=(replace(offer.lines[0], unit_price=UnitPrice(Decimal("61.50"), "EUR", Decimal(10))),)
    ),
    "lead time": lambda offer: replace(offer, lines=(replace(offer.lines[0], lead_time_days=Decimal("5.5")),)),
    "available": lambda offer: replace(offer, lines=(replace(offer.lines[0], available=Decimal(7)),)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_nothing_of_an_offer_can_be_changed_under_its_hash(now, name):
    offer = offer_of("cheap", now)
    assert decisions.offers_hash([CHANGED[name](offer)]) != decisions.offers_hash([offer])


@pytest.mark.parametrize(("available", "told"), [(None, ""), (Decimal("7.50"), "7.5")])
def test_the_hash_of_offers_is_that_of_every_word_of_them(now, available, told):
    offered = {
        "number": 1, "sku": "L-7014", "quantity": "2", "unit": "C62", "price": "61.5", "currency": "EUR", "per": "1",
        "lead_time_days": "5", "available": told,
    }  # fmt: skip
    said = {
        "supplier": "cheap", "reference": "Q-cheap", "freight": "9.00 EUR", "fees": "1.50 EUR",
        "valid_until": timestamp(now + timedelta(days=14)), "lines": [offered],
    }  # fmt: skip
    found = decisions.offers_hash([offer_of("cheap", now, available=available)])
    assert found == hashlib.sha256(canonical({"offers": [said]})).hexdigest()


def test_the_order_of_offers_is_part_of_their_hash(now):
    one, two = offer_of("a", now), offer_of("b", now)
    assert decisions.offers_hash([one, two]) != decisions.offers_hash([two, one])


def test_an_offer_hashes_by_value_and_not_by_how_it_is_written(now):
    one = offer_of("a", now, lead_time_days=Decimal("5.0"), available=Decimal("1E+1"))
    assert decisions.offers_hash([one]) == decisions.offers_hash([offer_of("a", now, available=Decimal(10))])


def test_timing_comes_out_again(reason, now):
    said = advise(a_need(now).belief, TIMING, now)
    assert said.buy
    assert decisions.advised(reason) == {"code": said.code, "parameters": said.parameters}


def test_the_leaf_of_a_want_says_what_timing_rests_on(reason, now):
    need = a_need(now)
    said = advise(need.belief, TIMING, now)
    facts = decisions.advice_facts(reason_for(need, LINE, said, ECONOMICS))
    assert facts == {
        "act": "advise", "code": said.code, "parameters": said.parameters, "reason_hash": decisions.reason_hash(reason)
    }  # fmt: skip


OLD = (
    '{"belief": {"as_of": "2026-03-02T05:00:00.000000Z", "known": true, "life": 1500.0, "provenance": "A", '
    '"survival": [1.0, 0.97, 0.8, 0.3, 0.0], "unit": "h", "use": [0.0, 120.0, 240.0, 480.0, 900.0], "use_per_hour": '
    '0.5}, "code": "WAITING_COSTS_MORE", "evidence": [], "holding": {"currency": "EUR", "minor": 1200, "per_s": '
    '31557600.0}, "job": "Replace it", "kind": "part", "parameters": {"approval_hours": "8", "arrival_hours": '
    '"129", "currency": "EUR", "decide_by": "2026-03-02T05:00:00+00:00", "fit_after_hours": "129.85", '
    '"lead_time_hours": "120", "probability": "0.0165", "step_hours": "1", "supplier": "", "threshold": "0.4000", '
    '"waiting_costs": "15.48"}, "price": "60.00 EUR", "standstill": {"currency": "EUR", "minor": 90000, "per_s": '
    '3600.0}, "timing": {"approval_s": 28800.0, "costs": {"currency": "EUR", "failure": 7260.0, "holding": '
    '0.0013689253935660506, "planned": 60.0, "standstill": 900.0}, "failure_probability": 0.4, "lead_time_s": '
    '432000.0, "now": "2026-03-02T08:00:00.000000Z", "patience": 1.5, "step_s": 3600.0, "supplies": [{"delays": '
    '[100.86820548978248, 116.05188655100915, 128.0, 141.26930662336974, 163.05845002662738], "extra": 0.0, '
    '"price": 0.0, "supplier": "", "weights": []}]}}'
)
"""A reason as it was kept before suppliers were told apart, before stock on hand and windows counted."""


def test_a_reason_of_an_older_program_gives_the_verdict_that_was_recorded():
    told = json.loads(OLD)
    assert reason_text(told) == OLD
    assert canonical(decisions.advised(OLD)) == canonical({name: told[name] for name in ("code", "parameters")})
