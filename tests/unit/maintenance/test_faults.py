"""Faults of sensors, put at random into the stream of a healthy part: nobody buys for it without a person."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

AHEAD, HOURS, BEGINS = timedelta(hours=48), 160, 80
"""A lead time with its margin; how long each stream is, and the earliest moment of a fault."""
START = datetime(2026, 1, 1, tzinfo=UTC)
TAGS = {"v": "mm/s", "t": "°C", "hours": "h", **{f"s{n}": "1" for n in range(6)}}
JOB = {"title": "Replace it", "lines": {"part": {"item": "part", "quantity": "1"}}}
LEVEL = {"by": "level", "tag": "v", "as_new": "1 mm/s", "limit": "7 mm/s", "clock": "hours", "frame": "2 h"}
DEVIATION = {"by": "deviation", "tags": [f"s{n}" for n in range(6)], "clock": "hours", "frame": "1 h"}
USAGE = {"by": "usage", "tag": "hours"}

Wear = dict[str, Any]
NAMES = {"level": ("hours", "v"), "deviation": ("hours", *(f"s{n}" for n in range(6))), "usage": ("hours",)}
Fault = Callable[[float, int, random.Random], float]
"""From a true value, and how many hours the fault has lasted, to what is shown."""
FAULTS: dict[str, Fault] = {
    "stuck": lambda value, hours, rng: 2.0,
    "stuck at zero": lambda value, hours, rng: 0.0,
    "noisy": lambda value, hours, rng: value + rng.gauss(0, 5),
    "sparks": lambda value, hours, rng: value * (1000.0 if rng.random() < 0.02 else 1.0),
    "missing": lambda value, hours, rng: math.nan,
    "in/s": lambda value, hours, rng: value / 25.4,
    "in inches": lambda value, hours, rng: value * 25.4,
    "thousandfold": lambda value, hours, rng: value * 1000,
    "overflow": lambda value, hours, rng: 3.4e38,
    "wrapped": lambda value, hours, rng: -32768.0,
}


def watching(wear: Wear) -> Monitor:
    settings = ComponentSettings.model_validate({"name": "Part", "rated_life": "2000 h", "wear": wear, "job": JOB})
    return Monitor({"m/part": Watched("m", settings, TAGS)}, {"m/part": Life("l", "m/part", START)})


def stream(wear: Wear, faulty: str, fault: Fault, begins: int, seed: int, ends: int = HOURS) -> Iterator[Need]:
    """Play a healthy part of which one signal is faulty for a time; yield its need after each hour from then on."""
    monitor, rng = watching(wear), random.Random(seed)
    for hour in range(1, HOURS):
        at = START + timedelta(hours=hour)
        told = {"hours": float(hour), "v": rng.gauss(2, 0.1)} | {f"s{n}": rng.gauss(10 + n, 0.5) for n in range(6)}
        if begins <= hour < ends:
            told[faulty] = fault(told[faulty], hour - begins, rng)
        for tag in NAMES[str(wear["by"])]:
            quality = Quality.BAD if math.isnan(told[tag]) else Quality.GOOD
            monitor.take(Sample(f"m/{tag}", told[tag], quality, at, at, Provenance.A))
        if hour >= begins:
            yield monitor.assess("m/part", at)


def is_bought(need: Need) -> bool:
    """Whether a gateway would buy this without asking: it is sure, and thinks that the part fails before another one
    could be there."""
    return need.belief.known and need.belief.failure_probability(AHEAD) >= 0.05


@pytest.mark.parametrize(("wear", "tag"), [(LEVEL, "v"), (USAGE, "hours")], ids=["level", "usage"])
@pytest.mark.parametrize("name", FAULTS)
@hypothesis_settings(max_examples=4)
@given(st.integers(BEGINS, HOURS - 10), st.integers(1, HOURS), st.integers(0, 10_000))
def test_a_faulty_sensor_of_a_healthy_part_buys_nothing(
    name: str, wear: Wear, tag: str, begins: int, lasts: int, seed: int
):
    assert not any(is_bought(need) for need in stream(wear, tag, FAULTS[name], begins, seed, begins + lasts))


@hypothesis_settings(max_examples=3)
@given(st.integers(2, 6), st.floats(0.01, 0.1), st.integers(0, 10_000))
def test_a_sensor_that_drifts_while_no_other_confirms_it_buys_nothing(signals: int, slope: float, seed: int):
    wear = DEVIATION | {"tags": DEVIATION["tags"][:signals]}
    drift = lambda value, hours, rng: value + slope * hours  # noqa: E731
    assert not any(is_bought(need) for need in stream(wear, "s0", drift, BEGINS, seed))


@hypothesis_settings(max_examples=8)
@given(st.sampled_from(sorted(FAULTS)), st.integers(1, 6), st.integers(1, HOURS), st.integers(0, 10_000))
def test_a_faulty_sensor_among_others_buys_nothing(name: str, signals: int, lasts: int, seed: int):
    wear = DEVIATION | {"tags": DEVIATION["tags"][:signals]}
    assert not any(is_bought(need) for need in stream(wear, "s0", FAULTS[name], BEGINS, seed, BEGINS + lasts))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("stuck", "SENSOR_STUCK"),
        ("noisy", "SENSOR_NOISY"),
        ("in inches", "UNIT_SWAPPED"),
        ("wrapped", "LEVEL_IMPLAUSIBLE"),
    ],
)
def test_a_faulty_level_says_why_a_person_is_asked(name: str, code: str):
    *_, last = stream(LEVEL, "v", FAULTS[name], 100, 1)
    assert not last.belief.known
    assert code in [reason.code for reason in last.evidence]


@pytest.mark.parametrize(("name", "code"), [("stuck", "SIGNAL_STUCK"), ("in inches", "SIGNALS_WILD")])
def test_a_signal_that_all_others_contradict_says_why_a_person_is_asked(name: str, code: str):
    *_, last = stream(DEVIATION, "s2", FAULTS[name], 100, 1)
    assert not last.belief.known
    assert code in [reason.code for reason in last.evidence]


@pytest.mark.parametrize("wear", [LEVEL, DEVIATION, USAGE], ids=["level", "deviation", "usage"])
@hypothesis_settings(max_examples=3)
@given(st.integers(0, 10_000))
def test_a_sensor_without_a_fault_is_trusted(wear: Wear, seed: int):
    assert all(need.belief.known for need in stream(wear, "v", lambda value, *_: value, BEGINS, seed))


def test_a_sensor_in_the_wrong_unit_from_the_first_day_asks():
    *_, last = stream(LEVEL, "v", FAULTS["in inches"], 1, 1)
    assert not last.belief.known
    assert "LEVEL_IMPLAUSIBLE" in [reason.code for reason in last.evidence]


def test_a_part_that_wears_out_is_bought_and_nobody_doubts_its_sensor():
    monitor, rng, bought = watching(LEVEL), random.Random(1), 0
    for hour in range(1, 300):
        at = START + timedelta(hours=hour)
        worn = 1.5 + 5.0 * math.expm1(hour / 100) / math.expm1(3)
        for tag, value in (("hours", float(hour)), ("v", rng.gauss(worn, 0.05 * worn))):
            monitor.take(Sample(f"m/{tag}", value, Quality.GOOD, at, at, Provenance.A))
        bought = bought or (is_bought(monitor.assess("m/part", at)) and hour)
    assert 150 < bought < 299


ALONE = DEVIATION | {"tags": ["s0"]}
"""A part with a single signal, whose healthy scatter is a half."""


@hypothesis_settings(max_examples=3)
@given(st.floats(2.0, 10.0), st.integers(0, 10_000))
def test_a_single_signal_that_leaps_and_stays_there_buys_nothing_and_asks_whether_it_is_sound(size: float, seed: int):
    *needs, last = stream(ALONE, "s0", lambda value, hours, rng: value + size, BEGINS, seed)
    assert not any(is_bought(need) for need in (*needs, last))
    assert not last.belief.known
    assert {"SIGNAL_LEAPT", "SIGNALS_WILD"} & {reason.code for reason in last.evidence}


@hypothesis_settings(max_examples=2)
@given(st.sampled_from([1.5, 3.0, 5.0]), st.integers(0, 10_000))
def test_a_single_signal_that_is_suddenly_noisy_buys_nothing(noise: float, seed: int):
    noisy: Fault = lambda value, hours, rng: value + rng.gauss(0.0, noise)  # noqa: E731
    assert not any(is_bought(need) for need in stream(ALONE, "s0", noisy, BEGINS, seed))


@pytest.mark.parametrize("seed", range(3))
def test_a_single_signal_that_rises_slowly_is_wear_and_its_part_is_bought(seed: int):
    rises: Fault = lambda value, hours, rng: value + 0.025 * hours  # noqa: E731
    bought = [hour for hour, need in enumerate(stream(ALONE, "s0", rises, 50, seed)) if is_bought(need)]
    assert bought
    assert 25 < bought[0] < 70
