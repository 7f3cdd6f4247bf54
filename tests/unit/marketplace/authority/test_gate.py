"""The gate end to end on a real database: what it allows, books and records, and what it never does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from maintenance.needs import Provenance
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.verify import verify
from marketplace.authority import gate, halts, ledger
from marketplace.authority.approval import Approver
from marketplace.authority.gate import GateClosed, PermitRefused
from marketplace.authority.leave import Dispatch
from marketplace.authority.limits import Subject
from marketplace.authority.mandate import Decision
from marketplace.authority.policy import Outcome, Policy
from marketplace.authority.scopes import Scope, ScopeKind
from marketplace.documents import timestamp
from marketplace.money import Money, Quantity
from marketplace.ordering.states import Effect
from marketplace.store import (
    approval,
    audit_tree,
    booking,
    clock_mark,
    free_text,
    line_requisition,
    purchase_order,
    requisition,
    reservation,
    spend_limit,
)
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
            return await gate.permit(tx, self.owner, row, at or self.now, **({"key_proven": True} | changes))

    async def settle(self, number, effect):
        async with self.spend.write() as tx:
            await gate.settle(tx, self.owner, number, effect, self.now)

    async def observed(self, at):
        async with self.spend.write() as tx:
            return await gate.observe_clock(tx, self.owner, at)

    async def accept(self, person, at):
        async with self.spend.write() as tx:
            return await gate.accept_clock(tx, self.owner, person, at)

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
    [row], [held] = await plant.rows(booking), await plant.rows(spend_limit)
    assert (row.order_number, row.amount, row.state, row.by_person) == (order.number, 132_00, "reserved", False)
    assert (held.machine_used, held.limit_value) == (132_00, 2000_00)
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
    [held] = await plant.rows(spend_limit)
    assert held.machine_used == 5 * 378_00 <= held.limit_value


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
    [row], [held], [signed] = await plant.rows(booking), await plant.rows(spend_limit), await plant.rows(approval)
    assert (row.amount, row.by_person) == (1809_00, True)
    assert (held.machine_used, held.person_used) == (0, 1809_00)
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
    assert await plant.rows(spend_limit) == await plant.rows(booking) == []
    [row] = await plant.rows(reservation)
    assert (row.minor, row.by_person, row.state) == (132_00, True, "reserved")


async def test_a_limit_that_comes_later_counts_what_was_booked_before(plant, order, make_order, policy_document):
    await plant.apply({**policy_document, "window": None})
    await plant.allow(order)
    await plant.apply(policy_document)
    assert (await plant.judge(make_order("G1-0002-B"))).outcome is Outcome.APPROVE
    [held] = await plant.rows(spend_limit)
    assert (held.machine_used, held.person_used) == (132_00, 132_00)


async def test_what_no_rate_converts_is_reserved_and_takes_no_limits_room(plant, make_order):
    dollars = make_order("G1-USD", currency="USD")
    await plant.say_proposed(dollars)
    rich = Approver("bob", may_approve=True, limit=Money(10**6, "USD"))
    assert (await plant.allow(dollars, rich)).outcome is Outcome.APPROVE
    [held], [row] = await plant.rows(spend_limit), await plant.rows(reservation)
    assert (held.measure, held.person_used, row.currency, row.minor) == ("EUR", 0, "USD", 132_00)
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
    with pytest.raises(PermitRefused, match="NOTHING_TO_SEND"):
        await plant.permit(order.number)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"request_bytes": None}, "NOTHING_TO_SEND"),
        ({"document": "{}"}, "ORDER_ALTERED"),
        ({"total_minor": 1}, "NOT_RESERVED"),
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
    with pytest.raises(PermitRefused, match="QUOTATION_EXPIRED"):
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
    with pytest.raises(PermitRefused, match="NOT_RESERVED"):
        await plant.permit(order.number)


async def test_another_order_under_an_approved_number_gets_no_permit(plant, order, make_order):
    twin = make_order(price="31.50", freight=Money(6900, "EUR"))
    assert twin.total == order.total
    await plant.judge(order)
    forged = {"document": log.canonical(twin.document()).decode(), "order_hash": twin.hash}
    await plant.set(order.number, state="approved", **forged)
    with pytest.raises(PermitRefused, match="NOT_ALLOWED"):
        await plant.permit(order.number)


async def test_another_order_under_a_signed_number_gets_no_permit(plant, order, make_order):
    twin = make_order(price="31.50", freight=Money(6900, "EUR"))
    await plant.allow(order)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number)
    forged = {"document": log.canonical(twin.document()).decode(), "order_hash": twin.hash}
    await plant.set(order.number, sends=1, **forged)
    with pytest.raises(PermitRefused, match="NOT_ALLOWED"):
        await plant.permit(order.number)


async def test_an_order_that_was_asked_about_is_not_sent_by_moving_its_state(plant, order):
    await plant.judge(order, replace(plant.told, provenance=Provenance.B))
    await plant.set(order.number, state="approved")
    with pytest.raises(PermitRefused, match="NOT_RESERVED"):
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
    [held] = await plant.rows(spend_limit)
    assert held.machine_used == 0
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


async def sent_once(plant, order, *, by_person=False):
    """An order of which one send may have arrived."""
    await (plant.allow(order) if by_person else plant.judge(order))
    await plant.set(order.number, state="approved")
    await plant.permit(order.number, key_proven=False)
    await plant.set(order.number, state="unknown", sends=1, first_sent_at=plant.now)


async def reserved(plant):
    return [(row.send, row.minor, row.state, row.by_person) for row in await plant.rows(reservation)]


@pytest.mark.parametrize("by_person", [False, True])
async def test_a_second_send_without_a_proven_key_reserves_again(plant, order, by_person):
    await sent_once(plant, order, by_person=by_person)
    await plant.permit(order.number, key_proven=False)
    assert await reserved(plant) == [(1, 132_00, "reserved", by_person), (2, 132_00, "reserved", by_person)]
    await plant.settle(order.number, Effect.COMMIT)
    assert [state for _send, _minor, state, _who in await reserved(plant)] == ["committed", "released"]
    [held] = await plant.rows(spend_limit)
    assert held.machine_used + held.person_used == 132_00
    await plant.say_proposed(order)
    assert (await plant.verified()).problems == ()


async def test_a_second_send_with_a_proven_key_reserves_nothing(plant, order):
    await sent_once(plant, order)
    await plant.permit(order.number, key_proven=True)
    assert await reserved(plant) == [(1, 132_00, "reserved", False)]


async def test_a_send_after_one_that_never_left_reserves_nothing(plant, order):
    await sent_once(plant, order)
    await plant.set(order.number, state="approved", first_sent_at=None)
    await plant.permit(order.number, key_proven=False)
    assert len(await reserved(plant)) == 1


@pytest.mark.parametrize("by_person", [False, True])
async def test_a_second_send_over_a_limit_is_for_a_person(plant, order, by_person, policy_document):
    await sent_once(plant, order, by_person=by_person)
    await plant.apply({**policy_document, "window": {"days": 30, "per_machine": "263.99 EUR"}})
    with pytest.raises(PermitRefused, match="RESEND_OVER_LIMIT") as caught:
        await plant.permit(order.number, key_proven=False)
    assert caught.value.code == "RESEND_OVER_LIMIT"
    assert len(await reserved(plant)) == 1
    await plant.apply({**policy_document, "window": {"days": 30, "per_machine": "264 EUR"}})
    await plant.permit(order.number, key_proven=False)


async def test_a_second_send_is_held_against_the_mandates_limit_for_one_order(plant, order, policy_document):
    await sent_once(plant, order)
    mandate = policy_document["mandate"]
    for most, fits in (("263.99 EUR", False), ("1 USD", False), ("264 EUR", True)):
        await plant.apply({**policy_document, "mandate": {**mandate, "per_order": most}})
        if fits:
            await plant.permit(order.number, key_proven=False)
        else:
            with pytest.raises(PermitRefused, match="RESEND_OVER_LIMIT"):
                await plant.permit(order.number, key_proven=False)


async def test_where_no_limit_is_set_nothing_is_sent_twice_without_a_person(plant, order, policy_document):
    await sent_once(plant, order, by_person=True)
    await plant.apply({**policy_document, "window": None})
    with pytest.raises(PermitRefused, match="RESEND_OVER_LIMIT"):
        await plant.permit(order.number, key_proven=False)


async def test_a_second_send_that_never_left_gives_its_money_back(plant, order, spend, owner, now):
    await sent_once(plant, order)
    await plant.permit(order.number, key_proven=False)
    for send in (3, 2, 2, 1):
        async with spend.write() as tx:
            await gate.unsent(tx, owner, order.number, send, now)
    assert [state for _send, _minor, state, _who in await reserved(plant)] == ["reserved", "released"]
    await plant.say_proposed(order)
    assert (await plant.verified()).problems == ()


async def test_a_release_gives_every_sends_money_back(plant, order):
    await sent_once(plant, order)
    await plant.permit(order.number, key_proven=False)
    await plant.settle(order.number, Effect.RELEASE)
    [held] = await plant.rows(spend_limit)
    assert held.machine_used == 0
    [*_others, leaf] = await plant.leaves(order.number)
    assert (leaf.facts["send"], leaf.facts["released"]) == (1, [2])


async def test_an_order_that_came_back_is_reserved_for_its_next_send(plant, order, spend, owner, now):
    await sent_once(plant, order)
    await plant.settle(order.number, Effect.RELEASE)
    await plant.set(order.number, state="awaiting_approval")
    async with spend.write() as tx:
        await gate.allow(tx, owner, order, plant.anna, "G1", order.hash, "web", "", now)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number, key_proven=False)
    assert await reserved(plant) == [(1, 132_00, "released", False), (2, 132_00, "reserved", True)]
    await plant.say_proposed(order)
    assert (await plant.verified()).problems == ()


YEAR = timedelta(days=365)


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_jumps_a_year_asks_until_a_person_says_that_it_is_right(plant, make_order, jump, now):
    told, later = plant.told, now + jump
    await plant.apply({"schema": 1} | POLICY_FOR_YEARS)
    orders = [make_order(f"G1-{number}", quoted_until=later + 2 * abs(jump)) for number in range(4)]
    assert (await plant.judge(orders[0], told)).rule == "WITHIN_LIMITS"
    await plant.settle(orders[0].number, Effect.COMMIT)
    decision = await plant.judge(orders[1], told, at=later)
    assert (decision.outcome, decision.rule) == (Outcome.ASK, "CLOCK_JUMPED")
    [held] = await plant.rows(spend_limit)
    assert held.machine_used == 132_00, "nothing elapses on the strength of a jump"
    assert await plant.observed(later)
    refused = await plant.accept(replace(plant.anna, may_approve=False), later)
    assert refused == Decision(Outcome.DENY, "NOT_AUTHORISED", {"person": "anna"})
    accepted = await plant.accept(plant.anna, later)
    figures = {"person": "anna", "now": timestamp(later)}
    assert accepted == Decision(Outcome.APPROVE, "CLOCK_ACCEPTED", figures)
    assert not await plant.observed(later)
    assert (await plant.judge(orders[2], told, at=later)).rule == "WITHIN_LIMITS"
    [leaf] = await plant.leaves("clock")
    assert (leaf.kind, leaf.actor, leaf.at) == ("clock.accepted", Actor(ActorKind.PERSON, "anna", "socket"), later)
    assert leaf.facts == {"before": timestamp(now), "now": timestamp(later), "jumped": True}


POLICY_FOR_YEARS = {
    "mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "500 EUR", "until": "2099-12-31T00:00:00Z"},
    "window": {"days": 30, "per_machine": "2000 EUR"},
    "modes": {"default": "buy"},
}


@pytest.mark.parametrize("by_person", [False, True])
async def test_while_the_clock_has_jumped_only_what_a_person_signed_is_sent(plant, make_order, by_person, now):
    await plant.apply({"schema": 1} | POLICY_FOR_YEARS)
    order = make_order(quoted_until=now + 3 * YEAR)
    await (plant.allow(order) if by_person else plant.judge(order))
    await plant.set(order.number, state="approved")
    if by_person:
        assert (await plant.permit(order.number, at=now + YEAR)).ends_at
    else:
        with pytest.raises(PermitRefused, match="CLOCK_JUMPED"):
            await plant.permit(order.number, at=now + YEAR)


async def test_time_that_goes_on_is_kept_minute_by_minute(plant, now):
    await plant.observed(now)
    for seconds, kept in ((59, 0), (60, 60), (30, 60), (100, 60), (120, 120)):
        await plant.observed(now + timedelta(seconds=seconds))
        [mark] = await plant.rows(clock_mark)
        assert mark.highest == now + timedelta(seconds=kept)


async def test_a_person_may_set_the_first_mark(plant, spend, owner, now):
    async with spend.write() as tx:
        await tx.execute(delete(clock_mark))
    assert (await plant.accept(plant.anna, now)).outcome is Outcome.APPROVE
    [mark] = await plant.rows(clock_mark)
    assert mark.highest == now
    [leaf] = await plant.leaves("clock")
    assert leaf.facts == {"before": "", "now": timestamp(now), "jumped": False}


async def test_an_order_for_a_component_is_counted_for_it(plant, make_order, policy_document, spend, owner, now):
    limits = [{"scope": "component", "key": "mill/spindle-bearing", "per": "30 d", "amount": "300 EUR"}]
    await plant.apply({**policy_document, "limits": limits})
    assert (await plant.judge(make_order("G1-1"))).outcome is Outcome.APPROVE
    async with spend.write() as tx:
        await tx.execute(insert(requisition), _want(owner, now))
    assert (await plant.allow(make_order("G1-2"))).outcome is Outcome.APPROVE
    assert (await plant.judge(make_order("G1-3"))).rule == "LIMIT_EXCEEDED"
    assert (await plant.allow(make_order("G1-4", lines=()), state="awaiting_approval")).outcome is Outcome.APPROVE


def _want(owner, now):
    texts = dict.fromkeys(("life", "line", "open_slot"), "x")
    told = {"machine": "mill", "component": "mill/spindle-bearing", "item": "bearing-7014", "unit": "C62"}
    rest = {"state": "proposed", "provenance": "A", "known": True, "mode": "buy", "asked_by": "G1", "reason": "{}"}
    times = {"created_at": now, "changed_at": now}
    return {"id": "r1", "quantity": Decimal(2), **texts, **told, **rest, **times, **owner.columns}


async def test_what_stands_is_what_the_ledger_books_or_nothing_happens(plant, order, spend, owner, now):
    """Another hand in the ledger between the verdict and the booking: the gate does not go on."""
    async with spend.write() as tx:
        await plant.store(tx, order)
        trigger = (
            "CREATE TRIGGER hand AFTER INSERT ON reservation BEGIN UPDATE spend_limit SET person_used = 200000; END"
        )
        await tx.exec_driver_sql(trigger)
    with pytest.raises(ledger.LedgerBroken, match="has no room for it"):
        async with spend.write() as tx:
            await gate.judge(tx, owner, order, plant.told, now)
    assert await plant.rows(reservation) == await plant.rows(booking) == []


async def test_what_a_person_approved_is_booked_on_every_limit_or_nothing_happens(plant, order, spend):
    async with spend.write() as tx:
        trigger = "CREATE TRIGGER hand AFTER INSERT ON booking BEGIN DELETE FROM booking; END"
        await tx.exec_driver_sql(trigger)
    with pytest.raises(ledger.LedgerBroken, match="not all there"):
        await plant.allow(order)
    assert await plant.rows(reservation) == await plant.rows(approval) == []


async def test_a_second_send_that_the_ledger_does_not_take_is_not_permitted(plant, order, spend):
    await sent_once(plant, order)
    async with spend.write() as tx:
        trigger = (
            "CREATE TRIGGER hand AFTER INSERT ON reservation BEGIN UPDATE spend_limit SET person_used = 200000; END"
        )
        await tx.exec_driver_sql(trigger)
    with pytest.raises(ledger.LedgerBroken, match="may be sent again"):
        await plant.permit(order.number, key_proven=False)
    assert [row.send for row in await plant.rows(permit_table)] == [1]


async def test_a_limit_lowered_below_what_is_reserved_asks_by_name_and_loses_nothing(
    plant, make_order, policy_document
):
    await plant.judge(make_order("G1-1"))
    await plant.judge(make_order("G1-2"))
    await plant.apply({**policy_document, "window": {"days": 30, "per_machine": "200 EUR"}})
    decision = await plant.judge(make_order("G1-3"))
    assert (decision.outcome, decision.rule) == (Outcome.ASK, "LIMIT_OVERDRAWN")
    assert decision.parameters["used"] == "264.00 EUR"
    await plant.set("G1-1", state="approved")
    assert (await plant.permit("G1-1")).reference == "G1-1", "what was reserved stays permitted"
    await plant.settle("G1-2", Effect.RELEASE)
    assert (await plant.judge(make_order("G1-4"))).rule == "PERIOD_LIMIT_EXCEEDED"
    for number in ("G1-1", "G1-2", "G1-3", "G1-4"):
        await plant.say_proposed(make_order(number))
    assert (await plant.verified()).problems == ()


# What the record says, word for word.

GATEWAY = Actor(ActorKind.GATEWAY, "G1", "policy")
PERSON = Actor(ActorKind.PERSON, "anna", "web")


@pytest.fixture
def authority(policy_document):
    """By which rules the plant's first policy decides, as leaves hold it."""
    policy = Policy.model_validate(policy_document)
    return {"version": 1, "hash": policy.hash, "mandate": policy.mandate.hash}


async def test_the_leaf_of_a_verdict_says_who_decided_by_which_rules_and_for_which_send(plant, order, authority):
    await plant.judge(order)
    [leaf] = await plant.leaves(order.number)
    assert (leaf.kind, leaf.actor, leaf.at) == ("decision.made", GATEWAY, plant.now)
    assert (leaf.facts["policy"], leaf.facts["send"]) == (authority, 1)
    assert leaf.facts["standing"]["mark"] == timestamp(plant.now), "the policy was applied just now"
    [row] = await plant.rows(reservation)
    assert (row.machine, row.component, row.supplier) == ("mill", "mill/spindle-bearing", "cheap-and-slow")
    assert (row.send, row.booked_at, row.by_person) == (1, plant.now, False)


async def test_a_policy_without_a_mandate_is_named_without_one(plant, order):
    assert await plant.apply({"schema": 1}) == 2
    await plant.judge(order)
    [leaf] = await plant.leaves(order.number)
    assert leaf.facts["policy"] == {"version": 2, "hash": Policy(schema_=1).hash, "mandate": ""}


async def test_who_decides_without_a_version_of_software_says_none(plant, order, make_order, spend, owner, now):
    signed = make_order("G1-2")
    async with spend.write() as tx:
        await plant.store(tx, order)
        await gate.judge(tx, owner, order, plant.told, now)
        await plant.store(tx, signed, "awaiting_approval")
        await gate.allow(tx, owner, signed, plant.anna, "G1", signed.hash, "web", "", now)
    await plant.set(order.number, state="approved")
    await plant.permit(order.number)
    for number, leaves in ((order.number, 2), ("G1-2", 1)):
        assert [leaf.facts["software"] for leaf in await plant.leaves(number)] == [""] * leaves


async def test_an_approval_is_signed_and_told_with_what_it_books(plant, order, authority, spend, owner, now):
    async with spend.write() as tx:
        await plant.store(tx, order, "awaiting_approval")
        said = {"method": "web", "note": " call first ", "now": now, "software": "0.1.0"}
        await gate.allow(tx, owner, order, plant.anna, "G1", order.hash, **said)
    [leaf], [signed], [held] = (
        await plant.leaves(order.number),
        await plant.rows(approval),
        await plant.rows(reservation),
    )
    assert (leaf.kind, leaf.actor, leaf.at) == ("approval.given", PERSON, now)
    assert {name: leaf.facts[name] for name in ("policy", "send", "software", "note", "stopped", "machine")} == {
        "policy": authority,
        "send": 1,
        "software": "0.1.0",
        "note": signed.note,
        "stopped": None,
        "machine": "mill",
    }
    assert (leaf.facts["asked_by"], leaf.facts["awaiting"]) == ("G1", True)
    limit = {"name": "machine:mill:30 d:EUR", "limit": 2000_00, "amount": 132_00, "machine": 0, "person": 0}
    assert leaf.facts["standing"] == {"now": timestamp(now), "mark": timestamp(now), "limits": [limit | {"rates": []}]}
    assert (signed.order_number, signed.order_hash) == (order.number, order.hash)
    assert (signed.person, signed.method, signed.verdict, signed.at) == ("anna", "web", "approve", now)
    assert (signed.plant, signed.gateway_id) == ("northworks", "G1")
    async with spend.read() as connection:
        assert await log.written(connection, signed.note) == "call first"
    assert (held.send, held.by_person, held.booked_at, held.machine) == (1, True, now, "mill")
    assert (held.component, held.supplier) == ("", "cheap-and-slow")


async def test_an_approval_that_does_not_count_is_told_with_the_note_and_nothing_booked(plant, order, now):
    await plant.allow(order, asked_by="anna", note="mine")
    [leaf], [text] = await plant.leaves(order.number), await plant.rows(free_text)
    assert (leaf.kind, leaf.actor, leaf.at) == ("approval.blocked", PERSON, now)
    assert (leaf.facts["note"], text.text) == (text.digest, "mine")
    assert not {"send", "standing"} & set(leaf.facts)


async def test_nobody_signs_or_sends_what_is_stopped(plant, order, make_order, spend, owner, now):
    other = make_order("G1-2")
    await plant.judge(other)
    await plant.set("G1-2", state="approved")
    for scope in (halts.PLANT, Scope(ScopeKind.MACHINE, "mill"), Scope(ScopeKind.SUPPLIER, "cheap-and-slow")):
        async with spend.write() as tx:
            stop, _new = await halts.put(tx, owner, scope, halts.BY_PERSON, PERSON, now)
            if scope is halts.PLANT:
                await plant.store(tx, order, "awaiting_approval")
            said = await gate.allow(tx, owner, order, plant.anna, "G1", order.hash, "web", "", now)
        assert said == Decision(Outcome.DENY, "STOPPED", stop.parameters)
        assert (await plant.leaves(order.number))[-1].facts["stopped"] == stop.parameters
        with pytest.raises(PermitRefused, match="STOPPED"):
            await plant.permit("G1-2")
        async with spend.write() as tx:
            await halts.lift(tx, owner, scope, PERSON, now)
    assert (await plant.permit("G1-2")).reference == "G1-2"


async def test_a_persons_no_is_signed_and_told(plant, order, spend, owner, now):
    async with spend.write() as tx:
        await plant.store(tx, order, "awaiting_approval")
        await gate.refuse(tx, owner, order.number, order.hash, "anna", "web", "too dear", now)
    [signed], [leaf], [text] = await plant.rows(approval), await plant.leaves(order.number), await plant.rows(free_text)
    assert (leaf.kind, leaf.actor, leaf.at) == ("approval.refused", PERSON, now)
    assert leaf.facts == {"order_hash": order.hash, "note": text.digest}
    assert (signed.order_number, signed.order_hash, signed.person) == (order.number, order.hash, "anna")
    assert (signed.method, signed.verdict, signed.note, signed.at) == ("web", "deny", text.digest, now)
    assert text.text == "too dear"


async def test_a_permit_is_told_with_all_that_it_rests_on(plant, order, authority, spend, owner, now):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    leave = await plant.permit(order.number, at=now + timedelta(seconds=1), software="0.1.0")
    leaf = (await plant.leaves(order.number))[-1]
    assert (leaf.kind, leaf.actor, leaf.at) == ("permit.issued", GATEWAY, now + timedelta(seconds=1))
    dispatch = leaf.facts["dispatch"]
    assert (dispatch["component"], dispatch["sends"], dispatch["reserved"]) == ("mill/spindle-bearing", 0, [1])
    assert leaf.facts == {
        "act": "permit",
        "verdict": {
            "outcome": "approve",
            "rule": "LEAVE_TO_SEND",
            "parameters": {"order": order.number, "send": "1"},
        },
        "dispatch": dispatch,
        "standing": {"now": timestamp(leaf.at), "mark": timestamp(now), "limits": []},
        "permit": leave.id,
        "send": 1,
        "reserved": False,
        "by_person": False,
        "total": "132.00 EUR",
        "order_hash": order.hash,
        "request_hash": hashlib.sha256(b"<order/>").hexdigest(),
        "ends_at": timestamp(leave.ends_at),
        "policy": authority,
        "software": "0.1.0",
    }
    [row] = await plant.rows(permit_table)
    assert (row.order_number, row.order_hash, row.send) == (order.number, order.hash, 1)
    assert (row.issued_at, row.ends_at) == (leaf.at, leaf.at + timedelta(minutes=5))
    assert (row.plant, row.gateway_id) == ("northworks", "G1")


async def test_a_second_send_is_told_with_what_stands_against_each_limit(plant, order):
    await sent_once(plant, order)
    await plant.permit(order.number, key_proven=False)
    leaf = (await plant.leaves(order.number))[-1]
    assert (leaf.facts["send"], leaf.facts["reserved"], leaf.facts["dispatch"]["sends"]) == (2, True, 1)
    [limit] = leaf.facts["standing"]["limits"]
    assert (limit["amount"], limit["machine"], limit["person"]) == (132_00, 132_00, 0)


async def found(plant, number, *, key_proven=True):
    """What the gate finds about an order that is to be sent."""
    async with plant.spend.write() as tx:
        row = (await tx.execute(select(purchase_order).where(purchase_order.c.number == number))).one()
        return await gate._dispatch(tx, plant.owner, row, key_proven)


async def test_what_is_found_about_an_approved_order(plant, order):
    await plant.judge(order)
    await plant.set(order.number, state="approved")
    total = Money(132_00, "EUR")
    assert await found(plant, order.number) == Dispatch(
        subject=Subject(order.number, "mill", "mill/spindle-bearing", "cheap-and-slow", (), total),
        stopped=None,
        state="approved",
        has_bytes=True,
        intact=True,
        quoted_until=order.quoted_until,
        reserved=(1,),
        by_person=False,
        allowed=True,
        sends=0,
        may_be_there=False,
        key_proven=True,
    )


async def test_what_is_found_about_an_order_without_a_reservation(plant, order):
    await plant.judge(order)
    await plant.settle(order.number, Effect.RELEASE)
    await plant.set(order.number, state="unknown", sends=1, request_bytes=b"", document="{}")
    assert await found(plant, order.number, key_proven=False) == Dispatch(
        subject=Subject(order.number, "mill", "", "cheap-and-slow", (), Money(132_00, "EUR")),
        stopped=None,
        state="unknown",
        has_bytes=False,
        intact=False,
        quoted_until=order.quoted_until,
        reserved=(),
        by_person=False,
        allowed=True,
        sends=1,
        may_be_there=True,
        key_proven=False,
    )


@pytest.mark.parametrize(
    ("columns", "there"),
    [
        ({"sends": 0, "state": "unknown"}, False),
        ({"sends": 1, "state": "approved"}, False),
        ({"sends": 1, "state": "unknown"}, True),
        ({"sends": 2, "state": "unknown"}, True),
        ({"sends": 1, "state": "approved", "first_sent_at": True}, True),
    ],
)
async def test_an_earlier_send_may_be_there_once_it_was_begun_and_may_have_left(plant, order, columns, there):
    await plant.judge(order)
    times = {"first_sent_at": plant.now} if "first_sent_at" in columns else {}
    await plant.set(order.number, **columns | times)
    assert (await found(plant, order.number)).may_be_there is there


@pytest.mark.parametrize("change", [{"total_minor": 132_01}, {"currency": "USD"}])
async def test_a_reservation_of_another_total_or_currency_does_not_count(plant, order, change):
    await plant.judge(order)
    await plant.set(order.number, state="approved", **change)
    assert (await found(plant, order.number)).reserved == ()


async def say_decided(plant, order, outcome, owner=None):
    """Write a verdict's leaf, of this gateway or another one."""
    async with plant.spend.write() as tx:
        facts = {"order_hash": order.hash, "verdict": {"outcome": outcome}}
        await log.append(tx, owner or plant.owner, "decision.made", order.number, GATEWAY, facts, plant.now)


async def test_only_the_last_word_of_this_gateways_policy_counts(plant, order, make_order):
    await plant.judge(order)
    assert (await found(plant, order.number)).allowed
    other = replace(plant.owner, gateway_id="G2")
    for _leaf in range(9):  # the other gateway has written more than this one
        await say_decided(plant, make_order("G2-1"), "ask", other)
    for outcome, owner, allowed in (
        ("ask", None, False),
        ("approve", other, False),
        ("approve", None, True),
        ("deny", other, True),
    ):
        await say_decided(plant, order, outcome, owner)
        assert (await found(plant, order.number)).allowed is allowed


async def test_a_signature_counts_for_its_own_order_and_only_as_a_yes(plant, order, make_order, spend, owner, now):
    await plant.allow(order)
    assert (await found(plant, order.number)).by_person
    assert (await found(plant, order.number)).allowed
    await plant.allow(make_order("G1-2"))
    async with spend.write() as tx:
        await tx.execute(delete(approval).where(approval.c.order_number == order.number))
        await tx.execute(update(approval).values(order_hash=order.hash))
    assert not (await found(plant, order.number)).allowed, "another order's signature"
    async with spend.write() as tx:
        await gate.refuse(tx, owner, order.number, order.hash, "anna", "web", "", now)
    assert not (await found(plant, order.number)).allowed, "a no is no signature"


async def test_an_orders_money_is_told_wherever_it_goes(plant, order, make_order, spend, owner, now):
    await sent_once(plant, order)
    await plant.permit(order.number, key_proven=False)
    later = now + timedelta(hours=1)
    async with spend.write() as tx:
        await gate.settle(tx, owner, order.number, Effect.COMMIT, later)
        assert await gate.bound(tx, order.number) == Money(132_00, "EUR")
        await gate.reduce(tx, owner, order.number, Money(50_00, "EUR"), later, actor=PERSON)
        await gate.reduce(tx, owner, order.number, Money(60_00, "EUR"), later, actor=PERSON)
        assert await gate.bound(tx, order.number) == Money(50_00, "EUR")
        await gate.settle(tx, owner, order.number, Effect.RELEASE, later, actor=PERSON)
        with pytest.raises(ledger.LedgerBroken, match="no commitment"):
            await gate.bound(tx, order.number)
    one = {"send": 1, "by_person": False}
    assert [(leaf.kind, leaf.actor, leaf.at, leaf.facts) for leaf in (await plant.leaves(order.number))[-3:]] == [
        ("budget.committed", GATEWAY, later, one | {"amount": "132.00 EUR", "released": [2]}),
        ("budget.reduced", PERSON, later, one | {"amount": "50.00 EUR", "before": "132.00 EUR"}),
        ("budget.released", PERSON, later, one | {"amount": "50.00 EUR", "released": []}),
    ]


async def test_money_of_a_send_that_never_left_is_told(plant, order, spend, owner, now):
    await sent_once(plant, order, by_person=True)
    await plant.permit(order.number, key_proven=False)
    before = await plant.leaves(order.number)
    async with spend.write() as tx:
        await gate.unsent(tx, owner, order.number, 2, now)
    [leaf] = (await plant.leaves(order.number))[len(before) :]
    assert (leaf.kind, leaf.actor, leaf.at) == ("budget.released", GATEWAY, now)
    assert leaf.facts == {"send": 2, "amount": "132.00 EUR", "by_person": True, "released": []}


async def test_while_the_clock_has_jumped_a_signature_is_booked_by_the_time_that_was_seen_last(
    plant, make_order, policy_document, now
):
    month = {"scope": "plant", "per": "month", "amount": "900 EUR"}
    await plant.apply(policy_document | {"limits": [month], "time_zone": "UTC"})
    await plant.judge(make_order("G1-0"))
    jumped = now + timedelta(days=60)
    order = make_order(quoted_until=jumped + timedelta(days=1))
    assert (await plant.allow(order, at=jumped)).rule == "APPROVED_BY_PERSON"
    held = (await plant.rows(reservation))[-1]
    assert (held.order_number, held.booked_at) == (order.number, now)
    assert {row.period: row.person_used for row in await plant.rows(spend_limit)} == {"": 132_00, "2026-03": 132_00}
    standing = (await plant.leaves(order.number))[-1].facts["standing"]
    assert (standing["now"], standing["mark"]) == (timestamp(jumped), timestamp(now))
    await plant.set(order.number, state="unknown", sends=1)
    await plant.permit(order.number, at=jumped, key_proven=False)
    assert {row.booked_at for row in await plant.rows(reservation)} == {now}


async def test_before_the_first_policy_nobody_signs_and_nothing_is_sent(
    spend, owner, now, anna, store_order, move, make_order, circumstances
):
    bare = Plant(spend, owner, now, anna, store_order, move, make_order, circumstances)
    order = make_order()
    assert await bare.allow(order) == Decision(Outcome.DENY, "NO_MANDATE")
    [leaf] = await bare.leaves(order.number)
    assert leaf.facts["policy"] == {"version": 0, "hash": "", "mandate": ""}
    for columns in ({"sends": 0}, {"sends": 1, "first_sent_at": now}):
        await bare.set(order.number, state="approved", **columns)
        with pytest.raises(PermitRefused, match="NO_MANDATE"):
            await bare.permit(order.number, key_proven=False)


async def test_nobody_signs_or_sends_what_serves_a_stopped_component(plant, order, make_order, spend, owner, now):
    sent = make_order("G1-2")
    await plant.judge(sent)
    await plant.set("G1-2", state="approved")
    async with spend.write() as tx:
        await plant.store(tx, order, "awaiting_approval")
        await tx.execute(insert(requisition), _want(owner, now))
        served = {"line": 1, "requisition": "r1", "quantity": 2, **owner.columns}
        for number in (order.number, "G1-2"):
            await tx.execute(insert(line_requisition), {"order_number": number, **served})
        scope = Scope(ScopeKind.COMPONENT, "mill/spindle-bearing")
        await halts.put(tx, owner, scope, halts.BY_PERSON, PERSON, now)
        said = await gate.allow(tx, owner, order, plant.anna, "G1", order.hash, "web", "", now)
        assert said.rule == "STOPPED"
    with pytest.raises(PermitRefused, match="STOPPED"):
        await plant.permit("G1-2")
