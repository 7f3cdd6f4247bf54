from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import Money
from marketplace.suppliers.price_list import ROWS_MAX, read_price_list
from marketplace.suppliers.simulator.catalogue import ITEMS

HEADER = "item,sku,price,currency,per,unit,pack,freight,lead_time_days,valid_until\n"
ROW = "bearing-7014,7014-P4,391.50,EUR,1,C62,1,7.50,3,2026-12-31\n"


def read(text: str):
    return read_price_list(text, ITEMS)


def faults(text: str) -> list[str]:
    found = read(text)
    return [str(fault) for fault in found.faults]


def test_a_full_row_is_read():
    (row,) = read(HEADER + ROW).rows
    assert (row.item, row.sku, row.unit) == ("bearing-7014", "7014-P4", "C62")
    assert row.unit_price.amount == Decimal("391.50")
    assert row.freight == Money(750, "EUR")
    assert row.lead_time_days == 3


def test_a_row_says_only_what_it_must():
    (row,) = read("item,price,currency,lead_time_days,valid_until\nendmill-12,57.80,EUR,0.5,2026-12-31\n").rows
    assert (row.sku, row.pack, row.unit) == ("SC-EM12-4Z", Decimal(1), "C62")
    assert row.freight == Money(0, "EUR")
    assert row.unit_price.per == 1


def test_a_price_holds_to_the_end_of_the_last_day_at_the_site():
    (row,) = read_price_list(HEADER + ROW, ITEMS, zone=ZoneInfo("Europe/Berlin")).rows
    assert row.valid_until == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_comma_semicolon_or_tab_separate(separator):
    assert len(read((HEADER + ROW).replace(",", separator)).rows) == 1


def test_what_a_spreadsheet_writes_is_read():
    text = '\ufeffItem;Price;Currency;Lead_time_days;Valid_until\r\n"bearing-7014";391,5;EUR;3;2026-12-31\r\n;;;;\r\n'
    (row,) = read(text).rows
    assert row.unit_price.amount == Decimal("391.5")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ("bearing-7015,x,1,EUR,1,C62,1,0,3,2026-12-31", "2:1: 'bearing-7015' is no item of the config"),
        ("bearing-7014,x,free,EUR,1,C62,1,0,3,2026-12-31", "2:3: 'free' is no number"),
        ("bearing-7014,x,0,EUR,1,C62,1,0,3,2026-12-31", "2:3: it cannot be 0"),
        ("bearing-7014,x,-1,EUR,1,C62,1,0,3,2026-12-31", "2:3: '-1' is no number"),
        ("bearing-7014,x,NaN,EUR,1,C62,1,0,3,2026-12-31", "2:3: 'NaN' is no number"),
        ("bearing-7014,x,1e3,EUR,1,C62,1,0,3,2026-12-31", "2:3: '1e3' is no number"),
        ("bearing-7014,x,,EUR,1,C62,1,0,3,2026-12-31", "2:3: '' is no number"),
        ("bearing-7014,x,1,DM,1,C62,1,0,3,2026-12-31", "2:4: 'DM' is not a currency"),
        ("bearing-7014,x,1,EUR,0,C62,1,0,3,2026-12-31", "2:5: it cannot be 0"),
        ("bearing-7014,x,1,EUR,1,KGM,1,0,3,2026-12-31", "2:6: bearing-7014 is bought by C62, not by KGM"),
        ("bearing-7014,x,1,EUR,1,C62,0,0,3,2026-12-31", "2:7: it cannot be 0"),
        ("bearing-7014,x,1,EUR,1,C62,1,0.001,3,2026-12-31", "2:8: 0.001 EUR is finer"),
        ("bearing-7014,x,1,EUR,1,C62,1,0,3000,2026-12-31", "2:9: more than 1000 days"),
        ("bearing-7014,x,1,EUR,1,C62,1,0,3,31.12.2026", "2:10: Invalid isoformat"),
        ("bearing-7014,x,1,EUR,1,C62,1,0,3,9999-12-31", "2:10: '9999-12-31' is no year"),
        (f"bearing-7014,{'x' * 101},1,EUR,1,C62,1,0,3,2026-12-31", "2:2: longer than 100"),
        ("bearing-7014,x,1,EUR", "2:5: 4 cells instead of 10"),
    ],
)
def test_a_mistake_is_said_with_line_and_column(cells, fault):
    found = faults(HEADER + cells + "\n")
    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize("price", ["1,234", "1.234,50", "12,345,678"])
def test_a_number_that_could_be_read_in_two_ways_is_a_mistake(price):
    text = f"item;price;currency;lead_time_days;valid_until\nbearing-7014;{price};EUR;3;2026-12-31\n"
    assert faults(text) == [f"2:2: {price!r} can be read in two ways"]


def test_every_line_with_a_mistake_is_named():
    assert [fault.split(":")[0] for fault in faults(HEADER + "x\n" + ROW + "y\n")] == ["2", "4"]


def test_an_item_that_stands_twice_is_a_mistake():
    assert faults(HEADER + ROW + ROW) == ["3:1: bearing-7014 stands twice"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: the column 'item' is missing"),
        ("item,price\n", "1:3: the column 'currency' is missing"),
        ("item,colour\n", "1:2: 'colour' is no column"),
        ("item,item\n", "1:2: 'item' stands twice"),
        (HEADER, "2:1: the list is empty"),
        (HEADER + '"never closed\n', "2:1: no CSV"),
        (HEADER + ROW * (ROWS_MAX + 1), f"{ROWS_MAX + 2}:1: more than {ROWS_MAX} rows"),
    ],
)
def test_a_text_that_is_no_list_says_why(text, fault):
    assert faults(text)[0].startswith(fault)


@given(st.text(max_size=200))
def test_any_text_is_read_or_faulted(text):
    for whole in (text, HEADER + text):
        found = read(whole)
        assert found.rows or found.faults
