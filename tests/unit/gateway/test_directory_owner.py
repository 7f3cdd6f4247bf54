"""A data directory knows whose it is: two gateways that share numbers would take each other's orders for their own."""

from dataclasses import replace

import pytest

from gateway.databases import open_databases, require_owner
from gateway.storage import StorageBroken
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind


@pytest.fixture
async def written(tmp_path, owner, now):
    """A directory in which a gateway has acted."""
    async with open_databases(tmp_path) as databases, databases.spend.write() as tx:
        await log.append(tx, owner, "test.done", "x", Actor(ActorKind.GATEWAY, owner.gateway_id, "test"), {}, now)
    return tmp_path


async def test_its_own_gateway_goes_on(written, owner):
    async with open_databases(written) as databases:
        await require_owner(databases.spend, owner)


@pytest.mark.parametrize("change", [{"gateway_id": "G2"}, {"plant": "southworks"}])
async def test_a_directory_of_another_gateway_or_plant_is_refused_in_one_sentence(written, owner, change):
    async with open_databases(written) as databases:
        with pytest.raises(StorageBroken, match="belongs to gateway G1 of plant northworks") as refused:
            await require_owner(databases.spend, replace(owner, **change))
    assert "\n" not in str(refused.value)


async def test_a_new_directory_is_anybodys(tmp_path, owner):
    async with open_databases(tmp_path) as databases:
        await require_owner(databases.spend, replace(owner, gateway_id="G9"))
