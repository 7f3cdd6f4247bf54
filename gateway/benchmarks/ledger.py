"""How many reservations a second the spend database makes durable, and that none of them is one too many.

Eight callers at once; each transaction takes room from four limits, moves an order along its first edge and leaves an
audit leaf and an outbox row, on a real file with every commit synced. The limits are made for fewer orders than ask, so
that the last ones race for the rest. Afterwards the bookings are counted: `overspent` is what stands above any limit,
in minor units and orders, and any difference between rows and bookings counts as overspent too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.migrations import prepare
from gateway.storage import FULL, Storage
from marketplace.authority import ledger
from marketplace.authority.limits import LimitRule, Scope, Subject, Terms, claims_of
from marketplace.money import Money
from marketplace.ordering.edges import gateway_actor, move_order
from marketplace.ordering.states import OrderState
from marketplace.store import Owner, booking, purchase_order, spend_limit

CALLERS: Final = 8
ORDERS: Final = 3_000
"""Some seconds of work, and thirty orders above the 99th percentile."""
WARM_UP: Final = 200
SHARE_WITH_ROOM: Final = 0.9
OWNER: Final = Owner("benchmark", "B1")
NOW: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)
TOTAL: Final = Money(100_00, "EUR")


@dataclass(slots=True)
class Run:
    """What was measured."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    reserved: int = 0
    refused: int = 0


def measure(orders: int = ORDERS) -> dict[str, Any]:
    """Return reservations per second, the 99th percentile of their latency in ms, and what was overspent: 0."""
    with tempfile.TemporaryDirectory(prefix="toolcrib-") as directory:
        return asyncio.run(_measure(Path(directory), orders))


async def _measure(directory: Path, orders: int) -> dict[str, Any]:
    storage = Storage(directory / "spend.db", FULL)
    try:
        async with storage.write() as tx:
            await tx.run_sync(prepare, "spend")
            await tx.execute(insert(purchase_order), [order_row(number) for number in range(WARM_UP + orders)])
        terms = _terms(round((WARM_UP + orders) * SHARE_WITH_ROOM))
        await _reserve_all(storage, terms, iter(range(WARM_UP)))
        run = await _reserve_all(storage, terms, iter(range(WARM_UP, WARM_UP + orders)))
        async with storage.read() as connection:
            over = await overspent(connection)
    finally:
        await storage.close()
    made_durable = run.reserved + run.refused
    return {
        "reservations_per_second": round(made_durable / run.seconds),
        "p99_ms": round(statistics.quantiles(run.latencies_s, n=100, method="inclusive")[98] * 1000, 1),
        "median_ms": round(statistics.median(run.latencies_s) * 1000, 1),
        "overspent": over,
        "reserved": run.reserved,
        "refused": run.refused,
        "callers": CALLERS,
        "fdatasync_p99_ms": fdatasync_p99_ms(directory),
    }


def _terms(room_for: int) -> Terms:
    """Return four limits with room for so many orders each."""
    amount = Money(TOTAL.minor * room_for, TOTAL.currency)
    return Terms(
        (
            LimitRule(scope=Scope.COMPONENT, each=True, per="30 d", amount=amount),
            LimitRule(scope=Scope.MACHINE, each=True, per="month", amount=amount),
            LimitRule(scope=Scope.SUPPLIER, each=True, per="day", count=room_for),
            LimitRule(scope=Scope.PLANT, per="month", amount=amount),
        ),
        None,
        ZoneInfo("Europe/Berlin"),
    )


async def _reserve_all(storage: Storage, terms: Terms, numbers: Iterator[int]) -> Run:
    run = Run()

    async def caller() -> None:
        for number in numbers:  # all callers draw from one iterator: each order is reserved once
            begun = time.perf_counter()
            reserved = await _reserve(storage, terms, number)
            run.latencies_s.append(time.perf_counter() - begun)
            run.reserved += reserved
            run.refused += not reserved

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _caller in range(CALLERS)))
    run.seconds = time.perf_counter() - begun
    return run


async def _reserve(storage: Storage, terms: Terms, number: int) -> bool:
    """Make one reservation durable, or that there was no room for it."""
    subject = Subject(_name(number), "mill", "mill/spindle-bearing", "shop", (), TOTAL)
    async with storage.write() as tx:
        claims = claims_of(terms, subject, NOW)
        await ledger.standing(tx, OWNER, claims, terms, NOW)
        room = await ledger.reserve(tx, OWNER, subject, claims, send=1, by_person=False, at=NOW)
        reserved = room is ledger.Room.RESERVED
        after = OrderState.APPROVED if reserved else OrderState.AWAITING_APPROVAL
        actor = gateway_actor(OWNER, "policy")
        await move_order(tx, OWNER, subject.order, OrderState.PROPOSED, after, actor=actor, at=NOW, rule=str(room))
    return reserved


async def overspent(connection: AsyncConnection) -> int:
    """Return what stands above any limit, by the bookings themselves and by the rows."""
    counted = (
        select(booking.c.limit_id, func.sum(booking.c.amount).label("sum"))
        .where(booking.c.state != ledger.BookingState.RELEASED)
        .group_by(booking.c.limit_id)
        .subquery()
    )
    query = select(spend_limit, counted.c.sum).join(counted, counted.c.limit_id == spend_limit.c.id)
    return sum(
        max(0, row.sum - row.limit_value) + abs(row.sum - row.machine_used - row.person_used)
        for row in await connection.execute(query)
    )


def fdatasync_p99_ms(directory: Path, times: int = 500) -> float:
    """Return what this disk takes to make 4 KiB durable, 99 times of 100."""
    taken = []
    with (directory / "probe").open("wb") as file:
        for _time in range(times):
            file.write(b"\0" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return round(statistics.quantiles(taken, n=100, method="inclusive")[98] * 1000, 2)


def _name(number: int) -> str:
    return f"B1-{number:06}"


def order_row(number: int) -> dict[str, Any]:
    """Return an order as it stands in the database before the gate has seen it."""
    texts = dict.fromkeys(("authority", "decided_by", "rule", "supplier_reference", "problem"), "")
    return {
        "number": _name(number),
        "supplier": "shop",
        "machine": "mill",
        "state": OrderState.PROPOSED,
        "currency": TOTAL.currency,
        "total_minor": TOTAL.minor,
        "document": "{}",
        "order_hash": "",
        "key": _name(number),
        "sends": 0,
        "clean_misses": 0,
        "provenance": "A",
        "policy_version": 1,
        "quoted_until": NOW + timedelta(days=14),
        "created_at": NOW,
        "changed_at": NOW,
        **texts,
        **OWNER.columns,
    }
