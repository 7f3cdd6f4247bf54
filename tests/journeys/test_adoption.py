"""An integrator finds a machine in the net, takes it over without typing a tag, and sees later what changed on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.simulator.control import Control
from gateway.build import open_gateway
from gateway.commands.application import application
from gateway.config import load
from maintenance.settings import Wearing, wear_tags
from tests.journeys.test_reload import SITE
from tests.machine_process import Served, machine_process

SECONDS = 20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    models = ("--model", "machinery", "--model", "machine-tool", "--nodes", "40", "--insecure")
    with machine_process(tmp_path_factory.mktemp("machine"), *models) as made:
        yield made


@pytest.fixture(autouse=True)
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in this process, whose log is the other tests', too."""
    monkeypatch.setattr("gateway.logs.quiet", lambda: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toolcrib.yaml"
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in SITE.items())
    path.write_text(f"{head}\nconnections: {{}}   # hall 2\nmachines: {{}}\n")
    return path


def toolcrib(*words: Any, code: int = 0) -> str:
    result = CliRunner().invoke(application(), [str(word) for word in words], catch_exceptions=True)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def refused(*words: Any) -> str:
    result = CliRunner().invoke(application(), [str(word) for word in words])
    return str(result.exception)


def act(served: Served, path: str, body: dict[str, Any]) -> None:
    async def call() -> None:
        async with Control(served.state) as control:
            await control.call("POST", path, body)

    asyncio.run(call())


def test_from_a_stranger_in_the_net_to_watched_components(served: Served, file: Path):
    (found,) = json.loads(toolcrib("discover", served.url, "--json"))
    fingerprint = found["endpoints"][0]["fingerprint"]
    assert fingerprint == served.fingerprint
    assert fingerprint in refused("adopt", served.url, "--config", file)
    pinned = ("--server-certificate", fingerprint, "--config", file)
    before = file.read_text()
    assert "+ machines.m-4711.components.spindle  (8000 h)" in toolcrib("adopt", served.url, *pinned, "--dry-run")
    assert file.read_text() == before
    toolcrib("adopt", served.url, *pinned)
    assert "no mistakes" in toolcrib("check", file)
    assert "has all of it already" in toolcrib("adopt", served.url, "--config", file)
    assert "# hall 2" in file.read_text()
    config = load(file)
    spindle = config.components["m-4711/spindle"]
    assert spindle.identity is not None
    assert (spindle.identity.manufacturer, spindle.identity.serial) == ("Nordlager", "SP-0815")
    assert config.catalogue[spindle.job.lines["part"].item].mpn == "NL-MS24"
    asyncio.run(watch(file))


async def watch(file: Path) -> None:
    """The gateway reads the machine and knows how worn its parts are."""
    async with open_gateway(load(file)) as gateway:
        components = gateway.config.components
        async with asyncio.timeout(SECONDS), gateway.board.watch() as watcher:
            wanted = {tag for each, made in components.items() for tag in _read(each, made.wear)}
            while not wanted <= gateway.board.readings().keys():
                await watcher.changes()
        needs = {key: gateway.monitor.assess(key, gateway.clock()) for key in components}
    assert needs["m-4711/spindle"].evidence[0].parameters == {"used": "4778", "rated": "8000", "unit": "h"}
    assert needs["m-4711/clamping-seal"].evidence[0].parameters["used"] == "30867"
    assert all(need.belief.known for need in needs.values())
    foretold = [key for key, made in components.items() if made.wear.by == "foretold"]
    assert len(foretold) == 2
    assert all(needs[key].evidence[0].code == "FORETOLD" for key in foretold)
    assert all(0 < needs[key].health <= 1 for key in foretold)


def _read(component: str, wear: Wearing) -> list[str]:
    return [f"{component.partition('/')[0]}/{tag}" for tag in wear_tags(wear)]


def test_from_a_glob_to_tags_and_a_difference_later(served: Served, file: Path):
    line = ("--glob", "Plant/*/Cell00/Tag00000?", "--add", "line", "--config", file)
    open_ = ("browse", served.url, "--insecure")
    assert "10 new" in toolcrib(*open_, *line, "--dry-run")
    assert load(file).tags == {}
    told = json.loads(toolcrib(*open_, *line, "--json"))
    assert (len(told["new"]), told["written"]) == (10, True)
    assert "no mistakes" in toolcrib("check", file)
    assert load(file).file.machines["line"].browse == ("Plant/*/Cell00/Tag00000?",)
    assert "0 new, 10 known already" in toolcrib(*open_, *line)
    assert "nothing differs" in toolcrib("rescan", "--config", file)

    act(served, "/vanish", {"key": "tag-3"})
    text = file.read_text()
    lines = [each for each in text.splitlines(keepends=True) if "s=tag-5," not in each]
    file.write_text("".join(lines))
    assert len(load(file).tags) == 9
    differs = json.loads(toolcrib("rescan", "--config", file, "--json", code=1))
    assert list(differs["line"]["new"]) == ["tag000005"]
    assert differs["line"]["gone"] == ["tag000003"]
    assert differs["line"]["changed"] == {}


def test_what_is_shown_is_a_table_csv_or_json(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # no config here
    power = ("browse", served.url, "--insecure", "--glob", "Machines/M-4711/Power")
    row = {"node": "nsu=urn:toolcrib:machine;s=M-4711.power", "path": "Machines/M-4711/Power", "value": "18"}
    assert json.loads(toolcrib(*power, "--json")) == [{**row, "status": "Good", "type": "Double", "unit": "kW"}]
    assert toolcrib(*power, "--csv").splitlines()[0] == "path,value,unit,type,status,node"
    assert "Machines/M-4711/Power" in toolcrib(*power)
    assert "no variables there" in toolcrib("browse", served.url, "--insecure", "--glob", "nothing")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("browse", "hall"), "neither an address"),
        (("browse", "opc.tcp://127.0.0.1:1", "--insecure"), "cannot be reached"),
        (("browse", "opc.tcp://h:1", "--server-certificate", "md5:0"), "server_certificate"),
        (("discover", "opc.tcp://127.0.0.1:1"), "cannot be reached"),
        (("simulate", "machine", "--model", "robot"), "machinery, machine-tool, device"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: tuple[str, ...], said: str, file: Path):
    more = ("--config", file) if words[0] == "browse" else ()
    assert said in refused(*words, *more)


def test_a_machine_has_one_connection(served: Served, file: Path):
    head = file.read_text().partition("connections:")[0]
    one = "connections: {plc: {connector: modbus, host: 10.0.0.9}}\nmachines: {pump: {name: Pump, connection: plc}}\n"
    file.write_text(head + one)
    words = ("browse", served.url, "--insecure", "--glob", "Plant", "--add", "pump", "--config", file)
    assert "is read over plc" in refused(*words)
    assert "neither an address" in refused("rescan", "pump", "--config", file)
