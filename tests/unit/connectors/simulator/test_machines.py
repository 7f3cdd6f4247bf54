"""Machines show their wear, stop when something gives, and start anew from a fitting."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from connectors.modbus.settings import ModbusTag
from connectors.opcua.settings import OpcUaTag
from connectors.simulator.machines import (
    COMPRESSOR,
    CONVEYOR,
    MILL,
    PRESS,
    RUNNING,
    Machine,
    MachinePlan,
    shopfloor,
    wiring,
)


def machine(plan: MachinePlan = MILL, seed: int = 1) -> Machine:
    return Machine(plan, seed)


def shown(of: Machine) -> dict[str, float]:
    return {tag: reading.value for tag, reading in of.readings(random.Random(1)).items()}


@pytest.mark.parametrize(
    ("plan", "tags"),
    [
        (MILL, {"spindle-vibration", "tool-cycles", "coolant-level", "running-hours", "running"}),
        (PRESS, {"seal-cycles", "filter-pressure", "running"}),
        (COMPRESSOR, {"running-hours", "oil-level", "running"}),
        (CONVEYOR, {"motor-current", "motor-temperature", "belt-cycles", "running"}),
    ],
)
def test_every_tag_is_measured_wired_and_has_a_unit(plan: MachinePlan, tags: set[str]) -> None:
    assert set(shown(machine(plan))) == set(plan.units) == set(wiring(plan)) == tags


@pytest.mark.parametrize("plan", shopfloor(), ids=lambda plan: plan.key)
def test_the_wiring_is_what_a_config_accepts(plan: MachinePlan) -> None:
    settings = ModbusTag if plan.device else OpcUaTag
    for tag in wiring(plan).values():
        settings.model_validate(tag)


@pytest.mark.parametrize("plan", shopfloor(), ids=lambda plan: plan.key)
def test_a_level_runs_from_as_new_to_worn_out(plan: MachinePlan) -> None:
    for level in plan.levels:
        path = [level.at(wear / 100) for wear in range(101)]
        assert path[0] == pytest.approx(level.as_new)
        assert path[-1] == pytest.approx(level.worn_out)
        assert path == sorted(path, reverse=level.worn_out < level.as_new)


def test_a_machine_stops_at_the_hour_its_first_component_gives() -> None:
    mill = machine()
    tool = mill.slots["cutting-tool"]
    bearing = mill.slots["spindle-bearing"]
    mill.advance(10_000)
    assert not mill.running
    assert mill.slots["cutting-tool"].failed
    assert mill.hours == pytest.approx(tool.hours_left)
    assert mill.slots["spindle-bearing"].used == pytest.approx(bearing.used + tool.hours_left)


def test_a_machine_that_stands_still_holds_its_signals_and_says_so() -> None:
    mill = machine()
    mill.advance(10)
    running = mill.readings(random.Random(1))
    mill.fail("cutting-tool")
    mill.advance(100)
    still = mill.readings(random.Random(2))
    assert still["spindle-vibration"].value == running["spindle-vibration"].value
    assert not still["spindle-vibration"].fresh
    assert still["running-hours"] == running["running-hours"]
    assert (running[RUNNING].value, still[RUNNING].value) == (1, 0)


def test_a_new_part_sets_its_counter_to_zero_and_lets_the_machine_run() -> None:
    mill = machine()
    assert shown(mill)["tool-cycles"] > 3_000
    mill.advance(10_000)
    assert mill.fit("cutting-tool") == 2
    assert mill.running
    assert shown(mill)["tool-cycles"] == 0
    mill.advance(10)
    assert shown(mill)["tool-cycles"] == 120


def test_a_refill_brings_the_level_back_even_while_another_part_holds_the_machine() -> None:
    mill = machine()
    mill.advance(1)
    assert shown(mill)["coolant-level"] < 65
    mill.fail("spindle-bearing")
    mill.fit("coolant")
    assert shown(mill)["coolant-level"] == 100


def test_hours_since_service_start_again_at_a_service_and_overdue_does_not_stop() -> None:
    compressor = machine(COMPRESSOR)
    compressor.fit("oil")
    compressor.advance(250)
    assert compressor.slots["service"].failed
    assert compressor.running
    compressor.fit("service")
    assert shown(compressor)["running-hours"] == 0


def test_a_machine_goes_on_from_what_was_saved() -> None:
    first, second = machine(), machine()
    first.advance(50)
    first.fit("cutting-tool")
    first.advance(3)
    second.restore(json.loads(json.dumps(first.saved())))
    assert second.slots == first.slots
    assert second.hours == first.hours


def test_the_same_seed_makes_the_same_machine_and_another_seed_another() -> None:
    assert machine(seed=3).slots == machine(seed=3).slots
    assert machine(seed=3).slots != machine(seed=4).slots


def test_operating_hours_are_the_share_of_the_day_that_is_worked() -> None:
    assert MILL.utilised(timedelta(days=3)) == pytest.approx(48)
    assert MILL.utilised(timedelta(days=-3)) == 0


def test_a_demo_may_begin_with_any_wear() -> None:
    mill = shopfloor({"mill/cutting-tool": 0.99})[0]
    assert Machine(mill, 1).slots["cutting-tool"].wear == pytest.approx(0.99)
    with pytest.raises(KeyError, match="mill/handle"):
        shopfloor({"mill/handle": 0.5})
