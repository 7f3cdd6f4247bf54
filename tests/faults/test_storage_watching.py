"""The spend database fails under a running gateway: buying stops with one sentence, machines are watched on.

The refusals are SQLite's own. The machines are simulated ones over real OPC-UA and Modbus.
"""

from __future__ import annotations

import asyncio
import shutil

import aiohttp
import pytest

from gateway.databases import spend_file
from gateway.storage import StorageBroken
from maintenance import history
from tests.journeys.test_outage import Hall, hall

__all__ = ["hall"]  # the fixture


async def set_read_only(hall: Hall, on: bool) -> None:
    """Let SQLite refuse every write to the spend database, or none."""
    connection = await hall.gateway.databases.spend._held_connection()
    await connection.exec_driver_sql(f"PRAGMA query_only={int(on)}")


async def stored_samples(hall: Hall) -> int:
    await hall.gateway.backlog.drain()
    async with hall.gateway.databases.telemetry.read() as tx:
        return await history.count(tx)


async def expect_watching(hall: Hall) -> None:
    """New samples arrive, and are stored."""
    taken, stored = hall.gateway.pipeline.samples, await stored_samples(hall)
    await hall.until(lambda: hall.gateway.pipeline.samples > taken + 20)
    async with asyncio.timeout(20):
        while await stored_samples(hall) <= stored:
            await asyncio.sleep(0.05)


async def readiness(hall: Hall) -> dict[str, object]:
    address = f"{hall.gateway.address}/readyz"
    async with aiohttp.ClientSession() as session, session.get(address) as reply:
        assert reply.status == 200
        answer: dict[str, object] = await reply.json()
        return answer


async def test_a_disk_that_takes_nothing_stops_buying_and_not_watching_and_is_found_mended(hall: Hall):
    gateway = hall.gateway
    await hall.until(lambda: hall.fresh("mill/spindle-vibration"))
    await set_read_only(hall, True)
    assert not await gateway.databases.spend.try_writing()
    assert gateway.status()["buying"].startswith("Buying is stopped: ")
    assert "attempt to write a readonly database" in gateway.buying.sentence
    assert "spend.db" in gateway.buying.sentence
    assert not (await readiness(hall))["buying"]
    await expect_watching(hall)
    await gateway.pipeline.decide()
    assert gateway.buying.stopped
    await set_read_only(hall, False)
    async with asyncio.timeout(20):  # nobody does anything: the schedule tries
        while gateway.buying.stopped:
            await asyncio.sleep(0.05)
    assert gateway.status()["buying"] == "on"


@pytest.mark.long
async def test_a_file_that_is_exchanged_is_never_written_again(hall: Hall):
    gateway = hall.gateway
    await hall.until(lambda: hall.fresh("mill/spindle-vibration"))
    path = spend_file(gateway.config.directory)
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)
    with pytest.raises(StorageBroken, match="removed or exchanged"):
        async with gateway.databases.spend.write():
            pass
    assert gateway.status()["buying"].startswith("Buying is stopped: ")
    assert "removed or exchanged" in gateway.buying.sentence
    await expect_watching(hall)
    assert not await gateway.databases.spend.try_writing()


@pytest.mark.long
async def test_a_file_that_proves_malformed_stops_buying_until_a_start_has_looked(hall: Hall):
    gateway = hall.gateway
    await hall.until(lambda: hall.fresh("mill/spindle-vibration"))
    path = spend_file(gateway.config.directory)
    for each in (path, path.with_name("spend.db-wal")):
        with each.open("r+b") as file:
            file.write(b"scrambled" * (each.stat().st_size // 9))
    async with asyncio.timeout(20):
        while not gateway.buying.stopped:
            await asyncio.sleep(0.05)
    assert "malformed" in gateway.buying.sentence or "not a database" in gateway.buying.sentence
    await expect_watching(hall)
    assert not await gateway.databases.spend.try_writing()
