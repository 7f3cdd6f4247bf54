"""What is heard, what is let through, and what rules see of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.intake import Intake, Sieve
from gateway.live import Board
from maintenance.assets import Life
from maintenance.bearings import Fault
from maintenance.derivation import Derivation
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from maintenance.windows import FeatureSettings, feature
from tests.unit.maintenance.bearing_signal import window


def batch(now: datetime, *rows: tuple[str, float], quality: Quality = Quality.GOOD, recalled: bool = False) -> Batch:
    samples = [Sample(tag, value, quality, now, now, Provenance.A) for tag, value in rows]
    return replace(Batch.of("hall", samples), recalled=recalled)


def let_through(sieve: Sieve, now: datetime, batches: Sequence[Sequence[tuple[str, float]]]) -> list[float]:
    return [sample.value for rows in batches for sample in sieve.sift(batch(now, *rows))]


@pytest.mark.parametrize("together", [True, False])
def test_what_moved_less_than_its_band_is_left_out_however_it_came(now: datetime, together: bool):
    values = [1.0, 1.4, 1.5, 1.9, 2.0, 1.6, 1.5, 9.0]
    rows = [("m/a", value) for value in values]
    batches = [rows] if together else [[row] for row in rows]
    assert let_through(Sieve({"m/a": 0.5}), now, batches) == [1.0, 1.5, 2.0, 1.5, 9.0]


def test_tags_without_a_band_and_doubtful_values_are_never_left_out(now: datetime):
    sieve = Sieve({"m/a": 0.5})
    assert let_through(sieve, now, [[("m/b", 1.0), ("m/a", 1.0)], [("m/b", 1.0), ("m/a", 1.0)]]) == [1.0, 1.0, 1.0]
    doubtful = sieve.sift(batch(now, ("m/a", 1.0), quality=Quality.UNCERTAIN))
    assert len(doubtful) == 1
    assert let_through(sieve, now, [[("m/a", 1.0)], [("m/a", math.nan)], [("m/a", 1.0)]])[0] == 1.0


def test_a_slow_drift_is_let_through_in_steps_of_the_band(now: datetime):
    drift = [[("m/a", step / 100)] for step in range(101)]
    assert let_through(Sieve({"m/a": 0.25}), now, drift) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_words_keep_their_rows_when_others_are_left_out(now: datetime):
    sieve = Sieve({"m/a": 0.5})
    word = Sample("m/w", math.nan, Quality.GOOD, now, now, Provenance.A, "on")
    still = Sample("m/a", 1.0, Quality.GOOD, now, now, Provenance.A)
    sieve.sift(Batch.of("hall", [still]))
    (kept,) = sieve.sift(Batch.of("hall", [still, word])).samples
    assert (kept.tag, kept.text) == ("m/w", "on")


class TestIntake:
    def test_what_is_left_out_is_heard_all_the_same(self, now: datetime):
        board = Board()
        intake = Intake(Monitor({}), board, Sieve({"m/a": 0.5}), lambda: now + timedelta(seconds=3))
        assert len(intake.take(batch(now, ("m/a", 1.0)))) == 1
        assert len(intake.take(batch(now, ("m/a", 1.1)))) == 0
        assert board.readings()["m/a"].value == 1.1
        assert (intake.samples, intake.lag.count, intake.lag.seconds) == (2, 2, 6.0)

    def test_what_a_machine_recalled_is_stored_and_is_not_the_latest(self, now: datetime):
        board = Board()
        intake = Intake(Monitor({}), board, Sieve({}), lambda: now)
        intake.take(batch(now, ("m/a", 1.0)))
        assert len(intake.take(batch(now - timedelta(hours=1), ("m/a", 7.0), recalled=True))) == 1
        assert board.readings()["m/a"].value == 1.0


# ---- windows

UNITS = {"raw": "m/s2", "speed": "rpm", "outer": "m/s2"}
OUTER = FeatureSettings.model_validate(
    {
        "from": "raw",
        "kind": "envelope_bpfo",
        "sampling_rate": "25600 Hz",
        "shaft_speed": "speed",
        "bearing": {"balls": 9, "ball_diameter": "7.94 mm", "pitch_diameter": "39.04 mm"},
    }
)
BEARING = ComponentSettings.model_validate(
    {
        "name": "Bearing",
        "rated_life": "2000 h",
        "wear": {"by": "level", "tag": "outer", "as_new": "0.1 m/s2", "limit": "1.5 m/s2"},
        "job": {"title": "Replace the bearing"},
    }
)


def windowed(now: datetime, values: NDArray[np.float64], *rows: tuple[str, float]) -> Batch:
    return replace(batch(now, ("m/raw", math.nan), *rows), windows={0: values})


class Spindle:
    """A machine whose bearing is heard by its windows alone."""

    def __init__(self, now: datetime) -> None:
        watched = Watched("m", BEARING, UNITS)
        self.monitor = Monitor({"m/bearing": watched}, {"m/bearing": Life("l", "m/bearing", now)})
        self.board, self.now = Board(), now
        derivation = Derivation({"m/outer": feature(OUTER, UNITS)})
        self.intake = Intake(self.monitor, self.board, Sieve({}), lambda: self.now, derivation)
        self.intake.take(batch(now, ("m/speed", 1480.0)))

    async def hear(self, *windows: NDArray[np.float64]) -> list[Batch]:
        stored = []
        for values in windows:
            self.now += timedelta(hours=1)
            stored.append(self.intake.take(await self.intake.derived(windowed(self.now, values))))
        return stored

    def health(self) -> float:
        return self.monitor.assess("m/bearing", self.now).health


class TestWindows:
    async def test_a_bearing_that_begins_to_knock_loses_health_by_its_windows(self, now: datetime):
        spindle = Spindle(now)
        await spindle.hear(*(window(0.0, seed=seed) for seed in range(12)))
        new = spindle.health()
        await spindle.hear(*(window(4.0, seed=seed) for seed in range(25)))
        knocking = spindle.health()
        await spindle.hear(*(window(10.0, seed=seed) for seed in range(25)))
        assert new > 0.9
        assert new - 0.1 > knocking > spindle.health() + 0.1
        assert spindle.monitor.assess("m/bearing", spindle.now).belief.provenance is Provenance.A

    async def test_a_knock_of_the_other_ring_costs_this_one_nothing(self, now: datetime):
        spindle = Spindle(now)
        await spindle.hear(*(window(0.0, seed=seed) for seed in range(12)))
        new = spindle.health()
        await spindle.hear(*(window(4.0, seed=seed, fault=Fault.BPFI) for seed in range(25)))
        assert spindle.health() > new - 0.1

    @pytest.mark.parametrize("spoilt", [np.zeros(0), np.zeros(8192), np.full(8192, math.nan)])
    async def test_a_spoilt_sensor_moves_no_health_and_in_the_end_a_person_is_asked(
        self, now: datetime, spoilt: NDArray[np.float64]
    ):
        spindle = Spindle(now)
        await spindle.hear(*(window(0.0, seed=seed) for seed in range(12)))
        before = spindle.health()
        assert spindle.monitor.assess("m/bearing", spindle.now).belief.known
        await spindle.hear(*[spoilt] * 26)
        assert spindle.health() == before
        assert spindle.monitor.refused("m/outer") == {"bad": 26}
        assert not spindle.monitor.assess("m/bearing", spindle.now).belief.known

    async def test_a_window_is_shown_by_its_length_and_stored_nowhere(self, now: datetime):
        spindle = Spindle(now)
        (stored,) = await spindle.hear(window(0.0))
        assert [sample.tag for sample in stored] == ["m/outer"]
        assert not stored.windows
        raw, outer = (spindle.board.readings()[f"m/{name}"] for name in ("raw", "outer"))
        assert (raw.text, raw.source_time) == ("8192 numbers", outer.source_time)
        assert outer.value == stored.samples[0].value

    async def test_a_window_keeps_the_loop_free(self, now: datetime):
        spindle, turns = Spindle(now), 0
        hearing = asyncio.ensure_future(spindle.hear(window(0.0, points=65_536)))
        while not hearing.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 10
