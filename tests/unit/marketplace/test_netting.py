"""Wants against the shelf and what is on its way: laws that hold for any plant, and how people would count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Quantity
from marketplace.netting import Asked, Coming, OnItsWay, net

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def day(number: float) -> datetime:
    return NOW + timedelta(days=number)


def pieces(amount: float) -> Quantity:
    return Quantity(Decimal(str(amount)), "C62")


def asked(name: str, amount: float, by: float | None = 10, item: str = "bearing", **more: bool) -> Asked:
    return Asked(name, item, pieces(amount), None if by is None else day(by), **more)


def coming(order: str, amount: float, at: float, item: str = "bearing") -> OnItsWay:
    return OnItsWay(order, item, pieces(amount), day(at))


def test_two_are_wanted_one_is_on_the_shelf_and_one_on_its_way():
    (found,) = net([asked("mill", 2)], {"bearing": pieces(1)}, [coming("G1-0001-7", 5, 3)])
    assert (found.on_shelf, found.coming, found.missing) == (1, 1, 0)
    assert found.on_its_way == (Coming("G1-0001-7", Decimal(1), day(3)),)


def test_two_components_do_not_both_count_the_same_piece():
    found = net([asked("late", 1, by=9), asked("soon", 1, by=4)], {"bearing": pieces(1)}, [])
    assert [(each.asked.name, each.on_shelf, each.missing) for each in found] == [("soon", 1, 0), ("late", 0, 1)]


def test_what_comes_too_late_for_one_serves_another():
    found = net([asked("soon", 1, by=2), asked("late", 1, by=9)], {}, [coming("G1-0001-7", 1, 3)])
    assert [(each.asked.name, each.coming, each.missing) for each in found] == [("soon", 0, 1), ("late", 1, 0)]


def test_the_soonest_that_is_on_its_way_is_taken_first():
    (found,) = net([asked("mill", 3)], {}, [coming("B", 2, 5), coming("A", 2, 3)])
    assert [(each.order, each.amount) for each in found.on_its_way] == [("A", 2), ("B", 1)]


def test_who_names_no_day_comes_last_and_takes_what_comes_any_day():
    found = net([asked("stock", 1, by=None), asked("mill", 1, by=400)], {}, [coming("A", 1, 500), coming("B", 1, 300)])
    assert [(each.asked.name, [one.order for one in each.on_its_way]) for each in found] == [
        ("mill", ["B"]),
        ("stock", ["A"]),
    ]


def test_of_two_alike_who_has_waited_longer_is_served():
    wants = [replace(asked("a", 1), since=day(2)), replace(asked("b", 1), since=day(1))]
    assert [each.asked.name for each in net(wants, {}, [])] == ["b", "a"]


def test_the_shelf_is_not_filled_from_itself():
    (found,) = net([asked("stock", 4, by=None, shelf=False)], {"bearing": pieces(9)}, [coming("A", 1, 5)])
    assert (found.on_shelf, found.coming, found.missing) == (0, 1, 3)


def test_another_unit_or_item_covers_nothing():
    litres = Quantity(Decimal(9), "LTR")
    (found,) = net([asked("mill", 1)], {"bearing": litres}, [coming("A", 1, 1, item="grease")])
    assert (found.on_shelf, found.coming, found.missing) == (0, 0, 1)


amounts = st.decimals("0.1", 50, places=1).map(lambda each: Quantity(each, "C62"))
items = st.sampled_from(["bearing", "grease"])
days = st.integers(0, 30).map(day)
wants = st.lists(
    st.builds(Asked, st.uuids().map(str), items, amounts, st.none() | days, days, st.booleans()),
    max_size=8,
    unique_by=lambda each: each.name,
)
shelves = st.dictionaries(items, amounts)
orders = st.lists(
    st.builds(OnItsWay, st.uuids().map(str), items, amounts, days), max_size=6, unique_by=lambda each: each.order
)


@given(wants, shelves, orders)
def test_nothing_is_covered_twice_and_nothing_is_lost(all_wants, shelf, surplus):
    found = net(all_wants, shelf, surplus)
    assert sorted(each.asked.name for each in found) == sorted(each.name for each in all_wants)
    for each in found:
        assert min(each.on_shelf, each.coming, each.missing) >= 0
        assert each.on_shelf + each.coming + each.missing == each.asked.quantity.amount
    for item in ("bearing", "grease"):
        here = shelf[item].amount if item in shelf else 0
        assert sum(each.on_shelf for each in found if each.asked.item == item) <= here
    for order in surplus:
        taken = sum(one.amount for each in found for one in each.on_its_way if one.order == order.order)
        assert taken <= order.quantity.amount


@given(wants, shelves, orders)
def test_nobody_goes_short_of_what_a_less_urgent_one_got(all_wants, shelf, surplus):
    found = net(all_wants, shelf, surplus)
    for index, first in enumerate(found):
        for later in found[index + 1 :]:
            if first.missing == 0 or first.asked.item != later.asked.item:
                continue
            assert not (first.asked.shelf and later.on_shelf > 0)
            by = first.asked.needed_by
            assert not any(by is None or one.expected_at <= by for one in later.on_its_way)


@given(wants, shelves, orders, st.randoms())
def test_the_order_of_telling_changes_nothing(all_wants, shelf, surplus, random):
    told, lines = random.sample(all_wants, len(all_wants)), random.sample(surplus, len(surplus))
    assert net(told, shelf, lines) == net(all_wants, shelf, surplus)


@given(wants, shelves, orders)
def test_one_more_who_is_less_urgent_takes_nothing_from_the_others(all_wants, shelf, surplus):
    last = Asked("~", "bearing", pieces(3), None, day(99))
    assert net([*all_wants, last], shelf, surplus)[:-1] == net(all_wants, shelf, surplus)
