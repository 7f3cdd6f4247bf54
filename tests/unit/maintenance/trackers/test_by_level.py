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
