"""Send an approved order once, and settle what became of it.

Before the first byte leaves, one durable transaction holds the exact request bytes, the permit for this one send and
the state `submitting`. Then exactly one of three things is known: nothing was sent (try later), the supplier answered
(through the inbox), or nobody knows: the order is `unknown`, keeps its reservation, and is settled by asking, never
by sending again blindly. A crash in between leaves `submitting`, which is `unknown` to whoever starts next. A supplier
that has our number under another order leaves the order unknown too, and marked: from then on only an answer that
repeats the order's hash is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import ColumnElement, Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate, halts
from marketplace.authority.alarms import AlarmCode, raise_alarm
from marketplace.authority.halts import Scope, ScopeKind
from marketplace.authority.permit import PermitRefused, SpendPermit
from marketplace.documents import OrderResponse, PurchaseOrder
from marketplace.ordering import inbox
from marketplace.ordering.answers import Answer, AnswerBroken
from marketplace.ordering.edges import REFERENCE_TAKEN, gateway_actor, mark_ordered, move_order, problem
from marketplace.ordering.orders import StoredOrder, load, load_row
from marketplace.ordering.serving import need_again
from marketplace.ordering.states import OrderState
from marketplace.ordering.stopping import cancel_stopped
from marketplace.ordering.suspension import suspended
from marketplace.ordering.terms import PurchasingTerms, backed_off
from marketplace.store import Database, Owner, purchase_order
from marketplace.suppliers.supplier import ReferenceTaken, Supplier, SupplierRejected, SupplierUnavailable

S = OrderState
_MOMENT: Final = timedelta(microseconds=1)
"""A second send is later than the first, also where the clock stands still or jumps back: so the two are told apart."""
_log = structlog.get_logger()


class Locks:
    """One lock for each order or requisition in hand; a lock that nobody holds is forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, subject: str) -> asyncio.Lock:
        """Return the lock of an order or a requisition."""
        lock = self._locks.get(subject)
        if lock is None:
            lock = self._locks[subject] = asyncio.Lock()
        return lock


class Sending:
    """Sends orders and takes answers in. Whoever calls holds the order's lock."""

    def __init__(
        self,
        database: Database,
        owner: Owner,
        suppliers: Mapping[str, Supplier],
        terms: PurchasingTerms,
        clock: Callable[[], datetime],
        *,
        held: Callable[[], bool] = bool,
    ) -> None:
        self.database = database
        self.owner = owner
        self.suppliers = suppliers
        self.terms = terms
        self.clock = clock
        self.held = held

    async def send(self, number: str, before: OrderState = S.APPROVED, *, key_proven: bool = False) -> None:
        """Send an order that is approved, or send an unknown one again: same bytes, same key, another permit.

        `key_proven`: the supplier still remembers the key of the earlier send; without that the gate reserves anew.
        The rules for sending again are `reconciliation`'s; here it only makes sure that nothing else is ever sent.
        While buying is held nothing is: the order stays as it is, and the pass comes back to it.
        """
        if self.held():
            return
        async with self.database.write() as tx:
            stored = await load(tx, self.owner, number)
            supplier = self.suppliers.get(stored.order.supplier)
            permit = await self._intend(tx, stored, supplier, before, key_proven)
        if permit is not None and supplier is not None:
            await self._place(stored.row, supplier, permit)

    async def _intend(
        self, tx: AsyncConnection, stored: StoredOrder, supplier: Supplier | None, before: OrderState, key_proven: bool
    ) -> SpendPermit | None:
        """Make everything durable that a send needs; None when it must not be sent (any more)."""
        now, row, number = self.clock(), stored.row, stored.order.number
        if stored.state is not before or await self._stopped(tx, stored, now):
            return None
        if await (self._stays if before is S.APPROVED else self._stays_unknown)(tx, stored, now):
            return None
        if supplier is None:  # the config lost it; perhaps somebody puts it back before the quotation expires
            gone = {"problem": problem("SUPPLIER_GONE", {"supplier": row.supplier}), "next_ask_at": self._later(1)}
            await tx.execute(update(purchase_order).where(self._is(number)).values(**gone))
            return None
        if row.request_bytes is None:
            row = await self._write_bytes(tx, stored.order, supplier, now)
        try:
            permit = await gate.permit(
                tx,
                self.owner,
                row,
                now,
                lasts=self.terms.permit_lasts,
                key_proven=key_proven,
                software=self.terms.software,
            )
        except PermitRefused as error:
            await self._not_permitted(tx, stored, before, error, now)
            return None
        await move_order(
            tx,
            self.owner,
            number,
            before,
            S.SUBMITTING,
            actor=gateway_actor(self.owner, "port"),
            at=now,
            facts={"send": row.sends + 1, "key_proven": key_proven},
            sends=row.sends + 1,
            first_sent_at=row.first_sent_at or now,
            last_sent_at=now if row.last_sent_at is None else max(now, row.last_sent_at + _MOMENT),
            clean_misses=0,
            next_ask_at=None,
        )
        await mark_ordered(tx, self.owner, number, gateway_actor(self.owner, "port"), now)
        return permit

    async def _stopped(self, tx: AsyncConnection, stored: StoredOrder, now: datetime) -> bool:
        """Return whether a stop covers the order: unsent it is off; what may have been sent is not sent again."""
        number, row = stored.order.number, stored.row
        halt = await halts.over_order(tx, self.owner, number, row.machine, row.supplier)
        if halt is None:
            return False
        if stored.state is S.APPROVED:
            await cancel_stopped(tx, self.owner, number, S.APPROVED, halt, gateway_actor(self.owner, "policy"), now)
        else:
            await tx.execute(update(purchase_order).where(self._is(number)).values(next_ask_at=self._later(1)))
        return True

    async def _write_bytes(
        self, tx: AsyncConnection, order: PurchaseOrder, supplier: Supplier, now: datetime
    ) -> Row[Any]:
        """Store the exact bytes, once, and until when they may leave; returns the order's row with them."""
        values = {
            "request_bytes": supplier.encode(order),
            "send_by": min(order.quoted_until, now + self.terms.send_within),
        }
        written = update(purchase_order).where(self._is(order.number)).values(**values).returning(purchase_order)
        row: Row[Any] = (await tx.execute(written)).one()
        return row

    async def _stays(self, tx: AsyncConnection, stored: StoredOrder, now: datetime) -> bool:
        """Move an approved order that must not be sent now to where it belongs instead."""
        row, number = stored.row, stored.order.number
        actor = gateway_actor(self.owner, "clock")
        if now >= min(row.quoted_until, row.send_by or row.quoted_until):
            await move_order(tx, self.owner, number, S.APPROVED, S.EXPIRED, actor=actor, at=now)
            await need_again(tx, self.owner, number, actor, now, quoting_after=None)
            return True
        if row.first_sent_at is not None:  # it came back to the gate after it was sent: its bytes never leave again
            await self._ask_again(tx, number, "RESEND_REFUSED", now)
            return True
        if row.authority == "policy" and row.supplier in await suspended(tx, self.owner):
            await self._ask_again(tx, number, "SUPPLIER_SUSPENDED", now)
            return True
        return False

    async def _stays_unknown(self, tx: AsyncConnection, stored: StoredOrder, now: datetime) -> bool:
        """Give an unknown order to a person where its supplier is not to be trusted with a second send."""
        supplier = stored.order.supplier
        if supplier not in await suspended(tx, self.owner):
            return False
        await self._give_to_person(tx, stored.order.number, S.UNKNOWN, "SUPPLIER_SUSPENDED", now, supplier=supplier)
        return True

    async def _ask_again(self, tx: AsyncConnection, number: str, rule: str, now: datetime) -> None:
        columns = {"authority": "", "decided_by": "", "rule": rule}
        actor = gateway_actor(self.owner, "policy")
        await move_order(
            tx,
            self.owner,
            number,
            S.APPROVED,
            S.AWAITING_APPROVAL,
            actor=actor,
            at=now,
            facts={"rule": rule},
            **columns,
        )

    async def _not_permitted(
        self, tx: AsyncConnection, stored: StoredOrder, before: OrderState, why: PermitRefused, now: datetime
    ) -> None:
        """The gate gives no leave: what was never sent asks a person again, what may have been is theirs to settle."""
        _log.warning("permit_refused", order=stored.order.number, reason=str(why))
        if before is S.APPROVED:
            await self._ask_again(tx, stored.order.number, "PERMIT_REFUSED", now)
            await self._alarm(tx, AlarmCode.APPROVED_NOT_PERMITTED, stored.row, ScopeKind.MACHINE, now, reason=str(why))
        else:
            code = why.code if why.code == "RESEND_OVER_LIMIT" else "RESEND_REFUSED"
            await self._give_to_person(tx, stored.order.number, before, code, now, rule=why.code)

    async def _give_to_person(
        self, tx: AsyncConnection, number: str, before: OrderState, code: str, now: datetime, **parameters: str
    ) -> None:
        await move_order(
            tx,
            self.owner,
            number,
            before,
            S.NEEDS_PERSON,
            actor=gateway_actor(self.owner, "port"),
            at=now,
            facts={"code": code, "parameters": parameters},
            problem=problem(code, parameters),
            next_ask_at=None,
        )
        row = await load_row(tx, self.owner, number)
        await self._alarm(tx, AlarmCode.OUTCOME_OPEN, row, ScopeKind.SUPPLIER, now, problem=code)

    async def _alarm(
        self, tx: AsyncConnection, code: AlarmCode, row: Row[Any], kind: ScopeKind, now: datetime, **figures: str
    ) -> None:
        """Raise a money alarm about an order; unanswered, it stops the order's machine or its supplier."""
        scope = Scope(kind, row.supplier if kind is ScopeKind.SUPPLIER else row.machine)
        parameters, terms = {"order": row.number, **figures}, self.terms.alarms
        await raise_alarm(tx, self.owner, code, scope, row.number, now, parameters=parameters, terms=terms)

    async def give_to_person(self, number: str, before: OrderState, code: str, **parameters: str) -> None:
        """Stop an order for a person, with a code that says why."""
        async with self.database.write() as tx:
            await self._give_to_person(tx, number, before, code, self.clock(), **parameters)

    async def _place(self, earlier: Row[Any], supplier: Supplier, permit: SpendPermit) -> None:
        """Send once. `earlier` is the order's row before this send."""
        number = permit.reference
        try:
            async with asyncio.timeout(self.terms.wire_timeout.total_seconds()):
                response = await supplier.place(permit)
        except (SupplierUnavailable, PermitRefused) as error:
            await self._nothing_sent(earlier, number, error)
        except SupplierRejected as error:
            await self._refused(earlier, number, error)
        except ReferenceTaken:
            await self.lose(number, "reference_taken", problem=problem(REFERENCE_TAKEN))
        except Exception as error:  # whatever an adapter raises: the bytes may have left, so nobody knows
            await self.lose(number, type(error).__name__)
        else:
            await self._answered(supplier, number, response)

    async def _nothing_sent(self, earlier: Row[Any], number: str, error: Exception) -> None:
        """Nothing left the plant this time. What an earlier send did is as unknown as before."""
        _log.info("supplier_unavailable", order=number, supplier=earlier.supplier, error=type(error).__name__)
        after = S.APPROVED if earlier.first_sent_at is None else S.UNKNOWN
        now = self.clock()
        async with self.database.write() as tx:
            await move_order(
                tx,
                self.owner,
                number,
                S.SUBMITTING,
                after,
                actor=gateway_actor(self.owner, "port"),
                at=now,
                facts={"sent": False},
                first_sent_at=earlier.first_sent_at,
                last_sent_at=earlier.last_sent_at,
                next_ask_at=self._later(earlier.sends + 1),
            )
            await gate.unsent(tx, self.owner, number, earlier.sends + 1, now)

    async def _refused(self, earlier: Row[Any], number: str, error: Exception) -> None:
        """The supplier said no. To a second send that may mean "I have it already", which only a person can tell."""
        reason = str(error)[:200]
        if earlier.first_sent_at is not None:
            await self.give_to_person(number, S.SUBMITTING, "REJECTED_AFTER_UNKNOWN", reason=reason)
            return
        now, actor = self.clock(), Actor(ActorKind.SUPPLIER, earlier.supplier, "port")
        async with self.database.write() as tx:
            facts = {"problem": "REJECTED_BY_SUPPLIER"}
            said = problem("REJECTED_BY_SUPPLIER", {"reason": reason})
            await move_order(
                tx, self.owner, number, S.SUBMITTING, S.REJECTED, actor=actor, at=now, facts=facts, problem=said
            )
            await need_again(tx, self.owner, number, actor, now, quoting_after=now + self.terms.ask_again)

    async def lose(self, number: str, reason: str, **columns: str) -> None:
        """Nobody knows what became of a send: the order is unknown and keeps its reservation."""
        _log.warning("outcome_unknown", order=number, reason=reason)
        async with self.database.write() as tx:
            await move_order(
                tx,
                self.owner,
                number,
                S.SUBMITTING,
                S.UNKNOWN,
                actor=gateway_actor(self.owner, "port"),
                at=self.clock(),
                facts={"reason": reason},
                next_ask_at=None,
                **columns,
            )

    async def _answered(self, supplier: Supplier, number: str, response: OrderResponse) -> None:
        await self.take_asked(supplier.name, number, response)
        if (await self.row(number)).state == S.SUBMITTING:  # the answer was none, or was for another order
            await self.lose(number, "answer_not_usable")

    async def take(self, supplier: str, answer: Answer, *, actor: Actor | None = None, asked: bool = False) -> str:
        """Keep an answer durably, then apply it; returns its verdict (see `inbox.apply`).

        What was kept and applied before costs a look: suppliers tell the same documents at every poll.
        """
        who = actor or Actor(ActorKind.SUPPLIER, supplier, "port")
        now = self.clock()
        try:
            async with self.database.read() as tx:
                known = await inbox.known(tx, self.owner, supplier, answer, asked=asked)
            if known is not None and known.verdict:
                return known.verdict
            id = known.id if known is not None else await self._keep(supplier, answer, who, now)
        except AnswerBroken as error:
            _log.warning("answer_refused", supplier=supplier, reason=str(error))
            return str(error)
        async with self.database.write() as tx:
            return await inbox.apply(tx, self.owner, id, now, self.terms, asked=asked)

    async def _keep(self, supplier: str, answer: Answer, actor: Actor, now: datetime) -> int:
        async with self.database.write() as tx:
            return (await inbox.receive(tx, self.owner, supplier, answer, actor, now)).id

    async def take_asked(self, supplier: str, number: str, answer: Answer) -> str:
        """Take in what a supplier says when asked about an order; about another one it is as if it came by itself."""
        return await self.take(supplier, answer, asked=answer.reference == number)

    async def row(self, number: str) -> Row[Any]:
        """Return an order's row. Raises `OrderUnknown`."""
        async with self.database.read() as tx:
            return await load_row(tx, self.owner, number)

    async def set(self, number: str, **columns: Any) -> None:
        """Set bookkeeping columns of an order (never its state)."""
        async with self.database.write() as tx:
            await tx.execute(update(purchase_order).where(self._is(number)).values(**columns))

    def _is(self, number: str) -> ColumnElement[bool]:
        return (purchase_order.c.plant == self.owner.plant) & (purchase_order.c.number == number)

    def _later(self, attempts: int) -> datetime:
        return self.clock() + backed_off(self.terms.ask_again, self.terms.ask_again_max, attempts)
