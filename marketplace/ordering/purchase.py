"""The acts of purchasing: want, quote, approve, deny, cancel, resolve. One place where a need becomes an order.

Each act is thin: one durable transaction walks an edge, and what follows from it is done at once. An order that the
policy allows is sent without waiting for any schedule; whatever a crash or a silent supplier leaves behind is taken
up by `reconciliation`, which calls the same methods. Acts on one order wait for each other; two orders never do.
A refusal is an `Act` with a stable code; exceptions are for what should not happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog
from sqlalchemy import update

from maintenance.needs import JobLine, Need
from marketplace import fulfilment
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.authority.alarms import AlarmCode, acted_on
from marketplace.authority.gate import Approver
from marketplace.authority.policy import Mode, Outcome
from marketplace.catalogue import Catalogue
from marketplace.documents import SupplierDocument
from marketplace.identity import new_id
from marketplace.money import Money
from marketplace.ordering import closing, inbox, proposal, quarantine, requisition
from marketplace.ordering.answers import PARTLY_CONFIRMED
from marketplace.ordering.edges import (
    gateway_actor,
    move_order,
    problem_code,
    withdraw_requisition,
)
from marketplace.ordering.orders import load
from marketplace.ordering.requisition import Raised, Raising, Want
from marketplace.ordering.rounds import Rounds, decision_facts
from marketplace.ordering.sending import Locks, Sending
from marketplace.ordering.serving import need_again, withdraw_wants
from marketplace.ordering.states import UNSENT, OrderState, RequisitionState
from marketplace.ordering.suspension import reinstate
from marketplace.ordering.terms import PurchasingTerms
from marketplace.settings import BuyingSettings
from marketplace.store import Database, Owner
from marketplace.store import requisition as requisitions
from marketplace.suppliers.supplier import OutcomeUnknown, Supplier, SupplierError
from marketplace.timing import Advice
from marketplace.windows import PlantWindows

__all__ = ["Act", "Purchasing", "PurchasingTerms"]

S, R = OrderState, RequisitionState
_log = structlog.get_logger()

VERDICTS: Final = frozenset({S.CONFIRMED, S.NOT_PLACED, S.CANCELLED})
"""What a person may find out about an order that needs one: the supplier has it on our terms, never had it, or it is
off. Other terms are another order: cancel this one, and the want is quoted afresh."""


@dataclass(frozen=True, slots=True)
class Act:
    """What became of an act: whether it was done, and the stable code and figures of why (not)."""

    ok: bool
    code: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class Purchasing:
    """Buys for one gateway. Built once; holds locks and nothing else that a restart would miss.

    held: whether nothing may be raised, quoted, judged or sent now; what is open is still asked about.
    """

    def __init__(
        self,
        database: Database,
        owner: Owner,
        suppliers: Mapping[str, Supplier],
        catalogue: Catalogue,
        terms: PurchasingTerms,
        clock: Callable[[], datetime],
        *,
        held: Callable[[], bool] = bool,
    ) -> None:
        self.database = database
        self.owner = owner
        self.suppliers = suppliers
        self.catalogue = catalogue
        self.terms = terms
        self.clock = clock
        self.held = held
        self.locks = Locks()
        self.sending = Sending(database, owner, suppliers, terms, clock, held=held)
        self.rounds = Rounds(database, owner, suppliers, catalogue, terms, clock)

    def open_in(self, windows: PlantWindows) -> None:
        """Book services in these maintenance windows from now on; what is booked stays as it is."""
        self.terms = self.rounds.terms = replace(self.terms, windows=windows)

    # A need asks.

    async def want(
        self, need: Need, line: JobLine, advice: Advice, mode: Mode, economics: BuyingSettings
    ) -> Raised | None:
        """Want one job line now that timing says buy; None where the advice or the mode says not to.

        The shelf is asked first. Otherwise suppliers are, and it returns when an order is proposed and, if the policy
        allows it, sent. A want that stands already is returned as it is: its path is reconciliation's.
        """
        if line not in advice.wants(need.lines) or mode in (Mode.WATCH, Mode.ADVISE) or self.held():
            return None
        actor = Actor(ActorKind.MACHINE, need.machine, "telemetry")
        return await self.want_now(
            requisition.want_of(need, line, advice, mode, economics, actor.id, self.clock()), actor
        )

    async def want_now(self, want: Want, actor: Actor, *, override: bool = False) -> Raised:
        """Raise a want and follow it as far as it goes by itself; `override` is a named person's."""
        id = new_id()
        async with self.locks.of(id):
            async with self.database.write() as tx:
                raised = await requisition.raise_requisition(
                    tx, self.owner, want, actor, self.clock(), id=id, override=override
                )
                begun = await self.rounds.begin(tx, id) if raised.outcome is Raising.RAISED else None
            if begun is None:
                return raised
            number, outcome = await self.rounds.finish(begun)
        if number is not None and outcome is Outcome.APPROVE:
            await self.submit(number)
        return raised

    async def quote(self, id: str) -> str | None:
        """Ask the shelf, then all suppliers at once; award, propose, and send what the policy allows.

        Returns the number of the order, None if there is none (yet).
        """
        if self.held():
            return None
        async with self.locks.of(id):
            number, outcome = await self.rounds.run(id)
        if number is not None and outcome is Outcome.APPROVE:
            await self.submit(number)
        return number

    async def judge_again(self, number: str) -> None:
        """Ask the gate about an order that was proposed and never decided, and send it if it may be."""
        if self.held():
            return
        async with self.locks.of(number), self.database.write() as tx:
            stored = await load(tx, self.owner, number)
            if stored.state is not S.PROPOSED:
                return
            behind = await proposal.requisition_behind(tx, stored.order)
            outcome = await self.rounds.judge(tx, stored.order, behind, self.clock())
        if outcome is Outcome.APPROVE:
            await self.submit(number)

    async def reconsider(self) -> None:
        """A policy was applied: what the old one denied need not wait any longer."""
        waiting = (
            (requisitions.c.plant == self.owner.plant)
            & (requisitions.c.gateway_id == self.owner.gateway_id)
            & (requisitions.c.state == R.NEEDED)
        )
        async with self.database.write() as tx:
            await tx.execute(update(requisitions).where(waiting).values(quoting_after=None))

    async def submit(self, number: str) -> None:
        """Send an approved order, if it may still be sent."""
        async with self.locks.of(number):
            await self.sending.send(number)

    # A person acts.

    async def approve(self, number: str, order_hash: str, approver: Approver, method: str, note: str = "") -> Act:
        """A named person signs exactly the order of this hash; it is sent at once. Raises `OrderUnknown`."""
        async with self.locks.of(number):
            now = self.clock()
            async with self.database.write() as tx:
                stored = await load(tx, self.owner, number)
                behind = await proposal.requisition_behind(tx, stored.order)
                decision = await gate.allow(
                    tx,
                    self.owner,
                    stored.order,
                    approver,
                    behind.asked_by,
                    order_hash,
                    method,
                    note,
                    now,
                    software=self.terms.software,
                )
                if decision.outcome is not Outcome.APPROVE:
                    return Act(False, decision.rule, decision.parameters)
                person = Actor(ActorKind.PERSON, approver.id, method)
                await move_order(
                    tx,
                    self.owner,
                    number,
                    S.AWAITING_APPROVAL,
                    S.APPROVED,
                    actor=person,
                    at=now,
                    facts=decision_facts(decision),
                    authority="person",
                    decided_by=approver.id,
                    rule=decision.rule,
                    problem="",
                )
            await self.sending.send(number)
        return Act(True, decision.rule, decision.parameters)

    async def deny(self, number: str, order_hash: str, person: Actor, note: str = "") -> Act:
        """A named person refuses exactly the order of this hash; the want stays quiet for a while."""
        async with self.locks.of(number), self.database.write() as tx:
            now, stored = self.clock(), await load(tx, self.owner, number)
            if stored.state is not S.AWAITING_APPROVAL:
                return Act(False, "ALREADY_DECIDED", {"order": number})
            if order_hash != stored.order.hash:
                return Act(False, "ORDER_CHANGED", {"order": number})
            await gate.refuse(tx, self.owner, number, order_hash, person.id, person.method, note, now)
            await move_order(
                tx,
                self.owner,
                number,
                S.AWAITING_APPROVAL,
                S.DENIED,
                actor=person,
                at=now,
                authority="person",
                decided_by=person.id,
                rule="DENIED_BY_PERSON",
            )
            await withdraw_wants(tx, self.owner, number, person, now, self.terms.hold)
        return Act(True, "DENIED_BY_PERSON", {"order": number})

    async def cancel(self, number: str, person: Actor) -> Act:
        """A named person calls an order off: at once if nothing was sent, else the supplier is asked."""
        async with self.locks.of(number):
            now = self.clock()
            async with self.database.write() as tx:
                stored = await load(tx, self.owner, number)
                if stored.state in UNSENT:
                    await move_order(tx, self.owner, number, stored.state, S.CANCELLED, actor=person, at=now)
                    await withdraw_wants(tx, self.owner, number, person, now, self.terms.hold)
                    return Act(True, "CANCELLED", {"order": number})
                supplier = self.suppliers.get(stored.order.supplier)
                if stored.state is not S.CONFIRMED or supplier is None or not supplier.capabilities.cancel:
                    return Act(False, "NOT_CANCELLABLE", {"order": number, "state": str(stored.state)})
                await move_order(tx, self.owner, number, S.CONFIRMED, S.CANCELLING, actor=person, at=now)
            return await self._cancel_there(number, supplier)

    async def _cancel_there(self, number: str, supplier: Supplier) -> Act:
        try:
            async with asyncio.timeout(self.terms.wire_timeout.total_seconds()):
                response = await supplier.cancel(number)
        except OutcomeUnknown:  # reconciliation asks what became of it
            return Act(False, "CANCELLATION_UNKNOWN", {"order": number})
        except SupplierError as error:
            actor = gateway_actor(self.owner, "port")
            async with self.database.write() as tx:
                await move_order(
                    tx, self.owner, number, S.CANCELLING, S.CONFIRMED, actor=actor, at=self.clock(), facts={}
                )
            return Act(False, "CANCELLATION_REFUSED", {"order": number, "reason": str(error)[:200]})
        except Exception as error:
            _log.warning("cancellation_broke", order=number, error=type(error).__name__)
            return Act(False, "CANCELLATION_UNKNOWN", {"order": number})
        await self.sending.take_asked(supplier.name, number, response)
        state = (await self.sending.row(number)).state
        return Act(state == S.CANCELLED, f"ORDER_{state.upper()}", {"order": number})

    async def resolve(self, number: str, verdict: OrderState, person: Actor, reason: str) -> Act:
        """A named person says what became of an order that needs one, or whose outcome is unknown; with a reason.

        Only "not placed", said here, opens another attempt group: nothing that the program finds out does.
        """
        async with self.locks.of(number), self.database.write() as tx:
            now, stored = self.clock(), await load(tx, self.owner, number)
            if verdict not in VERDICTS or stored.state not in (S.NEEDS_PERSON, S.UNKNOWN):
                return Act(False, "NOT_RESOLVABLE", {"order": number, "state": str(stored.state)})
            if not reason.strip():
                return Act(False, "REASON_MISSING", {"order": number})
            if stored.state is S.UNKNOWN and verdict is S.CANCELLED:
                return Act(False, "NOT_RESOLVABLE", {"order": number, "state": str(stored.state)})
            facts = {"note": await log.note(tx, self.owner, reason)}
            await move_order(
                tx,
                self.owner,
                number,
                stored.state,
                verdict,
                actor=person,
                at=now,
                facts=facts,
                problem="",
                next_ask_at=None,
            )
            await acted_on(tx, self.owner, AlarmCode.OUTCOME_OPEN, number, person, now)
            if verdict is S.CONFIRMED:
                await inbox.confirm_lines(tx, self.owner, stored)
            else:
                await inbox.goods_will_not_come(tx, self.owner, stored)
                new_attempt = verdict is S.NOT_PLACED
                await need_again(tx, self.owner, number, person, now, quoting_after=None, new_attempt=new_attempt)
        return Act(True, f"ORDER_{verdict.upper()}", {"order": number})

    async def accept_part(self, number: str, person: Actor, reason: str) -> Act:
        """A named person takes the part that a supplier confirmed; what it left out is needed again by itself."""
        async with self.locks.of(number), self.database.write() as tx:
            now, stored = self.clock(), await load(tx, self.owner, number)
            if stored.state is not S.NEEDS_PERSON or problem_code(stored.row.problem) != PARTLY_CONFIRMED:
                return Act(False, "NOT_PARTLY_CONFIRMED", {"order": number})
            if not reason.strip():
                return Act(False, "REASON_MISSING", {"order": number})
            facts = {"part": True, "note": await log.note(tx, self.owner, reason)}
            await move_order(
                tx, self.owner, number, S.NEEDS_PERSON, S.CONFIRMED, actor=person, at=now, facts=facts, problem=""
            )
            await inbox.take_part(tx, self.owner, stored, person, now)
        return Act(True, "ORDER_CONFIRMED", {"order": number})

    async def settle(self, number: str, person: Actor, reason: str, paid: Money | None = None) -> Act:
        """A named person settles a dispute, or does without an invoice; `paid`: None for all that was agreed."""
        async with self.locks.of(number), self.database.write() as tx:
            now, stored = self.clock(), await load(tx, self.owner, number)
            code = await closing.settle(tx, self.owner, stored, person, now, reason, paid)
        return Act(code == closing.SETTLED, code, {"order": number, "state": str(stored.state), "paid": str(paid)})

    async def release(self, subject: str, person: Actor) -> Act:
        """A named person lets a quarantined order or requisition be taken up again, or has seen what is noted on it."""
        async with self.locks.of(subject), self.database.write() as tx:
            done = await quarantine.release(tx, self.owner, subject, person, self.clock())
        return Act(done, "RELEASED" if done else "NOT_QUARANTINED", {"order": subject})

    async def answered(self, document: SupplierDocument, person: Actor) -> Act:
        """A named person enters what a supplier said about an order, on the phone or on paper."""
        number = document.reference
        async with self.locks.of(number):
            row = await self.sending.row(number)
            if row.state in UNSENT:
                return Act(False, "NOT_SENT_YET", {"order": number, "state": row.state})
            verdict = await self.sending.take(row.supplier, document, actor=person)
        return Act(verdict == inbox.APPLIED, verdict or "WAITS", {"order": number})

    async def received(
        self, number: str, quantities: Mapping[int, Decimal] | None, person: Actor, note: str = ""
    ) -> Act:
        """A named person checked goods in: quantities by line, None for all that is outstanding."""
        async with self.locks.of(number), self.database.write() as tx:
            verdict = await fulfilment.receive_goods(
                tx, self.owner, number, quantities, person, self.clock(), self.terms, note
            )
        return Act(verdict == inbox.APPLIED, verdict, {"order": number})

    async def withdraw(self, id: str, person: Actor) -> Act:
        """A named person withdraws a want of which nothing was proposed; its slot stays quiet for a while."""
        async with self.locks.of(id), self.database.write() as tx:
            row = await requisition.load(tx, self.owner, id)
            if row is None or row.state not in (R.NEEDED, R.QUOTING):
                return Act(False, "NOT_WITHDRAWABLE", {"requisition": id})
            await withdraw_requisition(tx, self.owner, id, R(row.state), person, self.clock(), self.terms.hold)
        return Act(True, "WITHDRAWN", {"requisition": id})

    async def reinstate(self, supplier: str, person: Actor) -> Act:
        """A named person lets a suspended supplier be asked again."""
        async with self.database.write() as tx:
            done = await reinstate(tx, self.owner, supplier, person, self.clock())
        return Act(done, "REINSTATED" if done else "NOT_SUSPENDED", {"supplier": supplier})
