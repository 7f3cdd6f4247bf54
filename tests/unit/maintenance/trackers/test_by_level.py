"""Levels: simulated parts of every bend get their successor in time, whatever the maker's rating."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from itertools import product

import pytest

from connectors.samples import Provenance, Quality, Sample
from connectors.simulator.wear import WearLaw, fitted
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

LEAD_TIME, STEP, THRESHOLD, PARTS = 60, 10, 0.05, 12


def ordered_and_failed(seed: int, bend: float, rated: float, now: datetime) -> tuple[float, float]:
    """Return when a part of mean life 1000 h is ordered, and when it fails, in hours."""
    part = fitted(WearLaw(1000, 0.12, 0.04), "bearing", seed=seed, number=1).part
    wear = {"by": "level", "tag": "v", "as_new": "1 mm/s", "limit": "7 mm/s"}
    settings = ComponentSettings.model_validate(
        {"name": "Bearing", "rated_life": f"{rated:g} h", "wear": wear, "job": {"title": "Replace it"}}
    )
    key, rng = "mill/bearing", random.Random(seed)
    monitor = Monitor({key: Watched("mill", settings, {"v": "mm/s"})}, {key: Life("l", key, now)})
    for hour in range(1, int(part.life) + 1):
        worn = part.wear_at(hour)
        share = math.expm1(bend * worn) / math.expm1(bend) if bend else worn
        at = now + timedelta(hours=hour)
        monitor.take(Sample("mill/v", 1 + 6 * (share + rng.gauss(0, 0.03)), Quality.GOOD, at, at, Provenance.A))
        if hour % STEP == 0:
            belief = monitor.assess(key, at).belief
            if belief.known and belief.failure_probability(timedelta(hours=LEAD_TIME + STEP)) >= THRESHOLD:
                return hour, part.life
    return math.inf, part.life


SELDOM = [pytest.param(*each, marks=pytest.mark.long) for each in product([0.0, 1.0, 2.0], [700.0, 1300.0])]


@pytest.mark.parametrize(("bend", "rated"), [(0.0, 1000.0), (1.0, 1000.0), (2.0, 1000.0), *SELDOM])
def test_the_part_is_there_in_time_and_little_life_is_thrown_away(bend: float, rated: float, now: datetime):
    ends = [ordered_and_failed(seed, bend, rated, now) for seed in range(PARTS)]
    assert sum(ordered + LEAD_TIME > life for ordered, life in ends) <= 1
    assert sum(min(ordered + LEAD_TIME, life) for ordered, life in ends) / sum(life for _, life in ends) > 0.8


def told_with(deviation: float | None, now: datetime) -> tuple[Monitor, datetime]:
    """Return a tool at 150 of 300 micrometres that a steady estimate tells of, which says how far off it may be."""
    wear = {"by": "level", "tag": "v", "deviation": "d", "as_new": "0 µm", "limit": "300 µm"}
    settings = ComponentSettings.model_validate(
        {"name": "Tool", "rated_life": "100 h", "wear": wear, "job": {"title": "Replace it"}}
    )
    key, at = "mill/tool", now
    monitor = Monitor({key: Watched("mill", settings, {"v": "µm", "d": "µm"})}, {key: Life("l", key, now)})
    for hour in range(1, 51):
        at = now + timedelta(hours=hour)
        values = {"v": 3.0 * hour} | ({} if deviation is None else {"d": deviation})
        for tag, value in values.items():
            monitor.take(Sample(f"mill/{tag}", value, Quality.GOOD, at, at, Provenance.A))
    return monitor, at


def test_the_less_an_estimate_knows_the_wider_is_what_is_believed(now: datetime):
    early = []
    for deviation in (0.0, 15.0, 45.0):
        monitor, at = told_with(deviation, now)
        need = monitor.assess("mill/tool", at)
        assert need.belief.known
        assert "LEVEL_ESTIMATED" in [each.code for each in need.evidence]
        early.append(need.belief.failure_probability(timedelta(hours=12)))
    assert early[0] < early[1] < early[2] - 0.02


@pytest.mark.parametrize("deviation", [None, -1.0])
def test_an_estimate_that_cannot_be_believed_asks_a_person(deviation: float | None, now: datetime):
    monitor, at = told_with(deviation, now)
    need = monitor.assess("mill/tool", at)
    assert not need.belief.known
    assert "LEVEL_DOUBTED" in [each.code for each in need.evidence]
    monitor.reading("mill/tool", 151.0, at, "anna")
    assert monitor.assess("mill/tool", at).belief.known
    monitor.take(Sample("mill/d", -1.0, Quality.GOOD, at + timedelta(hours=1), at + timedelta(hours=1), Provenance.A))
    assert not monitor.assess("mill/tool", at + timedelta(hours=1)).belief.known
    again, _at = told_with(-1.0 if deviation is None else 9.0, now)
    assert again.restore(monitor.snapshot()) == []
    assert not again.assess("mill/tool", at).belief.known
