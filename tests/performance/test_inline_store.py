"""What a purchase costs on the store without threads, beside the one with them."""

import time
from collections.abc import AsyncIterator

import pytest

from gateway.inline import InlineStorage, open_file
from gateway.storage import FULL, Storage
from tests.unit.marketplace.fakes import AcceptingSupplier, Clock, Plant

PURCHASES = 20


async def cpu_of_purchases(database, owner, now) -> float:
    clock = Clock(now)
    supplier = AcceptingSupplier("supplier-1", clock)
    plant = Plant(database, owner, clock, {"supplier-1": supplier})
    await plant.apply_policy(window={"days": 30, "per_machine": "100000 EUR"})
    await plant.want(life="warm")
    before = time.process_time()
    for number in range(PURCHASES):
        await plant.want(life=f"life-{number}")
    taken = time.process_time() - before
    assert len(supplier.bought) == PURCHASES + 1
    return taken


@pytest.fixture
async def inline(tmp_path, empty_spend) -> AsyncIterator[InlineStorage]:
    path = tmp_path / "inline.db"
    path.write_bytes(empty_spend)
    storage = InlineStorage(open_file(path, FULL))
    yield storage
    await storage.close()


@pytest.mark.serial
async def test_a_purchase_without_threads_costs_no_more(spend: Storage, inline: InlineStorage, owner, now):
    """Both files are as durable; measured 22 ms against 25 ms of processor time for a purchase."""
    assert await cpu_of_purchases(inline, owner, now) < 1.1 * await cpu_of_purchases(spend, owner, now)
