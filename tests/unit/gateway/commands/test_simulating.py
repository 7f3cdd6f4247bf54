"""What `simulate machine` serves, and what a config needs to listen to it; the serving is tested elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.opcua.settings import OpcUaTag
from connectors.simulator import machine_control
from connectors.simulator.errors import PortInUse
from connectors.simulator.machine_control import MachineReady
from connectors.simulator.modelled import MACHINING, MILLING, PUMP, ModelledPlan
from gateway import logs
from gateway.commands.application import application
from maintenance.windows import FeatureSettings

URL = "opc.tcp://127.0.0.1:4840/"


class Served:
    """Serves nothing, and keeps what it was asked for."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.plans: Sequence[ModelledPlan] = ()
        self._fails = fails

    async def __call__(
        self, plans: Sequence[ModelledPlan], *, ready: Callable[[MachineReady], None], tags: int, **_more: Any
    ) -> None:
        if self._fails is not None:
            raise self._fails
        self.plans = plans
        ready(MachineReady(URL, "aa:bb", tags))


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Served, list[str]]]:
    def run(*words: str, fails: Exception | None = None) -> tuple[Served, list[str]]:
        served = Served(fails)
        monkeypatch.setattr(machine_control, "serve_machine", served)
        monkeypatch.setattr(logs, "quiet", lambda: None)  # it would log to a stream that ends with the command
        result = CliRunner().invoke(application(), ["simulate", "machine", "--state", str(tmp_path), *words])
        said = result.output.splitlines() if result.exit_code == 0 else [str(result.exception)]
        return served, said

    return run


def test_a_pump_that_vibrates_is_served_beside_the_machines_only_where_it_is_asked_for(simulate):
    served, said = simulate("--vibration")
    assert served.plans == [MACHINING, PUMP]
    assert f"OPC-UA: {URL}" in said
    assert simulate()[0].plans == [MACHINING]
    assert simulate("--model", "machine-tool", "--vibration")[0].plans == [MILLING, PUMP]


def test_it_says_what_a_config_needs_to_listen_to_the_pump(simulate):
    _served, said = simulate("--vibration")
    shown = said[said.index("below the machine in a config:") + 1 :]
    sections = {name.strip(): json.loads(text) for name, _colon, text in (line.partition(":") for line in shown)}
    tags = {name: OpcUaTag(**each) for name, each in sections["tags"].items()}
    features = [FeatureSettings.model_validate(each) for each in sections["features"].values()]
    assert tags["vibration"].window
    assert {each.from_ for each in features} == {"vibration"}
    assert not any("config" in line for line in simulate()[1])
    (told,) = simulate("--vibration", "--json")[1]
    assert json.loads(told)["url"] == URL


@pytest.mark.parametrize("error", [PortInUse("somebody is there"), OSError(13, "somebody is there")])
def test_what_cannot_be_served_is_one_sentence(simulate, error):
    _served, (said,) = simulate(fails=error)
    assert "somebody is there" in said
