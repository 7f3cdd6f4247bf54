"""The disk fails at the n-th storage call of a purchase: nothing is sent that is not written, and it resumes by itself.

Here a sample of all n; `python -m tests.campaigns.storage` takes every one.
"""

from __future__ import annotations

import pytest

from gateway.storage import NORMAL, Storage
from tests.faults.failing_disk import Disk, Kind, purchase_on

EVERY = 149
"""A prime, so that the sample meets every kind of statement."""


async def calls_of(spend: Storage, now, owner) -> list[str]:
    disk = Disk()
    await purchase_on(disk, spend.path, now, owner)
    return disk.calls


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for a while"])
@pytest.mark.parametrize("kind", Kind)
async def test_a_disk_that_fails_anywhere_costs_no_purchase_and_buys_none_twice(spend, now, owner, kind, lasts):
    whole = await calls_of(spend, now, owner)
    assert {"BEGIN", "COMMIT", "SELECT", "INSERT", "UPDATE"} <= set(whole)
    first = list(Kind).index(kind) * 7 + lasts * 3
    for at in range(first, len(whole), EVERY):
        await purchase_on(Disk(at, kind, lasts), spend.path, now, owner)


async def test_a_transaction_that_could_not_even_be_undone_does_not_stand_in_the_way_of_the_next(spend: Storage):
    disk = Disk(kind=Kind.READ_ONLY, lasts=True)
    storage = Storage(spend.path, NORMAL, connecting=disk.connect)
    assert await storage.try_writing()
    disk.at = len(disk.calls) + 1  # the next BEGIN succeeds, and nothing after it
    assert not await storage.try_writing()
    assert disk.calls[-1] == "ROLLBACK"
    disk.mend()
    assert await storage.try_writing()
    await storage.close()
