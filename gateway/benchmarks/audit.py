"""What the audit log costs: the share of a purchase that it takes, and how many entries are verified in a second.

Measured now, on this computer, on real files. A purchase is everything from a need to the confirmed order, bought
within a policy from a supplier in this process that answers at once; time in append is what building entries, hashing
them and writing them with the tree takes, waiting for the database's thread included. Verification reads entries as
those purchases wrote them, numbered on, from a database file, hashes every one of them and holds the root against the
kept tree and the signed checkpoint. Figures are medians, and come with no verdict but that the log verified.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from gateway.databases import open_databases, spend_file
from maintenance.belief import Belief
from maintenance.needs import JobKind, JobLine, Need, Provenance
from marketplace.audit import log, tree
from marketplace.audit.merkle import Frontier, leaf_hash
from marketplace.audit.notary import Notary
from marketplace.audit.verify import verify, verify_quickly
from marketplace.authority import gate
from marketplace.authority.approval import Approver
from marketplace.authority.policy import Mode
from marketplace.catalogue import Item
from marketplace.documents import Delivery, canonical
from marketplace.money import Money
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.terms import PurchasingTerms
from marketplace.settings import BuyingSettings
from marketplace.store import Database, Owner, audit_leaf, purchase_order
from marketplace.suppliers.simulator.instant import InstantShop
from marketplace.timing import Advice, TimingTerms, advise

PURCHASES: Final = 100
WARM_UP: Final = 10
"""Purchases that are not counted: the first ones build statements and fill caches."""
PASSES: Final = 5
_OWNER: Final = Owner("benchmark", "B1")
_ITEM: Final = Item("part", "Maker", "P-1", "Part", "C62")
_LINE: Final = JobLine("part", _ITEM.key, Decimal(2), "C62", JobKind.PART)
_BUYING: Final = BuyingSettings.model_validate({"lead_time": "14 d", "price": "60 EUR", "standstill": "900 EUR/h"})
_TERMS: Final = PurchasingTerms("EUR", "DE", Delivery("Benchmark", "", "Hall", "Office", "Anna", "", ""))
_ANY_PACE: Final = {"minute": 1_000_000, "hour": 1_000_000, "day": 1_000_000}
_POLICY: Final = {
    "schema": 1,
    "mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "500 EUR", "until": "2099-12-31T00:00:00Z"},
    "window": {"days": 30, "per_machine": "100000000 EUR"},
    "modes": {"default": "buy"},
    "known": {"shop": [_ITEM.key]},
    "checks": {
        "duplicates": False,
        "plant_orders": _ANY_PACE,
        "supplier_orders": _ANY_PACE,
        "exposure": "100000000 EUR",
    },
}


class LogBroken(Exception):
    """What was measured did not verify; `str()` says why."""


def measure_audit(purchases: int = PURCHASES, entries: int = 500_000) -> dict[str, float | int]:
    """Return `append_share` and `verified_per_second`. Raises `LogBroken`."""
    with tempfile.TemporaryDirectory(prefix="toolcrib-") as name:
        return asyncio.run(_measure(Path(name), purchases, entries))


async def _measure(directory: Path, purchases: int, entries: int) -> dict[str, float | int]:
    async with open_databases(directory / "buying") as databases:
        share = await _append_share(databases.spend, purchases)
        async with databases.spend.read() as connection:
            found = await verify(connection, _OWNER)
            leaves = (await connection.execute(select(audit_leaf.c.leaf))).scalars().all()
    if not found.verified:
        raise LogBroken(found.problems[0])
    return {
        "append_share": round(share, 4),
        "verified_per_second": await _verified(directory / "long", leaves, entries),
    }


# --- buying -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stopwatch:
    seconds: float = 0.0
    shares: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        before = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - before


async def _append_share(database: Database, purchases: int) -> float:
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    approver = Approver("anna", may_approve=True, limit=Money(1, "EUR"), may_apply_policy=True)
    async with database.write() as tx:
        await gate.apply_policy(tx, _OWNER, _POLICY, approver, now)
    purchasing = Purchasing(
        database, _OWNER, {"shop": InstantShop("shop", now)}, {_ITEM.key: _ITEM}, _TERMS, lambda: now
    )
    with _timed() as watch:
        for number in range(purchases + WARM_UP):
            watch.seconds = 0.0
            before = time.perf_counter()
            await purchasing.want(_need(number, now), _LINE, _advice(now), Mode.BUY, _BUYING)
            watch.shares.append(watch.seconds / (time.perf_counter() - before))
    async with database.read() as connection:
        states = set((await connection.execute(select(purchase_order.c.state))).scalars())
    if states != {"confirmed"}:
        raise LogBroken(f"the benchmark's orders are {', '.join(sorted(states))}")
    return statistics.median(watch.shares[WARM_UP:])


@contextmanager
def _timed() -> Iterator[_Stopwatch]:
    """Hold a stopwatch to what the log does: each append, and each writing of what was appended."""
    watch, append, write = _Stopwatch(), log.append, tree.Growing.__call__

    async def timed(act: Any, *arguments: Any) -> Any:
        with watch.running():
            return await act(*arguments)

    log.append = partial(timed, append)  # for as long as it is measured
    tree.Growing.__call__ = lambda *arguments: timed(write, *arguments)  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        log.append, tree.Growing.__call__ = append, write  # type: ignore[method-assign]


def _need(number: int, now: datetime) -> Need:
    belief = Belief.of(
        [0.0, 120.0, 240.0, 480.0],
        [1.0, 0.9, 0.4, 0.0],
        unit="h",
        use_per_hour=1.0,
        as_of=now,
        provenance=Provenance.A,
        known=True,
    )
    return Need("mill", "mill/part", f"life-{number}", 1, "Replace", (_LINE,), belief, 0.4, (), now)


def _advice(now: datetime) -> Advice:
    return advise(_need(0, now).belief, TimingTerms(timedelta(days=14), timedelta(0), timedelta(0), 0.1), now)


# --- verifying --------------------------------------------------------------------------------------------------------


async def _verified(directory: Path, leaves: Sequence[bytes], entries: int) -> int:
    """Return how many entries are verified in a second, of a long log made of leaves that purchases wrote."""
    async with _long_log(directory, leaves, entries) as database, database.read() as connection:
        rates = []
        for _pass in range(PASSES):
            before = time.perf_counter()
            found = await verify_quickly(connection, spend_file(directory), _OWNER)
            rates.append(found.entries / (time.perf_counter() - before))
            if not found.verified or found.entries != entries:
                raise LogBroken("; ".join(found.problems))
    return round(statistics.median(rates))


@asynccontextmanager
async def _long_log(directory: Path, leaves: Sequence[bytes], entries: int) -> AsyncIterator[Database]:
    async with open_databases(directory) as databases:
        await asyncio.to_thread(_fill, spend_file(directory), leaves, entries)
        notary = Notary(databases.spend, _OWNER, directory / "audit.key", lambda: datetime(2026, 3, 2, 8, tzinfo=UTC))
        if await notary.sign() is None:
            raise LogBroken(notary.trouble)
        yield databases.spend


def _fill(file: Path, leaves: Sequence[bytes], entries: int) -> None:
    said = [json.loads(leaf) for leaf in leaves]
    with closing(sqlite3.connect(file)) as connection, connection:
        frontier = Frontier()
        for first in range(0, entries, len(said)):
            rows = []
            for index, each in enumerate(said[: entries - first], first):
                leaf = canonical({**each, "index": index})
                frontier = frontier.append(leaf_hash(leaf))
                place = ("benchmark", "B1", index, each["kind"], each["subject"], 0)
                rows.append((*place, leaf, leaf_hash(leaf), frontier.peaks[-1]))
            connection.executemany("INSERT INTO audit_leaf VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        kept = ("benchmark", "B1", frontier.size, frontier.encode(), frontier.root)
        connection.execute("INSERT INTO audit_tree VALUES (?, ?, ?, ?, ?)", kept)
