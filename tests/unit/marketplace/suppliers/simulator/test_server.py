"""Faults that only the wire shows, asked with a plain client."""

import asyncio

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.market import Market


@pytest.fixture
def kontor(market: Market, session: ClientSession):
    url = market.ready.addresses["kontor"]
    headers = {"Authorization": f"Bearer {market.ready.tokens['kontor'].read_text().strip()}"}

    def get(path: str = "/search", **options):
        return session.get(url + path, headers=headers, allow_redirects=False, **options)

    return get


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAVAILABLE, 503),
        (Fault.SERVER_ERROR, 500),
        (Fault.REDIRECTS, 307),
        (Fault.LOCKS_OUT, 401),
    ],
)
async def test_a_fault_spoils_one_answer_and_no_more(market, kontor, fault, status):
    market.shops["kontor"].habits.switch_on(fault, times=1)
    for expected in (status, 200):
        async with kontor() as reply:
            assert reply.status == expected


async def test_garbage_is_no_json(market, kontor):
    market.shops["kontor"].habits.switch_on(Fault.GARBAGE, times=1)
    async with kontor() as reply:
        with pytest.raises(ValueError, match=r"invalid|decode"):
            await reply.json()


async def test_a_slow_supplier_lets_go_of_a_client_that_hung_up(market, kontor):
    habits = market.shops["kontor"].habits
    habits.slow_seconds = 3600
    habits.switch_on(Fault.SLOW, times=1)
    with pytest.raises((TimeoutError, ClientError)):
        await kontor(timeout=ClientTimeout(total=0.05))
    async with asyncio.timeout(5), kontor() as reply:
        assert reply.status == 200


async def test_the_same_fault_spoils_no_other_supplier(market, kontor, session):
    market.shops["express"].habits.switch_on(Fault.UNAVAILABLE)
    async with kontor() as reply:
        assert reply.status == 200


async def test_a_search_finds_by_maker_mpn_and_words(kontor):
    for text, found in (("nordlager", 1), ("NL-7014", 1), ("canister", 2), ("unheard of", 0), ("", 8)):
        async with kontor("/search", params={"text": text}) as reply:
            assert len((await reply.json())["items"]) == found
