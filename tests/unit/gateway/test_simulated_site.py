import json
import stat
from pathlib import Path

import pytest

from connectors.simulator.factory import Addresses
from connectors.simulator.machines import shopfloor, wiring
from gateway import config
from gateway.policy_file import read_policy
from gateway.simulated_site import SiteFailed, write_site


@pytest.fixture
def told(tmp_path: Path) -> tuple[Path, Path]:
    """What a factory and a market write about themselves."""
    machines = {
        plan.key: {"connection": "modbus" if plan.device else "opcua", "tags": wiring(plan)} for plan in shopfloor()
    }
    devices = {plan.key: plan.device.device_id for plan in shopfloor() if plan.device}
    url, pin = "opc.tcp://factory:4840/", "sha256:" + "ab" * 32
    factory = tmp_path / "factory" / "addresses.json"
    factory.parent.mkdir()
    factory.write_text(Addresses(url, pin, "factory", 5020, devices, machines).as_json())
    (factory.parent / "control.token").write_text("only the technician's")
    market = tmp_path / "market" / "addresses.json"
    market.parent.mkdir()
    names = ("kontor", "express", "maker", "carrier")
    for name in names:
        (market.parent / f"{name}.token").write_text(f"token of {name}\n")
    addresses = {name: f"http://market:{9001 + index}" for index, name in enumerate(names)}
    tokens = {name: f"/data/{name}.token" for name in names}
    market.write_text(json.dumps({"addresses": addresses, "tokens": tokens}))
    return factory, market


def test_a_site_beside_simulators_is_valid_and_pins_the_factory(tmp_path, told):
    path = tmp_path / "site" / "toolcrib.yaml"
    write_site(path, *told, public_url="http://127.0.0.1:8080", trusted_proxy="172.28.7.1")
    loaded = config.load(path)
    assert loaded.connections["hall-2"].server_certificate == "sha256:" + "ab" * 32
    assert loaded.file.web.bind == "0.0.0.0"
    assert sorted(loaded.suppliers) == ["express", "huber", "kontor", "maker"]
    assert loaded.suppliers["kontor"].token.read(loaded.base) == "token of kontor"
    assert read_policy(loaded.policy_file, loaded)


def test_the_gateway_gets_its_suppliers_tokens_and_nothing_else(tmp_path, told):
    path = tmp_path / "site" / "toolcrib.yaml"
    write_site(path, *told)
    secrets = path.parent / "secrets"
    assert sorted(file.name for file in secrets.iterdir()) == ["express", "kontor", "maker"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o600}
    assert "technician's" not in "".join(each.read_text() for each in path.parent.rglob("*") if each.is_file())


def test_a_site_that_is_there_stays_as_it_is(tmp_path, told):
    path = tmp_path / "toolcrib.yaml"
    path.write_text("mine")
    write_site(path, *told)
    assert path.read_text() == "mine"


def test_what_nobody_told_is_one_sentence(tmp_path, told):
    factory, market = told
    with pytest.raises(SiteFailed, match="cannot be written"):
        write_site(tmp_path / "a" / "toolcrib.yaml", tmp_path / "nowhere.json", market)
    factory.write_text("{}")
    with pytest.raises(SiteFailed, match="cannot be understood"):
        write_site(tmp_path / "b" / "toolcrib.yaml", factory, market)
