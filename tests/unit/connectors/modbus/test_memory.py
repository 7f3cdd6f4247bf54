"""What a line taught is believed for that line alone, and never stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.modbus.memory import ENTRIES_MAX, Memory, recall, remember
from connectors.modbus.settings import ModbusSettings

LEARNED = Memory(frozenset({(1, "holding", 5), (7, "coil", 9)}), {"m/c 1 holding 0 uint16": (12.0, 3)})


def line(**told: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"host": "plc"} | told)


def test_what_was_learned_is_recalled_whatever_else_is_set(tmp_path: Path):
    remember(tmp_path, "press/1", line(), LEARNED)
    assert recall(tmp_path, "press/1", line()) == LEARNED
    assert recall(tmp_path, "press/1", line(timeout="2 s", sampling="5 s", pipeline=4)) == LEARNED
    assert recall(tmp_path, "press/2", line()) == Memory()


@pytest.mark.parametrize(
    "told", [{"host": "other"}, {"port": 503}, {"gap": 0}, {"devices": {7: {"registers_per_read": 32}}}]
)
def test_another_line_or_other_limits_begin_anew(told: dict[str, Any], tmp_path: Path):
    remember(tmp_path, "plc", line(), LEARNED)
    assert recall(tmp_path, "plc", line(**told)) == Memory()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"of": 1}', "null", "\0"])
def test_a_broken_file_is_as_if_it_were_not_there(text: str, tmp_path: Path):
    remember(tmp_path, "plc", line(), LEARNED)
    (tmp_path / "modbus" / "plc.json").write_text(text)
    assert recall(tmp_path, "plc", line()) == Memory()


def test_more_than_anybody_has_is_not_kept(tmp_path: Path):
    remember(tmp_path, "plc", line(), Memory(frozenset((1, "holding", n) for n in range(ENTRIES_MAX + 1))))
    assert recall(tmp_path, "plc", line()) == Memory()
