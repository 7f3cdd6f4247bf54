"""From a server that nobody knows to ten thousand live tags, against a server in another process."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from connectors.connector import TagFault
from connectors.opcua.connector import OpcUaConnector
from connectors.samples import Batch
from gateway.clock import real
from gateway.commands.application import run
from gateway.config import Config, load
from tests.journeys.test_reload import SITE
from tests.machine_process import machine_process

pytestmark = pytest.mark.serial
TAGS = 10_000
MOST_SECONDS = 30.0


async def live(config: Config, connection: str, state: Path) -> int:
    """Return how many tags of a connection have shown a value, once all have."""
    tags = config.tags_of(connection)
    connector = OpcUaConnector(connection, config.connections[connection], tags, clock=real, state=state)
    seen: set[str] = set()
    done = asyncio.Event()

    async def deliver(batch: Batch) -> None:
        seen.update(batch.keys[number] for number in set(batch.tags.tolist()))
        if len(seen) == len(tags):
            done.set()

    def report(faults: object) -> None:
        assert isinstance(faults, tuple | list)
        assert not [each for each in faults if isinstance(each, TagFault)]

    talking = asyncio.create_task(connector.converse(deliver, report))
    waiting = asyncio.create_task(done.wait())
    await asyncio.wait({talking, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=MOST_SECONDS)
    for task in (talking, waiting):
        task.cancel()
    await asyncio.gather(talking, waiting, return_exceptions=True)
    return len(seen)


@pytest.mark.long
@pytest.mark.timeout(90)
def test_ten_thousand_tags_are_live_thirty_seconds_after_the_browse_began(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.logs.quiet", lambda: None)  # this process has the other tests' log, too
    file = tmp_path / "toolcrib.yaml"
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in SITE.items())
    file.write_text(f"{head}\nconnections: {{}}\nmachines: {{}}\n")
    with machine_process(tmp_path / "machine", "--nodes", str(TAGS)) as served:
        began = time.monotonic()
        words = ["browse", served.url, "--server-certificate", served.fingerprint, "--glob", "Plant", "--add", "line"]
        assert run([*words, "--config", str(file)]) == 0
        browsed = time.monotonic() - began
        config = load(file)
        (connection,) = config.connections
        seen = asyncio.run(live(config, connection, tmp_path / "state"))
        took = time.monotonic() - began
    with capsys.disabled():
        print(f"\n10,000 tags: in the config after {browsed:.1f} s, live after {took:.1f} s")
    assert seen == TAGS
    assert took < MOST_SECONDS


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_hundred_thousand_nodes_are_browsed_in_the_time_of_a_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.logs.quiet", lambda: None)
    with machine_process(tmp_path / "machine", "--nodes", "100000", "--insecure") as served:
        began = time.monotonic()
        assert run(["browse", served.url, "--insecure", "--glob", "Plant", "--json"]) == 0
        took = time.monotonic() - began
    found = json.loads(capsys.readouterr().out)
    with capsys.disabled():
        print(f"\n100,000 tags: browsed and read in {took:.1f} s")
    assert len(found) == 100_000
    assert took < 120
