"""One pass over everything open. Start-up, recovery from a crash and the ordinary schedule are this same pass.

It takes up answers that were kept and not applied, requisitions that wait for quotations, and orders by their state:

    proposed            ask the gate again
    awaiting_approval   expire with its quotation
    approved            send
    submitting          a send that nobody is at any more: unknown
    unknown             ask the supplier; found: adopt. Not found: under a young idempotency key send the same bytes
                        again; without one, and only with a look-up, wait out its window and three clean misses, then
                        send the same bytes at most once more; with neither a person must find out
    cancelling          ask the supplier
    submitted ... disputed    fetch documents into the inbox

Whoever is at work on an order holds its lock; the pass leaves such orders alone. One purchase that fails is noted and
does not stop the others.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row, or_, select

from marketplace.documents import OrderResponse
from marketplace.ordering import inbox
from marketplace.ordering.edges import BROKE, gateway_actor, move_order, need_again, note_failure, problem_code
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import purchase_order, requisition
from marketplace.suppliers.supplier import Supplier, SupplierUnavailable

S, R = OrderState, RequisitionState
_log = structlog.get_logger()

POLLED: Final = frozenset({S.SUBMITTED, S.CONFIRMED, S.SHIPPED, S.RECEIVED, S.DISPUTED})
IN_HAND: Final = POLLED | {S.PROPOSED, S.AWAITING_APPROVAL, S.APPROVED, S.SUBMITTING, S.UNKNOWN, S.CANCELLING}
"""States that a pass can move without a person."""
KEY_YOUNG: Final = 0.9
"""A key is trusted for nine tenths of its declared life: clocks differ, and a send takes time."""
TRACE_FRAMES: Final = 5
"""Where it broke, without the values that were at hand there."""


@dataclass(slots=True)
class Pass:
    """What one pass took up, and what of it failed."""

    answers: int = 0
    orders: int = 0
    requisitions: int = 0
    failed: int = 0


class Reconciliation:
    """Brings what is open nearer to its end."""

    def __init__(self, purchasing: Purchasing) -> None:
        self._purchasing = purchasing
        self._database = purchasing.database
        self._owner = purchasing.owner
        self._sending = purchasing.sending
        self._terms = purchasing.terms
        self._clock = purchasing.clock
        self._passing = asyncio.Lock()

    async def run_once(self) -> Pass:
        """Make one pass; a second one that is asked for meanwhile waits for the first."""
        async with self._passing:
            done = Pass()
            for row in await self._answers():
                done.answers += 1
                await self._guarded(done, row.order_number, self._apply, row)
            await self._all(done, [(row.number, self._order, row) for row in await self._orders()])
            await self._all(done, [(row.id, self._requisition, row) for row in await self._requisitions()])
            return done

    async def _all(self, done: Pass, work: list[tuple[str, Callable[[Row[Any]], Awaitable[None]], Row[Any]]]) -> None:
        """Do the work of many purchases, a bounded number at the same time."""
        room = asyncio.Semaphore(self._terms.parallel)

        async def one(subject: str, act: Callable[[Row[Any]], Awaitable[None]], row: Row[Any]) -> None:
            async with room:
                await self._guarded(done, subject, act, row)

        async with asyncio.TaskGroup() as group:
            for subject, act, row in work:
                group.create_task(one(subject, act, row))
        orders = sum(1 for _subject, act, _row in work if act == self._order)
        done.orders += orders
        done.requisitions += len(work) - orders

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

    async def _note_failure(self, subject: str, error: Exception) -> None:
        later = self._clock() + self._terms.ask_again
        try:
            async with self._database.write() as tx:
                await note_failure(tx, self._owner, subject, type(error).__name__, later)
        except Exception as worse:  # the database itself; buying stands still, and the next pass will say so again
            _log.error("reconciliation_not_noted", subject=subject, error=type(worse).__name__)

    async def _answers(self) -> list[Row[Any]]:
        async with self._database.read() as tx:
            return await inbox.waiting(tx, self._owner)

    async def _orders(self) -> list[Row[Any]]:
        table = purchase_order.c
        query = (
            select(purchase_order)
            .where(table.plant == self._owner.plant, table.gateway_id == self._owner.gateway_id)
            .where(table.state.in_(IN_HAND))
            .where(or_(table.next_ask_at.is_(None), table.next_ask_at <= self._clock()))
            .order_by(table.created_at)
        )
        async with self._database.read() as tx:
            return list(await tx.execute(query))

    async def _requisitions(self) -> list[Row[Any]]:
        table = requisition.c
        query = (
            select(requisition)
            .where(table.plant == self._owner.plant, table.gateway_id == self._owner.gateway_id)
            .where(table.state.in_((R.NEEDED, R.QUOTING)))
            .where(or_(table.quoting_after.is_(None), table.quoting_after <= self._clock()))
            .order_by(table.created_at)
        )
        async with self._database.read() as tx:
            return list(await tx.execute(query))

    async def _requisition(self, row: Row[Any]) -> None:
        if not self._purchasing.locks.of(row.id).locked():
            await self._purchasing.quote(row.id)

    async def _apply(self, row: Row[Any]) -> None:
        lock = self._purchasing.locks.of(row.order_number)
        if lock.locked():
            return
        async with lock, self._database.write() as tx:
            await inbox.apply(tx, self._owner, row.id, self._clock(), self._terms)

    async def _order(self, seen: Row[Any]) -> None:
        number = seen.number
        lock = self._purchasing.locks.of(number)
        if lock.locked():
            return
        if seen.state == S.PROPOSED:
            await self._purchasing.judge_again(number)
            return
        async with lock:
            row = await self._sending.row(number)
            await self._advance(row)
        if problem_code(row.problem) == BROKE:
            await self._forget_failure(number)

    async def _forget_failure(self, number: str) -> None:
        if problem_code((await self._sending.row(number)).problem) == BROKE:
            await self._sending.set(number, problem="")

    async def _advance(self, row: Row[Any]) -> None:
        """Take an order one step on; the caller holds its lock and has just read the row."""
        state, number = S(row.state), row.number
        supplier = self._purchasing.suppliers.get(row.supplier)
        if state is S.AWAITING_APPROVAL:
            await self._expire(row)
        elif state is S.APPROVED:
            await self._sending.send(number)
        elif supplier is None:
            await self._without_supplier(row)
        elif state is S.SUBMITTING:  # nobody holds its lock, so whoever sent it is gone
            await self._sending.lose(number, "interrupted")
            await self._settle(await self._sending.row(number), supplier)
        elif state is S.UNKNOWN:
            await self._settle(row, supplier)
        elif state is S.CANCELLING:
            await self._look_up(row, supplier)
        elif state in POLLED:
            await self._poll(row, supplier)

    async def _expire(self, row: Row[Any]) -> None:
        now, actor = self._clock(), gateway_actor(self._owner, "clock")
        if now < row.quoted_until:
            return
        async with self._database.write() as tx:
            await move_order(tx, self._owner, row.number, S.AWAITING_APPROVAL, S.EXPIRED, actor=actor, at=now)
            await need_again(tx, self._owner, row.number, actor, now, quoting_after=None)

    async def _without_supplier(self, row: Row[Any]) -> None:
        """The config lost the supplier of an open order: only a person can find out now."""
        if row.state == S.SUBMITTING:
            await self._sending.lose(row.number, "interrupted")
        if row.state in (S.SUBMITTING, S.UNKNOWN):
            await self._sending.give_to_person(row.number, S.UNKNOWN, "SUPPLIER_GONE", supplier=row.supplier)

    # What became of an order that nobody knows of?

    async def _settle(self, row: Row[Any], supplier: Supplier) -> None:
        """Walk the rules of the header for one unknown order."""
        number, can = row.number, supplier.capabilities
        if can.documents and await self._fetch(row, supplier) and await self._settled(number):
            return
        if can.lookup_window is not None:
            found = await self._ask(row, supplier)
            if found is not _NOTHING:
                return
            row = await self._count_miss(row, supplier)
        if self._key_is_young(row, supplier):
            await self._sending.send(number, S.UNKNOWN)
        elif can.lookup_window is None:
            await self._sending.give_to_person(number, S.UNKNOWN, "OUTCOME_UNKNOWN", supplier=row.supplier)
        elif row.clean_misses >= self._terms.misses_wanted:
            await self._not_there(row)

    async def _settled(self, number: str) -> bool:
        return bool((await self._sending.row(number)).state != S.UNKNOWN)

    async def _ask(self, row: Row[Any], supplier: Supplier) -> object:
        """Look an unknown order up: adopt what is found; `_NOTHING` for a clean miss, None when nobody can tell."""
        try:
            found = await self._find(row.number, supplier)
        except Exception as error:  # a look-up changes nothing: whatever went wrong, ask again
            await self._cannot_tell(row, error)
            return None
        if found is None:
            return _NOTHING
        await self._sending.take(supplier.name, found, asked=True)
        if not await self._settled(row.number):
            await self._sending.give_to_person(row.number, S.UNKNOWN, "LOOKUP_NOT_USABLE", supplier=row.supplier)
        return found

    async def _find(self, number: str, supplier: Supplier) -> OrderResponse | None:
        async with asyncio.timeout(self._terms.wire_timeout.total_seconds()):
            return await supplier.find(number)

    async def _cannot_tell(self, row: Row[Any], error: Exception) -> None:
        _log.info("lookup_failed", order=row.number, supplier=row.supplier, error=type(error).__name__)
        now = self._clock()
        if row.first_sent_at is not None and now - row.first_sent_at > self._terms.unknown_max:
            await self._sending.give_to_person(row.number, S.UNKNOWN, "LOOKUP_UNAVAILABLE", supplier=row.supplier)
        else:
            await self._sending.set(row.number, next_ask_at=now + self._terms.ask_again, clean_misses=0)

    async def _count_miss(self, row: Row[Any], supplier: Supplier) -> Row[Any]:
        """A miss counts once the look-up must know; until then it only means "not yet"."""
        now, window = self._clock(), supplier.capabilities.lookup_window
        assert window is not None
        ripe = row.last_sent_at is None or now >= row.last_sent_at + window
        later = now + self._terms.ask_again if ripe else row.last_sent_at + window
        await self._sending.set(row.number, clean_misses=row.clean_misses + int(ripe), next_ask_at=later)
        return await self._sending.row(row.number)

    def _key_is_young(self, row: Row[Any], supplier: Supplier) -> bool:
        life, now = supplier.capabilities.idempotency_key, self._clock()
        if life is None or row.first_sent_at is None or row.sends >= self._terms.sends_max:
            return False
        return now < row.first_sent_at + life * KEY_YOUNG and self._may_still_leave(row, now)

    def _may_still_leave(self, row: Row[Any], now: datetime) -> bool:
        return bool(row.send_by is not None and now < row.send_by)

    async def _not_there(self, row: Row[Any]) -> None:
        """The look-up is sure. Once, the same bytes may go again; a second silence is for a person."""
        once = row.first_sent_at == row.last_sent_at
        if once and self._may_still_leave(row, self._clock()):
            await self._sending.send(row.number, S.UNKNOWN)
        else:
            await self._sending.give_to_person(row.number, S.UNKNOWN, "NOT_FOUND", supplier=row.supplier)

    # What else has a supplier to say?

    async def _look_up(self, row: Row[Any], supplier: Supplier) -> None:
        if supplier.capabilities.lookup_window is not None:
            await self._ask_how_it_is(row, supplier)
        await self._poll(row, supplier)

    async def _poll(self, row: Row[Any], supplier: Supplier) -> None:
        await self._sending.set(row.number, next_ask_at=self._clock() + self._terms.poll_every)
        if supplier.capabilities.documents:
            await self._fetch(row, supplier)
        elif supplier.capabilities.lookup_window is not None and row.state == S.SUBMITTED:
            await self._ask_how_it_is(row, supplier)

    async def _ask_how_it_is(self, row: Row[Any], supplier: Supplier) -> None:
        """Look up an order that the supplier has; one that cannot be asked now is asked at the next poll."""
        try:
            found = await self._find(row.number, supplier)
        except (SupplierUnavailable, TimeoutError) as error:
            _log.info("lookup_failed", order=row.number, supplier=row.supplier, error=type(error).__name__)
            return
        if found is not None:
            await self._sending.take(supplier.name, found, asked=True)

    async def _fetch(self, row: Row[Any], supplier: Supplier) -> bool:
        """Take every document about an order into the inbox; False when the supplier cannot be asked now."""
        try:
            async with asyncio.timeout(self._terms.wire_timeout.total_seconds()):
                documents = await supplier.documents(row.number)
        except (SupplierUnavailable, TimeoutError) as error:
            _log.info("documents_unavailable", order=row.number, supplier=row.supplier, error=type(error).__name__)
            return False
        for document in documents:
            await self._sending.take(supplier.name, document, asked=row.state == S.UNKNOWN)
        return True


_NOTHING: Final = object()
