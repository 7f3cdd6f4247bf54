"""A plant with small limits in which anything may be done next.

The core is the real one on a store without threads and on virtual time; suppliers are the fakes of the unit tests in
changing moods. After each act the simulation's shadow has looked at every transaction, and everything is counted anew.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.inline import InlineStorage, open_memory
from marketplace import identity
from marketplace.authority import gate
from marketplace.authority.halts import BY_PERSON, Scope, ScopeKind
from marketplace.authority.permit import SpendPermit, require
from marketplace.authority.policy import Mode
from marketplace.documents import OrderResponse, Reply
from marketplace.money import Money, UnitPrice
from marketplace.ordering.requisition import want_of
from marketplace.ordering.states import OrderState
from marketplace.ordering.stopping import Stopping
from marketplace.store import Owner
from marketplace.suppliers.supplier import Capabilities, OutcomeUnknown, SupplierRejected, SupplierUnavailable
from tests.campaigns.simulation.disk import healthy
from tests.campaigns.simulation.invariants import Checker
from tests.campaigns.simulation.trace import Trace
from tests.campaigns.simulation.world import empty_spend
from tests.campaigns.virtual_time import VirtualLoop
from tests.unit.marketplace.fakes import (
    ANNA,
    APPROVER,
    BLIND,
    ECONOMICS,
    EVERYTHING,
    LINE,
    AcceptingSupplier,
    Clock,
    Plant,
    a_need,
    advice,
    policy_for,
)

ORIGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MOODS = (
    "answers", "unavailable", "rejects", "drops", "vanishes", "breaks", "stalls", "receives", "dearer", "foreign",
    "misaddressed", "hides", "partly",
)  # fmt: skip
INDEXED = replace(EVERYTHING, idempotency_key=None)
NAMES = ("keyed", "blind", "indexed")
MORE_LIMITS: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"scope": "component", "each": True, "per": "7 d", "amount": "300 EUR"}],
    [{"scope": "plant", "per": "day", "count": 2}, {"scope": "supplier", "each": True, "per": "month", "count": 4}],
    [{"scope": "plant", "per": "total", "amount": "600 EUR"}, {"scope": "order", "amount": "140 EUR"}],
)
SCOPES = Scope(ScopeKind.PLANT), Scope(ScopeKind.MACHINE, "mill"), Scope(ScopeKind.SUPPLIER, "keyed")
LIMITS = (100, 250, 400, 1_000)
"""EUR for each machine: room for none, two, three or eight bearings' orders."""
S = OrderState


@dataclass
class Entry:
    """One order that the supplier would deliver and bill."""

    supplier: str
    reference: str
    minor: int
    live: bool = True
    kept: bool = True


class Moody(AcceptingSupplier):
    """Behaves as its mood is; `entries` is its book, in the form that the shadow reads."""

    def __init__(self, name: str, clock: Clock, capabilities: Capabilities, checker: Checker) -> None:
        super().__init__(name, clock, capabilities=capabilities)
        self.mood = "answers"
        self.forgets = capabilities is INDEXED
        self.entries: list[Entry] = []
        self.checker = checker

    def live(self, reference: str) -> list[Entry]:
        """Return what would be delivered of an order number."""
        return [entry for entry in self.entries if entry.live and entry.reference == reference]

    async def place(self, permit: SpendPermit) -> OrderResponse:
        if self.mood == "unavailable":
            raise SupplierUnavailable(self.name)
        self.checker.leaving(self.name, permit.reference, permit.key, permit.request_bytes, permit.id)
        if self.mood == "rejects" and not self.live(permit.reference):
            raise SupplierRejected("no account")
        if self.mood == "vanishes":
            require(permit, self.name, self.clock())
            raise OutcomeUnknown(permit.reference)
        response = self.accept(permit)
        if self.mood == "stalls":
            await asyncio.Event().wait()
        if self.mood in ("drops", "breaks"):
            raise OutcomeUnknown(permit.reference) if self.mood == "drops" else ZeroDivisionError
        return response

    def accept(self, permit: SpendPermit) -> OrderResponse:
        before = len(self.bought)
        response = super().accept(permit)
        if len(self.bought) > before:
            kept = self.mood not in ("dearer", "foreign")
            self.entries.append(Entry(self.name, permit.reference, response.total.minor, kept=kept))
            if kept:
                self.checker.accepted(self.entries[-1])  # type: ignore[arg-type]
        return response

    def response(self, order: dict[str, Any]) -> OrderResponse:
        if self.mood == "foreign":
            return super().response({**order, "currency": "USD"})
        if self.mood == "misaddressed":
            return super().response({**order, "number": "TC-ZZ-000001-A"})
        said = super().response(order)
        if self.mood == "receives":
            return replace(said, reply=Reply.RECEIVED, lines=(), promised_at=None)
        if self.mood == "partly":
            return part_of(said)
        if self.mood == "dearer":
            line = said.lines[0]
            price = UnitPrice(line.unit_price.amount + 1, line.unit_price.currency, line.unit_price.per)
            return replace(said, lines=(replace(line, unit_price=price),))
        return said

    async def find(self, reference: str) -> OrderResponse | None:
        """Hiding, it keeps no window: what it has it does not show."""
        found = await super().find(reference)
        return None if self.mood == "hides" else found

    async def cancel(self, reference: str) -> OrderResponse:
        if not self.live(reference) or self.mood in ("unavailable", "rejects"):
            raise SupplierRejected("no")
        self.off(reference)
        if self.mood in ("drops", "stalls"):
            raise OutcomeUnknown(reference)
        return [each for each in self.answers[reference] if isinstance(each, OrderResponse)][-1]

    def off(self, reference: str) -> None:
        """What it has of an order is off."""
        for entry in self.live(reference):
            entry.live = False
        said = [each for each in self.answers.get(reference, []) if isinstance(each, OrderResponse)]
        if said:
            self.answers[reference].append(replace(said[-1], reference=reference, reply=Reply.REJECTED))


def part_of(said: OrderResponse) -> OrderResponse:
    """Return a confirmation of one piece less than was ordered, at the same price."""
    (line,) = said.lines
    less = replace(line.quantity, amount=line.quantity.amount - 1)
    freight = said.total - line.unit_price.times(line.quantity)
    return replace(said, lines=(replace(line, quantity=less),), total=line.unit_price.times(less) + freight)


class WatchedStore:
    """The store, with the shadow looking on after every transaction."""

    def __init__(self, inner: InlineStorage, checker: Checker, connection: sqlite3.Connection) -> None:
        self._inner = inner
        self._checker = checker
        self.connection = connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.write() as tx:
            yield tx
        self._checker.committed()

    def read(self) -> Any:
        return self._inner.read()


class MoneyCore(RuleBasedStateMachine):
    """Never over, sums right, whatever is done in whatever order."""

    store: ClassVar[type[WatchedStore]] = WatchedStore
    runs: ClassVar[int] = 0
    overspent: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.loop = VirtualLoop()
        self.stack = ExitStack()
        self.stack.enter_context(identity.drawing_from(random.Random(0).randbytes))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        self.stack.callback(structlog.reset_defaults)
        self.connection = open_memory(empty_spend())
        self.trace = Trace(0, self.loop.time)
        self.suppliers: dict[str, Moody] = {}
        self.checker = Checker(self.connection, self.trace, self.suppliers)  # type: ignore[arg-type]
        self.clock = Clock(ORIGIN)
        self.suppliers["keyed"] = Moody("keyed", self.clock, EVERYTHING, self.checker)
        self.suppliers["blind"] = Moody("blind", self.clock, BLIND, self.checker)
        self.suppliers["indexed"] = Moody("indexed", self.clock, INDEXED, self.checker)
        self.storage = InlineStorage(self.connection)
        self.lives = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run an act to its end, in virtual time."""
        return self.loop.run_until_complete(work)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return healthy(self.connection).execute(query, parameters).fetchall()

    def one(self, state: Sequence[str], which: int) -> tuple[str, str, str] | None:
        """Return number, hash and supplier of one of the orders in these states."""
        marks = ", ".join("?" * len(state))
        query = f"SELECT number, order_hash, supplier FROM purchase_order WHERE state IN ({marks}) ORDER BY number"
        found = self.rows(query, *state)
        return found[which % len(found)] if found else None

    @initialize(limit=st.sampled_from(LIMITS))
    def begin(self, limit: int) -> None:
        database = self.store(self.storage, self.checker, self.connection)
        self.plant = Plant(database, Owner("northworks", "G1"), self.clock, dict(self.suppliers))
        self.stopping = Stopping(database, self.plant.owner, self.clock)
        self.apply(limit, 30, [])

    def apply(self, limit: int, days: int, more: list[dict[str, Any]]) -> None:
        window = {"days": days, "per_machine": f"{limit} EUR"}
        document = policy_for(self.suppliers, window=window, limits=more, time_zone="Europe/Berlin")

        async def applied() -> None:
            async with self.plant.database.write() as tx:
                await gate.apply_policy(tx, self.plant.owner, document, APPROVER, self.clock())
            await self.plant.purchasing.reconsider()

        self.do(applied())

    @rule(limit=st.sampled_from(LIMITS), days=st.sampled_from((7, 30)), more=st.sampled_from(MORE_LIMITS))
    def people_change_the_limits(self, limit: int, days: int, more: list[dict[str, Any]]) -> None:
        self.apply(limit, days, more)

    @rule(scope=st.sampled_from(SCOPES))
    def somebody_stops_buying(self, scope: Scope) -> None:
        self.do(self.stopping.stop(scope, BY_PERSON, ANNA))

    @rule(scope=st.sampled_from(SCOPES))
    def somebody_lets_buying_go_on(self, scope: Scope) -> None:
        self.do(self.stopping.resume(scope, ANNA))

    @rule()
    def alarms_are_looked_after(self) -> None:
        self.do(self.stopping.watch())

    @rule()
    def somebody_says_that_the_time_is_right(self) -> None:
        async def accepted() -> None:
            async with self.plant.database.write() as tx:
                await gate.accept_clock(tx, self.plant.owner, APPROVER, self.clock())

        self.do(accepted())

    @rule(name=st.sampled_from(NAMES), mood=st.sampled_from(MOODS), price=st.sampled_from((50, 61, 75)))
    def a_supplier_changes(self, name: str, mood: str, price: int) -> None:
        self.suppliers[name].mood = mood
        self.suppliers[name].price = Decimal(price)

    @rule(new_life=st.booleans())
    def a_need_asks(self, new_life: bool) -> None:
        self.lives += new_life or not self.lives
        self.do(self.plant.want(life=f"life-{self.lives}"))

    @rule()
    def needs_ask_at_once(self) -> None:
        lives = [f"life-{self.lives + each}" for each in (1, 2, 3)]
        self.lives += 3

        async def all_of_them() -> None:
            await asyncio.gather(*(self.plant.want(life=life) for life in lives))

        self.do(all_of_them())

    @precondition(lambda self: self.lives > 0)
    @rule()
    def somebody_wants_another(self) -> None:
        now = self.clock()
        need = a_need(now, life=f"life-{self.lives}")
        want = want_of(need, LINE, advice(now), Mode.BUY, ECONOMICS, "bert", now)
        self.do(self.plant.purchasing.want_now(want, ANNA, override=True))

    @rule(which=st.integers(0, 5), shown=st.booleans())
    def somebody_approves(self, which: int, shown: bool) -> None:
        if order := self.one(["awaiting_approval"], which):
            hash_ = order[1] if shown else "0" * 64
            self.do(self.plant.purchasing.approve(order[0], hash_, APPROVER, "socket", "go"))

    @rule(which=st.integers(0, 5))
    def somebody_denies(self, which: int) -> None:
        if order := self.one(["awaiting_approval"], which):
            self.do(self.plant.purchasing.deny(order[0], order[1], ANNA))

    @rule(which=st.integers(0, 5))
    def somebody_cancels(self, which: int) -> None:
        if order := self.one(["awaiting_approval", "approved", "confirmed", "shipped"], which):
            self.do(self.plant.purchasing.cancel(order[0], ANNA))

    @rule(which=st.integers(0, 5), insists=st.booleans())
    def somebody_calls_the_supplier(self, which: int, insists: bool) -> None:
        order = self.one(["needs_person", "unknown"], which)
        if order is None:
            return
        number, _, name = order
        live = self.suppliers[name].live(number)
        for entry in live[1:]:  # bought twice: one of them is enough
            entry.live = False
        live = live[:1]
        if live and not insists and not all(entry.kept for entry in live):
            self.suppliers[name].off(number)
            live = []
        for entry in live:
            entry.kept = True
        verdict = S.CONFIRMED if live else S.NOT_PLACED
        self.do(self.plant.purchasing.resolve(number, verdict, ANNA, "called them"))

    @rule(which=st.integers(0, 5))
    def somebody_takes_the_part(self, which: int) -> None:
        if order := self.one(["needs_person"], which):
            self.do(self.plant.purchasing.accept_part(order[0], ANNA, "better than nothing"))

    @rule(which=st.integers(0, 5), paid=st.sampled_from((None, 0, 50_00, 400_00)))
    def somebody_settles_what_came(self, which: int, paid: int | None) -> None:
        if order := self.one(["received", "disputed"], which):
            said = None if paid is None else Money(paid, "EUR")
            self.do(self.plant.purchasing.settle(order[0], ANNA, "we agreed on that", said))

    @rule(which=st.integers(0, 5), quantity=st.sampled_from((None, "1", "2", "3")))
    def goods_arrive(self, which: int, quantity: str | None) -> None:
        order = self.one(["submitted", "unknown", "needs_person", "cancelling", "confirmed", "shipped"], which)
        if order and self.suppliers[order[2]].live(order[0]):
            lines = None if quantity is None else {1: Decimal(quantity)}
            self.do(self.plant.purchasing.received(order[0], lines, ANNA))

    @rule(which=st.integers(0, 5), wrong=st.sampled_from((0, 0, 100)))
    def an_invoice_comes(self, which: int, wrong: int) -> None:
        order = self.one(["confirmed", "shipped", "received", "disputed", "closed"], which)
        if order and self.suppliers[order[2]].answers.get(order[0]):
            (total,) = self.rows("SELECT total_minor FROM purchase_order WHERE number = ?", order[0])[0]
            self.suppliers[order[2]].bill(order[0], Money(total + wrong, "EUR"))

    @rule(which=st.integers(0, 5))
    def goods_leave(self, which: int) -> None:
        order = self.one(["confirmed"], which)
        if order and self.suppliers[order[2]].live(order[0]):
            self.suppliers[order[2]].ship(order[0])

    @rule(name=st.sampled_from(NAMES))
    def somebody_trusts_a_supplier_again(self, name: str) -> None:
        self.do(self.plant.purchasing.reinstate(name, ANNA))

    @rule(passes=st.integers(1, 3))
    def time_passes_and_what_is_open_is_taken_up(self, passes: int) -> None:
        self.do(self.plant.passes(passes))

    @rule(hours=st.sampled_from((1, 12, 25, 24 * 8, 24 * 31, -2)))
    def much_time_passes(self, hours: int) -> None:
        self.clock.forward(hours=hours)

    @rule()
    def the_gateway_starts_again(self) -> None:
        self.plant.restart()

    @rule(after=st.integers(0, 8))
    def the_gateway_is_killed_at_work(self, after: int) -> None:
        """Cut a pass after so many steps of the loop, wherever that is."""

        async def cut() -> None:
            task = asyncio.create_task(self.plant.reconciliation.run_once())
            for _ in range(after * 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.do(cut())
        self.plant.restart()

    @invariant()
    def nothing_is_over_and_the_sums_are_right(self) -> None:
        self.checker.committed()  # a kill may have come between a commit and the checker's look at it
        self.checker.recount()
        if self.trace.violations:
            type(self).overspent += any(each.code == "OVER_LIMIT" for each in self.trace.violations)
            raise AssertionError("; ".join(f"{each.code}: {each.text}" for each in self.trace.violations))

    def teardown(self) -> None:
        self.do(self.storage.close())
        self.loop.close()
        self.stack.close()
