"""How much history is worth, and how well what is left is told, measured on engines made by chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from maintenance import boosting
from tests.unit.gateway.test_ordering_benchmark import engines


def cut(directory: Path) -> Path:
    """Write the last two engines as tests that were cut off thirty cycles before their end."""
    rows = [line for line in (directory / "train_FD001.txt").read_text().splitlines() if int(line.split()[0]) > 8]
    kept = []
    for unit in (9, 10):
        mine = [line.split() for line in rows if line.split()[0] == str(unit)]
        kept += [" ".join([str(unit - 8), *words[1:]]) for words in mine[:-30]]
    (directory / "test_FD001.txt").write_text("\n".join(kept) + "\n")
    (directory / "RUL_FD001.txt").write_text("30\n30\n")
    return directory


def test_what_is_left_of_engines_cut_off_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(boosting, "available", bool)  # as without the extra
    assert main(["benchmark", "prognosis", "--data", str(cut(engines(tmp_path))), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["units"], found["model"]) == (2, "ridge")
    assert 0 <= found["rmse_capped"] < 40
    assert found["coverage_90"] in (0.0, 50.0, 100.0)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("RUL_FD001.txt", "30\nmany\n", "RUL_FD001.txt:2"),
        ("RUL_FD001.txt", "30\n", "1 lives for 2"),
        ("test_FD001.txt", "1 1 0.5\n", "test_FD001.txt"),
    ],
)
def test_a_file_that_is_no_such_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, said: str
):
    (cut(engines(tmp_path, 10)) / file).write_text(text)
    assert main(["benchmark", "prognosis", "--data", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.long  # some hundred engines are decided
def test_the_cost_falls_as_lives_are_seen_to_end_and_never_rises(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["benchmark", "learning", "--data", str(engines(tmp_path)), "--draws", "2", "--json"]) == 0
    ratio = json.loads(capsys.readouterr().out)["ratio"]
    assert list(ratio) == ["0", "2", "5", "10", "50"]
    assert all(each["mean"] <= ratio["0"]["mean"] + 0.25 for each in ratio.values())
