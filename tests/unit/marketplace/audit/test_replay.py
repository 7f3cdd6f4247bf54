"""Every decision comes out again from what its leaf recorded, to the byte; whatever was changed since shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from marketplace.audit import accounts
from marketplace.audit.replay import DECISIONS, DIFFERENCES_MAX, Replay, replay
from marketplace.authority import gate
from marketplace.documents import canonical
from marketplace.store import Owner, audit_leaf, purchase_order


@pytest.fixture
def rewrite(told, owner):
    """Change the first leaf of a kind, as somebody with an editor would."""

    async def change(kind: str, edit: Callable[[dict[str, Any]], None]) -> None:
        async with told.write() as tx:
            query = audit_leaf.select().where(audit_leaf.c.kind == kind).order_by(audit_leaf.c.leaf_index)
            row = (await tx.execute(query)).first()
            said = json.loads(row.leaf)
            edit(said["facts"])
            mine = (audit_leaf.c.leaf_index == row.leaf_index) & (audit_leaf.c.gateway_id == owner.gateway_id)
            await tx.execute(update(audit_leaf).where(mine).values(leaf=canonical(said)))

    return change


@pytest.fixture
def replayed(told, owner):
    async def run() -> Replay:
        async with told.read() as connection:
            return await replay(connection, owner)

    return run


async def test_every_decision_comes_out_identical(replayed, told, owner):
    found = await replayed()
    async with told.read() as connection:
        query = audit_leaf.select().where(audit_leaf.c.kind.in_(DECISIONS))
        leaves = (await connection.execute(query)).all()
    assert found == Replay(decisions=len(leaves), identical=len(leaves))
    assert {row.kind for row in leaves} == {"decision.made", "approval.given", "permit.issued"}
    assert found.holds


@pytest.mark.parametrize("kind", ["decision.made", "approval.given", "permit.issued"])
async def test_another_verdict_than_the_inputs_give_is_told_with_both(rewrite, replayed, kind):
    await rewrite(
        kind, lambda facts: facts["verdict"].update(rule="INVENTED", parameters={"why": "{braces}", "and": "2"})
    )
    found = await replayed()
    assert not found.holds
    assert found.identical == found.decisions - 1
    (said,) = found.differences
    number = "G1-0002-B" if kind == "approval.given" else "G1-0001-A"
    assert re.match(rf"leaf \d+, {kind} on {number}: ", said)
    assert "recorded as approve INVENTED (and 2, why {braces}), computed as approve" in said


async def test_a_verdict_without_figures_is_told_without_any(rewrite, replayed):
    await rewrite("decision.made", lambda facts: facts["verdict"].update(rule="INVENTED", parameters={}))
    (said,) = (await replayed()).differences
    assert "recorded as approve INVENTED, computed as" in said


async def test_inputs_that_are_not_those_of_their_hash_are_told(rewrite, replayed):
    await rewrite("decision.made", lambda facts: facts["inputs"].update(machine="press"))
    (said,) = (await replayed()).differences
    assert "its inputs are not those of its hash" in said


async def test_a_policy_that_is_not_the_one_that_counted_is_told(rewrite, replayed):
    await rewrite("policy.applied", lambda facts: facts["document"].update(amounts="gross"))
    found = await replayed()
    assert found.identical == 0
    assert all("policy version 1" in said for said in found.differences)


async def test_a_missing_policy_is_told(rewrite, replayed):
    await rewrite("policy.applied", lambda facts: facts.update(version=7))
    assert all("policy version 1" in said for said in (await replayed()).differences)


async def test_an_order_whose_text_was_changed_is_told(told, replayed):
    async with told.write() as tx:
        await tx.execute(update(purchase_order).values(document="{}"))
    found = await replayed()
    assert found.identical == 0
    assert all("not the one that was decided on" in said for said in found.differences)


async def test_a_record_that_lacks_something_is_told_and_stops_nothing(rewrite, replayed):
    await rewrite("decision.made", lambda facts: facts.pop("standing"))
    found = await replayed()
    (said,) = found.differences
    assert "cannot be computed (KeyError)" in said
    assert found.identical == found.decisions - 1


async def test_what_an_older_version_recorded_is_counted_and_not_called_the_same(rewrite, replayed):
    await rewrite("decision.made", lambda facts: facts.pop("act"))
    found = await replayed()
    assert found.incomplete == 1
    assert found.identical == found.decisions - 1
    assert found.holds


async def test_every_decision_that_an_older_version_recorded_is_counted(rewrite, replayed, told):
    whole = await replayed()
    for kind in ("decision.made", "approval.given"):
        await rewrite(kind, lambda facts: facts.pop("act"))
    assert await replayed() == Replay(whole.decisions, whole.decisions - 2, 2)


async def test_a_log_is_replayed_in_chunks_and_each_gateways_by_itself(replayed, told, owner, monkeypatch):
    whole = await replayed()
    monkeypatch.setattr(accounts, "CHUNK", 2)
    assert await replayed() == whole
    async with told.read() as connection:
        for other in (Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id)):
            assert await replay(connection, other) == Replay()


async def test_a_log_of_differences_fills_no_memory(told, replayed, owner):
    async with told.write() as tx:
        row = (await tx.execute(audit_leaf.select().where(audit_leaf.c.kind == "permit.issued"))).first()
        said = json.loads(row.leaf) | {"facts": {"act": "permit"}}
        columns = dict(row._mapping) | {"leaf": canonical(said)}
        rows = [columns | {"leaf_index": 1_000 + index} for index in range(DIFFERENCES_MAX + 5)]
        await tx.execute(audit_leaf.insert(), rows)
    found = await replayed()
    assert len(found.differences) == DIFFERENCES_MAX
    assert not found.holds


async def test_an_order_decided_without_any_policy_is_replayed_too(
    spend, owner, now, store_order, make_order, circumstances
):
    order = make_order("G1-0009-X")
    async with spend.write() as tx:
        await store_order(tx, order)
        await gate.judge(tx, owner, order, circumstances, now)
    async with spend.read() as connection:
        assert await replay(connection, owner) == Replay(1, 1)
