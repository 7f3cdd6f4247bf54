"""One of several processes that reserve on the same file.

It says `ready`, waits for a word, and then says how many of its orders found room.
"""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.benchmarks.ledger import NOW, OWNER
from gateway.storage import FULL, Storage
from marketplace.authority import ledger
from marketplace.authority.limits import LimitRule, Scope, Subject, Terms, claims_of
from marketplace.money import Money

TERMS = Terms(
    (
        LimitRule(scope=Scope.MACHINE, each=True, per="30 d", amount=Money(100_00, "EUR")),
        LimitRule(scope=Scope.PLANT, per="month", amount=Money(120_00, "EUR")),
        LimitRule(scope=Scope.SUPPLIER, each=True, per="day", count=1_000),
    ),
    None,
    ZoneInfo("Europe/Berlin"),
)


async def reserve(storage: Storage, number: int, minor: int) -> bool:
    """Reserve for one order; whether it found room."""
    subject = Subject(f"B1-{number:06}", "mill", "mill/spindle", "shop", (), Money(minor, "EUR"))
    claims = claims_of(TERMS, subject, NOW)
    async with storage.write() as tx:
        await ledger.standing(tx, OWNER, claims, TERMS, NOW)
        room = await ledger.reserve(tx, OWNER, subject, claims, send=1, by_person=False, at=NOW)
    return room is ledger.Room.RESERVED


async def _race(line: Connection, path: Path, first: int, last: int, minor: int) -> None:
    storage = Storage(path, FULL)
    async with storage.read():
        pass
    line.send("ready")
    line.recv()
    found = [await reserve(storage, number, minor) for number in range(first, last)]
    await storage.close()
    line.send(sum(found))


def race(line: Connection, path: Path, first: int, last: int, minor: int) -> None:
    """Reserve for a range of orders, once told to."""
    asyncio.run(_race(line, path, first, last, minor))
