from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import PlantClock
from tests.campaigns.crash.evidence import Databases, OrderRow
from tests.campaigns.crash.people import ARRIVED_S, People
from tests.campaigns.crash.sellers import Entry

NUMBER = "TC-N1-000001-T"
SPEED = 1000.0
NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Open:
    """A supplier's book that says what the test wrote into it."""

    def __init__(self) -> None:
        self.taken: list[Entry] | None = []

    def entries(self, _supplier: str) -> list[Entry] | None:
        return self.taken


@pytest.fixture
def book() -> Open:
    return Open()


@pytest.fixture
def people(tmp_path, book) -> People:
    still = PlantClock(NOW, wall_start=2.0**40, speed=SPEED)  # it begins in the far future, so it stands until then
    people = People(tmp_path, Databases(tmp_path), book, still, seed=1)
    people.settling = True
    return people


def entry(*, live: bool = True, forgotten: bool = False, delivered: bool = False) -> Entry:
    return Entry("mute", NUMBER, live, forgotten, delivered)


def order(state: str, sent_s_ago: float = ARRIVED_S + 1) -> OrderRow:
    sent = NOW - timedelta(seconds=sent_s_ago) * SPEED
    since = (sent - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return OrderRow(NUMBER, "mute", state, "0" * 64, since, "")


def reply(people: People, row: OrderRow) -> str | None:
    act = people.about(row)
    return None if act is None else act.body.get("reply", act.name)


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ([entry()], "confirmed"),
        ([], "not_placed"),
        ([entry(live=False, forgotten=True)], "not_placed"),
        ([entry(live=False)], "withdrawn"),
        ([entry(live=False, forgotten=True), entry()], "confirmed"),
        (None, None),
    ],
)
def test_what_became_of_an_order_is_what_the_supplier_s_book_says(people, book, taken, said):
    book.taken = taken
    assert reply(people, order("needs_person")) == said


def test_nobody_says_that_there_is_no_order_while_it_may_still_arrive(people):
    assert reply(people, order("needs_person", sent_s_ago=ARRIVED_S / 2)) is None


def test_goods_are_checked_in_once_they_are_there(people, book):
    book.taken = [entry()]
    assert reply(people, order("confirmed")) is None
    assert reply(people, order("awaiting_approval")) == "approve"


def test_goods_of_a_confirmed_order_that_are_there_are_received(people, book):
    book.taken = [entry(delivered=True)]
    assert reply(people, order("confirmed")) == "received"


def test_a_supplier_that_forgot_what_it_confirmed_is_asked_and_says_no(people, book):
    book.taken = [entry(live=False, forgotten=True)]
    assert reply(people, order("confirmed")) == "rejected"
