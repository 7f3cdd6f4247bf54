"""The gate end to end on a real database: what it allows, books and records, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from maintenance.needs import Provenance
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.verify import verify
from marketplace.authority import gate, ledger
from marketplace.authority.approval import Approver
from marketplace.authority.gate import GateClosed, PermitRefused
from marketplace.authority.policy import Outcome
from marketplace.money import Money, Quantity
from marketplace.ordering.states import Effect
from marketplace.store import approval, audit_tree, booking, budget, free_text, purchase_order
from marketplace.store import permit as permit_table


class Plant:
    """A plant with an applied policy; every act is a transaction of its own."""

    def __init__(self, spend, owner, now, anna, store_order, move, make_order, circumstances):
        self.spend, self.owner, self.now, self.anna = spend, owner, now, anna
        self.store, self.move, self.make, self.told = store_order, move, make_order, circumstances

    async def apply(self, document, at=None):
        async with self.spend.write() as tx:
            return await gate.apply_policy(tx, self.owner, document, self.anna, at or self.now)

    async def judge(self, order, told=None, at=None):
        async with self.spend.write() as tx:
            await self.store(tx, order)
            return await gate.judge(tx, self.owner, order, told or self.told, at or self.now, software="0.1.0")

    async def allow(self, order, person=None, *, state="awaiting_approval", asked_by="G1", hash=None, note="", at=None):
        async with self.spend.write() as tx:
            await self.store(tx, order, state)
            return await gate.allow(
                tx,
                self.owner,
                order,
                person or self.anna,
                asked_by,
                hash or order.hash,
                "web",
                note,
                at or self.now,
            )

    async def say_proposed(self, order):
        """Write the leaf that `ordering` writes when it proposes."""
        async with self.spend.write() as tx:
            actor, facts = Actor(ActorKind.GATEWAY, "G1", "award"), {"order_hash": order.hash}
            await log.append(tx, self.owner, "order.proposed", order.number, actor, facts, self.now)

    async def set(self, number, **columns):
        async with self.spend.write() as tx:
            await self.move(tx, number, **columns)

    async def permit(self, number, at=None, **changes):
        async with self.spend.write() as tx:
            row = (await tx.execute(select(purchase_order).where(purchase_order.c.number == number))).one()
            return await gate.permit(tx, self.owner, row, at or self.now, **changes)

    async def settle(self, number, effect):
        async with self.spend.write() as tx:
            await gate.settle(tx, self.owner, number, effect, self.now)

    async def rows(self, table):
        async with self.spend.read() as connection:
            return (await connection.execute(select(table))).all()

    async def leaves(self, subject=None):
        async with self.spend.read() as connection:
            return await log.entries(connection, subject)

    async def verified(self):
        async with self.spend.read() as connection:
            return await verify(connection)


@pytest.fixture
async def plant(spend, owner, now, anna, store_order, move, make_order, circumstances, policy_document):
    plant = Plant(spend, owner, now, anna, store_order, move, make_order, circumstances)
    await plant.apply(policy_document)
    return plant


@pytest.fixture
def order(make_order):
    return make_order()


async def test_what_the_policy_approves_is_reserved_and_recorded(plant, order):
    decision = await plant.judge(order)
    assert (decision.outcome, decision.rule) == (Outcome.APPROVE, "WITHIN_LIMITS")
    [row], [held] = await plant.rows(booking), await plant.rows(budget)
    assert (row.order_number, row.minor, row.state, row.by_person) == (order.number, 132_00, "reserved", False)
    assert (held.machine_minor, held.limit_minor) == (132_00, 2000_00)
    [leaf] = await plant.leaves(order.number)
    assert leaf.kind == "decision.made"
    assert leaf.facts["order_hash"] == order.hash
    assert leaf.facts["policy"]["version"] == 1
    assert leaf.facts["policy"]["mandate"]
    assert leaf.facts["software"] == "0.1.0"
    assert leaf.facts["inputs"]["component"] == "mill/spindle-bearing"
    assert leaf.facts["inputs_hash"] == plant.told.hash


async def test_what_asks_books_nothing(plant, order):
    decision = await plant.judge(order, replace(plant.told, provenance=Provenance.B))
    assert (decision.outcome, decision.rule) == (Outcome.ASK, "PROVENANCE_B")
    assert await plant.rows(booking) == []


async def test_without_a_policy_the_gate_is_shut(spend, owner, now, order, store_order, circumstances):
    async with spend.write() as tx:
        await store_order(tx, order)
        decision = await gate.judge(tx, owner, order, circumstances, now)
        assert (decision.outcome, decision.rule) == (Outcome.DENY, "NO_POLICY")
        [leaf] = await log.entries(tx, order.number)
    assert leaf.facts["policy"] == {"version": 0, "hash": "", "mandate": ""}


async def test_a_full_window_turns_approval_into_a_question(plant, make_order):
    four = replace(plant.told, wanted={1: Quantity(Decimal(6), "C62")})
    verdicts = []
    for number in range(6):
        made = make_order(f"G1-{number}", quantity="6")
        verdicts.append((await plant.judge(made, four)).rule)
    assert verdicts == ["WITHIN_LIMITS"] * 5 + ["PERIOD_LIMIT_EXCEEDED"]
    [held] = await plant.rows(budget)
    assert held.machine_minor == 5 * 378_00 <= held.limit_minor


async def test_an_order_that_is_not_stored_as_it_is_is_not_decided(plant, order, make_order, spend, owner, now):
    other = make_order(price="61.51")
    async with spend.write() as tx:
        with pytest.raises(GateClosed, match="not stored"):
            await gate.judge(tx, owner, order, plant.told, now)
        await plant.store(tx, order)
        for each in (other, replace(order, plant="elsewhere")):
            with pytest.raises(GateClosed, match="not stored"):
                await gate.judge(tx, owner, each, plant.told, now)
            with pytest.raises(GateClosed, match="not stored"):
                await gate.allow(tx, owner, each, plant.anna, "G1", each.hash, "web", "", now)


async def test_only_a_proposal_for_its_own_machine_is_judged(plant, order, spend, owner, now):
    async with spend.write() as tx:
        await plant.store(tx, order)
        with pytest.raises(GateClosed, match="not a proposal"):
            await gate.judge(tx, owner, order, replace(plant.told, machine="press"), now)
        await plant.move(tx, order.number, state="approved")
        with pytest.raises(GateClosed, match="not a proposal"):
            await gate.judge(tx, owner, order, plant.told, now)


async def test_a_person_allows_what_the_policy_would_not(plant, make_order):
    dear = make_order(price="900")
    decision = await plant.allow(dear, note="call first")
    assert (decision.outcome, decision.rule) == (Outcome.APPROVE, "APPROVED_BY_PERSON")
    [row], [held], [signed] = await plant.rows(booking), await plant.rows(budget), await plant.rows(approval)
    assert (row.minor, row.by_person) == (1809_00, True)
    assert (held.machine_minor, held.person_minor) == (0, 1809_00)
    assert (signed.person, signed.verdict, signed.order_hash, signed.method) == ("anna", "approve", dear.hash, "web")
    [leaf] = await plant.leaves(dear.number)
    assert leaf.kind == "approval.given"
    [text] = await plant.rows(free_text)
    assert text.text == "call first"
    assert leaf.facts["note"] == signed.note == text.digest
    assert "call first" not in str(leaf.facts)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"state": "approved"}, "ALREADY_DECIDED"),
        ({"person": Approver("bob", may_approve=False, limit=Money(10**9, "EUR"))}, "NOT_AUTHORISED"),
        ({"person": Approver("bob", may_approve=True, limit=Money(1, "EUR"))}, "OWN_LIMIT_EXCEEDED"),
        ({"asked_by": "anna"}, "SELF_APPROVAL"),
        ({"hash": "0" * 64}, "ORDER_CHANGED"),
    ],
)
async def test_an_approval_that_does_not_count_books_nothing_and_is_on_record(plant, order, change, rule):
    decision = await plant.allow(order, **change)
    assert (decision.outcome, decision.rule) == (Outcome.DENY, rule)
    assert await plant.rows(booking) == await plant.rows(approval) == []
    [leaf] = await plant.leaves(order.number)
    assert (leaf.kind, leaf.facts["verdict"]["rule"]) == ("approval.blocked", rule)


async def test_an_expired_quotation_cannot_be_approved(plant, order):
    assert (await plant.allow(order, at=order.quoted_until)).rule == "QUOTATION_EXPIRED"


async def test_without_a_mandate_a_person_cannot_spend_either(plant, order):
    await plant.apply({"schema": 1})
    assert (await plant.allow(order)).rule == "NO_MANDATE"
    assert await plant.rows(booking) == []


async def test_what_persons_approve_is_booked_where_there_is_no_window_too(plant, order, policy_document):
    await plant.apply({**policy_document, "window": None})
    assert (await plant.allow(order)).outcome is Outcome.APPROVE
    [held] = await plant.rows(budget)
    assert (held.limit_minor, held.person_minor) == (0, 132_00)


async def test_another_currency_is_booked_in_its_own_budget(plant, make_order):
    dollars = make_order("G1-USD", currency="USD")
    await plant.say_proposed(dollars)
    rich = Approver("bob", may_approve=True, limit=Money(10**6, "USD"))
    assert (await plant.allow(dollars, rich)).outcome is Outcome.APPROVE
    [held] = await plant.rows(budget)
    assert (held.scope, held.limit_minor, held.person_minor) == ("machine:mill:USD", 0, 132_00)
    assert (await plant.verified()).verified


async def test_a_persons_no_is_kept(plant, order, spend, owner, now):
    async with spend.write() as tx:
        await plant.store(tx, order, "awaiting_approval")
        await gate.refuse(tx, owner, order.number, order.hash, "anna", "web", "too dear", now)
    [signed] = await plant.rows(approval)
    [leaf] = await plant.leaves(order.number)
    assert (signed.verdict, leaf.kind, leaf.actor.id) == ("deny", "approval.refused", "anna")
    await plant.say_proposed(order)
    assert (await plant.verified()).verified


async def test_a_permit_carries_exactly_what_is_stored(plant, order, now):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    permit = await plant.permit(order.number)
    assert (permit.supplier, permit.reference, permit.key) == (order.supplier, order.number, "key-G1-0001-A")
    assert (permit.order_hash, permit.request_bytes) == (order.hash, b"<order/>")
    assert permit.ends_at == now + timedelta(minutes=5)
    [row] = await plant.rows(permit_table)
    assert (row.id, row.send, row.ends_at) == (permit.id, 1, permit.ends_at)
    assert (await plant.leaves(order.number))[-1].facts["permit"] == permit.id
    assert (await plant.verified()).verified


async def test_a_permit_ends_with_the_quotation_at_the_latest(plant, order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    assert (await plant.permit(order.number, lasts=timedelta(days=99))).ends_at == order.quoted_until


async def test_there_is_one_permit_for_each_send(plant, order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number)
    with pytest.raises(IntegrityError):
        await plant.permit(order.number)
    await plant.set(order.number, state="unknown", sends=1)
    await plant.permit(order.number)
    assert [row.send for row in await plant.rows(permit_table)] == [1, 2]


@pytest.mark.parametrize("state", ["proposed", "awaiting_approval", "submitted", "confirmed", "cancelled"])
async def test_what_is_not_about_to_be_sent_gets_no_permit(plant, order, state):
    await plant.judge(order)
    await plant.set(order.number, state=state)
    with pytest.raises(PermitRefused, match="nothing to send"):
        await plant.permit(order.number)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"request_bytes": None}, "nothing to send"),
        ({"document": "{}"}, "changed after"),
        ({"total_minor": 1}, "no reservation"),
    ],
)
async def test_a_row_that_was_changed_gets_no_permit(plant, order, change, why):
    await plant.judge(order)
    await plant.set(order.number, state="approved", **change)
    with pytest.raises(PermitRefused, match=why):
        await plant.permit(order.number)
    assert await plant.rows(permit_table) == []


async def test_an_expired_quotation_gets_no_permit(plant, order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    with pytest.raises(PermitRefused, match="expired"):
        await plant.permit(order.number, at=order.quoted_until)


async def test_a_withdrawn_mandate_stops_what_was_approved_but_not_sent(plant, order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    await plant.apply({"schema": 1})
    with pytest.raises(PermitRefused, match="NO_MANDATE"):
        await plant.permit(order.number)


@pytest.mark.parametrize("effect", [Effect.RELEASE, Effect.COMMIT])
async def test_without_a_reservation_there_is_no_permit(plant, order, effect):
    await plant.judge(order)
    await plant.settle(order.number, effect)
    await plant.set(order.number, state="approved")
    with pytest.raises(PermitRefused, match="no reservation"):
        await plant.permit(order.number)


async def test_another_order_under_an_approved_number_gets_no_permit(plant, order, make_order):
    twin = make_order(price="31.50", freight=Money(6900, "EUR"))
    assert twin.total == order.total
    await plant.judge(order)
    forged = {"document": log.canonical(twin.document()).decode(), "order_hash": twin.hash}
    await plant.set(order.number, state="approved", **forged)
    with pytest.raises(PermitRefused, match="allowed by nobody"):
        await plant.permit(order.number)


async def test_another_order_under_a_signed_number_gets_no_permit(plant, order, make_order):
    twin = make_order(price="31.50", freight=Money(6900, "EUR"))
    await plant.allow(order)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number)
    forged = {"document": log.canonical(twin.document()).decode(), "order_hash": twin.hash}
    await plant.set(order.number, sends=1, **forged)
    with pytest.raises(PermitRefused, match="allowed by nobody"):
        await plant.permit(order.number)


async def test_an_order_that_was_asked_about_is_not_sent_by_moving_its_state(plant, order):
    await plant.judge(order, replace(plant.told, provenance=Provenance.B))
    await plant.set(order.number, state="approved")
    with pytest.raises(PermitRefused, match="no reservation"):
        await plant.permit(order.number)


async def test_settling_follows_the_edges_and_is_recorded_once(plant, order):
    await plant.judge(order)
    for effect in (Effect.NONE, Effect.RESERVE, Effect.COMMIT, Effect.COMMIT, Effect.RELEASE, Effect.RELEASE):
        await plant.settle(order.number, effect)
    assert [leaf.kind for leaf in await plant.leaves(order.number)] == [
        "decision.made",
        "budget.committed",
        "budget.released",
    ]
    [held] = await plant.rows(budget)
    assert held.machine_minor == 0
    assert (await plant.leaves(order.number))[-1].facts["amount"] == "132.00 EUR"


async def test_nothing_is_approved_without_a_reservation(plant, order):
    await plant.judge(order, replace(plant.told, provenance=Provenance.B))
    with pytest.raises(ledger.LedgerBroken, match="without a reservation"):
        await plant.settle(order.number, Effect.RESERVE)
    await plant.set(order.number, state="awaiting_approval")
    async with plant.spend.write() as tx:
        await gate.allow(tx, plant.owner, order, plant.anna, "G1", order.hash, "web", "", plant.now)
    await plant.settle(order.number, Effect.COMMIT)
    with pytest.raises(ledger.LedgerBroken, match="without a reservation"):
        await plant.settle(order.number, Effect.RESERVE)


async def test_a_failing_record_undoes_the_reservation(plant, order, spend, owner, now):
    async with spend.write() as tx:
        await plant.store(tx, order)
        await tx.execute(update(audit_tree).values(root=b"\0" * 32))
    with pytest.raises(log.AuditBroken):
        async with spend.write() as tx:
            await gate.judge(tx, owner, order, plant.told, now)
    assert await plant.rows(booking) == []


async def test_the_whole_story_verifies(plant, order, make_order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number)
    await plant.settle(order.number, Effect.COMMIT)
    await plant.set(order.number, state="confirmed", sends=1)
    dear = make_order("G1-0002-B", price="900")
    await plant.say_proposed(dear)
    await plant.allow(dear)
    await plant.set("G1-0002-B", state="approved")
    found = await plant.verified()
    assert found.problems == ()
    assert found.verified
    assert found.entries == 6
