"""A machine's server is met for the first time: it waits, a person compares and pins it, and throws it out again."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from connectors.opcua import identity, pins
from connectors.samples import Provenance
from gateway.build import Gateway, open_gateway
from gateway.certificate_watch import told
from gateway.cli import main
from gateway.config import load
from gateway.trusting import CHOICE
from marketplace.audit import log as audit
from tests.journeys.test_reload import SITE, machine
from tests.servers import OpcUaBench

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpcUaBench]:
    bench = OpcUaBench(tmp_path_factory.mktemp("server"), tags={"a": 1.0})
    await bench.start()
    yield bench
    await bench.stop()


def site(tmp_path: Path, server: OpcUaBench, **connection: Any) -> Path:
    people = {
        "anna": {"name": "Anna", "may": ["apply_policy", "operate"], "os_user": getpass.getuser()},
        "ben": {"name": "Ben", "may": ["operate"], "os_user": getpass.getuser()},
    }
    hall = {"connector": "opcua", "url": server.url, "sampling": "50 ms", **connection}
    document = {**SITE, "people": people, "connections": {"hall": hall}, "machines": {"mill": machine("hall", "a")}}
    file = tmp_path / "toolcrib.yaml"
    file.write_text(json.dumps(document))
    return file


async def until(gateway: Gateway, there: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(SECONDS), gateway.board.watch() as watcher:
        while not any(there(link) for link in gateway.board.links()):
            await watcher.changes()


async def trust(file: Path, *words: str) -> int:
    return await asyncio.to_thread(main, ["trust", *words, "--config", str(file)])


async def leaves(gateway: Gateway, kind: str) -> list[Any]:
    async with gateway.databases.spend.read() as tx:
        return await audit.entries(tx, "hall", kind=kind)


async def test_a_stranger_waits_until_a_named_person_lets_it_in(
    tmp_path: Path, server: OpcUaBench, capsys: pytest.CaptureFixture[str]
):
    file = site(tmp_path, server)
    shown = server.fingerprint
    async with open_gateway(load(file)) as gateway:
        await until(gateway, lambda link: "trust pin hall" in link.reason)
        assert await trust(file, "list", "--json") == 0
        (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (row["connection"], row["state"], row["fingerprint"]) == ("hall", "quarantined", shown)
        assert (row["subject"], row["uri"]) == ("CN=Toolcrib", server.identity.uri)
        await gateway.trusting.look()
        assert "waits in quarantine" in gateway.status()["certificates"][0]

        assert await trust(file, "pin", "hall", shown, "--as", "ben") == 1  # what comes from it may spend
        assert "may not do this" in capsys.readouterr().err
        assert await trust(file, "pin", "hall", "sha256:" + "0" * 64, "--as", "anna") == 1
        assert "has seen no certificate" in capsys.readouterr().err
        assert await trust(file, "pin", "hall", shown.upper().replace("SHA256", "sha256"), "--as", "anna") == 0
        await until(gateway, lambda link: link.connected)
        (pinned,) = await leaves(gateway, "certificate.pinned")
        assert (pinned.actor.id, pinned.actor.method) == ("anna", "socket")
        assert pinned.facts == {"fingerprint": shown, "subject": "CN=Toolcrib", "before": "quarantined"}
        await gateway.trusting.look()
        assert gateway.status()["certificates"] == []

        assert await trust(file, "reject", "hall", shown, "--as", "ben") == 0
        await until(gateway, lambda link: "rejected by a person" in link.reason)
        assert len(await leaves(gateway, "certificate.rejected")) == 1
        capsys.readouterr()
        assert await trust(file, "show", "hall", shown[:12]) == 0
        assert "rejected" in capsys.readouterr().out
    assert await trust(file, "pin", "hall", shown, "--as", "anna") == 1
    assert "is not running" in capsys.readouterr().err


async def test_what_the_config_pins_is_class_a_and_no_command_changes_it(
    tmp_path: Path, server: OpcUaBench, capsys: pytest.CaptureFixture[str]
):
    file = site(tmp_path, server, server_certificate=server.fingerprint)
    async with open_gateway(load(file)) as gateway:
        async with asyncio.timeout(SECONDS), gateway.board.watch() as watcher:
            while "mill/a" not in gateway.board.readings():
                await watcher.changes()
        assert gateway.board.readings()["mill/a"].provenance is Provenance.A
        assert await trust(file, "reject", "hall", server.fingerprint, "--as", "anna") == 1
        assert "The config pins" in capsys.readouterr().err
        assert await trust(file, "list") == 0
        assert "pinned by config" in capsys.readouterr().out
        far = datetime.now(UTC) + timedelta(days=4 * 365)
        assert told(gateway.config, far) == []  # nobody has shown its certificate for years


async def test_that_a_site_chose_less_protection_is_in_the_log_once(tmp_path: Path, server: OpcUaBench):
    file = site(tmp_path, server, insecure=True)
    for _start in range(2):
        async with open_gateway(load(file)) as gateway:
            await gateway.trusting.look()
            (chosen,) = await leaves(gateway, CHOICE)
            assert chosen.facts == {"insecure": True, "deprecated": []}
    async with open_gateway(load(site(tmp_path, server, deprecated_policies=["Basic256"]))) as gateway:
        await gateway.trusting.look()
        assert (await leaves(gateway, CHOICE))[-1].facts == {"insecure": False, "deprecated": ["Basic256"]}


async def test_certificates_that_run_out_are_told_by_connection(tmp_path: Path):
    now = datetime.now(UTC)
    ours = identity.own_identity(tmp_path / "pki", now)
    given = {"certificate": tmp_path / "ours.der", "key": tmp_path / "ours.pem"}
    given["certificate"].write_bytes(ours.certificate)
    given["key"].write_bytes(ours.key)
    hall = {"connector": "opcua", "url": "opc.tcp://10.0.0.5:4840", "certificate": "ours.der", "key": "ours.pem"}
    file = tmp_path / "toolcrib.yaml"
    file.write_text(json.dumps({**SITE, "connections": {"hall": hall}}))
    config = load(file)
    assert told(config, ours.valid_until - timedelta(days=31)) == []
    for days in (30, 7, 1):
        (sentence,) = told(config, ours.valid_until - timedelta(days=days))
        assert sentence.startswith("connection hall: our certificate")
        assert f"runs out within {days} day" in sentence
    (sentence,) = told(config, ours.valid_until + timedelta(days=1))
    assert "ran out on" in sentence


async def test_one_spoilt_quarantine_hides_no_other_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ours = identity.own_identity(tmp_path / "mill", datetime.now(UTC)).certificate
    hall = {"connector": "opcua", "url": "opc.tcp://10.0.0.5:4840"}
    file = tmp_path / "toolcrib.yaml"
    file.write_text(json.dumps({**SITE, "connections": {"hall": hall, "yard": hall}}))
    state = load(file).connector_state
    for name in ("hall", "yard"):
        pins.note(state, name, ours, datetime.now(UTC))
    (pins.directory(state) / "hall.json").write_text("null")
    assert await trust(file, "list", "--json") == 1
    said = capsys.readouterr()
    assert [row["connection"] for row in json.loads(said.out)] == ["yard"]
    assert "hall: " in said.err
    assert "cannot be read" in said.err
    assert await trust(file, "show", "yard") == 0
    assert await trust(file, "show", "hall") == 1
    assert "cannot be read" in capsys.readouterr().err
