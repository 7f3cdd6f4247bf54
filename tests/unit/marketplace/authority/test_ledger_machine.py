"""The ledger against a book kept by hand: whatever happens in whatever order, nothing is ever over and sums are right.

`HYPOTHESIS_PROFILE=explore` looks further; RUNS in the environment sets how many runs there are (5,000 by command).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import StaticPool, create_engine, insert, select

from gateway.benchmarks.ledger import order_row
from gateway.storage import NORMAL, Storage
from marketplace import store
from marketplace.authority import ledger
from marketplace.authority.ledger import Room
from marketplace.authority.limits import LimitRule, Scope, Subject, Terms, claims_of, limit_for
from marketplace.money import Money
from marketplace.store import Owner, booking, purchase_order, reservation, spend_limit

OWNER = Owner("benchmark", "B1")
BEGIN = datetime(2026, 3, 30, 8, tzinfo=UTC)
"""Two days before a month and, in Berlin, a quarter end: calendars change while the machine runs."""
ORDERS = 12
RUNS = int(os.environ.get("RUNS", "25"))
DAYS = 10


def _empty() -> bytes:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    store.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(purchase_order), [order_row(number) for number in range(ORDERS)])
    with engine.connect() as connection:
        made: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    engine.dispose()
    return made


EMPTY = _empty()


def terms(machine: int, plant: int, count: int) -> Terms:
    """Limits of this height; 0 is a limit that is not there."""
    rules = []
    if machine:
        rules.append(LimitRule(scope=Scope.MACHINE, each=True, per=f"{DAYS} d", amount=Money(machine, "EUR")))
    if plant:
        rules.append(LimitRule(scope=Scope.PLANT, per="month", amount=Money(plant, "EUR")))
    if count:
        rules.append(LimitRule(scope=Scope.SUPPLIER, each=True, per="day", count=count))
    return Terms(tuple(rules), None, ZoneInfo("Europe/Berlin"))


heights = st.builds(terms, st.sampled_from([0, 50, 100]), st.sampled_from([0, 60, 150]), st.sampled_from([0, 1, 4]))


@dataclass
class Kept:
    """One reservation in the book kept by hand."""

    order: int
    send: int
    machine: str
    supplier: str
    minor: int
    by_person: bool
    state: str
    at: datetime


class LedgerMachine(RuleBasedStateMachine):
    """Orders are reserved, sent again, committed and given back while time passes and limits rise and fall."""

    @initialize(terms=heights)
    def begin(self, terms: Terms) -> None:
        self.loop = asyncio.new_event_loop()
        self.home = tempfile.TemporaryDirectory()
        path = Path(self.home.name) / "spend.db"
        path.write_bytes(EMPTY)
        self.storage = Storage(path, NORMAL)
        self.now, self.terms, self.kept = BEGIN, terms, list[Kept]()

    def do(self, act: Callable[[Any], Awaitable[Any]]) -> Any:
        async def one() -> Any:
            async with self.storage.write() as tx:
                return await act(tx)

        return self.loop.run_until_complete(one())

    def of(self, order: int) -> list[Kept]:
        return [each for each in self.kept if each.order == order and each.state != "released"]

    def book(
        self, order: int, send: int, machine: str, supplier: str, minor: int, by_person: bool, extra: bool
    ) -> None:
        subject = Subject(f"B1-{order:06}", machine, "", supplier, (), Money(minor, "EUR"))
        claims = claims_of(self.terms, subject, self.now)

        async def act(tx: Any) -> tuple[Any, Room]:
            standing = await ledger.standing(tx, OWNER, claims, self.terms, self.now)
            return standing, await ledger.reserve(
                tx,
                OWNER,
                subject,
                claims,
                send=send,
                by_person=by_person,
                at=self.now,
                must_fit=extra or not by_person,
                extra=extra,
            )

        standing, room = self.do(act)
        fits = all(standing[c.name].machine + standing[c.name].person + c.amount <= c.limit for c in claims)
        assert (room is Room.RESERVED) == (fits or (by_person and not extra)), "what was seen is what is booked"
        for claim in claims:
            assert (standing[claim.name].machine, standing[claim.name].person) == self.expected(claim)
        if room is Room.RESERVED:
            self.kept = [each for each in self.kept if (each.order, each.send) != (order, send)]
            self.kept.append(Kept(order, send, machine, supplier, minor, by_person, "reserved", self.now))

    def expected(self, claim: Any) -> tuple[int, int]:
        """Return what the book kept by hand says of a limit."""
        sums = {False: 0, True: 0}
        for each in self.kept:
            subject = Subject(f"B1-{each.order:06}", each.machine, "", each.supplier, (), Money(each.minor, "EUR"))
            takes = {c.name: c.amount for c in claims_of(self.terms, subject, each.at)}
            rolls = claim.scope is Scope.MACHINE
            old = rolls and each.state == "committed" and each.at <= self.now - timedelta(days=DAYS)
            if each.state != "released" and claim.name in takes and not old:
                sums[each.by_person] += takes[claim.name] or 0
        return sums[False], sums[True]

    @rule(
        order=st.integers(0, ORDERS - 1),
        machine=st.sampled_from(["mill", "press"]),
        supplier=st.sampled_from(["shop", "maker"]),
        minor=st.integers(0, 70),
        by_person=st.booleans(),
    )
    def reserve(self, order: int, machine: str, supplier: str, minor: int, by_person: bool) -> None:
        if not self.of(order):
            self.book(order, 1, machine, supplier, minor, by_person, extra=False)

    @precondition(lambda self: any(each.state == "reserved" for each in self.kept))
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from([each for each in self.kept if each.state == "reserved"]))
        send = max(each.send for each in self.kept if each.order == first.order) + 1
        self.book(first.order, send, first.machine, first.supplier, first.minor, first.by_person, extra=True)

    @precondition(lambda self: any(each.state == "reserved" for each in self.kept))
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([each.order for each in self.kept if each.state == "reserved"]))
        self.do(lambda tx: ledger.commit(tx, f"B1-{order:06}"))
        for place, each in enumerate(sorted(self.of(order), key=lambda each: (each.state != "committed", each.send))):
            each.state = "committed" if place == 0 else "released"

    @precondition(lambda self: any(each.state != "released" for each in self.kept))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([each.order for each in self.kept if each.state != "released"]))
        self.do(lambda tx: ledger.release(tx, f"B1-{order:06}"))
        for each in self.of(order):
            each.state = "released"

    @rule(hours=st.sampled_from([1, 20, 24, 24 * 5, 24 * 11]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(new=heights)
    def limits_change(self, new: Terms) -> None:
        self.terms = new
        self.do(lambda tx: ledger.follow(tx, OWNER, new, self.now))

    @invariant()
    def rows_are_what_their_bookings_say_and_hold_the_gateway_below_the_ceiling(self) -> None:
        if not hasattr(self, "storage"):
            return

        async def look(tx: Any) -> None:
            for row in (await tx.execute(select(spend_limit))).all():
                assert await ledger.counted(tx, row.id) == (row.machine_used, row.person_used)
                assert row.machine_used <= row.ceiling
                assert row.ceiling == max(row.limit_value, row.machine_used)
                assert row.limit_value == limit_for(self.terms.rules, Scope(row.scope), row.key, row.per, row.measure)
            held = (await tx.execute(select(reservation))).all()
            told = {(each.order, each.send): each.state for each in self.kept}
            assert {(int(row.order_number[3:]), row.send): row.state for row in held} == told
            for row in (await tx.execute(select(booking))).all():
                state = told[int(row.order_number[3:]), row.send]
                assert row.state == state or (row.state, state) == ("elapsed", "committed")

        self.do(look)

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            self.loop.run_until_complete(self.storage.close())
            self.loop.close()
            self.home.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=RUNS, stateful_step_count=25, deadline=None)
