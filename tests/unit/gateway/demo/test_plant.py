from pathlib import Path

from connectors.simulator.factory import Addresses
from connectors.simulator.machines import shopfloor, wiring
from gateway.config import load
from gateway.demo import plant
from gateway.policy_file import read_policy

FACTORY = {
    "opcua_url": "opc.tcp://127.0.0.1:4840/",
    "fingerprint": "sha256:" + "ab" * 32,
    "modbus_host": "127.0.0.1",
    "modbus_port": 5020,
    "device_ids": {each.key: each.device.device_id for each in shopfloor() if each.device},
    "machines": {
        each.key: {"connection": "modbus" if each.device else "opcua", "tags": wiring(each)} for each in shopfloor()
    },
}


def written(home: Path) -> Path:
    (home / "token").write_text("t0ken")
    addresses = dict.fromkeys((*plant.SUPPLIERS, "carrier"), "http://127.0.0.1:9001")
    suppliers = plant.market(addresses, dict.fromkeys(addresses, str(home / "token")))
    around = plant.Surroundings(FACTORY, suppliers, "demo-user", 8080)
    plant.write(home / "toolcrib.yaml", plant.config(around, plant.machines(FACTORY)), "test")
    return home / "toolcrib.yaml"


def test_the_demos_config_has_no_mistake(tmp_path: Path):
    config = load(written(tmp_path))
    assert set(config.file.machines) == {"mill", "press", "compressor", "conveyor"}
    assert set(config.suppliers) == {"kontor", "express", "maker", "huber"}
    assert config.persons_of("demo-user") == (plant.PERSON, plant.TECHNICIAN)


def test_every_component_of_the_factory_is_watched_and_bought_for(tmp_path: Path):
    config = load(written(tmp_path))
    worn = {f"{machine.key}/{component.key}" for machine in shopfloor() for component in machine.components}
    assert set(config.components) == worn
    assert all(component.buying for component in config.components.values())


def test_the_demos_policy_fits_its_config(tmp_path: Path):
    plant.write(tmp_path / "policy.yaml", plant.policy(), "test")
    _file, policy = read_policy(tmp_path / "policy.yaml", load(written(tmp_path)))
    assert policy.mandate is not None
    assert policy.mandate.granted_by == plant.PERSON


def test_addresses_are_the_keys_that_the_factory_prints():
    assert set(Addresses.__slots__) == set(FACTORY)
