"""What every supplier adapter promises, as tests: subclass, give two fixtures, and earn the whole suite.

    class TestOurSupplier(SupplierContract):
        @pytest.fixture
        async def supplier(self): ...        # yields the adapter, on something real on loopback
        @pytest.fixture
        def wanted(self): ...                # an item that it can quote, and how much of it

Tests follow what the adapter declares: what is not declared must raise `NotSupported`. It needs pytest and
pytest-asyncio, which are not among the dependencies of the product. Nothing here talks to a real supplier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from marketplace.authority.issuing import issue
from marketplace.authority.permit import PermitRefused, SpendPermit
from marketplace.catalogue import Item
from marketplace.documents import (
    Delivery,
    OrderLine,
    PurchaseOrder,
    Quotation,
    Reply,
    RequestedLine,
    RequestForQuotation,
)
from marketplace.money import Quantity
from marketplace.sourcing.quoting import fault_of
from marketplace.suppliers.supplier import NotSupported, Supplier, SupplierRejected

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""Plant time of the suite; adapters under test get a clock that stands there."""
UNHEARD_OF = Item("unheard-of", "Nobody", "NO-0", "Nothing that anybody sells", "C62")
REFERENCE = "TC-G1-000001-A"
OTHER = "TC-G1-000002-B"

PermitFor = Callable[[PurchaseOrder], SpendPermit]


def request_for(item: Item, quantity: Quantity) -> RequestForQuotation:
    """Return a request for quotation of one line."""
    return RequestForQuotation("R-1", (RequestedLine(1, "req-1", item, quantity),), "EUR", "DE", None)


def order_of(request: RequestForQuotation, quotation: Quotation, number: str = REFERENCE) -> PurchaseOrder:
    """Return the order that accepts an offer as it stands."""
    wanted = {line.number: line for line in request.lines}
    lead_time_days = max(line.lead_time_days for line in quotation.lines)
    return PurchaseOrder(
        number=number,
        plant="northworks",
        gateway="G1",
        supplier=quotation.supplier,
        account="A-1",
        quotation=quotation.reference,
        lines=tuple(
            OrderLine(
                line.number,
                (wanted[line.number].requisition,),
                wanted[line.number].item,
                line.sku,
                line.quantity,
                line.unit_price,
            )
            for line in quotation.lines
        ),
        freight=quotation.freight,
        fees=quotation.fees,
        deliver_by=NOW + timedelta(days=float(lead_time_days)),
        quoted_until=quotation.valid_until,
        delivery=Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna", "4711", "PR-1"),
    )


class SupplierContract:
    """The suite."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def supplier(self) -> Any:
        """Return the adapter under test."""
        raise NotImplementedError("give a fixture `supplier`")

    @pytest.fixture
    def wanted(self) -> tuple[Item, Quantity]:
        """Return an item that the supplier can quote, and how much of it."""
        raise NotImplementedError("give a fixture `wanted`")

    @pytest.fixture
    def request_(self, wanted: tuple[Item, Quantity]) -> RequestForQuotation:
        """The request for what is wanted."""
        return request_for(*wanted)

    @pytest.fixture
    async def quotation(self, supplier: Supplier, request_: RequestForQuotation) -> Quotation:
        """The supplier's offer for what is wanted."""
        return await supplier.quote(request_)

    @pytest.fixture
    def order(self, request_: RequestForQuotation, quotation: Quotation) -> PurchaseOrder:
        """The order that accepts the offer."""
        return order_of(request_, quotation)

    @pytest.fixture
    def permit_for(self, supplier: Supplier) -> PermitFor:
        """Permits as the gate issues them, with a key for each order number."""

        def permit(order: PurchaseOrder) -> SpendPermit:
            return issue(
                id=f"permit-{order.number}",
                supplier=supplier.name,
                reference=order.number,
                key=f"key-{order.number}",
                order_hash=order.hash,
                request_bytes=supplier.encode(order),
                ends_at=NOW + timedelta(minutes=5),
            )

        return permit

    async def test_an_offer_fits_the_request(
        self, supplier: Supplier, request_: RequestForQuotation, quotation: Quotation
    ) -> None:
        """Currency, lines, unit, lead time and expiry pass the checks that every offer must pass."""
        assert fault_of(quotation, supplier.name, request_, NOW) is None
        assert quotation.lines[0].quantity.amount >= request_.lines[0].quantity.amount

    async def test_what_it_does_not_carry_is_rejected_not_invented(self, supplier: Supplier) -> None:
        """A part that merely looks alike is never offered."""
        with pytest.raises(SupplierRejected):
            await supplier.quote(request_for(UNHEARD_OF, Quantity(Decimal(1), "C62")))

    async def test_the_same_order_has_the_same_bytes(self, supplier: Supplier, order: PurchaseOrder) -> None:
        """Bytes are stored before they are sent, so they must not depend on when they are made."""
        assert supplier.encode(order) == supplier.encode(order) != b""
        assert order.number.encode() in supplier.encode(order)

    async def test_another_quantity_has_other_bytes(self, supplier: Supplier, order: PurchaseOrder) -> None:
        """What a person approved is what is sent."""
        line = order.lines[0]
        more = replace(line, quantity=Quantity(line.quantity.amount + 1, line.quantity.unit))
        assert supplier.encode(order) != supplier.encode(replace(order, lines=(more,)))

    async def test_nothing_is_placed_without_a_permit(self, supplier: Supplier, order: PurchaseOrder) -> None:
        """Neither with something else, nor with a forged permit."""
        with pytest.raises(PermitRefused):
            await supplier.place(order)  # type: ignore[arg-type]
        with pytest.raises(PermitRefused):
            SpendPermit("p", supplier.name, order.number, "k", order.hash, b"", NOW + timedelta(hours=1), object())

    async def test_a_permit_for_another_supplier_is_refused(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """A permit names its supplier."""
        with pytest.raises(PermitRefused):
            await supplier.place(replace(permit_for(order), supplier="somebody-else"))

    async def test_a_permit_that_has_ended_is_refused(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """Old leave is no leave."""
        with pytest.raises(PermitRefused):
            await supplier.place(replace(permit_for(order), ends_at=NOW))

    async def test_an_answer_names_our_reference(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """Answers are matched by our number and nothing else, and say what was ordered."""
        response = await supplier.place(permit_for(order))
        assert response.reference == order.number
        assert response.reply in (Reply.RECEIVED, Reply.CONFIRMED)
        assert response.total == order.total

    async def test_placing_twice_with_one_key_buys_once(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """Where the supplier remembers keys, the second answer is the first."""
        if supplier.capabilities.idempotency_key is None:
            pytest.skip("the supplier declares no idempotency key")
        first = await supplier.place(permit_for(order))
        assert await supplier.place(permit_for(order)) == first

    async def test_a_look_up_finds_what_was_placed_and_nothing_else(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """`unknown` is settled by asking."""
        if supplier.capabilities.lookup_window is None:
            with pytest.raises(NotSupported):
                await supplier.find(OTHER)
            return
        assert await supplier.find(order.number) is None
        placed = await supplier.place(permit_for(order))
        found = await supplier.find(order.number)
        assert found is not None
        assert found.supplier_reference == placed.supplier_reference
        assert await supplier.find(OTHER) is None

    async def test_what_was_cancelled_is_off(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """REJECTED is the word for it; an order that nobody knows cannot be cancelled."""
        await supplier.place(permit_for(order))
        if not supplier.capabilities.cancel:
            with pytest.raises(NotSupported):
                await supplier.cancel(order.number)
            return
        assert (await supplier.cancel(order.number)).reply is Reply.REJECTED
        with pytest.raises(SupplierRejected):
            await supplier.cancel(OTHER)

    async def test_documents_are_about_our_order_alone(
        self, supplier: Supplier, order: PurchaseOrder, permit_for: PermitFor
    ) -> None:
        """An order that the supplier never heard of has none."""
        await supplier.place(permit_for(order))
        if not supplier.capabilities.documents:
            with pytest.raises(NotSupported):
                await supplier.documents(order.number)
            return
        assert all(document.reference == order.number for document in await supplier.documents(order.number))
        assert not await supplier.documents(OTHER)

    async def test_a_search_names_the_part_by_maker_and_mpn(
        self, supplier: Supplier, wanted: tuple[Item, Quantity]
    ) -> None:
        """Only an exact map counts."""
        item = wanted[0]
        if not supplier.capabilities.search:
            with pytest.raises(NotSupported):
                await supplier.search(item.mpn)
            return
        offers = await supplier.search(item.mpn)
        assert (item.manufacturer, item.mpn) in {(offer.item.manufacturer, offer.item.mpn) for offer in offers}

    async def test_closing_twice_does_no_harm(self, supplier: Supplier) -> None:
        """Ends are not always orderly."""
        await supplier.close()
        await supplier.close()


__all__ = ["NOW", "PermitFor", "SupplierContract", "order_of", "request_for"]
