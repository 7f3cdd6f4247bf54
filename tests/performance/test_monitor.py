"""The monitor keeps pace: microseconds a sample, a thousand tags in little memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from connectors.samples import Batch, Keys, Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

pytestmark = pytest.mark.serial

START = datetime(2026, 1, 1, tzinfo=UTC)
MACHINES = 100
"""Ten tags each: one with a level, one counter, eight watched by deviation."""
TAGS = {"level": "mm/s", "cycles": "cycles"} | {f"t{number}": "1" for number in range(8)}
WEAR = {
    "bearing": {"rated_life": "1000 h", "wear": {"by": "level", "tag": "level", "as_new": "1 mm/s", "limit": "7 mm/s"}},
    "seal": {"rated_life": "90000 cycles", "wear": {"by": "usage", "tag": "cycles"}},
    "drive": {"wear": {"by": "deviation", "tags": [f"t{number}" for number in range(8)]}},
}


def plant() -> Monitor:
    components = {
        f"m{machine}/{name}": Watched(
            f"m{machine}", ComponentSettings.model_validate({"name": name, "job": {"title": name}} | said), TAGS
        )
        for machine in range(MACHINES)
        for name, said in WEAR.items()
    }
    return Monitor(components, {key: Life("l", key, START) for key in components})


def hours_of_samples(hours: int) -> list[Sample]:
    rng = random.Random(1)
    return [
        Sample(f"m{machine}/{tag}", value, Quality.GOOD, at, at, Provenance.A)
        for hour in range(hours)
        for at in [START + timedelta(hours=hour)]
        for machine in range(MACHINES)
        for tag in TAGS
        for value in [60.0 * hour if tag == "cycles" else 2 + rng.gauss(0, 0.1)]
    ]


def test_a_sample_costs_microseconds_and_an_assessment_less_than_a_millisecond(
    record_property: pytest.FixtureRequest,
):
    monitor, samples = plant(), hours_of_samples(40)
    batches = [Batch.of("hall", samples[first : first + 1000]) for first in range(0, len(samples), 1000)]
    began = time.perf_counter()
    for batch in batches:
        monitor.fold(batch)
    per_sample = (time.perf_counter() - began) / len(samples) * 1e6
    began = time.perf_counter()
    needs = monitor.needs(START + timedelta(hours=40))
    per_need = (time.perf_counter() - began) / len(needs) * 1e6
    record_property("us_per_sample", per_sample)  # type: ignore[operator]
    record_property("us_per_need", per_need)  # type: ignore[operator]
    print(f"{per_sample:.1f} us a sample, {per_need:.0f} us a need")
    assert per_sample < 25
    assert per_need < 2_000


def test_a_thousand_tags_fit_in_ten_megabytes():
    tracemalloc.start()
    monitor, rng, keys = plant(), random.Random(1), Keys()
    for hour in range(60):
        at = START + timedelta(hours=hour)
        samples = [
            Sample(f"m{machine}/{tag}", value, Quality.GOOD, at, at, Provenance.A)
            for machine in range(MACHINES)
            for tag in TAGS
            for value in [60.0 * hour if tag == "cycles" else 2 + rng.gauss(0, 0.1)]
        ]
        monitor.fold(Batch.of("hall", samples, keys=keys))
    del samples
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{held / 1e6:.1f} MB")
    assert held < 10e6
