"""Stops and alarms as rows: one for each scope, kept with their audit leaf, ended by a named person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import alarms, halts
from marketplace.authority.alarms import Alarm, AlarmCode, AlarmTerms
from marketplace.authority.halts import BY_PERSON, PLANT, Scope, ScopeKind

ANNA = Actor(ActorKind.PERSON, "anna", "web")
MILL = Scope(ScopeKind.MACHINE, "mill")
KONTOR = Scope(ScopeKind.SUPPLIER, "kontor")


async def leaves(tx) -> list[str]:
    return [entry.kind for entry in await log.entries(tx)]


async def test_a_stop_stands_until_it_is_lifted_and_says_who(spend, owner, now):
    async with spend.write() as tx:
        made, new = await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now, note="Smoke.")
        assert new
        assert await halts.standing(tx, owner) == (made,)
        assert await log.written(tx, made.note) == "Smoke."
    async with spend.write() as tx:
        lifted = await halts.lift(tx, owner, MILL, ANNA, now + timedelta(hours=1))
        assert lifted == made
        assert await halts.standing(tx, owner) == ()
        [row] = (await tx.execute(select(store.halt))).all()
        assert (row.lifted_by, row.lifted_at) == ("anna", now + timedelta(hours=1))
        [was_set, was_lifted] = await log.entries(tx)
    assert (was_set.kind, was_set.subject, was_set.actor) == ("halt.set", made.id, ANNA)
    assert was_set.facts == {
        "scope": "machine",
        "key": "mill",
        "code": BY_PERSON,
        "note": made.note,
        "alarm": "",
    }
    assert (was_lifted.kind, was_lifted.actor) == ("halt.lifted", ANNA)


async def test_a_stop_is_a_row_and_those_who_listen_hear_of_it(spend, owner, now):
    later = now + timedelta(hours=1)
    async with spend.write() as tx:
        made, _new = await halts.put(
            tx, owner, MILL, BY_PERSON, ANNA, now, note="Smoke.", alarm="a1", facts={"cancelled": 2}
        )
        [row] = (await tx.execute(select(store.halt))).all()
        [leaf] = await log.entries(tx, made.id)
    columns = {
        "id": made.id,
        "plant": "northworks",
        "gateway_id": "G1",
        "scope": "machine",
        "key": "mill",
        "open_scope": "machine mill",
        "code": BY_PERSON,
        "by": "anna",
        "method": "web",
        "at": now,
        "note": made.note,
        "alarm": "a1",
        "lifted_at": None,
        "lifted_by": None,
    }
    assert {name: getattr(row, name) for name in columns} == columns
    assert (leaf.at, leaf.facts["cancelled"], leaf.facts["alarm"]) == (now, 2, "a1")
    assert made == halts.Halt(made.id, MILL, BY_PERSON, "anna", "web", now, made.note, "a1")
    async with spend.write() as tx:
        await halts.lift(tx, owner, MILL, ANNA, later)
        [row] = (await tx.execute(select(store.halt))).all()
        heard = (await tx.execute(select(store.outbox))).all()
    assert (row.open_scope, row.lifted_at, row.lifted_by) == (None, later, "anna")
    assert [(each.topic, each.subject, each.event, each.at) for each in heard] == [
        ("halt", made.id, "set", now),
        ("halt", made.id, "lifted", later),
    ]
    assert {(each.plant, each.gateway_id) for each in heard} == {("northworks", "G1")}


async def test_the_stops_of_a_plant_stand_for_all_of_its_gateways_the_oldest_first(spend, owner, now):
    there = store.Owner("southworks", "G1")
    async with spend.write() as tx:
        late, _new = await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now + timedelta(hours=1))
        early, _new = await halts.put(tx, store.Owner("northworks", "G2"), KONTOR, BY_PERSON, ANNA, now)
        await halts.put(tx, there, PLANT, BY_PERSON, ANNA, now)
        assert await halts.standing(tx, owner) == (early, late)
        assert await halts.stopped_suppliers(tx, there) == frozenset()
        assert await halts.over_order(tx, there, "G1-1", "saw", "shop") is not None
        await halts.lift(tx, owner, MILL, ANNA, now)
        assert await halts.standing(tx, owner) == (early,)
        assert len(await halts.standing(tx, there)) == 1


async def test_what_is_said_when_a_stop_is_lifted_is_kept(spend, owner, now):
    async with spend.write() as tx:
        made, _new = await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now)
        assert made.note == "", "nothing was said"
        await halts.lift(tx, owner, MILL, ANNA, now, "The smoke was steam.")
        [_set, lifted] = await log.entries(tx)
        assert await log.written(tx, lifted.facts["note"]) == "The smoke was steam."
        assert lifted.facts == {"scope": "machine", "key": "mill", "note": lifted.facts["note"]}
        await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now)
        await halts.lift(tx, owner, MILL, ANNA, now)
        assert (await log.entries(tx))[-1].facts["note"] == ""


async def test_a_stop_remembers_the_alarm_that_caused_it(spend, owner, now):
    async with spend.write() as tx:
        made, _new = await halts.put(tx, owner, PLANT, halts.BY_ALARM, ANNA, now, alarm="a1")
        assert (made.alarm, await halts.standing(tx, owner)) == ("a1", (made,))


async def test_an_order_is_stopped_by_whatever_it_serves(spend, owner, now, make_order, store_order):
    told = {"machine": "mill", "component": "mill/bearing", "item": "bearing-7014", "unit": "C62", "quantity": 2}
    texts = dict.fromkeys(("life", "line", "open_slot", "state", "mode", "asked_by"), "x")
    rest = {"provenance": "A", "known": True, "reason": "{}", "created_at": now, "changed_at": now}
    order = make_order()
    async with spend.write() as tx:
        await store_order(tx, order)
        await tx.execute(insert(store.requisition).values(id="r1", **told, **texts, **rest, **owner.columns))
        served = {"order_number": order.number, "line": 1, "requisition": "r1", "quantity": 2}
        await tx.execute(insert(store.line_requisition).values(**served, **owner.columns))
        assert await halts.over_order(tx, owner, order.number, "press", "shop") is None
        for scope in (Scope(ScopeKind.COMPONENT, "mill/bearing"), KONTOR, Scope(ScopeKind.MACHINE, "press")):
            made, _new = await halts.put(tx, owner, scope, BY_PERSON, ANNA, now)
            of_kontor = "kontor" if scope == KONTOR else "shop"
            machine = "press" if scope.kind is ScopeKind.MACHINE else ""
            assert await halts.over_order(tx, owner, order.number, machine, of_kontor) == made
            assert await halts.over_order(tx, owner, "G1-other", "saw", "shop") is None
            await halts.lift(tx, owner, scope, ANNA, now)


async def test_stopping_twice_is_one_stop(spend, owner, now):
    async with spend.write() as tx:
        first, _new = await halts.put(tx, owner, PLANT, BY_PERSON, ANNA, now)
        again, new = await halts.put(tx, owner, PLANT, BY_PERSON, ANNA, now + timedelta(hours=1))
        assert (again, new) == (first, False)
        assert await leaves(tx) == ["halt.set"]
        assert [row.topic for row in await tx.execute(select(store.outbox))] == ["halt"]


async def test_the_index_knows_one_stop_of_a_scope_whoever_writes_it(spend, owner, now):
    row = {"scope": "plant", "key": "", "open_scope": "plant", "code": "x", "by": "x", "method": "x", "at": now,
           "note": "", "alarm": "", **owner.columns}  # fmt: skip
    with pytest.raises(IntegrityError):
        async with spend.write() as tx:
            await tx.execute(insert(store.halt), [{"id": "1", **row}, {"id": "2", **row}])


async def test_a_stop_whose_leaf_cannot_be_written_does_not_stand(spend, owner, now):
    with pytest.raises(TypeError):
        async with spend.write() as tx:
            await halts.put(tx, owner, PLANT, BY_PERSON, ANNA, now, facts={"x": 0.5})
    async with spend.read() as tx:
        assert await halts.standing(tx, owner) == ()


async def test_lifting_what_is_not_stopped_changes_nothing(spend, owner, now):
    async with spend.write() as tx:
        await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now)
        assert await halts.lift(tx, owner, PLANT, ANNA, now) is None
        assert len(await halts.standing(tx, owner)) == 1


async def test_a_scope_can_be_stopped_again_after_it_was_lifted(spend, owner, now):
    async with spend.write() as tx:
        for _time in range(3):
            await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now)
            await halts.lift(tx, owner, MILL, ANNA, now)
        assert len((await tx.execute(select(store.halt))).all()) == 3


async def test_suppliers_that_are_stopped_are_named(spend, owner, now):
    async with spend.write() as tx:
        for scope in (MILL, KONTOR):
            await halts.put(tx, owner, scope, BY_PERSON, ANNA, now)
        assert await halts.stopped_suppliers(tx, owner) == {"kontor"}
        assert (await halts.over_want(tx, owner, "mill", "mill/bearing")).scope == MILL
        assert (await halts.over_want(tx, owner, "mill", "")).scope == MILL
        assert await halts.over_want(tx, owner, "press", "press/filter") is None


async def test_an_alarm_is_raised_once_while_it_is_open(spend, owner, now):
    terms = AlarmTerms(timedelta(hours=8), {"OTHER_TERMS": timedelta(hours=2)})
    async with spend.write() as tx:
        first = await alarms.raise_alarm(
            tx, owner, AlarmCode.OTHER_TERMS, KONTOR, "kontor", now, parameters={"order": "G1-1"}, terms=terms
        )
        later = now + timedelta(hours=1)
        assert await alarms.raise_alarm(tx, owner, AlarmCode.OTHER_TERMS, KONTOR, "kontor", later) == first
        another = await alarms.raise_alarm(tx, owner, AlarmCode.OUTCOME_OPEN, KONTOR, "G1-1", now, terms=terms)
        assert another != first
        found = {alarm.id: alarm for alarm in await alarms.open_alarms(tx, owner)}
        assert found[first] == Alarm(
            first,
            "OTHER_TERMS",
            KONTOR,
            "kontor",
            {"scope": "supplier", "key": "kontor", "supplier": "kontor", "order": "G1-1"},
            now,
            now + timedelta(hours=2),
        )
        assert found[another].acknowledge_by == now + timedelta(hours=8)
        assert await leaves(tx) == ["alarm.raised", "alarm.raised"]
        [leaf] = await log.entries(tx, first)
    assert (leaf.actor, leaf.at) == (Actor(ActorKind.GATEWAY, owner.gateway_id, "alarm"), now)
    assert leaf.facts == {
        "code": "OTHER_TERMS",
        "scope": "supplier",
        "key": "kontor",
        "subject": "kontor",
        "parameters": {"scope": "supplier", "key": "kontor", "supplier": "kontor", "order": "G1-1"},
        "acknowledge_by": "2026-03-02T10:00:00.000000Z",
    }


async def test_an_alarm_of_another_plant_is_another_alarm(spend, owner, now):
    async with spend.write() as tx:
        here = await alarms.raise_alarm(tx, owner, AlarmCode.LEDGER_BROKEN, PLANT, "ledger", now)
        there = store.Owner("southworks", "G1")
        assert await alarms.raise_alarm(tx, there, AlarmCode.LEDGER_BROKEN, PLANT, "ledger", now) != here
        assert [alarm.id for alarm in await alarms.open_alarms(tx, owner)] == [here]


async def test_an_acknowledged_alarm_is_closed_and_may_be_raised_again(spend, owner, now):
    async with spend.write() as tx:
        first = await alarms.raise_alarm(tx, owner, AlarmCode.WITNESS_DISAGREES, PLANT, "audit", now)
        seen = await alarms.acknowledge(tx, owner, first, ANNA, now, "Looked at it.")
        assert seen is not None
        assert await alarms.acknowledge(tx, owner, first, ANNA, now) is None
        unsaid = await alarms.raise_alarm(tx, owner, AlarmCode.GATE_CLOSED, PLANT, "gate", now)
        await alarms.acknowledge(tx, owner, unsaid, ANNA, now)
        assert (await log.entries(tx, unsaid))[-1].facts["note"] == ""
        assert await alarms.open_alarms(tx, owner) == ()
        second = await alarms.raise_alarm(tx, owner, AlarmCode.WITNESS_DISAGREES, PLANT, "audit", now)
        assert second != first
        last = (await log.entries(tx, first))[-1]
        said = await log.written(tx, last.facts["note"])
        [row] = (await tx.execute(select(store.money_alarm).where(store.money_alarm.c.id == first))).all()
    assert (last.kind, last.actor, last.at, said) == ("alarm.acknowledged", ANNA, now, "Looked at it.")
    told = {"code": "WITNESS_DISAGREES", "scope": "plant", "key": "", "subject": "audit"}
    assert last.facts == {**told, "note": last.facts["note"]}
    assert (row.acknowledged_by, row.acknowledged_at, row.halted) == ("anna", now, "")


async def test_who_deals_with_the_subject_has_seen_its_alarm(spend, owner, now):
    async with spend.write() as tx:
        await alarms.raise_alarm(tx, owner, AlarmCode.OUTCOME_OPEN, KONTOR, "G1-1", now)
        other = await alarms.raise_alarm(tx, owner, AlarmCode.OUTCOME_OPEN, KONTOR, "G1-2", now)
        await alarms.acted_on(tx, owner, AlarmCode.OUTCOME_OPEN, "G1-1", ANNA, now)
        assert [alarm.id for alarm in await alarms.open_alarms(tx, owner)] == [other]
        last = (await log.entries(tx))[-1]
    assert (last.kind, last.actor, last.facts["note"]) == ("alarm.acknowledged", ANNA, "")


async def test_an_alarm_is_due_at_its_time_and_once(spend, owner, now):
    async with spend.write() as tx:
        id = await alarms.raise_alarm(tx, owner, AlarmCode.CLOCK_WRONG, PLANT, "clock", now)
        [alarm] = await alarms.open_alarms(tx, owner)
        assert [alarm.due(now + timedelta(hours=hours)) for hours in (7, 8, 9)] == [False, True, True]
        halt, _new = await halts.put(tx, owner, PLANT, halts.BY_ALARM, ANNA, now, alarm=id)
        await alarms.escalated(tx, owner, alarm, halt, now)
        [alarm] = await alarms.open_alarms(tx, owner)
        assert not alarm.due(now + timedelta(days=9))
        await alarms.lifted(tx, owner, halt, ANNA, now)
        assert await alarms.open_alarms(tx, owner) == ()
        assert await leaves(tx) == ["alarm.raised", "halt.set", "alarm.escalated", "alarm.acknowledged"]
        [_raised, escalated, acknowledged] = await log.entries(tx, id)
    told = {"code": "CLOCK_WRONG", "scope": "plant", "key": "", "subject": "clock"}
    assert (escalated.facts, acknowledged.facts) == ({**told, "halt": halt.id}, {**told, "note": ""})
    assert escalated.actor == Actor(ActorKind.GATEWAY, owner.gateway_id, "alarm")


async def test_lifting_another_stop_leaves_an_alarm_open(spend, owner, now):
    async with spend.write() as tx:
        await alarms.raise_alarm(tx, owner, AlarmCode.CLOCK_WRONG, PLANT, "clock", now)
        halt, _new = await halts.put(tx, owner, MILL, BY_PERSON, ANNA, now)
        await alarms.lifted(tx, owner, halt, ANNA, now)
        assert len(await alarms.open_alarms(tx, owner)) == 1
