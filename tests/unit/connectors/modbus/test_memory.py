"""What a line taught is believed for that line alone, and never stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.modbus.memory import ENTRIES_MAX, KEEP_SECONDS, LineMemory
from connectors.modbus.plan import Point, points_of
from connectors.modbus.settings import ModbusSettings, ModbusTag

BREAKS = frozenset({(1, "holding", 5), (7, "coil", 9)})


def line(**told: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"host": "plc"} | told)


def counting(**told: Any) -> Point:
    (point,) = points_of({"m/c": ModbusTag.model_validate({"unit": "1", "address": 0, "counter": True} | told)}, 1)
    return point


@pytest.fixture
def learned(tmp_path: Path) -> LineMemory:
    memory = LineMemory(tmp_path, "press/1", line())
    for raw in (65_530, 12):
        memory.counter(counting()).take(raw)
    memory.learn(BREAKS)
    return memory


def of(tmp_path: Path, name: str = "press/1", **told: Any) -> tuple[object, float]:
    memory = LineMemory(tmp_path, name, line(**told))
    return memory.breaks, memory.counter(counting()).take(13.0)


@pytest.mark.usefixtures("learned")
def test_what_was_learned_is_recalled_whatever_else_is_set(tmp_path: Path):
    assert of(tmp_path) == (BREAKS, 65_549)
    assert of(tmp_path, timeout="2 s", sampling="5 s", pipeline=4) == (BREAKS, 65_549)
    assert of(tmp_path, "press/2") == (frozenset(), 13)


@pytest.mark.usefixtures("learned")
@pytest.mark.parametrize(
    "told", [{"host": "other"}, {"port": 503}, {"gap": 0}, {"devices": {7: {"registers_per_read": 32}}}]
)
def test_another_line_or_other_limits_begin_anew(told: dict[str, Any], tmp_path: Path):
    assert of(tmp_path, **told) == (frozenset(), 13)


@pytest.mark.usefixtures("learned")
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"of": 1}', "null", "\0"])
def test_a_broken_file_is_as_if_it_were_not_there(text: str, tmp_path: Path):
    (tmp_path / "modbus" / "press%2F1.json").write_text(text)
    assert of(tmp_path) == (frozenset(), 13)


def test_a_counter_that_lies_elsewhere_is_another(learned: LineMemory):
    assert learned.counter(counting()).turns == 1
    assert learned.counter(counting(address=7)).turns == learned.counter(counting(type="uint32")).turns == 0


def test_numbers_are_written_now_and_then_and_a_turn_at_once(learned: LineMemory, tmp_path: Path):
    file = tmp_path / "modbus" / "press%2F1.json"
    learned.keep_counters(KEEP_SECONDS + 1.0)
    before = file.read_text()
    learned.counter(counting()).take(65_500)
    learned.keep_counters(KEEP_SECONDS + 2.0)
    assert file.read_text() == before
    learned.counter(counting()).take(3)
    learned.keep_counters(KEEP_SECONDS + 3.0)
    assert "[3, 2]" in file.read_text()
    learned.counter(counting()).take(4)
    learned.keep_counters(2 * KEEP_SECONDS + 4.0)
    assert "[4, 2]" in file.read_text()


def test_more_than_anybody_has_is_not_kept(tmp_path: Path):
    LineMemory(tmp_path, "press/1", line()).learn(frozenset((1, "holding", n) for n in range(ENTRIES_MAX + 1)))
    assert of(tmp_path) == (frozenset(), 13)


def test_a_disk_that_takes_nothing_costs_the_memory_alone(tmp_path: Path):
    (tmp_path / "modbus").write_text("in the way")
    memory = LineMemory(tmp_path, "press/1", line())
    memory.learn(BREAKS)
    assert memory.breaks == BREAKS
