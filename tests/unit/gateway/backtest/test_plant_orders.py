"""What a plant says it bought, fitted and lost: every mistake by file and row, ends of lives in order."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.backtest.plant_orders import OrdersBroken, What, endings, ends_told, read_orders
from marketplace.money import Money

ZONE = ZoneInfo("Europe/Berlin")
COMPONENTS = {"press/bearing": "EUR", "saw/belt": "EUR"}


def read(tmp_path: Path, text: str):
    file = tmp_path / "orders.csv"
    file.write_text(text)
    return read_orders(file, ZONE, COMPONENTS)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def row(number: int, event: str, rest: str = "") -> str:
    return f"2026-01-{number:02}T00:00Z,press/bearing,{event}{rest}\n"


def test_rows_come_in_the_order_of_time_with_what_they_say(tmp_path: Path):
    found = read(
        tmp_path,
        "time,component,event,cost,supplier\n"
        "2026-01-05T01:00,press/bearing,Received,,\n2026-01-02T00:00Z,press/bearing,ordered,380 EUR,Huber\n",
    )
    assert [(each.what, each.cost, each.supplier) for each in found] == [
        (What.ORDERED, Money.parse("380 EUR"), "Huber"),
        (What.RECEIVED, None, ""),
    ]
    assert found[1].at == day(5)


def test_every_mistake_is_said_at_once_with_its_row(tmp_path: Path):
    with pytest.raises(OrdersBroken) as caught:
        read(
            tmp_path,
            "time,component,event,cost\n"
            "soon,press/bearing,fitted,\n2026-01-02,press/gear,fitted,\n2026-01-02,saw/belt,sold,\n"
            "2026-01-02,saw/belt,fitted,cheap\n2026-01-02,saw/belt,fitted,5 USD\n",
        )
    said = str(caught.value).splitlines()
    assert [each.partition(": ")[0] for each in said] == [f"orders.csv:{number}" for number in range(2, 7)]


@pytest.mark.parametrize("text", ["when,component,event\n", "time,component\n", "time,component,event,colour\n", ""])
def test_a_table_of_other_columns_is_refused(tmp_path: Path, text: str):
    with pytest.raises(OrdersBroken, match=r"orders\.csv"):
        read(tmp_path, text)


def test_a_failure_and_the_fitting_after_it_are_one_end(tmp_path: Path):
    head = "time,component,event,cost\n"
    rows = row(4, "failed", ",") + row(4, "ordered", ",400 EUR") + row(8, "received", ",") + row(9, "fitted", ",")
    (found,) = endings(read(tmp_path, head + rows))
    assert (found.at, found.failed, found.arrival, found.begins) == (day(4), True, day(8), day(9))
    assert found.cost == Money.parse("400 EUR")


def test_a_fitting_alone_ended_a_life_that_had_not_failed(tmp_path: Path):
    found = endings(read(tmp_path, "time,component,event\n" + row(3, "fitted") + row(9, "fitted")))
    assert [(each.at, each.failed, each.begins, each.arrival) for each in found] == [
        (day(3), False, day(3), None),
        (day(9), False, day(9), None),
    ]


def test_after_a_failure_that_nobody_says_was_mended_the_next_part_counts_from_its_receipt(tmp_path: Path):
    rows = row(2, "failed") + row(5, "received") + row(9, "failed")
    found = endings(read(tmp_path, "time,component,event\n" + rows))
    assert [(each.at, each.begins) for each in found] == [(day(2), day(5)), (day(9), day(9))]


def test_orders_alone_tell_no_ends(tmp_path: Path):
    events = read(tmp_path, "time,component,event\n" + row(2, "ordered"))
    assert endings(events) == []
    assert ends_told(events) == set()
