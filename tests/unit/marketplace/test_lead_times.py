"""A supplier's own deliveries move what is expected of it, more with each; late ones before they are in."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.lead_times import Delivery, LeadTime, LeadTimes

USUAL = timedelta(days=10)
SAID = {"bearing": USUAL, "filter": timedelta(days=2)}


def took(days: float, item: str = "bearing", supplier: str = "north", arrived: bool = True) -> Delivery:
    return Delivery(supplier, item, days * 24, arrived)


def of(*deliveries: Delivery, item: str = "bearing", supplier: str = "north") -> LeadTime:
    return LeadTimes(deliveries, SAID).of(supplier, item, SAID[item], 0.2)


def days(found: LeadTime) -> float:
    return found.median_hours / 24


def test_of_whom_nothing_is_known_takes_what_the_plant_says():
    assert of() == of(took(30), supplier="south") == LeadTime(240.0, 0.2)
    assert of(took(30, item="seal")) == LeadTime(240.0, 0.2)  # nobody says what a seal takes usually


def test_one_delivery_judges_nobody_and_many_do():
    one, many = of(took(20)), of(*[took(20)] * 30)
    assert 11 < days(one) < 14
    assert days(many) == pytest.approx(19.1, abs=0.4)
    assert (one.orders, many.orders) == (1, 30)


def test_what_was_drawn_from_a_law_gives_that_law():
    drawn = 14 * np.exp(0.35 * np.random.default_rng(1).standard_normal(400))
    found = of(*(took(float(each)) for each in drawn))
    assert days(found) == pytest.approx(14, rel=0.05)
    assert found.deviation == pytest.approx(0.35, abs=0.04)


def test_who_is_slow_with_one_item_is_expected_to_be_slow_with_another():
    bearings = [took(20)] * 10
    assert 3.2 < days(of(*bearings, item="filter")) < 4.0
    own = of(*bearings, *[took(2, item="filter")] * 10, item="filter")
    assert 1.9 < days(own) < 2.4  # its own deliveries outweigh those of others
    assert days(of(*bearings, *[took(2, item="filter")] * 10)) > 16


def test_an_order_that_is_late_counts_before_it_is_in_and_one_that_is_not_says_nothing():
    known = [took(10)] * 5
    assert of(*known, took(3, arrived=False)) == of(*known)
    late, later = (of(*known, took(each, arrived=False)) for each in (15, 40))
    assert days(of(*known)) < days(late) < days(later)
    assert days(later) > days(of(*known, took(40))) > days(of(*known))


def test_what_somebody_forgot_to_book_in_is_bounded():
    assert of(took(1e6)) == of(took(200))
    assert of(took(0)) == of(took(0.5))
    assert of(took(1e6, arrived=False)).median_hours < 24 * 200


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=8), st.floats(0.1, 100), st.floats(0, 100))
def test_a_longer_delivery_never_shortens_what_is_expected(others, took_days, longer):
    known = [took(each, arrived=is_in) for each, is_in in others if is_in]
    before, after = (of(*known, took(each)) for each in (took_days, took_days + longer))
    assert after.median_hours >= before.median_hours * (1 - 1e-9)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 4000), st.booleans()), max_size=12), st.floats(0, 1))
def test_it_is_always_a_law(seen, spread):
    found = LeadTimes([took(each, arrived=is_in) for each, is_in in seen], SAID).of("north", "bearing", USUAL, spread)
    assert np.isfinite([found.median_hours, found.deviation]).all()
    assert found.median_hours > 0
    assert found.deviation >= 0


@settings(max_examples=30)
@given(st.permutations([took(5), took(12), took(30), took(14, arrived=False)]))
def test_the_order_in_which_they_are_told_changes_nothing(deliveries):
    found, sorted_ones = of(*deliveries), of(took(5), took(12), took(30), took(14, arrived=False))
    assert found.median_hours == pytest.approx(sorted_ones.median_hours, rel=1e-12)
    assert found.deviation == pytest.approx(sorted_ones.deviation, rel=1e-12)
