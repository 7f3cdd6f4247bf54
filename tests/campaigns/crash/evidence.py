"""Reading what is there: the plant's databases and the suppliers' books, as values for those who count and act.

The database is opened for each look and closed again, so that nobody but the gateway holds it when one starts.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.databases import read_databases
from marketplace.audit.verify import verify
from marketplace.store import Owner
from tests.campaigns.crash.counting import Leaf, Plant, Purchase, Taken
from tests.campaigns.crash.sellers import Entry

MOVING: Final = ("proposed", "awaiting_approval", "approved", "submitting", "submitted", "unknown", "cancelling")
"""An order of which something is still to be said; `needs_person` waits for somebody, and nothing moves."""
WANTING: Final = ("needed", "quoting", "proposed")
REQUEST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as people see it; sent_at is plant time in microseconds, None before the first send."""

    number: str
    supplier: str
    state: str
    order_hash: str
    sent_at: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A component as people see it: its life, its serial, and the state of the want for it, None without one."""

    component: str
    serial: str
    want: str | None


class Databases:
    """The two files of a data directory, read from outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def _open(self, name: str = "spend.db") -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self.directory / name}?mode=ro", uri=True, timeout=5.0)) as connection:
            yield connection

    def in_flight(self) -> Counter[str]:
        """Return how many purchases are on their way to an order, by where they are."""
        with self._open() as spend:
            orders = _by_state(spend, "purchase_order", (*MOVING, "needs_person"))
            return orders + _by_state(spend, "requisition", WANTING)

    def orders(self) -> list[OrderRow]:
        """Return the orders that have not ended."""
        query = (
            "SELECT number, supplier, state, order_hash, last_sent_at, problem FROM purchase_order WHERE state NOT IN "
            "('closed', 'denied', 'expired', 'rejected', 'not_placed', 'cancelled') ORDER BY created_at"
        )
        with self._open() as spend:
            return [OrderRow(*row) for row in spend.execute(query)]

    def slots(self) -> list[Slot]:
        """Return every component with the life that is in it and the newest want for that life."""
        query = (
            "SELECT life.component, life.serial, (SELECT state FROM requisition WHERE requisition.life = life.id "
            "ORDER BY created_at DESC LIMIT 1) FROM life WHERE life.open_slot IS NOT NULL ORDER BY life.component"
        )
        with self._open() as spend:
            return [Slot(*row) for row in spend.execute(query)]

    def restless(self) -> list[str]:
        """Return what has not come to rest: orders, wants, and worn slots of which nothing is wanted."""
        orders = [f"{row.number} {row.state}" for row in self.orders() if row.state in (*MOVING, "needs_person")]
        with self._open() as spend:
            marks = ", ".join("?" * len(WANTING))
            query = f"SELECT id, state FROM requisition WHERE state IN ({marks})"
            wants = [f"want {id} {state}" for id, state in spend.execute(query, WANTING)]
        return orders + wants + [f"{slot.component} idle" for slot in self.slots() if slot.want is None]

    def plant(self) -> Plant:
        """Return everything that is counted."""
        with self._open() as spend:
            bookings, wants = _gathered(spend, "booking", "state"), _gathered(spend, "line_requisition", "requisition")
            purchases = [
                Purchase(number, supplier, state, tuple(bookings[number]), tuple(wants[number]))
                for number, supplier, state in spend.execute("SELECT number, supplier, state FROM purchase_order")
            ]
            states = dict(spend.execute("SELECT id, state FROM requisition"))
            leaves = [
                Leaf(kind, subject, json.loads(leaf)["facts"])
                for kind, subject, leaf in spend.execute(
                    "SELECT kind, subject, leaf FROM audit_leaf ORDER BY leaf_index"
                )
            ]
            serials = frozenset(serial for (serial,) in spend.execute("SELECT serial FROM life WHERE serial != ''"))
        idle = tuple(slot.component for slot in self.slots() if slot.want is None)
        return Plant(purchases, states, leaves, serials, idle)

    def problems(self, owner: Owner) -> list[str]:
        """Return what is wrong with the files, and with the audit log beside the tables."""
        found = []
        for name in ("spend.db", "telemetry.db"):
            with self._open(name) as connection:
                (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                found += [] if verdict == "ok" else [f"{name}: {verdict}"]
        return found + asyncio.run(_audit(self.directory, owner))


async def _audit(directory: Path, owner: Owner) -> list[str]:
    async with read_databases(directory) as databases, databases.spend.read() as tx:
        return list((await verify(tx, owner)).problems)


def _by_state(spend: sqlite3.Connection, table: str, states: tuple[str, ...]) -> Counter[str]:
    marks = ", ".join("?" * len(states))
    query = f"SELECT state, count(*) FROM {table} WHERE state IN ({marks}) GROUP BY state"
    return Counter({f"{table} {state}": number for state, number in spend.execute(query, states)})


def _gathered(spend: sqlite3.Connection, table: str, column: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for number, value in spend.execute(f"SELECT DISTINCT order_number, {column} FROM {table}"):
        found[number].append(value)
    return found


class Books:
    """The suppliers' books, read over HTTP as anybody might ask them."""

    def __init__(self, addresses: Mapping[str, str], token: str) -> None:
        self.addresses = addresses
        self._token = token

    def entries(self, supplier: str) -> list[Entry] | None:
        """Return what a supplier took; None while it has an order in hand, for then nobody can say."""
        told = self._ask(supplier, "GET", "/simulator/book")
        return None if told["in_hand"] else [Entry(**each) for each in told["orders"]]

    def all(self) -> list[Taken]:
        """Return everything that was taken, once no supplier has an order in hand. Raises TimeoutError."""
        return [taken for supplier in self.addresses for taken in self._at_rest(supplier)]

    def _at_rest(self, supplier: str) -> list[Taken]:
        deadline = time.monotonic() + REQUEST_S
        while (entries := self.entries(supplier)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{supplier} does not finish an order that it has in hand")
            time.sleep(0.02)
        return [Taken(entry.supplier, entry.reference, entry.live) for entry in entries]

    def behave(self, bad: bool) -> None:
        """Let the suppliers misbehave, or no more."""
        for supplier in self.addresses:
            self._ask(supplier, "PUT", "/simulator/temper", {"bad": bad})

    def _ask(self, supplier: str, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.addresses[supplier] + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=REQUEST_S) as reply:
            return json.load(reply)
