"""Suppliers over HTTP that mean harm, or are two gateways' at once: bounded, and never taken for our own order."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.authority.issuing import issue
from marketplace.money import Quantity
from marketplace.ordering.answers import judge_response
from marketplace.suppliers import wire
from marketplace.suppliers.contract import REFERENCE, order_of, request_for
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.supplier import OutcomeUnknown, ReferenceTaken, SupplierUnavailable

MEBIBYTE = 1 << 20
THOUSAND_MEGABYTES = 1000 * MEBIBYTE
HEADS = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "announced": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % THOUSAND_MEGABYTES,
    "until closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "headers": b"HTTP/1.1 200 OK\r\n",
}


@pytest.fixture
async def order(connect):
    supplier = connect()
    request = request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))
    return order_of(request, await supplier.quote(request), REFERENCE)


@asynccontextmanager
async def streaming(kind: str) -> AsyncIterator[tuple[str, list[int]]]:
    """A real server that sends a thousand megabytes to whoever asks; yields its address and what it got rid of."""
    got_rid_of = [0]
    body = b" " * 65536
    piece = {"chunked": b"10000\r\n" + body + b"\r\n", "headers": b"X-Padding: " + b"x" * 4000 + b"\r\n"}.get(
        kind, body
    )

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEADS[kind])
            while got_rid_of[0] < THOUSAND_MEGABYTES:
                writer.write(piece)
                await writer.drain()
                got_rid_of[0] += len(piece)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", got_rid_of
    finally:
        server.close()


async def peak_of(act) -> int:
    """Return the most memory, in bytes, that an act took."""
    tracemalloc.start()
    try:
        await act
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("what", ["place", "find", "documents", "cancel"])
async def test_a_thousand_megabytes_are_cut_at_the_bound(connect, order, permit_for, kind, what):
    async with streaming(kind) as (url, got_rid_of):
        supplier = connect(url=url)
        acts = {
            "place": lambda: supplier.place(permit_for(supplier, order)),
            "cancel": lambda: supplier.cancel(REFERENCE),
        }
        ask = acts.get(what) or (lambda: getattr(supplier, what)(REFERENCE))

        async def act():
            with pytest.raises(OutcomeUnknown if what in acts else SupplierUnavailable):
                await ask()

        peak = await peak_of(act())
    assert peak < 8 * MEBIBYTE
    assert got_rid_of[0] < 64 * MEBIBYTE  # what the kernel's buffers took; the bound itself is one
    assert wire.BYTES_MAX == MEBIBYTE


async def test_two_gateways_with_one_name_do_not_take_each_others_orders(connect, order, permit_for, clock):
    """Both drew the same number for the same part at the same price; only the first order is there."""
    supplier = connect()
    theirs = replace(order, gateway="G1", plant="southworks")
    assert (theirs.number, theirs.total, theirs.hash != order.hash) == (order.number, order.total, True)
    await supplier.place(permit_for(supplier, theirs))
    ours = issue(
        id="permit-ours",
        supplier=supplier.name,
        reference=order.number,
        key="another gateway's key",
        order_hash=order.hash,
        request_bytes=supplier.encode(order),
        ends_at=clock() + timedelta(minutes=5),
    )
    with pytest.raises(ReferenceTaken, match="REFERENCE_REUSED"):
        await supplier.place(ours)
    found = await supplier.find(order.number)
    assert found is not None
    assert found.order_hash == theirs.hash
    assert judge_response(theirs, found).agrees
    assert judge_response(order, found).code == "ORDER_DIFFERS"
