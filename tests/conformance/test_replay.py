"""The recordings of NASA's C-MAPSS, through the whole gateway: every value received, parts in time, at little cost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = os.environ.get("TOOLCRIB_SHARED")
TOOLCRIB = Path(sys.executable).with_name("toolcrib")
pytestmark = [
    pytest.mark.shared,
    pytest.mark.serial,
    pytest.mark.timeout(330),
    pytest.mark.skipif(SHARED is None, reason="TOOLCRIB_SHARED does not say where the recordings are"),
]


def test_twenty_engines_get_their_part_in_time_near_perfect_foresight(tmp_path: Path):
    recordings = Path(SHARED or "") / "data" / "cmapss"
    command = [TOOLCRIB, "demo", "--headless", "--replay", recordings, "--units", "1-20", "--json"]
    done = subprocess.run([*command, "--directory", tmp_path], capture_output=True, text=True, timeout=320)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["seconds"] < 300
    assert report["values"]["received"] == report["values"]["recorded"] == 104_200
    assert [unit["unit"] for unit in report["units"]] == list(range(1, 21))
    assert all(unit["orders"] == 1 for unit in report["units"])
    assert report["in_time"] >= 18
    assert report["cost_ratio"] <= 1.50
    late = [unit for unit in report["units"] if unit["arrival"] is None or unit["arrival"] >= unit["failure"]]
    assert len(late) == 20 - report["in_time"]
