from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from marketplace.documents import parse_timestamp
from marketplace.suppliers.simulator.book import Book
from marketplace.suppliers.simulator.catalogue import EXPRESS, ITEMS, KONTOR, MAKER, Business
from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.messages import OrderBody, QuoteBody
from marketplace.suppliers.simulator.recall import Recall
from marketplace.suppliers.simulator.shop import Refusal, Shop


class Street:
    """Shops with one clock and one memory each."""

    def __init__(self, folder: Path, clock) -> None:
        self._folder = folder
        self._clock = clock
        self._books: list[Book] = []

    def open(self, business: Business, *, seed: int = 1) -> Shop:
        book = Book(self._folder / f"{business.key}.db")
        self._books.append(book)
        return Shop(business, book, clock=self._clock, seed=seed)

    def close(self) -> None:
        for book in self._books:
            book.close()


@pytest.fixture
def street(tmp_path, clock):
    street = Street(tmp_path, clock)
    yield street
    street.close()


def asking(item: str, quantity: str = "1") -> QuoteBody:
    wanted = ITEMS[item]
    line = {"number": 1, "manufacturer": wanted.manufacturer, "mpn": wanted.mpn, "quantity": quantity, "unit": "C62"}
    return QuoteBody.model_validate({"reference": "R-1", "currency": "EUR", "country": "DE", "lines": [line]})


def accepting(quotation, item: str, reference: str = "TC-G1-000001-A") -> OrderBody:
    (line,) = quotation["lines"]
    goods = Decimal(line["unit_price"]) * Decimal(line["quantity"])
    total = goods + Decimal(quotation["freight"]) + Decimal(quotation["fees"])
    wanted = ITEMS[item]
    return OrderBody.model_validate(
        {
            "reference": reference,
            "quotation": quotation["reference"],
            "currency": quotation["currency"],
            "total": f"{total:.2f}",
            "lines": [
                {name: line[name] for name in ("number", "sku", "quantity", "unit", "unit_price")}
                | {"manufacturer": wanted.manufacturer, "mpn": wanted.mpn}
            ],
        }
    )


def buy(shop: Shop, item: str, reference: str = "TC-G1-000001-A", quantity: str = "1"):
    body = accepting(shop.quote(asking(item, quantity)), item, reference)
    return shop.order(body, f"key-{reference}", reference.encode())


def delivered_after(shop: Shop, clock, reference: str) -> timedelta:
    begin = clock.now
    clock.forward(timedelta(days=400))
    (delivery,) = [each for each in shop.deliveries() if each["reference"] == reference]
    clock.now = begin
    return parse_timestamp(delivery["delivered_at"]) - begin


def test_dearer_is_faster(street):
    slow = street.open(KONTOR).quote(asking("bearing-7014"))["lines"][0]
    fast = street.open(EXPRESS).quote(asking("bearing-7014"))["lines"][0]
    assert Decimal(slow["unit_price"]) < Decimal(fast["unit_price"])
    assert Decimal(slow["lead_time_days"]) > Decimal(fast["lead_time_days"])


def test_a_pack_raises_the_quantity(street):
    assert street.open(KONTOR).quote(asking("endmill-12", "5"))["lines"][0]["quantity"] == "6"
    assert street.open(EXPRESS).quote(asking("endmill-12", "5"))["lines"][0]["quantity"] == "5"


def test_small_orders_cost_a_fee_and_large_ones_no_freight(street):
    small, large = (street.open(KONTOR).quote(asking("filter-10um", quantity)) for quantity in ("1", "9"))
    assert (small["freight"], small["fees"]) == ("9.50", "15.00")
    assert (large["freight"], large["fees"]) == ("0.00", "0.00")


def test_nobody_sells_what_they_do_not_carry(street):
    with pytest.raises(Refusal) as refused:
        street.open(KONTOR).quote(asking("compressor-service"))
    assert (refused.value.status, refused.value.code) == (404, "NOT_CARRIED")


def test_every_item_of_the_demo_is_sold_by_somebody():
    sold = {item for business in (KONTOR, EXPRESS, MAKER) for item in business.articles}
    assert sold == set(ITEMS)


def test_what_is_sold_comes_back_on_the_shelf_later(street, clock):
    shop = street.open(KONTOR)
    full = shop.quote(asking("belt-2400"))["lines"][0]
    assert full["available"] == "2"
    buy(shop, "belt-2400", quantity="2")
    empty = shop.quote(asking("belt-2400"))["lines"][0]
    assert empty["available"] is None
    assert Decimal(empty["lead_time_days"]) > Decimal(full["lead_time_days"])
    clock.forward(KONTOR.restock + timedelta(hours=1))
    assert shop.quote(asking("belt-2400"))["lines"][0] == full


def test_an_order_runs_from_received_to_delivered(street, clock):
    shop = street.open(KONTOR)
    assert buy(shop, "bearing-7014")["reply"] == "received"
    clock.forward(KONTOR.confirms_after)
    assert [document["kind"] for document in shop.documents("TC-G1-000001-A")["documents"]] == ["response"]
    clock.forward(timedelta(days=40))
    kinds = [document["kind"] for document in shop.documents("TC-G1-000001-A")["documents"]]
    assert kinds == ["response", "despatch", "invoice"]
    assert [delivery["reference"] for delivery in shop.deliveries()] == ["TC-G1-000001-A"]
    assert shop.deliveries()[0]["lines"][0]["item"] == "bearing-7014"


def test_the_recorded_engine_s_module_takes_exactly_twenty_hours(street, clock):
    shop = street.open(MAKER)
    offer = shop.quote(asking("turbofan-module"))["lines"][0]
    assert timedelta(hours=20) <= timedelta(days=float(offer["lead_time_days"])) < timedelta(hours=20, seconds=1)
    for number in range(1, 30):
        reference = f"TC-G1-{number:06d}-A"
        buy(shop, "turbofan-module", reference)
        assert delivered_after(shop, clock, reference) == timedelta(hours=20)


def test_lateness_is_drawn_from_the_seed_and_the_order_alone(street, clock, tmp_path):
    shop = street.open(KONTOR)
    buy(shop, "bearing-7014")
    first = delivered_after(shop, clock, "TC-G1-000001-A")
    again = Street(tmp_path / "again", clock)
    (tmp_path / "again").mkdir()
    other = again.open(KONTOR)
    buy(other, "filter-10um", "TC-G1-000009-Z")
    buy(other, "bearing-7014")
    assert delivered_after(other, clock, "TC-G1-000001-A") == first
    again.close()


def test_most_orders_keep_their_promise_and_some_do_not(street, clock):
    shop = street.open(KONTOR)
    late = 0
    promised = timedelta(days=float(shop.quote(asking("filter-10um"))["lines"][0]["lead_time_days"]))
    for number in range(200):
        clock.forward(KONTOR.restock)
        reference = f"TC-G1-{number:06d}-A"
        buy(shop, "filter-10um", reference)
        late += delivered_after(shop, clock, reference) > promised
    assert 0.1 < late / 200 < 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"total": "1.00"},
        {"currency": "USD"},
        {"lines": []},
    ],
)
def test_an_order_that_says_something_else_than_the_offer_is_refused(street, change):
    shop = street.open(KONTOR)
    body = accepting(shop.quote(asking("bearing-7014")), "bearing-7014")
    if "total" in change:
        change = {"total": Decimal(1)}
    with pytest.raises(Refusal) as refused:
        shop.order(body.model_copy(update=change), "k", b"")
    assert refused.value.code == "TERMS_DIFFER"


def test_an_offer_ends_after_ninety_days(street, clock):
    shop = street.open(KONTOR)
    body = accepting(shop.quote(asking("bearing-7014")), "bearing-7014")
    clock.forward(timedelta(days=90))
    with pytest.raises(Refusal) as refused:
        shop.order(body, "k", b"")
    assert refused.value.code == "QUOTATION_EXPIRED"


def test_the_same_key_buys_once_and_gives_the_same_answer(street, clock):
    shop = street.open(KONTOR)
    body = accepting(shop.quote(asking("bearing-7014")), "bearing-7014")
    first = shop.order(body, "k", b"bytes")
    clock.forward(timedelta(hours=5))
    assert shop.order(body, "k", b"bytes") == first
    with pytest.raises(Refusal, match="other bytes"):
        shop.order(body, "k", b"other")
    with pytest.raises(Refusal, match="another key"):
        shop.order(body, "k2", b"bytes")
    clock.forward(timedelta(days=60))
    assert len(shop.deliveries()) == 1


def test_a_restart_remembers_everything(street, clock):
    first = buy(street.open(KONTOR), "bearing-7014")
    shop = street.open(KONTOR)
    assert shop.find("TC-G1-000001-A") == first
    assert shop.quote(asking("bearing-7014"))["reference"] == "KQ-0000002"


def test_what_is_cancelled_in_time_never_comes(street, clock):
    shop = street.open(KONTOR)
    buy(shop, "bearing-7014")
    assert shop.cancel("TC-G1-000001-A")["reply"] == "rejected"
    assert shop.cancel("TC-G1-000001-A")["reply"] == "rejected"
    clock.forward(timedelta(days=60))
    assert shop.deliveries() == []
    assert [document["reply"] for document in shop.documents("TC-G1-000001-A")["documents"]] == ["rejected"]


def test_what_is_on_the_road_comes(street, clock):
    shop = street.open(KONTOR)
    buy(shop, "bearing-7014")
    clock.forward(timedelta(days=60))
    answer = shop.cancel("TC-G1-000001-A")
    assert (answer["reply"], answer["reason"]) == ("confirmed", "already on the road")


class TestFaults:
    def test_a_supplier_may_forget(self, street):
        shop = street.open(KONTOR)
        shop.habits.switch_on(Fault.FORGETS, times=1)
        buy(shop, "bearing-7014")
        with pytest.raises(Refusal, match="no order"):
            shop.find("TC-G1-000001-A")

    def test_a_supplier_may_confirm_and_ship_nothing(self, street, clock):
        shop = street.open(KONTOR)
        shop.habits.switch_on(Fault.SHIPS_NOTHING, times=1)
        buy(shop, "bearing-7014")
        clock.forward(timedelta(days=90))
        assert shop.find("TC-G1-000001-A")["reply"] == "confirmed"
        assert shop.deliveries() == []

    def test_a_supplier_may_charge_more_than_it_quoted(self, street):
        shop = street.open(KONTOR)
        shop.habits.switch_on(Fault.PRICE_RISE, times=1)
        assert buy(shop, "bearing-7014")["total"] == f"{Decimal('372.00') * Decimal('1.1') + Decimal('9.50'):.2f}"

    def test_a_supplier_may_answer_twice(self, street, clock):
        shop = street.open(EXPRESS)
        shop.habits.switch_on(Fault.ANSWERS_TWICE)
        buy(shop, "bearing-7014")
        assert len(shop.documents("TC-G1-000001-A")["documents"]) == 2

    def test_a_supplier_may_quote_in_another_currency(self, street):
        shop = street.open(KONTOR)
        shop.habits.switch_on(Fault.OTHER_CURRENCY, times=1)
        assert shop.quote(asking("bearing-7014"))["currency"] == "USD"
        assert shop.quote(asking("bearing-7014"))["currency"] == "EUR"


class TestRecall:
    """How far a supplier's memory reaches decides what a second send of the same order is."""

    REFERENCE = "TC-G1-000001-A"

    @pytest.fixture
    def shop(self, street) -> Shop:
        return street.open(KONTOR)

    def send_twice(self, shop: Shop, clock, *, after: timedelta) -> int:
        body = accepting(shop.quote(asking("bearing-7014")), "bearing-7014", self.REFERENCE)
        for _send in range(2):
            shop.order(body, "the-key", b"the same bytes")
            clock.forward(after)
        return len(shop.orders())

    def test_one_who_knows_the_key_again_takes_it_once(self, shop, clock):
        shop.recall = Recall(keys=timedelta(days=1))
        assert self.send_twice(shop, clock, after=timedelta(hours=23)) == 1

    def test_one_who_has_forgotten_the_key_takes_it_twice(self, shop, clock):
        shop.recall = Recall(keys=timedelta(days=1))
        assert self.send_twice(shop, clock, after=timedelta(hours=24)) == 2

    def test_one_who_looks_at_no_keys_takes_it_twice(self, shop, clock):
        shop.recall = Recall(keys=None)
        assert self.send_twice(shop, clock, after=timedelta(0)) == 2
        assert [order["reference"] for order in shop.orders()] == [self.REFERENCE] * 2
        assert len({order["supplier_reference"] for order in shop.orders()}) == 2

    def test_what_was_taken_twice_is_shipped_twice_unless_it_is_cancelled(self, shop, clock):
        shop.recall = Recall(keys=None)
        self.send_twice(shop, clock, after=timedelta(0))
        shop.cancel(self.REFERENCE)
        assert [order["cancelled"] for order in shop.orders()] == [False, True]
        clock.forward(timedelta(days=90))
        assert len(shop.deliveries()) == 1

    def test_an_index_that_lags_misses_an_order_for_a_while(self, shop, clock):
        shop.recall = Recall(lookup_lag=timedelta(hours=6))
        buy(shop, "bearing-7014")
        for ask in (shop.find, shop.documents, shop.cancel):
            with pytest.raises(Refusal, match="no order"):
                ask(self.REFERENCE)
        clock.forward(timedelta(hours=6))
        assert shop.find(self.REFERENCE)["reference"] == self.REFERENCE

    def test_one_who_answers_no_questions_does_not_say_that_there_is_no_order(self, shop):
        shop.recall = Recall(looks_up=False)
        buy(shop, "bearing-7014")
        with pytest.raises(Refusal) as refused:
            shop.find(self.REFERENCE)
        assert refused.value.code == "NO_SUCH_SERVICE"

    def test_what_was_forgotten_is_known_to_those_who_count(self, shop):
        shop.habits.switch_on(Fault.FORGETS, times=1)
        buy(shop, "bearing-7014")
        assert shop.orders() == []
        assert [order["reference"] for order in shop.forgotten()] == [self.REFERENCE]


def test_prices_lie_on_their_side_of_the_demo_s_limit(street):
    """The demo lets the machine spend 500 EUR an order: small things go out by themselves, large ones ask."""
    shops = [street.open(business) for business in (KONTOR, EXPRESS, MAKER)]

    def totals(item: str, quantity: str) -> list[Decimal]:
        found = []
        for shop in shops:
            if item in shop.business.articles:
                quotation = shop.quote(asking(item, quantity))
                found.append(accepting(quotation, item).total)
        return found

    for item, quantity in (("endmill-12", "4"), ("filter-10um", "2"), ("coolant-20l", "2"), ("seal-kit-80", "1")):
        assert max(totals(item, quantity)) < 500
    for item, quantity in (("bearing-7014", "2"), ("belt-2400", "1"), ("motor-1k5", "1"), ("compressor-service", "1")):
        assert min(totals(item, quantity)) > 500
