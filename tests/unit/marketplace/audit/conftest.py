"""A plant in which one order was bought by policy and one by a person: something to tamper with."""

from __future__ import annotations

import asyncio

import pytest

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.ordering.states import Effect
from marketplace.store import purchase_order
from tests.campaigns.tamper.evidence import Evidence, gather

GATEWAY = Actor(ActorKind.GATEWAY, "G1", "policy")


@pytest.fixture(scope="session")
def gathered(tmp_path_factory) -> Evidence:
    """A plant of six purchases, a rotated key and two witnesses; the second saw a fork. To be copied, not changed."""
    return asyncio.run(gather(tmp_path_factory.mktemp("evidence"), purchases=6, apart=2))


@pytest.fixture
async def told(spend, owner, now, anna, store_order, move, make_order, circumstances, policy_document):
    """Eleven leaves: a policy, an order of the gateway's own, and one that a person signed."""
    ours, theirs = make_order("G1-0001-A"), make_order("G1-0002-B", price="900")
    async with spend.write() as tx:
        await gate.apply_policy(tx, owner, policy_document, anna, now)
        for order in (ours, theirs):
            await store_order(tx, order)
            facts = {"order_hash": order.hash, "supplier": order.supplier}
            await log.append(tx, owner, "order.proposed", order.number, GATEWAY, facts, now)
            await gate.judge(tx, owner, order, circumstances, now)
        await move(tx, theirs.number, state="awaiting_approval")
        await gate.allow(tx, owner, theirs, anna, "mill", theirs.hash, "web", "take it", now)
        for order in (ours, theirs):
            await move(tx, order.number, state="approved")
            row = (await tx.execute(purchase_order.select().where(purchase_order.c.number == order.number))).one()
            await gate.permit(tx, owner, row, now, key_proven=True)
        await gate.settle(tx, owner, ours.number, Effect.COMMIT, now)
        await move(tx, ours.number, state="confirmed", sends=1)
        await move(tx, theirs.number, state="unknown", sends=1)
        await log.append(tx, owner, "order.confirmed", ours.number, GATEWAY, {}, now)
        await log.append(
            tx, owner, "order.unknown", theirs.number, GATEWAY, {"code": "SUPPLIER_GONE", "parameters": {}}, now
        )
    return spend
