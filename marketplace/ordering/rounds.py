"""One round for one requisition: ask the shelf, then every supplier at once; award, propose, let the gate decide.

What lies free on the plant's own shelf is promised to the requisition, and no money moves; what is on its way to nobody
else and comes in time is waited for, and looked at again until it is here. Only the rest is bought. A service waits for
the parts of its job (`booking`). Before anybody else is asked the requisition is durably `quoting`; a crash in between
only means another round. Offers, award, order number, idempotency key, order, verdict, reservation and audit are one
transaction: there is never an order without the offers that it was chosen from, nor one that nobody has decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import Provenance
from marketplace import stock
from marketplace.acts import record
from marketplace.authority import gate, halts
from marketplace.authority.halts import STOPPED
from marketplace.authority.policy import Decision, Outcome
from marketplace.catalogue import Catalogue
from marketplace.documents import PurchaseOrder, RequestForQuotation
from marketplace.money import plain
from marketplace.netting import Netted
from marketplace.ordering import numbers, proposal, requisition, serving, supply
from marketplace.ordering.booking import booking_of, is_service, join
from marketplace.ordering.decisions import NO_AWARD, award_record
from marketplace.ordering.edges import gateway_actor, move_order, move_requisition
from marketplace.ordering.offers import keep_answers, keep_award
from marketplace.ordering.orders import insert_proposed
from marketplace.ordering.reason import award_terms
from marketplace.ordering.serving import need_again
from marketplace.ordering.shares import NOTHING
from marketplace.ordering.states import ForbiddenTransition, OrderState, RequisitionState
from marketplace.ordering.terms import PurchasingTerms, backed_off
from marketplace.sourcing.award import Award, award, refusals_of
from marketplace.sourcing.quoting import Answer, ask
from marketplace.store import Database, Owner
from marketplace.store import requisition as requisitions
from marketplace.suppliers.supplier import Supplier

S, R = OrderState, RequisitionState


@dataclass(frozen=True, slots=True)
class Round:
    """The `number`-th time that suppliers are asked for a requisition: what, and whom."""

    requisition: str
    number: int
    request: RequestForQuotation
    suppliers: Mapping[str, Supplier]


class Rounds:
    """Runs rounds. Whoever calls holds the requisition's lock."""

    def __init__(
        self,
        database: Database,
        owner: Owner,
        suppliers: Mapping[str, Supplier],
        catalogue: Catalogue,
        terms: PurchasingTerms,
        clock: Callable[[], datetime],
    ) -> None:
        self.database = database
        self.owner = owner
        self.suppliers = suppliers
        self.catalogue = catalogue
        self.terms = terms
        self.clock = clock

    async def run(self, id: str) -> tuple[str | None, Outcome | None]:
        """Return the number of the order that was proposed, and the verdict on it; (None, None) without an order.

        Without an award the requisition is needed again and waits longer each time.
        """
        async with self.database.write() as tx:
            begun = await self.begin(tx, id)
        return await self.finish(begun) if begun is not None else (None, None)

    async def begin(self, tx: AsyncConnection, id: str) -> Round | None:
        """Ask the shelf, or make it durable that suppliers are being asked; None when nobody needs to be."""
        now = self.clock()
        row = await requisition.load(tx, self.owner, id)
        if row is None or row.state not in (R.NEEDED, R.QUOTING):
            return None
        if row.state == R.NEEDED:
            row = await self._ready(tx, row, now)
        if row is None or await self._stopped(tx, row, now):
            return None
        number = await requisition.rounds(tx, id) + 1
        request = proposal.request_for(row, number, self.catalogue, self.terms)
        names = await proposal.may_be_asked(tx, self.owner, id, self.suppliers.keys())
        if row.state == R.NEEDED:
            actor, facts = gateway_actor(self.owner, "timing"), {"round": number, "suppliers": sorted(names)}
            await move_requisition(
                tx, self.owner, id, R.NEEDED, R.QUOTING, actor=actor, at=now, facts=facts, quoting_after=None
            )
        return Round(id, number, request, {name: self.suppliers[name] for name in sorted(names)})

    async def _stopped(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> bool:
        """Return whether a stop covers the want: it waits as needed, and nobody is asked for a price."""
        halt = await halts.over_want(tx, self.owner, row.machine, row.component)
        if halt is not None and row.state == R.QUOTING:
            actor, facts = gateway_actor(self.owner, "policy"), {"code": STOPPED, "parameters": halt.parameters}
            await move_requisition(tx, self.owner, row.id, R.QUOTING, R.NEEDED, actor=actor, at=now, facts=facts)
        return halt is not None

    async def finish(self, begun: Round) -> tuple[str | None, Outcome | None]:
        """Ask the suppliers of a round that is durably begun, and conclude it; returns what `run` does."""
        answers = await ask(begun.suppliers, begun.request, self.terms.quote_deadline, now=self.clock())
        try:
            return await self._conclude(begun.requisition, begun.number, begun.request, answers)
        except ForbiddenTransition:  # withdrawn while suppliers were thinking: nothing was proposed
            return None, None

    async def _ready(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> Row[Any] | None:
        """Return a want as far as suppliers are to be asked for it, None where they are not, or not yet."""
        reason = proposal.reason_of(row)
        if not is_service(reason):
            return await self._netted(tx, row, now)
        booking = booking_of(reason)
        windows = self.terms.windows.of(row.machine)
        if booking is None or await join(tx, self.owner, row, booking, windows, now) is not None:
            return await self._again(tx, row)
        await self._look_later(tx, row, now)
        return None

    async def _netted(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> Row[Any] | None:
        """Leave to a want what there is for it; return it as far as it must be bought, None where nothing need be."""
        found = await supply.netted(tx, self.owner, row, now)
        wanted, actor = row.quantity, gateway_actor(self.owner, "stock")
        if found.on_shelf == wanted:
            await self._from_the_shelf(tx, row, now)
            return None
        if found.on_shelf > NOTHING:
            part = await serving.split_off(tx, self.owner, row, found.on_shelf, actor, now)
            await self._from_the_shelf(tx, part, now)
        if found.coming > NOTHING:
            waits = row if found.missing == NOTHING else None
            if waits is None:
                waits = await serving.split_off(tx, self.owner, await self._again(tx, row), found.coming, actor, now)
            await self._wait_for(tx, waits, found, now)
        return await self._again(tx, row) if found.missing > NOTHING else None

    async def _again(self, tx: AsyncConnection, row: Row[Any]) -> Row[Any]:
        found = await requisition.load(tx, self.owner, row.id)
        assert found is not None  # no requisition is ever deleted
        return found

    async def _from_the_shelf(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> None:
        """Promise to a life's want what lies free."""
        actor, wanted = gateway_actor(self.owner, "stock"), requisition.quantity_of(row)
        promised = await stock.reserve(tx, self.owner, row.item, wanted, row.id, actor, now)
        assert promised  # it was counted in this very transaction
        await move_requisition(
            tx, self.owner, row.id, R.NEEDED, R.FULFILLED, actor=actor, at=now, facts={"from": "stock"}
        )

    async def _wait_for(self, tx: AsyncConnection, row: Row[Any], found: Netted, now: datetime) -> None:
        """Look again after a while: it may be here by then, or its supplier may have slipped. Told once."""
        await self._look_later(tx, row, now)
        if row.quoting_after is None:
            orders = {each.order: plain(each.amount) for each in found.on_its_way}
            actor = gateway_actor(self.owner, "stock")
            await record(tx, self.owner, "requisition", row.id, "waits", actor, now, {"orders": orders})

    async def _look_later(self, tx: AsyncConnection, row: Row[Any], now: datetime) -> None:
        mine = (requisitions.c.plant == self.owner.plant) & (requisitions.c.id == row.id)
        await tx.execute(update(requisitions).where(mine).values(quoting_after=now + self.terms.requote_after))

    async def _conclude(
        self, id: str, round: int, request: RequestForQuotation, answers: list[Answer]
    ) -> tuple[str | None, Outcome | None]:
        """One transaction from the offers to a decided order, or back to needed."""
        now = self.clock()
        async with self.database.write() as tx:
            row = await requisition.load(tx, self.owner, id)
            assert row is not None  # no requisition is ever deleted
            weighed = award_terms(proposal.reason_of(row), self.terms.approval)
            offers = [answer.quotation for answer in answers if answer.quotation is not None]
            awarded = award(offers, request, weighed, now)
            refusals = awarded.refusals if awarded else refusals_of(offers, request, weighed, now)
            decided = award_record(
                row.reason, request, offers, weighed, awarded, refusals, now, round=round, software=self.terms.software
            )
            await keep_answers(tx, self.owner, id, round, answers, refusals, now)
            if awarded is None:
                await self._no_award(tx, id, decided, now)
                return None, None
            await keep_award(tx, self.owner, id, round, awarded)
            return await self._propose(tx, row, request, awarded, decided, now)

    async def _no_award(self, tx: AsyncConnection, id: str, decided: Mapping[str, Any], now: datetime) -> None:
        later = now + backed_off(self.terms.requote_after, self.terms.denied_again, decided["round"])
        await move_requisition(
            tx,
            self.owner,
            id,
            R.QUOTING,
            R.NEEDED,
            actor=gateway_actor(self.owner, "award"),
            at=now,
            facts={**decided, "code": NO_AWARD},
            quoting_after=later,
        )

    async def _propose(
        self,
        tx: AsyncConnection,
        row: Row[Any],
        request: RequestForQuotation,
        awarded: Award,
        decided: Mapping[str, Any],
        now: datetime,
    ) -> tuple[str, Outcome]:
        number = await numbers.draw(tx, self.owner)
        order = proposal.order_for(number, self.owner, awarded.chosen, request, self.terms, now, row)
        actor = gateway_actor(self.owner, "award")
        provenance = Provenance(row.provenance)
        shares = proposal.shares_in(order, row)
        await serving.require_room(tx, self.owner, row, sum((each.quantity for each in shares), start=NOTHING))
        await insert_proposed(
            tx,
            self.owner,
            order,
            shares,
            machine=row.machine,
            provenance=provenance,
            at=now,
            attempt_group=row.attempt_group,
        )
        facts = {
            "order_hash": order.hash,
            "supplier": order.supplier,
            "total": str(order.total),
            "requisition": row.id,
            "attempt_group": row.attempt_group,
        }
        await record(tx, self.owner, "order", number, S.PROPOSED, actor, now, facts)
        facts = {**decided, "order": number}
        await move_requisition(tx, self.owner, row.id, R.QUOTING, R.PROPOSED, actor=actor, at=now, facts=facts)
        return number, await self.judge(tx, order, row, now)

    async def judge(self, tx: AsyncConnection, order: PurchaseOrder, behind: Row[Any], now: datetime) -> Outcome:
        """Let the gate decide on a proposed order, and move it where the verdict says. `behind`: its requisition."""
        told = await proposal.circumstances_of(tx, self.owner, order, behind, now)
        decision = await gate.judge(tx, self.owner, order, told, now, software=self.terms.software)
        version = await proposal.policy_in_force(tx, self.owner)
        columns: dict[str, Any] = {"rule": decision.rule, "policy_version": version}
        actor, facts = gateway_actor(self.owner, "policy"), decision_facts(decision)
        if decision.outcome is not Outcome.ASK:
            columns |= {"authority": "policy", "decided_by": self.owner.gateway_id}
        after = {Outcome.APPROVE: S.APPROVED, Outcome.ASK: S.AWAITING_APPROVAL, Outcome.DENY: S.DENIED}
        await move_order(
            tx,
            self.owner,
            order.number,
            S.PROPOSED,
            after[decision.outcome],
            actor=actor,
            at=now,
            facts=facts,
            **columns,
        )
        if decision.outcome is Outcome.DENY:
            # a stop is asked about at each round, so the want need not wait for anything else, and others may serve it
            later = None if decision.rule == STOPPED else now + self.terms.denied_again
            await need_again(tx, self.owner, order.number, actor, now, quoting_after=later)
        return decision.outcome


def decision_facts(decision: Decision) -> dict[str, Any]:
    """Return a decision as an audit leaf holds it."""
    return {"rule": decision.rule, "parameters": dict(decision.parameters)}
