"""One pass over everything open. Start-up, recovery from a crash and the ordinary schedule are this same pass.

It takes up answers that were kept and not applied, requisitions that wait for quotations, and orders by their state:

    proposed            ask the gate again
    awaiting_approval   expire with its quotation
    approved            send
    submitting          a send that nobody is at any more: unknown
    unknown, cancelling ask the supplier (`settlement`)
    submitted ... disputed    fetch documents into the inbox; remind a person of what is overdue

One query classifies all open orders (`due`), so that thousands that want nothing cost nothing. Whoever is at work on
an order holds its lock; the pass leaves such orders alone. One purchase that fails is noted, waits longer each time,
is set apart after a few times (`quarantine`), and never stops the others.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row, Select, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.authority.alarms import AlarmCode, raise_alarm
from marketplace.authority.gate import GateClosed
from marketplace.authority.halts import PLANT, Scope, ScopeKind
from marketplace.authority.ledger import LedgerBroken
from marketplace.documents import timestamp
from marketplace.ordering import booking, inbox, quarantine
from marketplace.ordering.due import IN_HAND, Step, asked_until, poll_wait, reminder, step
from marketplace.ordering.edges import gateway_actor, move_order, problem
from marketplace.ordering.orders import OrderBroken
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.serving import need_again
from marketplace.ordering.settlement import Settlement
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import inbox as inbox_table
from marketplace.store import purchase_order, requisition

S, R = OrderState, RequisitionState
_log = structlog.get_logger()

POLLS_MAX: Final = 500
"""Orders asked about in one pass: an order of unknown outcome never waits behind thousands that go their way."""
REMINDERS_MAX: Final = 200
"""Reminders in one transaction; a plant that was off for a month is told in a few passes."""
TRACE_FRAMES: Final = 5
"""Where it broke, without the values that were at hand there."""

_orders = purchase_order.c
_SEEN: Final[Select[Any]] = (
    select(
        _orders.number, _orders.machine, _orders.state, _orders.supplier, _orders.quoted_until, _orders.next_ask_at,
        _orders.changed_at, _orders.promised_at, _orders.problem, _orders.failures,
    )
    .where(_orders.plant == bindparam("of_plant"), _orders.gateway_id == bindparam("of_gateway"))
    .where(_orders.state.in_(IN_HAND), _orders.quarantined_at.is_(None))
    .order_by(_orders.created_at, _orders.number)
)  # fmt: skip
_POSTPONE: Final = (
    update(purchase_order)
    .where(_orders.plant == bindparam("of_plant"), _orders.number == bindparam("of_number"))
    .values(next_ask_at=bindparam("later"))
)
_NOTE: Final = (
    update(purchase_order)
    .where(_orders.plant == bindparam("of_plant"), _orders.number == bindparam("of_number"), _orders.problem == "")
    .values(problem=bindparam("noted"))
)


_ALARMING: Final = (
    (LedgerBroken, AlarmCode.LEDGER_BROKEN),
    (GateClosed, AlarmCode.GATE_CLOSED),
    (OrderBroken, AlarmCode.ORDER_ALTERED),
)
"""Failures of a purchase that are about money, not about the weather."""


@dataclass(slots=True)
class Pass:
    """What one pass took up, and what of it failed."""

    answers: int = 0
    orders: int = 0
    requisitions: int = 0
    failed: int = 0
    reminded: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """Every open order's next step, counted; and those that are due, the most pressing first."""

    steps: Counter[Step]
    due: list[tuple[Step, Row[Any]]]


class Reconciliation:
    """Brings what is open nearer to its end."""

    def __init__(self, purchasing: Purchasing) -> None:
        self._purchasing = purchasing
        self._database = purchasing.database
        self._owner = purchasing.owner
        self._sending = purchasing.sending
        self._terms = purchasing.terms
        self._clock = purchasing.clock
        self._settlement = Settlement(purchasing)
        self._passing = asyncio.Lock()

    async def run_once(self) -> Pass:
        """Make one pass; a second one that is asked for meanwhile waits for the first."""
        async with self._passing:
            done = Pass()
            for row in await self._answers():
                done.answers += 1
                await self._guarded(done, row.order_number, self._apply, row)
            due = (await self.survey()).due
            done.reminded = await self._remind([row for each, row in due if each is Step.REMIND])
            await self._postpone([row for each, row in due if each is Step.POLL])
            work = [(each, row) for each, row in due if each is not Step.REMIND]
            done.orders = len(work)
            await self._all(done, [(row.number, self._doing(each), row) for each, row in work])
            done.reminded += await self._look_at_visits()
            wanted = await self._requisitions()
            done.requisitions = len(wanted)
            await self._all(done, [(row.id, self._requisition, row) for row in wanted])
            return done

    async def survey(self) -> Survey:
        """Classify every open order of this gateway, in one query, and return those that are due."""
        now, mine = self._clock(), {"of_plant": self._owner.plant, "of_gateway": self._owner.gateway_id}
        async with self._database.read() as tx:
            rows = (await tx.execute(_SEEN, mine)).all()
        steps = [(self._step(row, now), row) for row in rows]
        due = sorted((each for each in steps if each[0] is not Step.LEAVE), key=lambda each: each[0])
        polls = [each for each in due if each[0] is Step.POLL]
        polls.sort(key=lambda each: each[1].next_ask_at or each[1].changed_at)
        pressing = [each for each in due if each[0] is not Step.POLL]
        return Survey(Counter(each for each, _row in steps), pressing + polls[:POLLS_MAX])

    def _step(self, row: Row[Any], now: datetime) -> Step:
        """Return an order's step; one whose supplier can tell us nothing by itself is not polled."""
        found = step(row, self._terms, now)
        if found is not Step.POLL:
            return found
        supplier = self._purchasing.suppliers.get(row.supplier)
        can = supplier.capabilities if supplier is not None else None
        asked = can is not None and (can.documents or (can.lookup_window is not None and row.state == S.SUBMITTED))
        return Step.POLL if asked else Step.LEAVE

    async def _all(self, done: Pass, work: list[tuple[str, Callable[[Row[Any]], Awaitable[None]], Row[Any]]]) -> None:
        """Do the work of many purchases in its order, a bounded number at the same time."""
        waiting = iter(work)

        async def worker() -> None:
            for subject, act, row in waiting:
                await self._guarded(done, subject, act, row)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._terms.parallel, len(work))):
                group.create_task(worker())

    async def _guarded(
        self, done: Pass, subject: str, act: Callable[[Row[Any]], Awaitable[None]], row: Row[Any]
    ) -> None:
        """Keep one poisoned purchase from stopping the others."""
        try:
            await act(row)
        except Exception as error:
            done.failed += 1
            trace = "".join(traceback.format_exception(error, limit=-TRACE_FRAMES))
            _log.error("reconciliation_failed", subject=subject, error=type(error).__name__, trace=trace)
            await self._note_failure(subject, error)
            await self._alarm(subject, row, error)
            return
        if row._mapping.get("failures"):
            async with self._database.write() as tx:
                await quarantine.forget_failures(tx, self._owner, subject)

    async def _note_failure(self, subject: str, error: Exception) -> None:
        name, now = type(error).__name__, self._clock()
        try:
            async with self._database.write() as tx:
                given_up = await quarantine.note_failure(tx, self._owner, subject, name, now, self._terms)
        except Exception as worse:  # the database itself; buying stands still, and the next pass will say so again
            _log.error("reconciliation_not_noted", subject=subject, error=type(worse).__name__)
            return
        if given_up:
            _log.error("purchase_quarantined", subject=subject, error=name)

    async def _alarm(self, subject: str, row: Row[Any], error: Exception) -> None:
        """Raise a money alarm where a failure says that books or decisions do not hold together."""
        code = next((code for kind, code in _ALARMING if isinstance(error, kind)), None)
        if code is None:
            return
        machine = row._mapping.get("machine")
        scope = Scope(ScopeKind.MACHINE, machine) if machine else PLANT
        figures, terms = {"order": subject, "reason": str(error)[:200]}, self._terms.alarms
        try:
            async with self._database.write() as tx:
                await raise_alarm(tx, self._owner, code, scope, subject, self._clock(), parameters=figures, terms=terms)
        except Exception as worse:  # as above: without a database there is no alarm, and nothing is bought either
            _log.error("alarm_not_raised", subject=subject, error=type(worse).__name__)

    async def _answers(self) -> list[Row[Any]]:
        """Return the answers that nobody has applied yet, less those whose order waits after a failure."""
        table, order = inbox_table.c, purchase_order.c
        about = (order.plant == table.plant) & (order.number == table.order_number)
        rested = or_(order.failures == 0, order.next_ask_at.is_(None), order.next_ask_at <= self._clock())
        query = (
            select(table.id, table.order_number)
            .select_from(inbox_table.outerjoin(purchase_order, about))
            .where(table.plant == self._owner.plant, table.gateway_id == self._owner.gateway_id)
            .where(table.applied_at.is_(None))
            .where(or_(order.number.is_(None), order.quarantined_at.is_(None) & rested))
            .order_by(table.id)
        )
        async with self._database.read() as tx:
            return list(await tx.execute(query))

    async def _requisitions(self) -> list[Row[Any]]:
        table = requisition.c
        query = (
            select(table.id, table.failures)
            .where(table.plant == self._owner.plant, table.gateway_id == self._owner.gateway_id)
            .where(table.state.in_((R.NEEDED, R.QUOTING)), table.quarantined_at.is_(None))
            .where(or_(table.quoting_after.is_(None), table.quoting_after <= self._clock()))
            .order_by(table.created_at)
        )
        async with self._database.read() as tx:
            return list(await tx.execute(query))

    async def _postpone(self, rows: Sequence[Row[Any]]) -> None:
        """Ask about these again only after a while, whatever comes of it this time; one transaction for all."""
        if rows:
            now, mine = self._clock(), {"of_plant": self._owner.plant}
            changes = [
                {**mine, "of_number": row.number, "later": now + poll_wait(row, self._terms, now)} for row in rows
            ]
            async with self._database.write() as tx:
                await tx.execute(_POSTPONE, changes)

    async def _remind(self, rows: Sequence[Row[Any]]) -> int:
        """Tell a person of what has waited for too long: noted on the order, and in the audit."""
        now, told = self._clock(), rows[:REMINDERS_MAX]
        if told:
            async with self._database.write() as tx:
                for row in told:
                    await self._remind_of(tx, row, now)
        return len(told)

    async def _remind_of(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> None:
        due = reminder(row, self._terms, now)
        assert due is not None  # that is what made it due
        end = asked_until(row, self._terms)
        since = {"since": timestamp(due.since)} | ({"until": timestamp(end)} if end is not None else {})
        of = {"of_plant": self._owner.plant, "of_number": row.number, "noted": problem(due.code, since)}
        if (await tx.execute(_NOTE, of)).rowcount == 1:
            actor, facts = gateway_actor(self._owner, "clock"), {"code": due.code, "parameters": since}
            await record(tx, self._owner, "purchase", row.number, "reminded", actor, now, facts)

    async def _look_at_visits(self) -> int:
        """Tell a person of each service that comes before the parts of its job."""
        now = self._clock()
        async with self._database.read() as tx:
            found = await booking.notes(tx, self._owner, now)
        if found:
            async with self._database.write() as tx:
                for each in found:
                    await booking.note(tx, self._owner, each, now)
        return len(found)

    async def _requisition(self, row: Row[Any]) -> None:
        if not self._purchasing.locks.of(row.id).locked():
            await self._purchasing.quote(row.id)

    async def _apply(self, row: Row[Any]) -> None:
        lock = self._purchasing.locks.of(row.order_number)
        if lock.locked():
            return
        async with lock, self._database.write() as tx:
            await inbox.apply(tx, self._owner, row.id, self._clock(), self._terms)

    def _doing(self, next_step: Step) -> Callable[[Row[Any]], Awaitable[None]]:
        """Return what to do for a step."""

        async def act(seen: Row[Any]) -> None:
            if next_step is Step.JUDGE:
                await self._purchasing.judge_again(seen.number)
                return
            lock = self._purchasing.locks.of(seen.number)
            if lock.locked():
                return
            async with lock:
                row = await self._sending.row(seen.number)
                if row.state == seen.state:  # else somebody was quicker, and the next pass looks anew
                    await self._advance(next_step, row)

        return act

    async def _advance(self, next_step: Step, row: Row[Any]) -> None:
        """Take an order one step on; the caller holds its lock and has just read the row."""
        number, supplier = row.number, self._purchasing.suppliers.get(row.supplier)
        if next_step is Step.EXPIRE:
            await self._expire(row)
        elif next_step is Step.SEND:
            await self._sending.send(number)
        elif supplier is None:
            await self._settlement.without_supplier(row)
        elif next_step is Step.LOST:  # nobody holds its lock, so whoever sent it is gone
            await self._sending.lose(number, "interrupted")
            await self._settlement.settle(await self._sending.row(number), supplier)
        elif next_step is Step.SETTLE:
            await self._settlement.settle(row, supplier)
        elif next_step is Step.CALLED_OFF:
            await self._settlement.called_off(row, supplier)
        else:
            await self._settlement.poll(row, supplier)

    async def _expire(self, row: Row[Any]) -> None:
        now, actor = self._clock(), gateway_actor(self._owner, "clock")
        async with self._database.write() as tx:
            await move_order(tx, self._owner, row.number, S.AWAITING_APPROVAL, S.EXPIRED, actor=actor, at=now)
            await need_again(tx, self._owner, row.number, actor, now, quoting_after=None)
