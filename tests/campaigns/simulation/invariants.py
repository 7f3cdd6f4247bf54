"""What must hold after every event, kept beside the program in a shadow that grows by the audit's new leaves.

After each durable transaction only what its leaves name is read again: the log's root over every leaf so far, the
orders and their money, the limits that moved, the slots. Now and then, and at the end, everything is counted anew. The
program's own code is not asked; only at the month's end `verify` and `replay` have their say too.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marketplace.audit.merkle import Frontier, leaf_hash
from marketplace.money import Money
from marketplace.ordering.states import ENDED, OrderState
from tests.campaigns.simulation import ledger_view
from tests.campaigns.simulation.disk import healthy
from tests.campaigns.simulation.ledger_view import Limit

if TYPE_CHECKING:
    from tests.campaigns.simulation.suppliers import Book, Entry
    from tests.campaigns.simulation.trace import Trace

S = OrderState
RECOUNT_EVERY = 250
"""Transactions between two full counts: each costs as much as a hundred cheap checks."""
DONE = ENDED | {S.RECEIVED, S.DISPUTED}
"""Nothing more is to come: such an order no longer keeps its slot from being bought for."""
MONEY = {
    S.PROPOSED: {""}, S.AWAITING_APPROVAL: {""}, S.DENIED: {""}, S.EXPIRED: {""}, S.REJECTED: {""},
    S.NOT_PLACED: {""}, S.CANCELLED: {""},
    S.APPROVED: {"reserved"}, S.SUBMITTING: {"reserved"}, S.SUBMITTED: {"reserved"},
    S.UNKNOWN: {"reserved", "committed"},
    S.NEEDS_PERSON: {"reserved", "committed"},
    S.CONFIRMED: {"committed"}, S.SHIPPED: {"committed"}, S.RECEIVED: {"committed"}, S.CANCELLING: {"committed"},
    S.DISPUTED: {"committed"}, S.CLOSED: {"committed"},
}  # fmt: skip
"""What the ledger must hold for an order in each state."""


class Checker:
    """Watches one plant."""

    def __init__(self, connection: sqlite3.Connection, trace: Trace, books: dict[str, Book]) -> None:
        self._cursor = healthy(connection)
        self._trace = trace
        self._books = books
        self._frontier = Frontier()
        self._limits: dict[str, Limit] = {}
        self._slots: dict[str, str] = {}  # requisition: its slot; an override has one of its own
        self._served: dict[str, str] = {}  # order: requisition
        self._states: dict[str, OrderState] = {}
        self._open: dict[str, set[str]] = defaultdict(set)  # slot: orders that are not done
        self._permits: set[str] = set()  # that the log tells of
        self._used: set[str] = set()
        self._left: Counter[str] = Counter()  # order: how often its bytes have left the plant
        self._hashes: dict[str, str] = {}  # order: hash of what was proposed
        self._shelf: dict[str, Decimal] = defaultdict(Decimal)
        self._booked: dict[str, set[int]] = defaultdict(set)  # order: sends for which money is kept, by the rows
        self._kept: dict[str, set[int]] = defaultdict(set)  # and by the log
        self._agreed: dict[str, str] = {}  # order: the total to which its commitment came down, by the log
        self._halts: dict[str, tuple[str, str]] = {}  # stops that stand, by the log: kind and key
        self._machines: dict[str, tuple[str, str]] = {}  # requisition: machine and component
        self._recounted = False  # by a policy that was applied in this transaction
        self._transactions = 0

    # After a transaction.

    def committed(self) -> None:
        """Something became durable, or a transaction was empty."""
        touched = self._hear()
        self._trace.tell("committed", self._frontier.size, *sorted(touched))
        before = self._limits
        self._ledger()
        for number in sorted(touched):
            self._order(number)
            self._fits(number, before)
        self._transactions += 1
        if self._transactions % RECOUNT_EVERY == 0:
            self.recount()

    def _hear(self) -> set[str]:
        """Take in the leaves that are new, see that the tree grew by them alone; returns the orders they name."""
        touched: set[str] = set()
        self._recounted = False
        rows = self._cursor.execute(
            "SELECT leaf_index, leaf, leaf_hash FROM audit_leaf WHERE leaf_index >= ? ORDER BY leaf_index",
            (self._frontier.size,),
        ).fetchall()
        for index, leaf, digest in rows:
            if index != self._frontier.size or leaf_hash(leaf) != digest:
                self._trace.violated("AUDIT_LEAF", f"leaf {index} is not the next one, or not what it hashes to")
            self._frontier = self._frontier.append(leaf_hash(leaf))
            touched |= self._leaf(json.loads(leaf))
        row = self._cursor.execute("SELECT size, root FROM audit_tree").fetchone()
        if row is not None and row != (self._frontier.size, self._frontier.root):
            self._trace.violated("AUDIT_ROOT", f"the tree of {row[0]} leaves has another root than its leaves give")
        return touched

    def _leaf(self, leaf: dict[str, Any]) -> set[str]:
        kind, subject, facts = leaf["kind"], leaf["subject"], leaf["facts"]
        if kind == "requisition.raised":
            beside = facts.get("override") or "rest_of" in facts
            self._slots[subject] = f"{facts['slot']}|{subject}" if beside else facts["slot"]
            self._machines[subject] = self._place(subject)
        elif kind == "order.proposed":
            self._served[subject] = facts["requisition"]
            self._hashes[subject] = facts["order_hash"]
        elif kind == "permit.issued":
            self._permits.add(facts["permit"])
            self._permitted(subject)
            if facts["reserved"]:
                self._kept[subject].add(facts["send"])
        elif kind in ("decision.made", "approval.given") and facts["verdict"]["outcome"] == "approve":
            self._kept[subject].add(facts["send"])
        elif kind == "budget.released":
            self._kept[subject] -= {facts["send"], *facts["released"]}
        elif kind == "budget.committed":
            self._kept[subject] -= set(facts["released"])
        elif kind == "budget.reduced":
            self._agreed[subject] = facts["amount"]
        elif kind == "halt.set":
            self._halts[subject] = facts["scope"], facts["key"]
        elif kind == "halt.lifted":
            del self._halts[subject]
        elif kind == "policy.applied":
            self._recounted = True
        elif kind.startswith("stock."):
            self._stock(kind, subject, facts)
        return {subject} if subject.startswith("TC-") else set()

    def _place(self, requisition: str) -> tuple[str, str]:
        row = self._cursor.execute("SELECT machine, component FROM requisition WHERE id = ?", (requisition,)).fetchone()
        return str(row[0]), str(row[1])

    def _permitted(self, number: str) -> None:
        """Leave was given to send an order: no stop covers it at that moment, by the log's own order."""
        (supplier,) = self._cursor.execute("SELECT supplier FROM purchase_order WHERE number = ?", (number,)).fetchone()
        machine, component = self._machines.get(self._served.get(number, ""), ("", ""))
        covers = {("plant", ""), ("machine", machine), ("supplier", supplier), ("component", component)}
        for scope in sorted(covers.intersection(self._halts.values())):
            self._trace.violated("STOP_IGNORED", f"{number} may leave although {' '.join(scope)} is stopped")

    def _stock(self, kind: str, item: str, facts: dict[str, Any]) -> None:
        if kind == "stock.received":
            self._shelf[item] += Decimal(facts["quantity"])
        elif kind == "stock.fitted":
            self._shelf[item] = max(self._shelf[item] - Decimal(facts["quantity"]), Decimal(0))
        elif kind in ("stock.counted", "stock.adjusted"):
            self._shelf[item] = Decimal(facts["on_hand"])

    def _ledger(self) -> None:
        """Every limit that moved: the gateway's own part grew only where there was room, and its bookings add up.

        A limit that is new, or that a policy has just set, counts what was booked before: nothing is booked by that.
        """
        now = ledger_view.limits(self._cursor)
        for id, after in now.items():
            before = self._limits.get(id)
            if after == before:
                continue
            if before is not None and after.own > before.own and not self._recounted:
                self._has_room(id, after)
            self._adds_up(id, after)
        for id in self._limits.keys() - now.keys():
            self._trace.violated("LIMIT_LOST", f"{id} is gone")
        self._limits = now

    def _has_room(self, id: str, row: Limit) -> None:
        if row.own + row.persons > row.limit:
            self._trace.violated("OVER_LIMIT", f"{id}: {row.own} + {row.persons} of {row.limit}")

    def _fits(self, number: str, before: dict[str, Limit]) -> None:
        """Money that the gateway has just kept for a send fits every limit of it, also those that are new."""
        held = ledger_view.held(self._cursor, number)
        now = {each.send for each in held}
        fresh = {each.send for each in held if not each.by_person} - self._booked[number]
        self._booked[number] = now
        for id in sorted(ledger_view.newly_booked(self._cursor, number, fresh)) if fresh else ():
            if id not in before or before[id] != self._limits[id]:
                self._has_room(id, self._limits[id])

    def _adds_up(self, id: str, row: Limit) -> None:
        counted = ledger_view.counted(self._cursor, id)
        if counted != (row.own, row.persons):
            self._trace.violated("SUMS_DIFFER", f"{id}: {row.own} + {row.persons} kept, {counted} booked")
        if row.ceiling != max(row.limit, row.own):
            self._trace.violated("CEILING", f"{id}: {row.ceiling} over a limit of {row.limit} and {row.own} booked")

    def _order(self, number: str) -> None:
        row = self._cursor.execute(
            "SELECT state, total_minor, supplier FROM purchase_order WHERE number = ?", (number,)
        ).fetchone()
        if row is None:  # an answer about somebody else's order has a leaf, and no row
            return
        state, total, supplier = S(row[0]), row[1], row[2]
        self._states[number] = state
        self._money(number, state, total, supplier)
        self._slot(number, state)

    def _money(self, number: str, state: OrderState, total: int, supplier: str) -> None:
        booked, minor = ledger_view.booked(self._cursor, number)
        if booked not in MONEY[state]:
            self._trace.violated("MONEY_AND_STATE", f"{number} is {state} and has {booked or 'nothing'} booked")
        sends = {each.send for each in ledger_view.held(self._cursor, number)}
        if sends != self._kept[number]:
            told = f"sends {sorted(sends)} by the rows, {sorted(self._kept[number])} by the log"
            self._trace.violated("RESERVATION_LOST", f"{number} is {state}: {told}")
        for each in ledger_view.disagreements(self._cursor, number):
            self._trace.violated("BOOKS_DISAGREE", f"{number}: {each}")
        if number in self._agreed:
            total = self._bound_by_lines(number, booked, minor)
        live = self._books[supplier].live(number)
        found_once = booked == "committed" and self._books[supplier].forgets  # what it showed is all that is known
        if booked and minor < total * (1 if found_once else max(len(live), 1)):
            self._trace.violated("CENTS", f"{number}: {minor} booked for {len(live)} orders of {total}")
        if not booked and live:
            self._trace.violated("UNRESERVED", f"{number} is {state} without money, and {supplier} delivers it")

    def _bound_by_lines(self, number: str, booked: str, minor: int) -> int:
        """An order of which a part was agreed: the log and the rows say the same sum, which is returned."""
        (currency,) = self._cursor.execute("SELECT currency FROM purchase_order WHERE number = ?", (number,)).fetchone()
        if booked == "committed" and str(Money(minor, currency)) != self._agreed[number]:
            told = f"{Money(minor, currency)} booked, {self._agreed[number]} agreed by the log"
            self._trace.violated("CENTS_OF_A_PART", f"{number}: {told}")
        return Money.parse(self._agreed[number]).minor

    def _slot(self, number: str, state: OrderState) -> None:
        slot = self._slots.get(self._served.get(number, ""))
        if slot is None:
            return
        if state in DONE:
            self._open[slot].discard(number)
            return
        self._open[slot].add(number)
        if len(self._open[slot]) > 1:
            self._trace.violated("TWO_OPEN", f"{slot}: {sorted(self._open[slot])}")

    # At the wire.

    def leaving(self, supplier: str, reference: str, key: str, request: bytes, permit: str) -> None:
        """Bytes leave the plant: there is a permit for this send, in a row and in the log, never used before."""
        row = self._cursor.execute(
            "SELECT o.state, o.supplier, o.key, o.request_bytes, o.order_hash, o.sends, p.send FROM purchase_order o"
            " LEFT JOIN permit p ON p.order_number = o.number AND p.id = ? WHERE o.number = ?",
            (permit, reference),
        ).fetchone()
        if row is None or row[6] is None or permit not in self._permits:
            self._trace.violated("NO_PERMIT", f"{reference} leaves for {supplier} without a permit's row and leaf")
        elif permit in self._used or row[5] != row[6]:
            self._trace.violated("PERMIT_REUSED", f"{reference} leaves with the permit for send {row[6]}")
        elif row[:4] != ("submitting", supplier, key, request):
            self._trace.violated("OTHER_BYTES", f"{reference} leaves as {row[0]}, not as it was permitted")
        elif row[4] != self._hashes[reference] or hashlib.sha256(request).hexdigest() != row[4]:
            self._trace.violated("OTHER_ORDER", f"what leaves under {reference} is not what was decided on")
        self._used.add(permit)
        self._left[reference] += 1
        if ledger_view.booked(self._cursor, reference)[0] != "reserved":
            self._trace.violated("UNRESERVED", f"{reference} leaves without a reservation")

    def accepted(self, entry: Entry) -> None:
        """A supplier took an order: for each that it delivers there is money, and no slot is served twice."""
        here = [each for each in self._books[entry.supplier].entries if each.reference == entry.reference]
        if len(here) > self._left[entry.reference]:
            self._trace.violated("NO_PERMIT", f"{entry.supplier} has {entry.reference} from somewhere else")
        live = [each for book in self._books.values() for each in book.live(entry.reference)]
        minor = ledger_view.booked(self._cursor, entry.reference)[1]
        if minor < sum(each.minor for each in live):
            self._trace.violated("BOUGHT_TWICE", f"{entry.reference}: {len(live)} at suppliers, {minor} booked")
        slot = self._slots.get(self._served.get(entry.reference, ""), "")
        if slot.startswith("stock|"):
            return
        others = {
            other.reference
            for book in self._books.values()
            for other in book.entries
            if other.live and other is not entry and self._slots.get(self._served.get(other.reference, "")) == slot
        }
        if others - {entry.reference}:
            self._trace.violated("SLOT_TWICE", f"{slot}: {entry.reference} and {sorted(others)}")

    # Now and then.

    def recount(self) -> None:
        """Count everything anew, from the first row."""
        for id, row in ledger_view.limits(self._cursor).items():
            self._adds_up(id, row)
        for each in ledger_view.unbooked(self._cursor):
            self._trace.violated("UNBOOKED", each)
        numbers = [number for (number,) in self._cursor.execute("SELECT number FROM purchase_order").fetchall()]
        for number in numbers:
            self._order(number)
        for book in self._books.values():
            for entry in book.entries:
                if entry.live and entry.reference not in self._states:
                    self._trace.violated("LOST", f"{book.name} delivers {entry.reference}, which the plant has not")
        self._count_shelf()

    def _count_shelf(self) -> None:
        promised = dict(self._sums("SELECT item, quantity FROM stock_reservation WHERE state = 'reserved'"))
        coming = self._sums(
            "SELECT l.item, l.confirmed - l.received FROM order_line l"
            " JOIN purchase_order o ON o.number = l.order_number"
            " WHERE o.state IN ('confirmed', 'shipped', 'cancelling', 'needs_person', 'unknown')"
            " AND l.confirmed > l.received AND l.item <> 'calibration'"
        )
        rows = self._cursor.execute("SELECT item, on_hand, reserved, in_transit FROM stock_item").fetchall()
        for item, on_hand, reserved, in_transit in rows:
            kept = Decimal(on_hand), Decimal(reserved), Decimal(in_transit)
            found = self._shelf[item], promised.get(item, Decimal(0)), coming.get(item, Decimal(0))
            if kept != found:
                told = ", ".join(f"{a} kept {b} counted" for a, b in zip(kept, found, strict=True))
                self._trace.violated("SHELF", f"{item}: on hand, promised, coming: {told}")

    def _sums(self, query: str) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for item, amount in self._cursor.execute(query).fetchall():
            sums[item] += Decimal(amount)
        return sums

    def settled(self) -> None:
        """After days of quiet nothing hangs in between: every send has become something that a person can see."""
        for number, state in self._states.items():
            if state in (S.PROPOSED, S.APPROVED, S.SUBMITTING, S.UNKNOWN):
                self._trace.violated("STUCK", f"{number} is still {state}")

    @property
    def root(self) -> str:
        """The audit's root, hexadecimal."""
        return self._frontier.root.hex()

    @property
    def orders(self) -> int:
        """How many orders were proposed."""
        return len(self._states)
