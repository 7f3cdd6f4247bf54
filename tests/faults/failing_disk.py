"""A disk that fails at the n-th storage call of a purchase, and the purchase told on it; nothing here is a test.

The database is real; only its connections are ours. Each statement that the program gives to SQLite is one call,
BEGIN, COMMIT and reads included. The call that is struck does not happen, or happens although it is said to have
failed, as when an I/O error comes after the last byte; SQLite's own roll-back at a full disk or an I/O error is done
as SQLite does it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from gateway.buying import BuyingState
from gateway.one_hop import OneHopConnection
from gateway.storage import NORMAL, Storage
from marketplace import store
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.reconciliation import Reconciliation
from marketplace.store import Owner
from tests.faults.test_ordering_crash import expect_one_purchase, recover, tell
from tests.unit.marketplace.fakes import CATALOGUE, Clock, Plant, ReceivingSupplier


class Kind(Enum):
    """What the disk says: SQLite's code and words, and whether the struck call was done all the same."""

    IO_ERROR = (sqlite3.SQLITE_IOERR, "disk I/O error", False)
    FULL = (sqlite3.SQLITE_FULL, "database or disk is full", False)
    READ_ONLY = (sqlite3.SQLITE_READONLY, "attempt to write a readonly database", False)
    LATE_IO_ERROR = (sqlite3.SQLITE_IOERR, "disk I/O error", True)

    def error(self) -> sqlite3.OperationalError:
        code, words, _done = self.value
        found = sqlite3.OperationalError(words)
        found.sqlite_errorcode = code
        return found


@dataclass
class Disk:
    """Counts storage calls and fails at one of them: once, or from there on until it is mended."""

    at: int = -1
    kind: Kind = Kind.IO_ERROR
    lasts: bool = False
    calls: list[str] = field(default_factory=list)

    def strikes(self, statement: str) -> bool:
        self.calls.append(statement.split(maxsplit=1)[0])
        number = len(self.calls) - 1
        return number == self.at or (self.lasts and -1 < self.at <= number)

    def mend(self) -> None:
        self.at = -1

    def connect(self, address: str) -> OneHopConnection:
        disk = self

        class Connection(OneHopConnection):
            async def in_thread(self, act: Any, statement: str, parameters: Any) -> Any:
                if not disk.strikes(statement):
                    return await super().in_thread(act, statement, parameters)
                if disk.kind.value[2]:
                    await super().in_thread(act, statement, parameters)
                elif disk.kind in (Kind.IO_ERROR, Kind.FULL):
                    with suppress(sqlite3.OperationalError):
                        await super().in_thread(sqlite3.Cursor.execute, "ROLLBACK", ())
                raise disk.kind.error()

            async def together(self, statements: Any) -> bool:
                for statement, rows in statements:
                    if (await self.in_thread(sqlite3.Cursor.executemany, statement, rows))[2] != len(rows):
                        return False
                return True

        connection = Connection(lambda: sqlite3.connect(address, uri=True, check_same_thread=False), iter_chunk_size=64)
        connection._thread.daemon = True
        return connection


class WatchfulSupplier(ReceivingSupplier):
    """Looks into the plant's database whenever an order comes: the intent must be in there, durable, before."""

    file: Path
    undeclared: list[str]

    async def place(self, permit: Any) -> Any:
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            query = "SELECT state, request_bytes, key FROM purchase_order WHERE number = ?"
            found = connection.execute(query, (permit.reference,)).fetchone()
        if found != ("submitting", permit.request_bytes, permit.key):
            self.undeclared.append(permit.reference)  # an error raised here would be taken for the supplier's
        return await super().place(permit)


class OnePlant(Plant):
    """A plant whose buying is held while its disk fails, as the gateway's is."""

    buying: BuyingState

    def restart(self) -> None:
        self.purchasing = Purchasing(
            self.database,
            self.owner,
            self.suppliers,
            CATALOGUE,
            self.terms,
            self.clock,
            held=lambda: self.buying.stopped,
        )
        self.reconciliation = Reconciliation(self.purchasing)


@contextmanager
def _expected() -> Iterator[None]:
    """What a caller may see of a failing disk: the database's errors, alone or in the group of a pass."""
    try:
        yield
    except* DBAPIError:
        pass


async def purchase_on(disk: Disk, path: Path, now: datetime, owner: Owner) -> None:
    """Tell a purchase on a failing disk, mend it, let the ordinary pass go on, and expect one whole purchase."""
    buying, clock = BuyingState(), Clock(now)
    database = Storage(path, NORMAL, watch=buying, connecting=disk.connect)
    try:
        await _empty(path)
        supplier = WatchfulSupplier("supplier-1", clock)
        supplier.file, supplier.undeclared = path, []
        OnePlant.buying = buying
        plant = OnePlant(database, owner, clock, {"supplier-1": supplier})
        struck_at, disk.at = disk.at, -1
        await plant.apply_policy()
        disk.calls.clear()
        disk.at = struck_at
        with _expected():
            await tell(plant)
        await _stands_still(plant, disk, buying, supplier)
        disk.mend()
        assert await database.try_writing()
        assert not buying.stopped, buying.sentence
        await recover(plant)
        where = f"{disk.kind.name} at call {struck_at}"
        await expect_one_purchase(plant, where)
        assert supplier.undeclared == [], where
    finally:
        await database.close()


async def _stands_still(plant: OnePlant, disk: Disk, buying: BuyingState, supplier: WatchfulSupplier) -> None:
    """While the disk fails nothing leaves, whoever asks, and the reason is said in one sentence."""
    if not disk.lasts or disk.at < 0 or disk.at >= len(disk.calls):
        return
    assert buying.stopped
    assert disk.kind.value[1] in buying.sentence
    sent = len(supplier.sent)
    for _ in range(2):
        with _expected():
            await plant.reconciliation.run_once()
        plant.clock.forward(minutes=2)
    assert not await plant.database.try_writing()  # type: ignore[attr-defined]
    assert len(supplier.sent) == sent


async def _empty(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table in reversed(store.metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}")
        connection.commit()
