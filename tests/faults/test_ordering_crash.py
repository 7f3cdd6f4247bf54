"""The power fails at every moment of a purchase; afterwards nothing was bought twice, and nothing was lost.

A purchase is told as a story: a need, an approval, goods, an invoice. The story is cut before, within or after each
of its durable transactions and around each word with the supplier, everything that is not durable is forgotten, and
the ordinary pass takes over. Then the same story is told once more, as a gateway does that starts again. Here a part of
the moments; `python -m tests.campaigns.storage` takes every one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage import NORMAL, Storage
from marketplace import store
from marketplace.audit.verify import verify
from marketplace.authority.policy import Mode
from marketplace.documents import Invoice
from marketplace.money import Money
from marketplace.store import Database, Owner
from marketplace.suppliers.supplier import Capabilities
from tests.unit.marketplace.fakes import (
    ANNA,
    EVERYTHING,
    AcceptingSupplier,
    Clock,
    Plant,
    ReceivingSupplier,
)


class PowerCut(BaseException):
    """Nothing of the program can catch it, as nothing can catch a power cut."""


class DiskFull(Exception):
    """The program goes on, and its transaction does not."""


class Cuts:
    """Counts the moments of a story and strikes at one of them."""

    def __init__(self, at: int = -1, how: type[BaseException] = PowerCut) -> None:
        self.at = at
        self.how = how
        self.passed = 0
        self.told = 0
        self.where: list[str] = []

    def moment(self, where: str) -> None:
        self.where.append(where)
        self.passed += 1
        if self.passed - 1 == self.at:
            raise self.how(where)


class CutDatabase:
    """A real database whose power fails."""

    def __init__(self, inner: Storage, cuts: Cuts) -> None:
        self.inner = inner
        self.cuts = cuts

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self.inner.write() as tx:
            yield tx
            self.cuts.moment("before the commit")
        self.cuts.moment("after the commit")

    def read(self) -> Any:
        return self.inner.read()


def cut(kind: type[AcceptingSupplier]) -> type[AcceptingSupplier]:
    """Return the supplier with a line that goes dead around the order."""

    class Cut(kind):  # type: ignore[misc, valid-type]
        cuts = Cuts()

        async def place(self, permit: Any) -> Any:
            self.cuts.moment("before the first byte")
            response = await super().place(permit)
            self.cuts.moment("before the answer")
            return response

    return Cut


async def tell(plant: Plant) -> None:
    """The story; every step may find that it happened already."""
    await plant.want(mode=Mode.ASK)
    waiting = [row for row in await plant.orders() if row.state == "awaiting_approval"]
    if waiting:
        await plant.approve()
    row = await plant.order()
    supplier = plant.suppliers["supplier-1"]
    if row.state == "submitted":
        said = AcceptingSupplier.response(supplier, json.loads(row.document))
        if said not in supplier.answers[row.number]:
            supplier.answers[row.number].append(replace(said, promised_at=None))
        plant.clock.forward(hours=1)
        await plant.reconciliation.run_once()
        row = await plant.order()
    if row.state in ("confirmed", "shipped"):
        await plant.purchasing.received(row.number, None, ANNA)
    if row.number in supplier.answers and not any(isinstance(each, Invoice) for each in supplier.answers[row.number]):
        supplier.bill(row.number, Money(row.total_minor, row.currency))
    plant.clock.forward(hours=1)
    await plant.reconciliation.run_once()


async def recover(plant: Plant) -> None:
    """A new process: the ordinary pass, a few times, and the same needs as before."""
    plant.restart()
    for _ in range(8):
        await plant.reconciliation.run_once()
        plant.clock.forward(minutes=2)
        if not {"approved", "submitting", "unknown"} & set(await plant.states()):
            break
    for _ in range(2):
        if await plant.states() != ["closed"]:
            await tell(plant)


async def expect_one_purchase(plant: Plant, where: str) -> None:
    supplier = plant.suppliers["supplier-1"]
    assert len(supplier.bought) == 1, where
    assert len(await plant.rows(store.requisition)) == 1, where
    assert (await plant.requisition()).state == "fulfilled", where
    assert await plant.states() == ["closed"], where
    # a second send that might have bought twice had money of its own, which came back
    kept = [row.state for row in await plant.rows(store.booking) if row.state != "released"]
    assert kept == ["committed"], where
    (shelf,) = await plant.rows(store.stock_item)
    assert (shelf.on_hand, shelf.reserved, shelf.in_transit) == (2, 2, 0), where
    assert len({(key, body) for _number, key, body in supplier.sent}) == 1, where
    async with plant.database.read() as connection:
        found = await verify(connection)
    assert found.verified, (where, found.problems)


async def story(inner: Storage, now: datetime, owner: Owner, cuts: Cuts, capabilities: Any, kind: Any) -> Plant:
    """Tell the story on an empty database with these cuts, recover, and return the plant."""
    async with inner.write() as tx:
        for table in reversed(store.metadata.sorted_tables):
            await tx.execute(table.delete())
    clock = Clock(now)
    supplier = cut(kind)("supplier-1", clock, capabilities=capabilities)
    plant = Plant(inner, owner, clock, {"supplier-1": supplier})
    await plant.apply_policy()
    database: Database = CutDatabase(inner, cuts)
    plant.database = database
    type(supplier).cuts = cuts
    plant.restart()
    with suppress(PowerCut, DiskFull, BaseExceptionGroup):
        await tell(plant)
    cuts.told, cuts.at = cuts.passed, -1
    await recover(plant)
    return plant


LOOKUP_ONLY = replace(EVERYTHING, idempotency_key=None)
KEY_ONLY = replace(EVERYTHING, idempotency_key=timedelta(days=2), lookup_window=None)


@pytest.fixture
async def storage(spend: Storage) -> AsyncIterator[Storage]:
    """A real database without the waiting: what a cut leaves is decided here, so commits need no disk."""
    quick = Storage(spend.path, NORMAL)
    yield quick
    await quick.close()


@dataclass(frozen=True, slots=True)
class Plot:
    """How the story is cut, at what kind of supplier, from which moment on; in the tests at each `every`-th."""

    how: type[BaseException]
    kind: type[AcceptingSupplier]
    capabilities: Capabilities
    first: str
    every: int

    async def cuts(self, storage: Storage, now: datetime, owner: Owner) -> list[str]:
        """Tell the story without a cut, and return every moment of it."""
        whole = Cuts()
        plant = await story(storage, now, owner, whole, self.capabilities, self.kind)
        await expect_one_purchase(plant, "not cut at all")
        return whole.where[: whole.told]

    async def cut(self, storage: Storage, now: datetime, owner: Owner, at: int, where: str) -> None:
        """Tell it with a cut at one moment, and expect one whole purchase."""
        plant = await story(storage, now, owner, Cuts(at, self.how), self.capabilities, self.kind)
        await expect_one_purchase(plant, f"cut {at}: {where}")


PLOTS = {
    "key and look-up": Plot(PowerCut, ReceivingSupplier, EVERYTHING, "before the commit", 2),
    # up to the first byte it is the story above
    "look-up alone": Plot(PowerCut, AcceptingSupplier, LOOKUP_ONLY, "before the first byte", 1),
    "key alone": Plot(PowerCut, ReceivingSupplier, KEY_ONLY, "before the first byte", 2),
    "a full disk": Plot(DiskFull, ReceivingSupplier, EVERYTHING, "before the commit", 5),
}


@pytest.mark.parametrize("name", PLOTS)
async def test_a_cut_at_any_moment_buys_once_and_loses_nothing(storage, now, owner, name):
    plot = PLOTS[name]
    told = await plot.cuts(storage, now, owner)
    assert {"before the first byte", "before the answer", "before the commit"} <= set(told)
    for at in range(told.index(plot.first), len(told), plot.every):
        await plot.cut(storage, now, owner, at, told[at])
