import asyncio
import socket
import stat
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from marketplace.money import Quantity
from marketplace.settings import supplier_type
from marketplace.suppliers.contract import REFERENCE, order_of, request_for
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.simulator.market import CARRIER, Market, MarketReady, serve_market, supplier_entries
from marketplace.suppliers.simulator.recall import Recall
from marketplace.suppliers.supplier import SupplierContext

FAULTS = "/simulator/faults"


def bearer(market: Market, key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {market.ready.tokens[key].read_text().strip()}"}


async def test_each_supplier_and_the_carrier_have_their_own_address_and_token(market):
    assert set(market.ready.addresses) == {"kontor", "express", "maker", CARRIER}
    assert len(set(market.ready.addresses.values())) == 4
    assert len({path.read_text() for path in market.ready.tokens.values()}) == 4
    for path in market.ready.tokens.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_nobody_is_served_without_the_right_token(market, session):
    for key, path in (("kontor", "/search"), (CARRIER, "/deliveries"), ("kontor", FAULTS)):
        url = market.ready.addresses[key] + path
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ä"}):
            async with session.get(url, headers=headers) as reply:
                assert reply.status == 401
        async with session.get(url, headers=bearer(market, key)) as reply:
            assert reply.status == 200


async def test_the_carrier_tells_what_was_handed_over(market, session, connect, permit_for, clock):
    for name in ("kontor", "express"):
        supplier = connect(name)
        request = request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))
        order = order_of(request, await supplier.quote(request), f"TC-G1-00000{len(name)}-A")
        await supplier.place(permit_for(supplier, order))
    clock.forward(timedelta(days=60))
    url = market.ready.addresses[CARRIER] + "/deliveries"
    async with session.get(url, headers=bearer(market, CARRIER)) as reply:
        deliveries = (await reply.json())["deliveries"]
    assert {delivery["supplier"] for delivery in deliveries} == {"kontor", "express"}
    assert deliveries[0]["lines"][0] == {
        "number": 1,
        "item": "bearing-7014",
        "sku": "K-NL-7014-P4",
        "quantity": "2",
        "unit": "C62",
    }


async def test_a_market_that_comes_back_has_the_same_tokens_and_orders(
    tmp_path, clock, session, spend, owner, permit_for
):
    state = tmp_path / "market"
    request = request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))
    context = SupplierContext(spend, owner, clock, tmp_path, session, allow_private_targets=True)

    async with Market(state, clock=clock) as first:
        supplier = connected(first, context)
        order = order_of(request, await supplier.quote(request))
        placed = await supplier.place(permit_for(supplier, order))
        token = first.ready.tokens["kontor"].read_text()
    async with Market(state, clock=clock) as second:
        assert second.ready.tokens["kontor"].read_text() == token
        found = await connected(second, context).find(REFERENCE)
        assert found is not None
        assert found.supplier_reference == placed.supplier_reference


def connected(market: Market, context: SupplierContext):
    entry = supplier_entries(market.ready)["kontor"]
    kind = supplier_type(entry["adapter"])
    return kind.build("kontor", kind.Settings.model_validate(entry), context)


async def test_integrators_switch_what_a_supplier_recalls_over_http(market, session):
    url, headers = market.ready.addresses["kontor"], bearer(market, "kontor")
    wanted = {"keys_s": None, "lookup_lag_s": 60, "looks_up": True}
    async with session.put(f"{url}/simulator/recall", headers=headers, json=wanted) as reply:
        assert await reply.json() == wanted
    assert market.shops["kontor"].recall == Recall(None, timedelta(minutes=1))
    async with session.put(f"{url}/simulator/recall", headers=headers, json={"keys_s": -1}) as reply:
        assert reply.status == 422
    async with session.get(f"{url}/simulator/recall", headers=headers) as reply:
        assert await reply.json() == wanted


async def test_integrators_count_what_was_taken_over_http(market, session, connect, permit_for):
    url, headers = market.ready.addresses["kontor"], bearer(market, "kontor")
    supplier, request = connect("kontor"), request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))
    await supplier.place(permit_for(supplier, order_of(request, await supplier.quote(request))))
    async with session.get(f"{url}/simulator/orders", headers=headers) as reply:
        told = await reply.json()
    assert [order["reference"] for order in told["orders"]] == [REFERENCE]
    assert told["forgotten"] == []


async def test_integrators_switch_faults_over_http(market, session):
    url, headers = market.ready.addresses["maker"], bearer(market, "maker")
    async with session.put(url + FAULTS, headers=headers, json={"fault": "server_error", "times": 1}) as reply:
        assert await reply.json() == {"faults": {"server_error": 1}}
    async with session.get(url + "/search", headers=headers) as reply:
        assert reply.status == 500
    async with session.get(url + "/search", headers=headers) as reply:
        assert reply.status == 200
    async with session.put(url + FAULTS, headers=headers, json={"fault": "slow"}) as reply:
        assert await reply.json() == {"faults": {"slow": None}}
    async with session.delete(url + FAULTS, headers=headers) as reply:
        assert await reply.json() == {"faults": {}}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"fault": "kindness"}', b'{"fault": "slow", "times": 0}', b"{"])
async def test_a_fault_that_is_none_is_refused(market, session, body):
    url = market.ready.addresses["maker"] + FAULTS
    async with session.put(url, headers=bearer(market, "maker"), data=body) as reply:
        assert reply.status in (400, 422)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/quotes", b"", 400),
        ("/quotes", b"{}", 422),
        ("/quotes", b'{"reference": 1.5}', 400),
        ("/orders", b"{}", 400),
        ("/orders/TC-G1-000009-Z/cancel", b"", 404),
    ],
)
async def test_the_market_refuses_what_it_cannot_read(market, session, path, body, status):
    url = market.ready.addresses["kontor"] + path
    async with session.post(url, headers=bearer(market, "kontor"), data=body) as reply:
        assert reply.status == status
        assert set(await reply.json()) == {"code", "reason"}


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open(tmp_path, clock):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            async with Market(tmp_path / "m", clock=clock, ports={CARRIER: taken.getsockname()[1]}):
                raise AssertionError
    async with Market(tmp_path / "m", clock=clock):
        pass


async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, clock):
    stop = asyncio.Event()
    told: list[MarketReady] = []

    def ready(market: MarketReady) -> None:
        told.append(market)
        stop.set()

    await serve_market(tmp_path / "m", clock=clock, ready=ready, stop=stop)
    assert len(told) == 1
    assert told[0].addresses["kontor"].startswith("http://127.0.0.1:")
