"""What the simulated machines show of themselves, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.simulator.companions import STANDARD, TYPES
from connectors.simulator.machines import Machine
from connectors.simulator.modelled import DEVICE, MACHINING, MILLING, PLANS, Lifetime, Model, filler, shape_of, show
from connectors.simulator.remembered import ANSWER_MAX, Remembered
from connectors.simulator.shape import Shape, TypeName

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("model", Model)
def test_every_variable_that_waits_for_a_value_is_shown_one(model: Model):
    plan = PLANS[model]
    _folder, shape = shape_of(plan)
    waiting = {each.key for each in shape.walk() if each.value is not None and each.value.value is None}
    assert waiting == show(plan, Machine(plan.plan(), 1), NOW).keys()


@pytest.mark.parametrize("model", Model)
def test_every_type_is_defined_after_what_it_is_a_subtype_of(model: Model):
    known: set[TypeName] = set(STANDARD)
    for each in TYPES:
        assert each.parent in known
        known.add(each.name)
    _folder, shape = shape_of(PLANS[model])
    assert {each.type for each in shape.walk()} | {one for each in shape.walk() for one in each.interfaces} <= known


def test_a_lifetime_runs_from_its_start_to_its_limit_either_way():
    down = Lifetime("x", 45_000.0, 5_000.0, "H87", "pc", "NumberOfUsagesIndicationType")
    up = Lifetime("x", 0.0, 8_000.0, "HUR", "h", "TimeIndicationType")
    assert [down.at(share) for share in (0.0, 0.5, 1.0, 2.0)] == [45_000.0, 25_000.0, 5_000.0, 5_000.0]
    assert [up.at(share) for share in (0.0, 0.25, 7.0)] == [0.0, 2_000.0, 8_000.0]


def test_a_machine_predicts_less_time_the_longer_it_runs():
    machine = Machine(MILLING.plan(), 1)
    before = show(MILLING, machine, NOW)["MT-9.filter.predicted"]
    machine.advance(20.0)
    assert show(MILLING, machine, NOW)["MT-9.filter.predicted"] == before - timedelta(days=1)


def test_a_device_that_stands_still_counts_no_hours():
    machine = Machine(DEVICE.plan(), 1)
    machine.fail("valve")
    before = show(DEVICE, machine, NOW)
    machine.advance(10.0)
    assert show(DEVICE, machine, NOW) == before
    assert before["valve-block-1.valve.SwitchingCycles"] == 1_000_000.0


def leaves(shape: Shape) -> list[str]:
    return [each.name for each in shape.walk() if each.value is not None]


@pytest.mark.parametrize("count", [0, 1, 100, 101, 2_000, 4_321])
def test_an_address_space_has_as_many_variables_as_were_asked_for(count: int):
    assert leaves(filler(count)) == [f"Tag{number:06}" for number in range(count)]


async def test_a_memory_is_bounded_and_answers_from_either_end():
    from asyncua import ua

    memory, node = Remembered(), ua.NodeId("x", 2)
    memory.note(node, ua.DataValue(ua.Variant(1.0), SourceTimestamp=NOW))
    assert await memory.read_node_history(node, None, None, 0) == ([], None)
    memory.keep(node)
    times = [NOW + timedelta(seconds=second) for second in range(ANSWER_MAX + 5)]
    for number, at in enumerate(times):
        memory.note(node, ua.DataValue(ua.Variant(float(number)), SourceTimestamp=at))

    async def asked(start: datetime | None, end: datetime | None, most: int) -> list[float]:
        values, _more = await memory.read_node_history(node, start, end, most)
        return [each.Value.Value for each in values]

    assert await asked(times[2], times[4], 0) == [2.0, 3.0, 4.0]
    assert await asked(times[4], times[2], 0) == [4.0, 3.0, 2.0]
    assert await asked(None, times[2], 2) == [2.0, 1.0]
    assert await asked(times[3], None, 2) == [3.0, 4.0]
    values, more = await memory.read_node_history(node, times[0], times[-1], 0)
    assert (len(values), more) == (ANSWER_MAX, times[ANSWER_MAX])


def test_the_machines_that_ship_have_a_nameplate_and_a_life_each():
    for plan in (MACHINING, MILLING, DEVICE):
        assert plan.nameplate.serial
        assert all(part.lifetimes for part in plan.parts)
