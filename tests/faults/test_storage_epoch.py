"""A disaster that lost entries which a witness had seen: a person says so, and the witness's owner must agree.

Gateway, market, files and the witness's HTTP server are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import control_client
from gateway.backup import Source, make_backup
from gateway.cli import main
from gateway.databases import read_databases
from gateway.demo import plant
from gateway.restore import restore_backup
from gateway.witnesses import serve
from marketplace.audit.notary import stored_keys
from marketplace.audit.note import VerifierKey
from marketplace.audit.verify import Verification, verify
from marketplace.audit.witness import Witness
from tests.faults.bench import Bench, bench, config
from tests.faults.test_storage_drill import bought, buy, status, until_looked

__all__ = ["bench"]  # the fixture

pytestmark = pytest.mark.timeout(180)


async def keys_of(bench: Bench) -> list[VerifierKey]:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        return [each.key for each in await stored_keys(tx, bench.config.owner)]


@asynccontextmanager
async def witnessing(state: Path, logs: list[VerifierKey], port: int = 0) -> AsyncIterator[tuple[Witness, int]]:
    """A witness that listens, as its owner has set it up; gives it and its port."""
    witness = Witness(state, "office.example/w1", logs)
    runner = await serve(witness, "127.0.0.1", port, lambda: 1_800_000_000)
    try:
        yield witness, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def restart_watched_by(bench: Bench, witness: Witness, port: int) -> None:
    await bench.stop()
    watched = {"witnesses": [{"key": str(witness.public), "url": f"http://127.0.0.1:{port}"}]}
    patient = {"acknowledge_within": {"WITNESS_DISAGREES": "9000 d"}}
    plant.write(bench.home / "toolcrib.yaml", config(bench.market) | {"audit": watched, "alarms": patient}, "test")
    await bench.start()


async def back_up_and_lose_what_the_witness_saw(bench: Bench, witness: Witness, target: Path) -> None:
    """Back up, buy one more, let the witness see it, lose both databases, and start on the backup."""
    await bench.act("fitted", {"component": "bench/quoting", "used": "995 h"})
    await buy(bench, "bench/quoting")
    source = Source(bench.home, bench.home / "toolcrib.yaml", bench.home / "policy.yaml", bench.config.owner)
    backup = await asyncio.to_thread(make_backup, source, target, bench.clock())
    await bench.act("fitted", {"component": "bench/confirmed", "used": "995 h"})
    await buy(bench, "bench/confirmed")
    await asyncio.to_thread(control_client.sign_audit, bench.home)
    await bench.kill()
    for path in [*bench.home.glob("spend.db*"), *bench.home.glob("telemetry.db*")]:
        path.unlink()
    await restore_backup(backup, bench.home, datetime.fromisoformat(bench.clock().isoformat()))
    await bench.start()


async def refused(bench: Bench, body: dict[str, Any]) -> str:
    with pytest.raises(control_client.Refused) as error:
        await bench.act("confirm-restore", body)
    return error.value.code


async def verified(bench: Bench) -> Verification:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        return await verify(tx, bench.config.owner)


async def until_buying(bench: Bench, *said: str) -> None:
    """Wait until the gateway says all of this about buying."""

    async def there() -> bool:
        with suppress(control_client.Refused):
            await asyncio.to_thread(control_client.sign_audit, bench.home)
        told = (await status(bench))["buying"]
        return all(each in told for each in said)

    await bench.until(there, f"{said} in what buying says")


async def toolcrib(bench: Bench, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command and return what it says to people."""
    capsys.readouterr()
    assert await asyncio.to_thread(main, [*words, "--config", str(bench.home / "toolcrib.yaml")]) == 0
    return capsys.readouterr().out


@pytest.mark.long
async def test_entries_that_a_witness_saw_and_that_are_lost_are_told_in_a_new_epoch(
    bench: Bench, tmp_path_factory, capsys
):
    room = tmp_path_factory.mktemp("office")
    [key] = await keys_of(bench)
    async with witnessing(room / "state", [key]) as (witness, port):
        assert await refused(bench, {"new_epoch": True}) == "NOTHING_TO_CONFIRM"
        await restart_watched_by(bench, witness, port)
        await back_up_and_lose_what_the_witness_saw(bench, witness, room)
        seen = witness.seen(key.name)
        assert seen is not None
        await until_looked(bench)
        before = bought(bench)
        await bench.act("confirm-restore", {})
        await bench.act("fitted", {"component": "bench/shipped", "used": "995 h"})
        await until_buying(bench, "the witness office.example/w1 has seen")  # without an epoch it waits for ever
        assert (await verified(bench)).breaks == ()

        assert "--confirm --new-epoch" in await toolcrib(bench, capsys, "restored")
        said = await toolcrib(bench, capsys, "restored", "--confirm", "--new-epoch", "--as", plant.PERSON)
        [_key, epoch] = await keys_of(bench)
        assert epoch.name.startswith(f"{key.name}/")
        assert f"one more log, with '--log' or under 'audit.serve.logs': {epoch}" in said
        await until_buying(bench, "its owner must take one more log", str(epoch))
        await bench.kill()
        await bench.start()  # it is remembered who objected
        await until_buying(bench, str(epoch))
        assert await refused(bench, {"new_epoch": True}) == "NO_WITNESS_OBJECTS"
        assert bought(bench) == before
    async with witnessing(room / "state", [key, epoch], port):
        await asyncio.to_thread(control_client.sign_audit, bench.home)
        assert (await status(bench))["buying"] == "on"
        order = await buy(bench, "bench/shipped")
    assert bought(bench) == sorted([*before, order])
    found = await verified(bench)
    [told] = found.breaks
    assert (found.problems, f"witness 'office.example/w1' had seen ({seen.checkpoint.size}) are lost" in told) == (
        (),
        True,
    )
    assert f"by '{plant.PERSON}'" in told
