"""An order is its hash: whatever would change what is bought changes it, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.catalogue import Item
from marketplace.documents import (
    Delivery,
    OrderLine,
    PurchaseOrder,
    canonical,
    parse_timestamp,
    timestamp,
)
from marketplace.money import Money, Quantity, UnitPrice

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
LINE = OrderLine(
    1,
    ("r1", "r2"),
    Item("bearing-7014", "Nordlager", "NL-7014-P4", "Bearing", "C62"),
    "L-7014",
    Quantity(Decimal("2"), "C62"),
    UnitPrice(Decimal("61.50"), "EUR"),
)
ORDER = PurchaseOrder(
    number="G1-0001-A",
    plant="northworks",
    gateway="G1",
    supplier="shop",
    account="331",
    quotation="Q-1",
    lines=(LINE,),
    freight=Money(900, "EUR"),
    fees=Money(100, "EUR"),
    deliver_by=NOW + timedelta(days=20),
    quoted_until=NOW + timedelta(days=14),
    delivery=Delivery("Northworks", "DE1", "Hall 2", "Office", "Anna", "4711", "PR"),
)

OF_THE_ORDER = {
    "number": "G1-0002-B",
    "plant": "southworks",
    "gateway": "G2",
    "supplier": "other",
    "account": "332",
    "quotation": "Q-2",
    "freight": Money(901, "EUR"),
    "fees": Money(101, "EUR"),
    "deliver_by": ORDER.deliver_by + timedelta(microseconds=1),
    "quoted_until": ORDER.quoted_until + timedelta(microseconds=1),
    "lines": (LINE, replace(LINE, number=2)),
}
OF_THE_LINE = {
    "number": 2,
    "sku": "L-7015",
    "quantity": Quantity(Decimal("2.001"), "C62"),
    "unit_price": UnitPrice(Decimal("61.500001"), "EUR"),
}


def with_line(**changes) -> PurchaseOrder:
    return replace(ORDER, lines=(replace(LINE, **changes),))


@pytest.mark.parametrize("field", sorted(OF_THE_ORDER))
def test_whatever_changes_in_an_order_makes_another_order(field):
    assert replace(ORDER, **{field: OF_THE_ORDER[field]}).hash != ORDER.hash


def test_no_field_of_an_order_is_forgotten():
    assert {each.name for each in fields(PurchaseOrder)} == OF_THE_ORDER.keys() | {"delivery"}
    assert {each.name for each in fields(OrderLine)} == OF_THE_LINE.keys() | {"item", "requisitions"}


@pytest.mark.parametrize("field", sorted(each.name for each in fields(Delivery)))
def test_whatever_changes_in_the_delivery_makes_another_order(field):
    assert replace(ORDER, delivery=replace(ORDER.delivery, **{field: "elsewhere"})).hash != ORDER.hash


@pytest.mark.parametrize("field", sorted(OF_THE_LINE))
def test_whatever_changes_in_a_line_makes_another_order(field):
    assert with_line(**{field: OF_THE_LINE[field]}).hash != ORDER.hash


@pytest.mark.parametrize("field", ["key", "manufacturer", "mpn", "description"])
def test_whatever_changes_in_an_item_makes_another_order(field):
    assert with_line(item=replace(LINE.item, **{field: "other"})).hash != ORDER.hash


def test_unit_base_quantity_and_currency_make_another_order():
    assert with_line(quantity=Quantity(Decimal(2), "PK")).hash != ORDER.hash
    assert with_line(unit_price=UnitPrice(Decimal("61.50"), "EUR", Decimal(10))).hash != ORDER.hash
    dollars = replace(
        ORDER,
        lines=(replace(LINE, unit_price=UnitPrice(Decimal("61.50"), "USD")),),
        freight=Money(900, "USD"),
        fees=Money(100, "USD"),
    )
    assert dollars.hash != ORDER.hash


def test_whose_wants_it_serves_is_ours_and_changes_nothing():
    assert with_line(requisitions=()).hash == ORDER.hash
    assert "r1" not in json.dumps(ORDER.document())


quantities = st.decimals(min_value=Decimal("0.001"), max_value=1000, places=3)
prices = st.decimals(min_value=0, max_value=10_000, places=6)


@given(quantities, quantities, prices, prices)
def test_two_orders_have_one_hash_only_if_they_buy_the_same(first, second, price, other):
    one = with_line(quantity=Quantity(first, "C62"), unit_price=UnitPrice(price, "EUR"))
    two = with_line(quantity=Quantity(second, "C62"), unit_price=UnitPrice(other, "EUR"))
    assert (one.hash == two.hash) == (first == second and price == other)


def test_a_quantity_written_otherwise_is_the_same_order():
    assert with_line(quantity=Quantity(Decimal("2.000"), "C62")).hash == ORDER.hash


def test_the_total_has_freight_and_fees():
    assert ORDER.total == Money(12300 + 900 + 100, "EUR")
    assert ORDER.currency == "EUR"
    assert ORDER.document()["total"] == ORDER.total.minor


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_canonical_json_reads_back_and_has_one_form(document):
    text = canonical(document)
    assert json.loads(text) == document
    assert canonical(json.loads(text)) == text
    assert canonical(dict(reversed(document.items()))) == text


@pytest.mark.parametrize("value", [1.0, float("nan"), Decimal(1), b"x", {1: 2}, [[0.5]], {"a": {"b": 0.1}}, NOW])
def test_what_has_two_forms_is_refused(value):
    with pytest.raises(TypeError):
        canonical({"value": value})


zones = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(st.datetimes(timezones=zones).filter(lambda moment: 1 < moment.year < 9999))
def test_a_time_reads_back_to_the_microsecond(moment):
    assert parse_timestamp(timestamp(moment)) == moment
    assert timestamp(moment).endswith("Z")
    assert timestamp(moment) == timestamp(moment.astimezone(UTC))


@pytest.mark.parametrize("text", ["2026-03-02T08:00:00", "yesterday", ""])
def test_a_time_without_a_zone_is_refused(text):
    with pytest.raises(ValueError, match=r"time zone|isoformat"):
        parse_timestamp(text)
