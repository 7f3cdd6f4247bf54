"""Recorded lives through the whole gateway, on recordings made here: engines that drift away from healthy."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

TOOLCRIB = Path(sys.executable).with_name("toolcrib")
pytestmark = pytest.mark.timeout(150)


def recording(path: Path, lengths: dict[int, int]) -> None:
    """Write 26 columns a row, as the known format has them; wear shows in the last third."""
    rng = random.Random(11)
    with path.open("w") as file:
        for unit, length in lengths.items():
            for cycle in range(1, length + 1):
                drift = max(0.0, cycle / length - 0.5) ** 2 * 40
                sensors = [100 + number + rng.gauss(0, 0.2) + drift * (number % 3) for number in range(21)]
                settings = [0.0, 0.0, 100.0]
                values = " ".join(f"{value:.4f}" for value in [*settings, *sensors])
                file.write(f"{unit} {cycle} {values}\n")


def replay(directory: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [TOOLCRIB, "demo", "--headless", "--replay", directory, "--json", "--directory", home, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=140)


@pytest.mark.long
def test_each_engine_is_bought_for_once_and_every_value_is_received(tmp_path: Path):
    (tmp_path / "recordings").mkdir()
    recording(tmp_path / "recordings" / "train_FD001.txt", {1: 120, 2: 150, 3: 90})
    done = replay(tmp_path / "recordings", tmp_path / "home", "--units", "1-3")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert [(unit["unit"], unit["failure"]) for unit in report["units"]] == [(1, 120), (2, 150), (3, 90)]
    assert [unit["orders"] for unit in report["units"]] == [1, 1, 1]
    assert report["in_time"] == 3
    assert all(unit["arrival"] == unit["order"] + 20 for unit in report["units"])
    assert all(unit["order"] % 10 == 0 for unit in report["units"])
    assert report["values"]["received"] == report["values"]["recorded"] == (120 + 150 + 90) * 25


def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path):
    path = tmp_path / "train_FD001.txt"
    recording(path, {1: 30})
    path.write_text(path.read_text() + "1 31 not a number\n")
    done = replay(tmp_path, tmp_path / "home")
    assert done.returncode == 1
    assert "train_FD001.txt:31" in done.stderr
    assert "Traceback" not in done.stderr
