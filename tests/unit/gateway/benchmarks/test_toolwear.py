"""Simulated tools, written as Vicomtech writes them, are told how worn they are by models of the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from connectors.simulator.recordings import read_recordings
from connectors.simulator.tool_wear import CHANNELS, ToolWear
from gateway.benchmarks.toolwear import follow, history, measure
from gateway.cli import main
from tests.unit.maintenance.worn_tools import CUT_ROWS, ROWS, tool


def written(directory: Path, count: int) -> Path:
    """Write tools whose cross slide stands elsewhere in every cut."""
    lines = [",".join((*CHANNELS, "tool"))]
    for number in range(1, count + 1):
        life = tool(number)
        slide = np.where(life.clocks[:, 1] % 2 == 0, 40.0, -15.0)
        power = life.signals[:, 1] * 5.0
        table = np.column_stack((life.signals, power, slide, life.wear, np.full(ROWS, number)))
        lines += [",".join(f"{value:.6f}" for value in row) for row in table.tolist()]
    (directory / ToolWear.file).write_text("\n".join(lines) + "\n")
    return directory


def test_figures_are_said_for_every_tool_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["benchmark", "toolwear", "--data", str(written(tmp_path, 6)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["tools"] == 6
    assert list(found["mae_by_tool"]) == ["1", "2", "3", "4", "5", "6"]
    by_tool = list(found["mae_by_tool"].values())
    assert min(by_tool) < found["mae_um"] < max(by_tool)
    assert found["mae_um"] == pytest.approx(found["mae_mean_of_tools_um"], abs=0.2)  # all are equally long
    assert found["mae_um"] < 30.0
    assert 0.7 < found["coverage_90"] <= 1.0


def test_cuts_are_counted_where_the_cross_slide_moves(tmp_path: Path):
    one, *_others = read_recordings(written(tmp_path, 1), formats=[ToolWear()])
    clocks = history(one).clocks
    assert clocks[:, 0].tolist() == [*range(1, ROWS + 1)]
    row = np.arange(1, ROWS + 1)
    assert clocks[:, 1].tolist() == (1 + row // CUT_ROWS).tolist()


def test_the_wear_of_the_tool_that_is_followed_is_never_used(tmp_path: Path):
    tools = read_recordings(written(tmp_path, 5), formats=[ToolWear()])
    histories = {each.unit: history(each) for each in tools}
    right = follow(2, histories)
    own = histories[2]
    blind = follow(2, histories | {2: type(own)(own.clocks, own.signals, np.zeros(ROWS))})
    assert blind.mean.tolist() == right.mean.tolist()
    assert blind.deviation.tolist() == right.deviation.tolist()


def test_what_is_wrong_is_said_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["benchmark", "toolwear", "--data", str(tmp_path)]) == 1
    assert "holds no recording" in capsys.readouterr().err
    file = written(tmp_path, 5) / ToolWear.file
    file.write_text(file.read_text().replace("-15.000000", "hot", 1))
    assert main(["benchmark", "toolwear", "--data", str(tmp_path)]) == 1
    assert f"{ToolWear.file}:2: TV2.X_MEAN is not a number" in capsys.readouterr().err
    assert main(["benchmark", "toolwear", "--data", str(written(tmp_path, 3))]) == 1
    assert "at least 3 lives" in capsys.readouterr().err


def test_the_same_tools_give_the_same_figures(tmp_path: Path):
    assert measure(written(tmp_path, 4)) == measure(tmp_path)
