"""Lives, readings and needs come back exactly as they went in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from gateway.storage import NORMAL, Storage
from maintenance import store
from maintenance.assets import Fitting, FittingState, Life
from maintenance.documents import need_document, need_of
from marketplace.store import Owner
from tests.unit.maintenance.conftest import Mill

HOUR = timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Storage]:
    storage = Storage(tmp_path / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(store.telemetry.create_all)
        await tx.run_sync(store.durable.create_all)
    yield storage
    await storage.close()


async def test_one_part_sits_in_one_slot(database: Storage, owner: Owner, now: datetime):
    first = Life("l1", "mill/seal", now, None, "S-1", {"cycles": 12.5})
    async with database.write() as tx:
        await store.open_life(tx, owner, first)
    with pytest.raises(IntegrityError):
        async with database.write() as tx:
            await store.open_life(tx, owner, Life("l2", "mill/seal", now))
    async with database.read() as tx:
        assert await store.open_lives(tx, owner) == {"mill/seal": first}


async def test_a_closed_life_makes_room_for_the_next(database: Storage, owner: Owner, now: datetime):
    async with database.write() as tx:
        await store.open_life(tx, owner, Life("l1", "mill/seal", now))
        assert await store.close_life(tx, owner, "mill/seal", now + HOUR) == "l1"
        assert await store.close_life(tx, owner, "mill/seal", now + HOUR) is None
        await store.open_life(tx, owner, Life("l2", "mill/seal", now + HOUR))
        found = await store.lives(tx, owner, "mill/seal")
    assert [(one.id, one.removed_at) for one in found] == [("l1", now + HOUR), ("l2", None)]


async def test_another_plant_has_its_own_slots(database: Storage, owner: Owner, now: datetime):
    async with database.write() as tx:
        await store.open_life(tx, owner, Life("l1", "mill/seal", now))
        await store.open_life(tx, Owner("southworks", "G1"), Life("l2", "mill/seal", now))
        assert list(await store.open_lives(tx, owner)) == ["mill/seal"]
        assert [one.id for one in await store.lives(tx, owner)] == ["l1"]


async def test_a_fitting_moves_from_proposed_to_done(database: Storage, owner: Owner, now: datetime):
    proposed = Fitting("f1", "mill/seal", now, FittingState.PROPOSED, "telemetry", "{}")
    done = Fitting("f1", "mill/seal", now, FittingState.DONE, "anna", "{}", "S-2")
    async with database.write() as tx:
        await store.save_fitting(tx, owner, proposed)
        await store.save_fitting(tx, owner, done)
        assert await store.fittings(tx, owner, "mill/seal") == [done]


async def test_typed_readings_are_kept_in_order(database: Storage, owner: Owner, now: datetime):
    async with database.write() as tx:
        for hour in range(5):
            await store.record_reading(tx, owner, "mill/oil", 100.0 + hour, now + hour * HOUR, "anna")
        found = await store.readings(tx, owner, "mill/oil", limit=2)
    assert found == [(now + 3 * HOUR, 103.0, "anna"), (now + 4 * HOUR, 104.0, "anna")]


async def test_needs_and_pictures_come_back_exactly(database: Storage, mill: Mill):
    mill.say("vibration", *[2.0 + hour / 100 for hour in range(100)])
    needs = mill.monitor.needs(mill.now)
    kept = [(need, mill.monitor.picture(need.component, mill.now)) for need in needs]
    async with database.write() as tx:
        await store.save_needs(tx, kept)
        await store.save_needs(tx, kept)
        found = await store.load_needs(tx)
    for need, picture in kept:
        back, back_picture = found[need.component]
        assert need_document(back) == need_document(need)
        assert back.belief.survival.tobytes() == need.belief.survival.tobytes()
        assert np.array_equal(back.belief.use, need.belief.use)
        assert back_picture == picture


def test_a_job_comes_back_with_its_tools_and_skills_and_an_older_need_without(mill: Mill):
    (need, *_others) = mill.monitor.needs(mill.now)
    told = replace(need, duration=timedelta(minutes=90), tools=("bearing heater",), skills=("alignment",))
    document = json.loads(json.dumps(need_document(told)))
    back = need_of(document)
    assert (back.duration, back.tools, back.skills) == (told.duration, told.tools, told.skills)
    for key in ("duration_s", "tools", "skills"):
        del document[key]
    back = need_of(document)
    assert (back.duration, back.tools, back.skills) == (None, (), ())


async def test_a_monitor_goes_on_from_the_database(database: Storage, make_mill: Callable[..., Mill]):
    before, after = make_mill(), make_mill()
    before.say("vibration", *[2.0 + hour / 100 for hour in range(100)])
    async with database.write() as tx:
        await store.save_snapshots(tx, before.monitor.snapshot(), before.now)
        await store.save_snapshots(tx, before.monitor.snapshot(), before.now)
        assert after.monitor.restore(await store.load_snapshots(tx)) == []
    needs = [[need_document(need) for need in mill.monitor.needs(before.now)] for mill in (before, after)]
    assert needs[0] == needs[1]


async def test_a_time_without_a_zone_is_refused(database: Storage, owner: Owner, now: datetime):
    with pytest.raises(Exception, match="aware"):
        async with database.write() as tx:
            await store.record_reading(tx, owner, "mill/oil", 1.0, now.replace(tzinfo=None), "anna")
    async with database.read() as tx:
        assert (await tx.execute(select(store.reading))).all() == []
