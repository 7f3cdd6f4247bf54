"""What each failure of an HTTP supplier allows, on real loopback connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from marketplace.authority.permit import PermitRefused
from marketplace.documents import DespatchAdvice, Invoice, OrderResponse, Reply
from marketplace.money import Money
from marketplace.settings import SecretMissing, SecretReference
from marketplace.suppliers.contract import NOW, REFERENCE, order_of
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.supplier import OutcomeUnknown, SupplierContext, SupplierRejected, SupplierUnavailable

SETTINGS = {"adapter": "http", "name": "K", "url": "https://kontor.example", "token": {"file": "token"}}


@asynccontextmanager
async def line(say: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    """Serve raw bytes on loopback."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await say(reader, writer)  # type: ignore[misc]
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def answering(status: int, body: bytes = b"", **headers: str) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Serve one answer to everything; the list fills with what was asked."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        asked.append(request)
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.fixture
async def order(connect, request_):
    return order_of(request_, await connect().quote(request_))


class TestPlace:
    async def test_the_permitted_bytes_are_sent_with_their_key(self, connect, order, permit_for):
        async with answering(500) as (url, asked):
            supplier = connect(url=url)
            permit = permit_for(supplier, order)
            with pytest.raises(OutcomeUnknown):
                await supplier.place(permit)
        assert len(asked) == 1
        assert await asked[0].read() == permit.request_bytes
        assert asked[0].headers["Idempotency-Key"] == permit.key
        assert asked[0].headers["Authorization"].startswith("Bearer ")
        assert asked[0].path == "/orders"

    async def test_a_supplier_that_is_not_there_got_nothing(self, connect, order, permit_for):
        async with line(lambda reader, writer: asyncio.sleep(0)) as url:
            pass
        supplier = connect(url=url)
        with pytest.raises(SupplierUnavailable):
            await supplier.place(permit_for(supplier, order))

    async def test_a_name_that_nobody_knows_got_nothing(self, connect, order, permit_for):
        supplier = connect(url="http://kontor.invalid")
        with pytest.raises(SupplierUnavailable):
            await supplier.place(permit_for(supplier, order))

    async def test_a_server_that_speaks_no_tls_got_nothing(self, connect, order, permit_for, market):
        supplier = connect(url=market.ready.addresses["kontor"].replace("http:", "https:"))
        with pytest.raises(SupplierUnavailable):
            await supplier.place(permit_for(supplier, order))

    async def test_a_connection_dropped_before_an_answer_is_unknown(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.DROP_BEFORE_ACCEPT)
        supplier = connect()
        with pytest.raises(OutcomeUnknown):
            await supplier.place(permit_for(supplier, order))
        assert await supplier.find(REFERENCE) is None

    async def test_accepted_and_dropped_is_unknown_and_found_by_asking(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.DROP_AFTER_ACCEPT, times=1)
        supplier = connect()
        with pytest.raises(OutcomeUnknown):
            await supplier.place(permit_for(supplier, order))
        found = await supplier.find(REFERENCE)
        assert found is not None
        assert found.total == order.total

    async def test_the_same_bytes_and_key_again_buy_nothing_more(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.SERVER_ERROR_AFTER_ACCEPT, times=1)
        supplier = connect()
        with pytest.raises(OutcomeUnknown):
            await supplier.place(permit_for(supplier, order))
        response = await supplier.place(permit_for(supplier, order))
        assert response.supplier_reference == "K-000001"
        assert await supplier.find(REFERENCE) == response

    async def test_a_supplier_that_answers_too_slowly_is_unknown(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.SLOW)
        supplier = connect(timeout="60 ms")
        with pytest.raises(OutcomeUnknown):
            await supplier.place(permit_for(supplier, order))

    @pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.ENDLESS])
    async def test_an_answer_that_cannot_be_read_is_unknown(self, connect, order, permit_for, market, fault):
        market.shops["kontor"].habits.switch_on(fault, times=1)
        supplier = connect()
        with pytest.raises(OutcomeUnknown):
            await supplier.place(permit_for(supplier, order))
        assert await supplier.find(REFERENCE) is not None

    async def test_a_refusal_is_a_refusal(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.REFUSES)
        supplier = connect()
        with pytest.raises(SupplierRejected, match="kontor: REFUSED we do not deliver"):
            await supplier.place(permit_for(supplier, order))

    async def test_other_bytes_under_a_key_may_have_bought_before(self, connect, order, permit_for):
        supplier = connect()
        await supplier.place(permit_for(supplier, order))
        other = permit_for(supplier, replace(order, account="K-2"))
        with pytest.raises(OutcomeUnknown, match="422"):
            await supplier.place(other)

    @pytest.mark.parametrize("status", [401, 403, 429])
    async def test_who_is_not_let_in_may_come_again(self, connect, order, permit_for, status):
        async with answering(status, b"no") as (url, _asked):
            supplier = connect(url=url)
            with pytest.raises(SupplierUnavailable, match=str(status)):
                await supplier.place(permit_for(supplier, order))

    @pytest.mark.parametrize("status", [204, 301, 307, 308, 400, 402, 404, 405, 408, 409, 410, 422, 500, 502, 503, 504])
    async def test_any_other_status_without_the_documented_words_is_unknown(self, connect, order, permit_for, status):
        async with answering(status, b"<h1>Sorry</h1>", Location="/elsewhere") as (url, asked):
            supplier = connect(url=url)
            with pytest.raises(OutcomeUnknown):
                await supplier.place(permit_for(supplier, order))
        assert len(asked) == 1, "followed, or sent twice"

    async def test_half_an_answer_is_unknown(self, connect, order, permit_for):
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{")
            await writer.drain()

        async with line(half) as url:
            supplier = connect(url=url)
            with pytest.raises(OutcomeUnknown):
                await supplier.place(permit_for(supplier, order))

    async def test_an_answer_that_is_no_http_is_unknown(self, connect, order, permit_for):
        async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            await writer.drain()

        async with line(noise) as url:
            supplier = connect(url=url)
            with pytest.raises(OutcomeUnknown):
                await supplier.place(permit_for(supplier, order))

    async def test_a_confirmation_at_another_price_is_handed_on_as_it_is(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.PRICE_RISE)
        supplier = connect()
        response = await supplier.place(permit_for(supplier, order))
        assert response.total == Money.of("818.40", "EUR")
        assert response.lines[0].unit_price.amount == Decimal("409.20")

    async def test_a_permit_that_has_ended_sends_nothing(self, connect, order, permit_for, clock):
        async with answering(201) as (url, asked):
            supplier = connect(url=url)
            permit = permit_for(supplier, order)
            clock.forward(timedelta(minutes=5))
            with pytest.raises(PermitRefused):
                await supplier.place(permit)
        assert asked == []

    async def test_the_caller_s_own_timeout_is_not_taken_for_the_supplier_s(self, connect, order, permit_for, market):
        market.shops["kontor"].habits.switch_on(Fault.SLOW)
        supplier = connect()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await supplier.place(permit_for(supplier, order))


class TestQuote:
    async def test_an_offer_has_price_breaks_freight_and_packs(self, connect, request_):
        def asking(quantity: str):
            wanted = request_.lines[0]
            return replace(
                request_, lines=(replace(wanted, quantity=replace(wanted.quantity, amount=Decimal(quantity))),)
            )

        two, four = [await connect().quote(asking(quantity)) for quantity in ("1", "4")]
        assert two.lines[0].unit_price.amount == Decimal("372.00")
        assert four.lines[0].unit_price.amount == Decimal("358.00")
        assert (two.freight, four.freight) == (Money(950, "EUR"), Money(0, "EUR"))

    async def test_another_currency_is_passed_on_to_be_judged(self, connect, request_, market):
        market.shops["kontor"].habits.switch_on(Fault.OTHER_CURRENCY)
        assert (await connect().quote(request_)).freight.currency == "USD"

    @pytest.mark.parametrize(
        "fault", [Fault.GARBAGE, Fault.ENDLESS, Fault.SERVER_ERROR, Fault.UNAVAILABLE, Fault.REDIRECTS, Fault.LOCKS_OUT]
    )
    async def test_whatever_goes_wrong_is_unavailable(self, connect, request_, market, fault):
        market.shops["kontor"].habits.switch_on(fault)
        with pytest.raises(SupplierUnavailable):
            await connect().quote(request_)

    async def test_a_slow_supplier_is_given_up_on(self, connect, request_, market):
        market.shops["kontor"].habits.switch_on(Fault.SLOW)
        with pytest.raises(SupplierUnavailable, match="Timeout"):
            await connect(timeout="50 ms").quote(request_)


class TestAsking:
    @pytest.mark.parametrize("body", [b"", b"<h1>Not Found</h1>", b'{"code": "NO_ROUTE"}'])
    async def test_a_bare_404_does_not_mean_that_there_is_no_order(self, connect, body):
        async with answering(404, body) as (url, _asked):
            supplier = connect(url=url)
            for ask in (supplier.find, supplier.documents):
                with pytest.raises(SupplierUnavailable):
                    await ask(REFERENCE)
            with pytest.raises(OutcomeUnknown):
                await supplier.cancel(REFERENCE)

    async def test_an_answer_about_another_order_is_no_answer(self, connect, order, permit_for):
        supplier = connect()
        await supplier.place(permit_for(supplier, order))
        async with answering(200, b'{"reference": "TC-G1-000009-Z"}') as (url, _asked):
            with pytest.raises(SupplierUnavailable):
                await connect(url=url).find(REFERENCE)

    async def test_documents_come_as_time_passes(self, connect, order, permit_for, clock):
        supplier = connect()
        assert (await supplier.place(permit_for(supplier, order))).reply is Reply.RECEIVED
        assert await supplier.documents(REFERENCE) == ()
        clock.forward(timedelta(hours=4))
        (confirmed,) = await supplier.documents(REFERENCE)
        assert isinstance(confirmed, OrderResponse)
        assert confirmed.reply is Reply.CONFIRMED
        assert confirmed.promised_at == NOW + timedelta(days=7.5)
        clock.forward(timedelta(days=30))
        _confirmed, despatch, invoice = await supplier.documents(REFERENCE)
        assert isinstance(despatch, DespatchAdvice)
        assert despatch.quantities == {1: Decimal(2)}
        assert isinstance(invoice, Invoice)
        assert invoice.total == order.total

    async def test_what_is_on_the_road_is_not_cancelled(self, connect, order, permit_for, clock):
        supplier = connect()
        await supplier.place(permit_for(supplier, order))
        clock.forward(timedelta(days=30))
        assert (await supplier.cancel(REFERENCE)).reply is Reply.CONFIRMED


class TestBuild:
    def context(self, spend, owner, session, base: Path, *, private: bool = False) -> SupplierContext:
        return SupplierContext(spend, owner, lambda: NOW, base, session, allow_private_targets=private)

    @pytest.mark.parametrize("url", ["https://127.0.0.1:9", "https://[::1]:9", "https://169.254.169.254"])
    async def test_a_private_address_is_refused_unless_the_site_allows_it(self, spend, owner, session, tmp_path, url):
        (tmp_path / "token").write_text("t")
        settings = HttpSettings.model_validate(SETTINGS | {"url": url})
        with pytest.raises(ValueError, match="allow_private_targets"):
            HttpSupplier.build("k", settings, self.context(spend, owner, session, tmp_path))
        HttpSupplier.build("k", settings, self.context(spend, owner, session, tmp_path, private=True))

    async def test_a_token_never_travels_in_the_clear_outside(self, spend, owner, session, tmp_path):
        settings = HttpSettings.model_validate(SETTINGS | {"url": "http://kontor.example"})
        with pytest.raises(ValueError, match="use https"):
            HttpSupplier.build("k", settings, self.context(spend, owner, session, tmp_path))

    async def test_a_missing_token_is_said_at_the_start(self, spend, owner, session, tmp_path):
        settings = HttpSettings.model_validate(SETTINGS)
        with pytest.raises(SecretMissing, match="token"):
            HttpSupplier.build("k", settings, self.context(spend, owner, session, tmp_path))

    async def test_what_is_not_declared_does_not_exist(self, connect):
        assert connect(idempotency_key=None, lookup_window=None).capabilities.idempotency_key is None
        assert connect(lookup_window=None).capabilities.lookup_window is None
        assert connect().capabilities.idempotency_key == timedelta(hours=24)

    async def test_a_wrong_token_is_not_let_in(self, connect, request_, tmp_path):
        (tmp_path / "wrong").write_text("wrong")
        with pytest.raises(SupplierUnavailable, match="401"):
            await connect(token=SecretReference(file=tmp_path / "wrong")).quote(request_)
