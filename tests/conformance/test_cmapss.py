"""Recorded engines that ran to failure: bought for by the shipped profile and the shipped timing, at what cost?

The setting is the published one, see `gateway.replacement`. No unit sees a later row of any unit; from ten others only
the first 25 cycles enter, as healthy noise.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest

from connectors.simulator.recordings import Recording
from gateway.benchmarks.engines import RATED, engines_of, peers_of
from gateway.benchmarks.ordering import RATINGS, Task, bought
from gateway.cli import main
from gateway.replacement import cost_ratio

SHARED = os.environ.get("TOOLCRIB_SHARED")
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(SHARED is None, reason="TOOLCRIB_SHARED does not say where the recordings are"),
]
DATA = Path(SHARED or "") / "data" / "cmapss"
UNITS = 30


@cache
def tasks(subset: str, rated: float = RATED) -> tuple[Task, ...]:
    """The first units, with peers of the others."""
    engines = engines_of(DATA, subset)
    peers = peers_of(engines, [unit for unit in engines if unit > UNITS], "peers")
    return tuple(Task(engine, peers, rated) for unit, engine in engines.items() if unit <= UNITS)


@pytest.mark.parametrize(("subset", "ratio_max"), [("FD001", 1.30), ("FD003", 1.40)])
def test_parts_are_there_in_time_at_little_more_than_foresight_costs(subset: str, ratio_max: float):
    courses = [bought(task) for task in tasks(subset)]
    assert not any(course.failed for course in courses)
    assert cost_ratio(courses) <= ratio_max


def test_a_rating_that_is_wrong_by_a_third_hardly_matters():
    right = cost_ratio([bought(task) for task in tasks("FD001")])
    for share in RATINGS:
        wrong = cost_ratio([bought(task) for task in tasks("FD001", share * RATED)])
        assert abs(wrong - right) <= 0.05


def test_an_end_that_nobody_has_seen_changes_no_order():
    task = tasks("FD001")[0]
    course = bought(task)
    assert course.arrival is not None
    cut = Recording(task.engine.unit, task.engine.channels, task.engine.rows[: course.arrival - 19])
    assert bought(Task(cut, task.peers)).arrival == course.arrival


@pytest.mark.parametrize("subset", ["FD001", "FD003"])
def test_what_is_left_of_test_engines_is_told(subset: str, capsys: pytest.CaptureFixture[str]):
    assert main(["benchmark", "prognosis", "--data", str(DATA), "--subset", subset, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["rmse_capped"] <= 12.5
    assert 85 <= found["coverage_90"] <= 98
