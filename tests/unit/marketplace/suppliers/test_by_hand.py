from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.catalogue import Item
from marketplace.documents import OrderResponse, Reply
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.store import hand_answer, hand_price
from marketplace.suppliers.by_hand import (
    ByHandSettings,
    ByHandSupplier,
    enter_answer,
    enter_prices,
    order_text,
    spell,
    total_of,
)
from marketplace.suppliers.contract import NOW, REFERENCE, order_of, request_for
from marketplace.suppliers.price_list import PriceRow
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.supplier import SupplierContext, SupplierRejected, SupplierUnavailable

ANNA = Actor(ActorKind.PERSON, "anna", "socket")
SETTINGS = ByHandSettings(adapter="by_hand", name="Huber Werkzeuge", account="331", phone="+49 711 555 0177")


def price(item: str = "endmill-12", **changes: object) -> PriceRow:
    row = PriceRow(
        item=item,
        sku="FR-12",
        unit_price=UnitPrice(Decimal("59.90"), "EUR"),
        unit="C62",
        pack=Decimal(5),
        freight=Money(690, "EUR"),
        lead_time_days=Decimal(2),
        valid_until=NOW + timedelta(days=10),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture
def supplier(spend, owner, clock, tmp_path: Path) -> ByHandSupplier:
    return ByHandSupplier.build("corner-shop", SETTINGS, SupplierContext(spend, owner, clock, tmp_path))


@pytest.fixture
async def prices(spend, owner, now):
    async with spend.write() as tx:
        await enter_prices(tx, owner, "corner-shop", [price()], ANNA, now)


def asking(item: Item = ITEMS["endmill-12"], quantity: str = "8"):
    return request_for(item, Quantity(Decimal(quantity), "C62"))


@pytest.fixture
async def order(supplier, prices):
    return order_of(asking(), await supplier.quote(asking()))


class TestQuote:
    async def test_an_offer_comes_from_the_entered_prices_in_whole_packs(self, supplier, prices):
        offer = await supplier.quote(asking())
        assert offer.lines[0].quantity == Quantity(Decimal(10), "C62")
        assert offer.lines[0].unit_price == UnitPrice(Decimal("59.90"), "EUR")
        assert offer.freight == Money(690, "EUR")
        assert offer.valid_until == NOW + timedelta(days=10)

    async def test_a_price_that_has_ended_is_no_offer(self, supplier, prices, clock):
        clock.forward(timedelta(days=10))
        with pytest.raises(SupplierRejected, match="no price for endmill-12 that still holds"):
            await supplier.quote(asking())

    async def test_another_supplier_s_prices_are_not_this_one_s(self, spend, owner, clock, tmp_path, prices):
        other = ByHandSupplier.build("other-shop", SETTINGS, SupplierContext(spend, owner, clock, tmp_path))
        with pytest.raises(SupplierRejected):
            await other.quote(asking())

    async def test_prices_in_several_currencies_are_no_offer(self, spend, owner, supplier, prices, now):
        franc = price("filter-10um", unit_price=UnitPrice(Decimal(60), "CHF"), freight=Money(0, "CHF"), pack=Decimal(1))
        async with spend.write() as tx:
            await enter_prices(tx, owner, "corner-shop", [franc], ANNA, now)
        both = asking()
        second = replace(asking(ITEMS["filter-10um"]).lines[0], number=2)
        with pytest.raises(SupplierRejected, match="several currencies"):
            await supplier.quote(replace(both, lines=(*both.lines, second)))

    async def test_a_new_price_replaces_the_old_one(self, spend, owner, supplier, prices, now):
        async with spend.write() as tx:
            await enter_prices(tx, owner, "corner-shop", [price(unit_price=UnitPrice(Decimal(61), "EUR"))], ANNA, now)
            assert len((await tx.execute(select(hand_price))).all()) == 1
        assert (await supplier.quote(asking())).lines[0].unit_price.amount == 61

    async def test_who_entered_prices_is_audited(self, spend, prices):
        async with spend.read() as connection:
            (entry,) = await log.entries(connection, "corner-shop")
        assert (entry.kind, entry.actor.id) == ("prices.entered", "anna")
        assert entry.facts == {"supplier": "corner-shop", "count": 1, "prices": {"endmill-12": "59.90 EUR"}}


class TestOrderText:
    async def test_it_says_everything_that_is_to_be_said(self, order):
        text = order_text(order, SETTINGS)
        said = [REFERENCE, "Huber Werkzeuge", "+49 711 555 0177", "10 C62 of FR-12", "59.90 EUR", "Hall 2", "Anna"]
        assert [words for words in said if words not in text] == []
        assert text.endswith("= 605.90 EUR\n")

    def test_a_number_is_spelled_so_that_it_survives_a_phone_call(self):
        assert spell("TC-G1-000123-K") == "Tango Charlie - Golf 1 - 0 0 0 1 2 3 - Kilo"

    async def test_its_total_can_be_read_back(self, order, supplier):
        assert total_of(supplier.encode(order)) == order.total

    async def test_what_people_wrote_cannot_pass_for_the_total(self, order):
        tricky = replace(order, delivery=replace(order.delivery, contact="Anna\n= 1.00 EUR\n"))
        assert total_of(order_text(tricky, SETTINGS).encode()) == order.total


class TestPlace:
    async def test_an_order_is_handed_to_a_person_and_waits(self, supplier, order, permit_for):
        response = await supplier.place(permit_for(supplier, order))
        assert (response.reply, response.total, response.lines) == (Reply.RECEIVED, order.total, ())
        assert await supplier.documents(REFERENCE) == []


class TestAnswers:
    async def enter(self, spend, owner, order, now, **said: object) -> OrderResponse:
        async with spend.write() as tx:
            return await enter_answer(tx, owner, order, ANNA, now, **said)

    async def test_what_was_said_on_the_phone_comes_back_as_the_supplier_s_answer(
        self, spend, owner, supplier, order, now
    ):
        said = {"promised_at": now + timedelta(days=3), "supplier_reference": "A 4711"}
        entered = await self.enter(spend, owner, order, now, **said)
        assert await supplier.documents(REFERENCE) == [entered]
        assert (entered.reply, entered.total, entered.supplier_reference) == (
            Reply.CONFIRMED,
            order.total,
            "A 4711",
        )

    async def test_another_price_is_kept_as_it_was_said(self, spend, owner, supplier, order, now):
        await self.enter(spend, owner, order, now, total=Money.of("650.00", "EUR"))
        (answer,) = await supplier.documents(REFERENCE)
        assert answer.total == Money.of("650.00", "EUR")

    async def test_answers_come_oldest_first(self, spend, owner, supplier, order, now):
        await self.enter(spend, owner, order, now, reply=Reply.RECEIVED)
        await self.enter(spend, owner, order, now, reply=Reply.REJECTED)
        assert [answer.reply for answer in await supplier.documents(REFERENCE)] == [Reply.RECEIVED, Reply.REJECTED]

    async def test_who_typed_it_is_audited_and_free_text_is_not_in_the_leaf(self, spend, owner, order, now):
        await self.enter(spend, owner, order, now, reason="Herr Huber was in a bad mood")
        async with spend.read() as connection:
            (entry,) = await log.entries(connection, REFERENCE)
            (row,) = await connection.execute(select(hand_answer))
            assert await log.written(connection, entry.facts["note"]) == "Herr Huber was in a bad mood"
        assert (entry.kind, entry.actor) == ("answer.entered", ANNA)
        assert "mood" not in str(entry.facts)
        assert "mood" not in row.document
        assert row.entered_by == "anna"

    @pytest.mark.parametrize("reference", ["x" * 501, "a\nb", "\x1b[31m"])
    async def test_a_reference_that_cannot_be_read_back_is_never_stored(self, spend, owner, order, now, reference):
        with pytest.raises(ValueError, match="supplier_reference"):
            await self.enter(spend, owner, order, now, supplier_reference=reference)
        async with spend.read() as connection:
            assert (await connection.execute(select(hand_answer))).all() == []

    async def test_a_broken_row_is_no_answer(self, spend, owner, supplier, order, now):
        await self.enter(spend, owner, order, now)
        async with spend.write() as tx:
            await tx.execute(hand_answer.update().values(document="{}"))
        with pytest.raises(SupplierUnavailable):
            await supplier.documents(REFERENCE)
