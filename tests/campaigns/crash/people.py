"""The people of a season: they sign, refuse, check goods in, fit parts, and find out what only a person can.

They act through the control socket and are truthful: what became of an order they read in the supplier's own book,
and only once it has nothing in hand and the order has had time to arrive. What the gateway told them had been done is
kept, and counted at the end. Every act may meet a gateway that dies; then they look at the state and begin again.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from gateway import control_client
from gateway.clock import PlantClock
from gateway.demo.plant import PERSON, TECHNICIAN
from tests.campaigns.crash import site
from tests.campaigns.crash.counting import Told
from tests.campaigns.crash.evidence import Databases, OrderRow, Slot
from tests.campaigns.crash.sellers import Entry

ROUND_S: Final = 0.04
BOOKS_EVERY_S: Final = 0.25
ARRIVED_S: Final = site.SLOW_S + 0.9
"""Wall time after which no sent order is still on its way to a supplier that has nothing in hand."""
HANDS: Final = 6
"""How many acts are done at the same time."""
REFUSED_SHARE: Final = 0.06
IGNORED_SHARE: Final = 0.15
"""Of what waits for a signature, what nobody looks at until its price has run out."""
CANCELLED_SHARE: Final = 0.03
TOO_MUCH_SHARE: Final = 0.05
"""Of deliveries, those of which more arrives than was ordered."""
WITH_GOODS_TO_COME: Final = ("submitted", "confirmed", "shipped", "cancelling")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do: the socket's act, and whose word it is."""

    name: str
    body: dict[str, Any]
    person: str = PERSON

    @property
    def subject(self) -> str:
        """What it is done to."""
        return str(self.body.get("number") or self.body.get("component"))


class BooksToRead(Protocol):
    """The suppliers' books, as people read them."""

    def entries(self, supplier: str) -> list[Entry] | None:
        """Return what a supplier took; None while it has an order in hand."""


class People:
    """Goes round until stopped, in a thread of its own. settling: nobody fits, refuses or cancels any more."""

    def __init__(self, directory: Path, databases: Databases, books: BooksToRead, clock: PlantClock, seed: int) -> None:
        self.settling = False
        self.resolved = 0
        self._directory = directory
        self._databases = databases
        self._books = books
        self._clock = clock
        self._seed = seed
        self._chance = random.Random(seed)
        self._signed: set[str] = set()
        self._fitted: set[str] = set()
        self._serials = 0
        self._busy: set[str] = set()
        self._seen: dict[str, tuple[float, list[Entry]]] = {}
        self._stop = threading.Event()
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="hand")
        self._thread = threading.Thread(target=self._go_round, name="people", daemon=True)

    @property
    def told(self) -> Told:
        """What they were told had been done."""
        return Told(frozenset(self._signed), frozenset(self._fitted))

    def start(self) -> None:
        """Begin going round."""
        self._thread.start()

    def stop(self) -> None:
        """End, with every act that is under way."""
        self._stop.set()
        self._thread.join()
        self._hands.shutdown()

    def do(self, act: Act) -> bool:
        """Do an act; False when it was refused or nobody knows."""
        try:
            control_client.act(self._directory, act.name, act.body, act.person)
        except (control_client.NotRunning, control_client.Interrupted, control_client.Refused):
            return False
        if act.name == "approve":
            self._signed.add(act.subject)
        elif act.name == "fitted":
            self._fitted.add(act.body["serial"])
        elif act.name == "answer":
            self.resolved += 1
        return True

    def _go_round(self) -> None:
        while not self._stop.wait(ROUND_S):
            with suppress(urllib.error.URLError, ConnectionError, TimeoutError, sqlite3.OperationalError):
                for act in self._acts():
                    if act.subject not in self._busy:
                        self._busy.add(act.subject)
                        self._hands.submit(self._take, act)

    def _take(self, act: Act) -> None:
        try:
            self.do(act)
        finally:
            self._busy.discard(act.subject)

    def _acts(self) -> Iterator[Act]:
        for order in self._databases.orders():
            act = self.about(order)
            if act is not None:
                yield act
        if not self.settling:
            slots = self._databases.slots()
            self._chance.shuffle(slots)  # else one kind of supplier was always the first, and met every kill
            yield from (self.fit(slot) for slot in slots if self._worn_out(slot))

    def _worn_out(self, slot: Slot) -> bool:
        served = slot.want in ("fulfilled", "withdrawn")
        return served or (slot.want is None and not slot.serial)

    def fit(self, slot: Slot) -> Act:
        """Return the act of fitting a part that is nearly worn out, with a serial that no other has."""
        self._serials += 1
        body = {"component": slot.component, "used": "995 h", "serial": f"S-{self._serials:06d}"}
        return Act("fitted", body, TECHNICIAN)

    def about(self, order: OrderRow) -> Act | None:
        """Return what a truthful person does about an order now, None for nothing."""
        if order.state == "awaiting_approval":
            if not self.settling and random.Random(f"{self._seed}:{order.number}").random() < IGNORED_SHARE:
                return None
            refused = not self.settling and self._chance.random() < REFUSED_SHARE
            sign = {"number": order.number, "order_hash": order.order_hash}
            return Act("deny" if refused else "approve", sign)
        if order.state == "needs_person":
            return self._find_out(order)
        if order.state in WITH_GOODS_TO_COME:
            return self._goods(order)
        return None

    def _find_out(self, order: OrderRow) -> Act | None:
        """What became of an order, as the supplier's book says."""
        entries = self._book_of(order) if self._had_time(order) else None
        if entries is None:
            return None
        if any(entry.live for entry in entries):
            return _answer(order, "confirmed")
        withdrawn = any(not entry.forgotten for entry in entries)
        return _answer(order, "withdrawn" if withdrawn else "not_placed")

    def _goods(self, order: OrderRow) -> Act | None:
        entries = self._book_of(order)
        if entries is None:
            return None
        if any(entry.delivered and entry.live for entry in entries) and order.state != "submitted":
            too_much = not self.settling and self._chance.random() < TOO_MUCH_SHARE
            return Act(
                "received", {"number": order.number} | ({"quantities": {1: "2"}} if too_much else {}), TECHNICIAN
            )
        if entries and all(entry.forgotten for entry in entries) and self._had_time(order):
            return _answer(order, "rejected")  # the supplier, asked on the phone, knows of no such order
        if order.state == "confirmed" and not self.settling and self._chance.random() < CANCELLED_SHARE:
            return Act("cancel", {"number": order.number})
        return None

    def _had_time(self, order: OrderRow) -> bool:
        """Whether everything that was ever sent for an order has arrived by now."""
        if order.sent_at is None:
            return True
        sent = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=order.sent_at)
        return self._clock() - sent > timedelta(seconds=ARRIVED_S) * self._clock.speed

    def _book_of(self, order: OrderRow) -> list[Entry] | None:
        """Return what the supplier took under an order's number; None while it cannot say."""
        read_at, entries = self._seen.get(order.supplier, (0.0, []))
        if time.monotonic() - read_at > BOOKS_EVERY_S:
            read = self._books.entries(order.supplier)
            if read is None:
                return None
            read_at, entries = time.monotonic(), read
            self._seen[order.supplier] = read_at, entries
        return [entry for entry in entries if entry.reference == order.number]


def _answer(order: OrderRow, reply: str) -> Act:
    return Act("answer", {"number": order.number, "reply": reply, "reason": "asked the supplier"})
