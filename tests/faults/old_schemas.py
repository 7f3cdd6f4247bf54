"""A spend database as an older version left it: five purchases, each stopped at another state, on a real store.

`python -m tests.faults.old_schemas tests/faults/schemas/spend-NNNN.sql` records one with the code as it is now; do
that before a revision changes the tables, and name it after the revision that was the head. Nothing here is a test.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.databases import open_databases, spend_file
from marketplace.authority.policy import Mode
from marketplace.money import Money
from marketplace.store import Database, Owner
from tests.unit.marketplace.fakes import (
    ANNA,
    APPROVER,
    AcceptingSupplier,
    Clock,
    DroppingSupplier,
    Plant,
    ReceivingSupplier,
    SilentSupplier,
    UnavailableSupplier,
)

NOW: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OWNER: Final = Owner("northworks", "G1")
SCHEMAS: Final = Path(__file__).with_name("schemas")
LEFT: Final = ["closed", "awaiting_approval", "unknown", "submitted", "approved"]
"""The states of the orders, in the order of their numbers."""


class SilentDropping(DroppingSupplier, SilentSupplier):
    """Takes the order, says nothing, and cannot be asked."""


async def five_purchases(database: Database) -> None:
    """Bring five orders to their states; each is for another life."""
    clock = Clock(NOW)

    def plant_of(kind: type[AcceptingSupplier]) -> Plant:
        return Plant(database, OWNER, clock, {"supplier-1": kind("supplier-1", clock)})

    first = plant_of(AcceptingSupplier)
    await first.apply_policy()
    await first.want(life="life-1")
    row = await first.order()
    await first.purchasing.received(row.number, None, ANNA)
    first.suppliers["supplier-1"].bill(row.number, Money(row.total_minor, row.currency))
    await first.passes(2, hours=1)
    await first.want(life="life-2", mode=Mode.ASK)
    await plant_of(SilentDropping).want(life="life-3")
    await plant_of(ReceivingSupplier).want(life="life-4")
    await plant_of(UnavailableSupplier).want(life="life-5")
    assert await first.states() == LEFT, await first.states()


async def go_on(database: Database) -> tuple[Plant, Any]:
    """Take the five purchases to their ends with the code as it is now; returns the plant and its supplier."""
    supplier = AcceptingSupplier("supplier-1", Clock(NOW + timedelta(hours=3)))
    plant = Plant(database, OWNER, supplier.clock, {"supplier-1": supplier})
    for row in await plant.orders():
        if row.request_bytes is not None and row.state != "approved":
            _remember(supplier, row)
    await plant.passes(6, minutes=10)
    for row in await plant.orders():
        if row.state == "awaiting_approval":
            done = await plant.purchasing.approve(row.number, row.order_hash, APPROVER, "socket", "go")
            assert done.ok, done
    await plant.passes(3, minutes=10)
    return plant, supplier


def _remember(supplier: AcceptingSupplier, row: Any) -> None:
    """Let the supplier know what it was sent in the older version's time."""
    response = supplier.response(json.loads(row.request_bytes))
    supplier.bought.append(row.number)
    supplier._by_key[row.key] = response
    supplier.answers[row.number] = [response]


def load(revision: str, path: Path) -> None:
    """Make the database file that an older version left."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"spend-{revision}.sql").read_text())


async def _record(home: Path, to: Path) -> None:
    async with open_databases(home) as databases:
        await five_purchases(databases.spend)
    with closing(sqlite3.connect(spend_file(home))) as connection:
        to.write_text("".join(f"{line}\n" for line in connection.iterdump()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as room:
        asyncio.run(_record(Path(room), Path(sys.argv[1])))
