"""Two gateways, each a process of its own: one is the other's witness, and the other backs itself up by the clock."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import control_client
from gateway.cli import main

pytestmark = pytest.mark.timeout(120)

ANNA = {"name": "Anna", "os_user": getpass.getuser(), "may": ["operate", "apply_policy"]}


def site(gateway: str, **sections: Any) -> dict[str, Any]:
    place = {"name": "N", "time_zone": "UTC", "currency": "EUR", "country": "DE", "plant": "northworks"}
    firm = {"name": "Northworks", "ship_to": "Northworks", "contact": "Northworks"}
    always = {"schema": 1, "organisation": firm, "people": {"anna": ANNA}, "web": {"port": 0}}
    return always | {"site": place | {"gateway": gateway}} | sections


@asynccontextmanager
async def running(home: Path, config: dict[str, Any]) -> AsyncIterator[Path]:
    """Run a gateway until the block is left; gives the file of its config."""
    home.mkdir(exist_ok=True)
    file = home / "toolcrib.yaml"
    file.write_text(json.dumps(config))
    with (home / "gateway.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", "run", str(file), stderr=log)
    try:
        await asyncio.to_thread(control_client.wait_ready, home / "data", 30)
        yield file
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


def seen_by(witness: Path, entries: int) -> bool:
    """Say whether a witness has cosigned so many entries of G1's log."""
    files = (witness / "data/witness").glob("*.checkpoint")
    return ["toolcrib/northworks/G1", str(entries)] in [path.read_text().splitlines()[:2] for path in files]


async def until(there: Callable[[], Any], what: str) -> Any:
    """Return the first truth that `there` comes to."""
    deadline = time.monotonic() + 30
    while not (found := await asyncio.to_thread(there)):
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command and return what it says to programs."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


async def test_a_gateway_is_the_witness_of_another_signs_when_somebody_asks_and_follows_its_keys(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    async with running(first, site("G1")) as file:
        [key] = await asyncio.to_thread(said, capsys, "audit", "keys", "--config", str(file))
    serve = {"name": "w.example/g2", "logs": [key["key"]]}
    async with running(second, site("G2", audit={"serve": serve | {"port": 0}})):
        line = next(each for each in (second / "gateway.log").read_text().splitlines() if "witness for other" in each)
        witness, port = re.search(r"w\.example/g2\+\w+\+[\w/+=]+", line)[0], re.search(r"port\D+(\d+)", line)[1]
        watched = {"witnesses": [{"key": witness, "url": f"http://127.0.0.1:{port}"}]}
        async with running(first, site("G1", audit=watched)) as file:
            before = await asyncio.to_thread(said, capsys, "audit", "verify", "--config", str(file))
            await asyncio.to_thread(said, capsys, "stop", "--config", str(file))
            export = tmp_path / "log.jsonl"
            await asyncio.to_thread(said, capsys, "audit", "export", str(export), "--config", str(file))
            after = await asyncio.to_thread(said, capsys, "audit", "verify", "--config", str(file))
            exported = [json.loads(line) for line in export.read_text().splitlines()]
            await until(lambda: seen_by(second, after["entries"]), "the witness's signature")
            await asyncio.to_thread(said, capsys, "audit", "rotate", "--config", str(file))
            rotated = await asyncio.to_thread(said, capsys, "audit", "verify", "--config", str(file))
            await until(lambda: seen_by(second, rotated["entries"]), "its signature beside the new key's")
    assert after["entries"] > before["entries"]
    assert exported[-1]["checkpoint"].splitlines()[1] == str(after["entries"])
    assert f"— {witness.split('+')[0]} " in exported[-1]["checkpoint"]


@pytest.mark.long
async def test_backups_are_made_by_the_clock_and_only_the_newest_are_kept(tmp_path):
    backups = tmp_path / "first/backups"
    by_clock = {"directory": "../first/backups", "every": "1 s", "keep": 2}
    async with running(tmp_path / "first", site("G1", storage={"backup": by_clock})):
        oldest = await until(lambda: next(backups.glob("*.zip"), None), "a backup")
        await until(lambda: not oldest.exists(), "the end of the oldest")
        assert len(list(backups.glob("*.zip"))) <= 3
    newest = max(backups.glob("*.zip"))
    assert await asyncio.to_thread(main, ["backup", "verify", str(newest)]) == 0
