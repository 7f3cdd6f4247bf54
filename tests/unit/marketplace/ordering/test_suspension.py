"""A supplier that did other than it said is asked for nothing more in its plant until a named person says so."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmCode, AlarmTerms
from marketplace.authority.halts import Scope, ScopeKind
from marketplace.ordering.suspension import reinstate, suspend, suspended
from marketplace.store import Owner, outbox, supplier_status
from tests.unit.marketplace.fakes import ANNA

NUMBER = "TC-G1-000001-A"


async def told(tx, owner):
    """What the log says of suppliers: kind, subject, actor, facts, time."""
    leaves = [leaf for leaf in await log.entries(tx, owner=owner) if leaf.kind.startswith("supplier.")]
    return [(leaf.kind, leaf.subject, leaf.actor, leaf.facts, leaf.at) for leaf in leaves]


async def test_a_suspended_supplier_is_so_in_its_plant_alone_and_once(spend, owner, now):
    elsewhere, later = Owner("southworks", owner.gateway_id), now + timedelta(days=1)
    async with spend.write() as tx:
        await suspend(tx, owner, "cheap", "PRICE_DIFFERS", NUMBER, now)
        await suspend(tx, owner, "cheap", "LATER_DIFFERS", "another", later)
        await suspend(tx, owner, "other", "PRICE_DIFFERS", NUMBER, now)
        await reinstate(tx, owner, "other", ANNA, now)
        assert await suspended(tx, owner) == {"cheap"}
        assert await suspended(tx, Owner(owner.plant, "G2")) == {"cheap"}
        assert await suspended(tx, elsewhere) == frozenset()
        row = (await tx.execute(select(supplier_status).where(supplier_status.c.supplier == "cheap"))).one()
        leaves = await told(tx, owner)
        await suspend(tx, elsewhere, "cheap", "PRICE_DIFFERS", NUMBER, now)
        await reinstate(tx, owner, "cheap", ANNA, now)
        assert (await suspended(tx, owner), await suspended(tx, elsewhere)) == (frozenset(), {"cheap"})
    assert tuple(row) == (owner.plant, "cheap", owner.gateway_id, True, "PRICE_DIFFERS", now)
    facts = {"code": "PRICE_DIFFERS", "order": NUMBER}
    assert leaves[0] == ("supplier.suspended", "cheap", Actor(ActorKind.GATEWAY, "G1", "inbox"), facts, now)
    assert [leaf[:2] for leaf in leaves[1:]] == [("supplier.suspended", "other"), ("supplier.reinstated", "other")]


async def test_a_suspension_is_a_money_alarm_with_its_own_time_until_the_supplier_is_reinstated(spend, owner, now):
    patient = AlarmTerms(by_code={AlarmCode.OTHER_TERMS: timedelta(days=9)})
    async with spend.write() as tx:
        await suspend(tx, owner, "cheap", "PRICE_DIFFERS", NUMBER, now, patient)
        (alarm,) = await alarms.open_alarms(tx, owner)
        await reinstate(tx, owner, "cheap", ANNA, now)
        assert await alarms.open_alarms(tx, owner) == ()
    assert (alarm.code, alarm.scope, alarm.subject) == (
        AlarmCode.OTHER_TERMS,
        Scope(ScopeKind.SUPPLIER, "cheap"),
        "cheap",
    )
    figures = {"supplier": "cheap", "order": NUMBER, "code": "PRICE_DIFFERS"}
    assert figures.items() <= alarm.parameters.items()
    assert (alarm.raised_at, alarm.acknowledge_by) == (now, now + patient.within(AlarmCode.OTHER_TERMS))
    assert patient.within(AlarmCode.OTHER_TERMS) != alarms.USUAL.within(AlarmCode.OTHER_TERMS)


async def test_a_person_reinstates_by_name_and_only_what_is_suspended(spend, owner, now):
    later = now + timedelta(hours=1)
    bob = replace(ANNA, id="bob")
    async with spend.write() as tx:
        assert await reinstate(tx, owner, "cheap", bob, now) is False
        assert await told(tx, owner) == []
        await suspend(tx, owner, "cheap", "PRICE_DIFFERS", NUMBER, now)
        assert await reinstate(tx, owner, "cheap", bob, later) is True
        assert await reinstate(tx, owner, "cheap", bob, later) is False
        row = (await tx.execute(select(supplier_status))).one()
        assert (row.suspended, row.reason, row.changed_at) == (False, "", later)
        assert (await told(tx, owner))[1:] == [("supplier.reinstated", "cheap", bob, {}, later)]
        heard = (await tx.execute(select(outbox.c.event).where(outbox.c.topic == "supplier"))).scalars().all()
        assert heard == ["suspended", "reinstated"]
        (leaf,) = await log.entries(tx, owner=owner, kind="alarm.acknowledged")
        assert (leaf.actor, leaf.at) == (bob, later)
