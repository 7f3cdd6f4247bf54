from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from marketplace.audit import log
from marketplace.authority import gate
from marketplace.authority.applied import GateClosed, PolicyRefused, difference
from marketplace.ordering.states import Effect
from marketplace.store import Owner, policy_version, spend_limit


@pytest.fixture
def apply(spend, owner, anna, now):
    async def apply(document, person=anna, at=now, whose=owner):
        async with spend.write() as tx:
            return await gate.apply_policy(tx, whose, document, person, at)

    return apply


@pytest.fixture
async def order(spend, make_order, store_order):
    """A stored proposal."""
    made = make_order()
    async with spend.write() as tx:
        await store_order(tx, made)
    return made


async def test_before_the_first_application_there_is_no_policy(spend, owner):
    async with spend.read() as connection:
        assert await gate.current_policy(connection, owner) is None


async def test_an_applied_policy_counts_with_its_version_and_hash(spend, owner, apply, policy_document, now):
    assert await apply(policy_document) == 1
    async with spend.read() as connection:
        applied = await gate.current_policy(connection, owner)
    assert (applied.version, applied.applied_by, applied.applied_at) == (1, "anna", now)
    assert applied.mandate.granted_by == "anna"
    assert applied.hash == applied.policy.hash


async def test_an_edited_document_changes_nothing_until_it_is_applied(spend, owner, apply, policy_document):
    await apply(policy_document)
    policy_document["modes"]["default"] = "buy"
    async with spend.read() as connection:
        applied = await gate.current_policy(connection, owner)
    assert applied.policy.modes["default"] == "ask"


async def test_the_same_document_again_is_no_new_version(spend, apply, policy_document):
    assert await apply(policy_document) == await apply(policy_document) == 1
    async with spend.read() as connection:
        assert len(await log.entries(connection, kind="policy.applied")) == 1


async def test_what_changed_is_audited(spend, apply, policy_document):
    await apply(policy_document)
    changed = {**policy_document, "window": {"days": 30, "per_machine": "3000 EUR"}, "known": {}}
    assert await apply(changed) == 2
    async with spend.read() as connection:
        first, second = await log.entries(connection, "policy")
    assert first.facts["difference"]["amounts"] == ["", '"net"']
    assert second.facts["version"] == 2
    assert second.facts["difference"] == {
        "known": ["", "{}"],
        "known.cheap-and-slow": ['["bearing-7014"]', ""],
        "window.per_machine": ['"2000.00 EUR"', '"3000.00 EUR"'],
    }
    assert (second.actor.id, second.actor.method) == ("anna", "socket")


async def test_only_who_may_applies(apply, policy_document, anna):
    with pytest.raises(PolicyRefused, match="may not apply"):
        await apply(policy_document, replace(anna, may_apply_policy=False))


async def test_nobody_grants_a_mandate_in_the_name_of_another(apply, policy_document, anna):
    with pytest.raises(PolicyRefused, match="in the name of anna"):
        await apply(policy_document, replace(anna, id="bob"))


async def test_another_person_may_change_the_rules_under_a_mandate_that_stays(apply, policy_document, anna):
    await apply(policy_document)
    bob = replace(anna, id="bob")
    assert await apply({**policy_document, "modes": {}}, bob) == 2
    raised = {**policy_document, "mandate": {**policy_document["mandate"], "per_order": "501 EUR"}}
    with pytest.raises(PolicyRefused, match="in the name of anna"):
        await apply(raised, bob)


async def test_a_mandate_can_be_withdrawn_by_whoever_may_apply(apply, policy_document, anna):
    await apply(policy_document)
    assert await apply({"schema": 1}, replace(anna, id="bob")) == 2


async def test_a_document_with_a_mistake_changes_nothing(spend, owner, apply, policy_document):
    await apply(policy_document)
    with pytest.raises(ValidationError):
        await apply({**policy_document, "colour": "red"})
    async with spend.read() as connection:
        assert (await gate.current_policy(connection, owner)).version == 1


async def test_a_policy_counts_for_the_gateway_at_which_it_was_applied(spend, owner, apply, policy_document):
    await apply(policy_document)
    for other in (Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id)):
        assert await apply({"schema": 1}, whose=other) == 1
        async with spend.read() as connection:
            assert (await gate.current_policy(connection, other)).mandate is None
            assert (await gate.current_policy(connection, owner)).mandate is not None


async def test_a_stored_policy_that_was_changed_stops_buying(spend, owner, apply, policy_document):
    await apply(policy_document)
    async with spend.write() as tx:
        await tx.execute(
            update(policy_version).values(
                document=(await tx.execute(select(policy_version.c.document))).scalar_one().replace("500.00", "900.00")
            )
        )
        with pytest.raises(GateClosed, match="changed after it was applied"):
            await gate.current_policy(tx, owner)


async def test_limits_follow_in_the_same_transaction(spend, owner, apply, policy_document, circumstances, now, order):
    await apply(policy_document)
    async with spend.write() as tx:
        await gate.judge(tx, owner, order, circumstances, now)
    await apply({**policy_document, "window": {"days": 30, "per_machine": "70 EUR"}}, at=now + timedelta(1))
    async with spend.read() as connection:
        row = (await connection.execute(select(spend_limit))).one()
    assert (row.limit_value, row.machine_used, row.ceiling) == (70_00, 132_00, 132_00)
    await apply({**policy_document, "window": None}, at=now + timedelta(2))
    async with spend.read() as connection:
        assert (await connection.execute(select(spend_limit.c.limit_value))).scalar_one() == 0


async def test_under_a_clock_that_jumped_nothing_is_too_old_to_be_counted(
    spend, owner, apply, policy_document, circumstances, now, anna, order, make_order, store_order, move
):
    await apply(policy_document)
    other = make_order("G1-0002-B")
    async with spend.write() as tx:
        await gate.judge(tx, owner, order, circumstances, now)
    await apply({**policy_document, "window": None}, at=now)
    async with spend.write() as tx:
        await store_order(tx, other)
        await move(tx, other.number, state="awaiting_approval")
        await gate.allow(tx, owner, other, anna, "mill", other.hash, "web", "take it", now)
        await gate.settle(tx, owner, other.number, Effect.COMMIT, now)
    await apply(policy_document, at=now + timedelta(days=400))
    async with spend.read() as connection:
        rows = (await connection.execute(select(spend_limit).where(spend_limit.c.rolling_days == 30))).all()
    assert [(row.machine_used, row.person_used) for row in rows] == [(132_00, 132_00)]


async def test_the_leaf_of_a_policy_holds_it_whole_with_its_hash(spend, owner, apply, policy_document):
    await apply(policy_document)
    async with spend.read() as connection:
        applied = await gate.current_policy(connection, owner)
        (leaf,) = await log.entries(connection, kind="policy.applied")
    assert (leaf.facts["hash"], leaf.facts["document"]) == (applied.hash, applied.policy.document())


def test_a_difference_is_told_in_one_form():
    assert difference({}, {"a": [{"name": "Säge", "by": 1}]}) == {"a": ["", '[{"by": 1, "name": "Säge"}]']}


def test_a_difference_names_paths():
    assert difference({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2, "d": []}) == {"a.b": ["1", "3"], "d": ["", "[]"]}
