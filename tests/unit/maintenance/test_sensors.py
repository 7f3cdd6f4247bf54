"""Sensors: what is stuck, noisy, or told in another unit is found, and what behaves is left alone."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from maintenance.packing import Packer, Unpacker
from maintenance.sensors import FAMILIES, RETURNED, TEMPERATURES, Leap, Sense, Stillness, Swap, swaps_of

SEEDS = st.integers(0, 10_000)


def fed(
    seed: int, count: int, unit: str = "mm/s", level: float = 2.0, noise: float = 0.05
) -> tuple[Sense, random.Random]:
    """A sensor that was heard so many times, an hour apart."""
    sense, rng = Sense(floor=0.01), random.Random(seed)
    for hour in range(count):
        assert sense.take(rng.gauss(level, noise), float(hour), float(hour), swaps_of(unit))
    return sense, rng


def codes(sense: Sense, unit: str = "mm/s", *, stuck: bool = False) -> list[str]:
    return [doubt.code for doubt in sense.doubts("v", unit, swaps_of(unit), stuck=stuck)]


@hypothesis_settings(max_examples=10)
@given(SEEDS, st.floats(0.0, 0.02), st.floats(0.01, 0.2))
def test_wear_and_noise_that_grows_with_it_raise_no_doubt(seed: int, slope: float, noise: float):
    sense, rng = Sense(floor=0.03), random.Random(seed)
    for hour in range(300):
        level = 1.5 + slope * hour
        assert sense.take(rng.gauss(level, noise * level), float(hour), float(hour), swaps_of("mm/s"))
        assert not codes(sense)
        assert not sense.is_stuck(hour, hour, 1000.0, counted=True)


def test_what_changed_often_and_stands_while_the_machine_runs_is_stuck():
    sense, _ = fed(1, 100)
    for hour in range(100, 125):
        sense.take(sense.last, float(hour), float(hour), swaps_of("mm/s"))
    assert sense.is_stuck(125.0, 125.0, 1000.0, counted=True)
    assert not sense.is_stuck(101.0, 1e4, 1000.0, counted=True), "the machine rests"
    assert not sense.is_stuck(125.0, 125.0, 1000.0, counted=False), "it may rest"
    assert sense.is_stuck(180.0, 180.0, 1000.0, counted=False), "silence on an open line is no change either"
    assert codes(sense, stuck=True) == ["SENSOR_STUCK"]


def test_what_never_changes_in_a_fifth_of_a_life_is_stuck_from_the_beginning():
    sense = Sense(floor=0.01)
    for hour in range(300):
        sense.take(2.0, float(hour), float(hour), ())
    assert not sense.is_stuck(199.0, 199.0, 1000.0, counted=True)
    assert sense.is_stuck(201.0, 201.0, 1000.0, counted=True)
    assert not Sense(floor=0.01).is_stuck(201.0, 201.0, 1000.0, counted=True), "nothing was heard: that is silence"


def test_a_coarse_scale_that_moves_now_and_then_is_not_stuck():
    sense = Sense(floor=0.01)
    for hour in range(4000):
        sense.take(float(hour // 40), float(hour), float(hour), ())
        assert not sense.is_stuck(hour, hour, 10_000.0, counted=True)


@hypothesis_settings(max_examples=20)
@given(SEEDS, st.floats(25.0, 1000.0))
def test_noise_far_beyond_the_learned_is_doubted_within_a_score_of_values(seed: int, times: float):
    sense, rng = fed(seed, 100)
    for hour in range(100, 120):
        sense.take(rng.gauss(2.0, 0.05 * times), float(hour), float(hour), ())
    assert "SENSOR_NOISY" in codes(sense)
    for hour in range(120, 180):
        sense.take(rng.gauss(2.0, 0.05), float(hour), float(hour), ())
    assert not codes(sense), "it is trusted again when it is quiet"


def test_a_spark_is_no_noise():
    sense, rng = fed(3, 100)
    sense.take(900.0, 100.0, 100.0, ())
    assert not codes(sense)
    sense.take(rng.gauss(2.0, 0.05), 101.0, 101.0, ())
    assert not codes(sense)


SWAPS = [(unit, swap) for family in FAMILIES for unit in family for swap in swaps_of(unit)]


@pytest.mark.parametrize(("unit", "swap"), [*SWAPS, *[("°C", each) for each in swaps_of("°C")]], ids=str)
def test_every_swap_of_a_unit_is_held_back_and_doubted_until_it_is_over(unit: str, swap: Swap):
    sense, rng = fed(5, 100, unit, 50.0, 0.5)
    before = sense.last
    for hour in range(100, 200):
        assert not sense.take(swap.shown(rng.gauss(50.0, 0.5)), float(hour), float(hour), swaps_of(unit))
    assert (sense.last, codes(sense, unit)) == (before, ["UNIT_SWAPPED"])
    for hour in range(200, 205):
        assert codes(sense, unit) == ["UNIT_SWAPPED"]
        assert sense.take(rng.gauss(50.0, 0.5), float(hour), float(hour), swaps_of(unit))
    assert not codes(sense, unit)


@given(st.sampled_from(sorted(TEMPERATURES)), st.sampled_from(sorted(TEMPERATURES)), st.floats(-50, 500))
def test_degrees_are_shown_as_everybody_converts_them(one: str, other: str, value: float):
    if one != other:
        there = next(swap for swap in swaps_of(one) if swap.unit == other)
        back = next(swap for swap in swaps_of(other) if swap.unit == one)
        assert back.shown(there.shown(value)) == pytest.approx(value, abs=1e-6)


def test_water_boils_at_212_degrees_fahrenheit():
    fahrenheit = next(swap for swap in swaps_of("°C") if swap.unit == "°F")
    assert fahrenheit.shown(100.0) == pytest.approx(212.0)


@hypothesis_settings(max_examples=10)
@given(SEEDS, st.sampled_from(["mm", "mm/s", "1"]))
def test_wear_that_begins_at_nothing_and_comes_in_jerks_is_no_swap(seed: int, unit: str):
    sense, rng, worn = Sense(floor=0.005), random.Random(seed), 0.0
    for hour in range(300):
        worn += rng.gammavariate(0.05, 0.06)
        assert sense.take(worn + rng.gauss(0.0, 0.03), float(hour), float(hour), swaps_of(unit))


def test_around_nothing_one_far_value_is_no_swap():
    sense, _rng = fed(1, 48, unit="mm", level=0.0, noise=0.03)
    sense.last = -0.056
    assert sense.take(0.3, 48.0, 48.0, swaps_of("mm"))


def test_a_step_within_what_was_seen_is_no_swap():
    sense = Sense(floor=0.01)
    for hour in range(100):
        assert sense.take(2.0 if hour % 20 < 10 else 0.079, float(hour), float(hour), swaps_of("mm/s"))
    assert not codes(sense)


@hypothesis_settings(max_examples=20)
@given(SEEDS, st.integers(0, 200))
def test_a_snapshot_goes_on_in_the_same_way(seed: int, cut: int):
    rng = random.Random(seed)
    values = [rng.gauss(2.0, 0.05) * rng.choice([1, 1, 1, 1 / 25.4, 30]) for _ in range(cut)]
    sense = Sense(floor=0.01)
    for hour, value in enumerate(values):
        sense.take(value, float(hour), float(hour), swaps_of("mm/s"))
    packer, again = Packer(), Sense(floor=0.01)
    packer.things(sense)
    Unpacker(packer.text).things(again)
    assert again == sense


@hypothesis_settings(max_examples=10)
@given(SEEDS)
def test_of_several_signals_only_those_that_stand_are_named(seed: int):
    rng, still = np.random.default_rng(seed), Stillness(3)
    for hour in range(60):
        still.take(np.array([rng.normal(), rng.normal() if hour < 40 else 7.0, math.nan]), float(hour), float(hour))
    assert still.stuck(61.0, 61.0, 0.0, counted=True) == [1]
    assert still.stuck(61.0, 61.0, 0.0, counted=False) == []
    again, packer, repacked = Stillness(3), Packer(), Packer()
    still.pack(packer)
    again.unpack(Unpacker(packer.text))
    assert again.stuck(61.0, 61.0, 0.0, counted=True) == [1]
    again.pack(repacked)
    assert repacked.text == packer.text


def leapt(*values: float, seed: int = 3, healthy: int = 40) -> Leap:
    leap, rng = Leap(), random.Random(seed)
    for value in (*(0.0 for _ in range(healthy)), *values):
        leap.take(value + rng.gauss(0.0, 0.5))
    return leap


@pytest.mark.parametrize("size", [3.0, -4.0, 6.0, 11.0])
def test_a_leap_that_lasts_is_told_and_is_over_when_the_signal_is_back(size: float):
    assert leapt().size == 0
    assert leapt(*[size] * 12).size == pytest.approx(size, abs=1.0)
    assert leapt(*[size] * 12, *[0.0] * RETURNED).size == 0


def test_a_spark_is_over_soon_and_what_goes_on_rising_after_a_leap_is_wear():
    assert leapt(500.0, *[0.0] * RETURNED).size == 0
    risen = [4.0] * 10 + [4.0 + 0.1 * frame for frame in range(60)]
    assert leapt(*risen[:20]).size > 0
    assert leapt(*risen).size == 0


def test_a_slow_rise_is_no_leap():
    rises = leapt()
    for frame in range(200):
        rises = rises.with_frame(0.03 * frame)
        assert rises.size == 0


@hypothesis_settings(max_examples=10)
@given(st.lists(st.floats(-20, 20) | st.just(math.nan), max_size=40))
def test_a_leap_goes_on_from_where_it_was_packed(values: list[float]):
    leap, again, packer = leapt(*values), Leap(), Packer()
    leap.pack(packer)
    again.unpack(Unpacker(packer.text))
    for value in (1.0, 7.0, 7.0):
        leap.take(value)
        again.take(value)
    assert vars(again) == vars(leap)
