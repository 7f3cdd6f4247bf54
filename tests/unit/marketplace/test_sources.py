"""Who supplies a part: told apart by what they offered and how long they took, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.lead_times import Delivery, LeadTime, LeadTimes
from marketplace.sources import SUPPLIES_MAX, Offer, Wanted, delays, on_its_way, supplies, supply_of

WANTED = Wanted("bearing", timedelta(days=10), 0.2, 400.0, "EUR", timedelta(hours=8))
USUAL = {"bearing": timedelta(days=10)}
ALL = frozenset({"north", "south", "express"})
NOTHING = LeadTimes((), USUAL)


def offer(supplier: str, price: str | None = "400", currency: str = "EUR", item: str = "bearing") -> Offer:
    return Offer(supplier, item, None if price is None else Decimal(price), currency)


def took(supplier: str, days: float, times: int = 9) -> list[Delivery]:
    return [Delivery(supplier, "bearing", days * 24, True)] * times


def test_before_anybody_was_asked_one_without_a_name_takes_what_the_plant_says():
    (found,) = supplies(WANTED, (), NOTHING, ALL)
    assert (found.supplier, found.extra) == ("", 0.0)
    assert found == supply_of("", 0.0, LeadTime(240.0, 0.2), timedelta(hours=8))
    assert found.delay == pytest.approx(8 + 240 * np.exp(0.2**2 / 2))


def test_what_is_rare_in_a_lead_time_counts_beside_what_is_usual():
    """Two in a hundred thousand orders take longer than 240 h times e to the 4.1 fold spread."""
    found = supply_of("north", 0.0, LeadTime(240.0, 0.2))
    late = found.likely[np.array(found.delays) > 240 * np.exp(0.2 * 4.1)].sum()
    assert late == pytest.approx(2.07e-5 * 2, rel=0.5)
    assert sorted(delays(LeadTime(240.0, 0.2)))[2] == 240


def test_suppliers_of_whom_nothing_different_is_known_are_one():
    (found,) = supplies(WANTED, (offer("south"), offer("north")), NOTHING, ALL)
    assert (found.supplier, found.extra) == ("north", 0.0)


def test_who_is_soon_and_dear_stands_beside_who_is_cheap_and_slow():
    learned = LeadTimes([*took("north", 14), *took("express", 1.5)], USUAL)
    cheap, soon = supplies(WANTED, (offer("express", "640"), offer("north")), learned, ALL)
    assert (cheap.supplier, cheap.extra) == ("north", 0.0)
    assert (soon.supplier, soon.extra) == ("express", pytest.approx(240.0))
    assert soon.delay < 4 * 24 < 12 * 24 < cheap.delay


def test_who_is_dearer_and_never_sooner_is_not_weighed():
    learned = LeadTimes([*took("north", 10), *took("south", 16)], USUAL)
    (found,) = supplies(WANTED, (offer("north"), offer("south", "420")), learned, ALL)
    assert found.supplier == "north"


@pytest.mark.parametrize(
    "other", [offer("south", None), offer("south", "1", "USD"), offer("south", "1", item="seal"), offer("away", "1")]
)
def test_who_has_not_offered_it_or_may_not_be_asked_does_not_count(other):
    (found,) = supplies(WANTED, (offer("north"), other), NOTHING, ALL)
    assert (found.supplier, found.extra) == ("north", 0.0)
    assert supplies(WANTED, (other,), NOTHING, ALL)[0].supplier == ""


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0.1, 100)), min_size=1, max_size=9))
def test_the_cheapest_and_the_soonest_are_always_among_them(known):
    names = [f"s{number}" for number in range(len(known))]
    learned = LeadTimes(
        [each for name, (_, days) in zip(names, known, strict=True) for each in took(name, days)], USUAL
    )
    offers = [offer(name, str(price)) for name, (price, _) in zip(names, known, strict=True)]
    found = supplies(WANTED, offers, learned, names)
    assert 1 <= len(found) <= SUPPLIES_MAX
    assert found[0].extra == 0.0
    laws = [learned.of(name, "bearing", WANTED.lead_time, WANTED.spread) for name in names]
    soonest = min(supply_of("", 0.0, law, WANTED.approval).delay for law in laws)
    assert min(each.delay for each in found) <= soonest * 1.6  # a spread may make another the soonest in some delays


def test_what_is_on_its_way_comes_when_its_supplier_says_or_when_such_orders_usually_come():
    law = LeadTime(240.0, 0.2)
    fresh, promised, late = (on_its_way("north", law, *each) for each in ((24.0, None), (24.0, 48.0), (400.0, -100.0)))
    assert fresh.delay == pytest.approx(240 * 1.02 - 24, rel=0.02)
    assert promised.delay == pytest.approx(72 * 1.02 - 24, rel=0.03)
    assert 0 < min(late.delays) < late.delay < 100
    assert replace(late, delays=(1.0,), weights=()).supplier == "north"
