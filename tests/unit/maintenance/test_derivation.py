"""From windows in a batch to samples of features, and what becomes of windows that cannot be believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.samples import Batch, Provenance, Quality, Sample
from maintenance.derivation import Derivation, answer
from maintenance.windows import FeatureSettings, feature
from tests.unit.maintenance.bearing_signal import POINTS, window

Vector = NDArray[np.float64]

TAGS = {"raw": "m/s2", "speed": "rpm", "load": "%"}
BEARING = {"balls": 9, "ball_diameter": "7.94 mm", "pitch_diameter": "39.04 mm"}
RAW: dict[str, Any] = {"from": "raw", "sampling_rate": "25600 Hz"}
FEATURES: dict[str, dict[str, Any]] = {
    "velocity": RAW | {"kind": "velocity_rms"},
    "outer": RAW | {"kind": "envelope_bpfo", "bearing": BEARING, "shaft_speed": "speed"},
}
SIGNAL = window(8.0)


def derivation(**features: dict[str, Any]) -> Derivation:
    named = features or FEATURES
    return Derivation({f"m/{key}": feature(FeatureSettings.model_validate(each), TAGS) for key, each in named.items()})


def batch(now: datetime, values: Vector | None, *rows: tuple[str, float], **changes: Any) -> Batch:
    """A window, and plain values before and behind it."""
    quality = changes.pop("quality", Quality.GOOD)
    names = [("m/load", 40.0), ("m/raw", math.nan), *rows]
    samples = [Sample(tag, value, quality, now, now + timedelta(seconds=1), Provenance.A) for tag, value in names]
    made = replace(Batch.of("hall", samples), **changes)
    return made if values is None else replace(made, windows={1: values})


def derived(given: Batch, speed: Callable[[str], float | None] = {"m/speed": 1480.0}.get, **features: Any) -> Batch:
    made = derivation(**features)
    return made.joined(given, answer(made.questions(given, speed)))


def told(given: Batch) -> dict[str, Sample]:
    return {sample.tag: sample for sample in given}


def test_a_window_becomes_a_sample_of_each_feature_at_its_own_time_and_class(now: datetime):
    found = derived(batch(now, SIGNAL, ("m/other", 7.0)))
    assert [sample.tag for sample in found] == ["m/load", "m/other", "m/velocity", "m/outer"]
    assert not found.windows
    for name in ("velocity", "outer"):
        sample = told(found)[f"m/{name}"]
        assert (sample.source_time, sample.receive_time) == (now, now + timedelta(seconds=1))
        assert (sample.quality, sample.provenance, sample.text) == (Quality.GOOD, Provenance.A, None)
    # An unbalance of 2 m/s2 at 24.67 Hz, and little else below 1,000 Hz.
    assert told(found)["m/velocity"].value == pytest.approx(2000 / (2 * math.pi * 24.67) / math.sqrt(2), rel=0.05)


def test_plain_values_and_their_words_are_left_as_they_were(now: datetime):
    given = replace(batch(now, SIGNAL, ("m/word", math.nan)), texts={2: "on"})
    found = told(derived(given))
    assert found["m/load"].value == 40.0
    assert found["m/word"].text == "on"


def test_doubt_about_a_window_is_doubt_about_its_features(now: datetime):
    found = told(derived(batch(now, SIGNAL, quality=Quality.UNCERTAIN)))
    assert found["m/velocity"].quality is Quality.UNCERTAIN
    assert math.isfinite(found["m/velocity"].value)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.zeros(0), "NO_WINDOW"),
        (np.full(POINTS, 9.81), "FLAT"),
        (np.where(np.arange(POINTS) == 5, math.nan, SIGNAL), "NOT_A_NUMBER"),
        (np.clip(SIGNAL, -4, 4), "CLIPPED"),
        (SIGNAL[:100], "WINDOW_TOO_SHORT"),
        (SIGNAL[:512], "UNRESOLVED"),
    ],
)
def test_a_window_that_says_nothing_becomes_bad_and_never_a_number(now: datetime, values: Vector, code: str):
    found = told(derived(batch(now, values)))
    for name in ("velocity", "outer"):
        sample = found[f"m/{name}"]
        assert math.isnan(sample.value)
        assert (sample.quality, sample.text) == (Quality.BAD, code)
    assert found["m/load"].quality is Quality.GOOD


def test_without_the_shafts_speed_only_what_needs_it_is_bad(now: datetime):
    found = told(derived(batch(now, SIGNAL), lambda _tag: None))
    assert (found["m/outer"].quality, found["m/outer"].text) == (Quality.BAD, "SPEED_UNKNOWN")
    assert found["m/velocity"].quality is Quality.GOOD


@pytest.mark.parametrize("speed", [0.0, 0.5, -0.9])
def test_at_standstill_a_bearing_says_nothing(now: datetime, speed: float):
    found = told(derived(batch(now, SIGNAL), {"m/speed": speed}.get))
    assert "m/outer" not in found
    assert "m/velocity" in found


def test_the_speed_beside_a_window_counts_before_the_one_known_before(now: datetime):
    beside = told(derived(batch(now, SIGNAL, ("m/speed", 900.0), ("m/speed", -1480.0)), {"m/speed": 600.0}.get))
    assert beside["m/outer"].value == told(derived(batch(now, SIGNAL)))["m/outer"].value
    spoilt = told(derived(batch(now, SIGNAL, ("m/speed", math.nan)), {"m/speed": 1480.0}.get))
    assert spoilt["m/outer"].text == "SPEED_UNKNOWN"


def test_a_fixed_speed_is_the_same_as_one_that_is_told(now: datetime):
    fixed = FEATURES["outer"] | {"shaft_speed": "1480 rpm"}
    found = told(derived(batch(now, SIGNAL), lambda _tag: None, outer=fixed))
    assert found["m/outer"].value == pytest.approx(told(derived(batch(now, SIGNAL)))["m/outer"].value, rel=1e-12)
    assert derivation(outer=fixed).speeds == {}
    assert derivation().speeds == {"m/speed": "rpm"}


def test_the_unit_of_the_source_is_what_it_counts_in(now: datetime):
    in_g = {"velocity": RAW | {"kind": "velocity_rms"}, "inches": RAW | {"kind": "velocity_rms", "unit": "in/s"}}
    found = told(derived(batch(now, SIGNAL), **in_g))
    assert found["m/velocity"].value == pytest.approx(found["m/inches"].value * 25.4, rel=1e-12)


def test_a_spectrum_is_read_as_the_machine_states_it(now: datetime):
    amplitudes = np.zeros(1201)
    amplitudes[100] = 2 * math.pi * 100  # of 1 m/s at 100 Hz
    sent = {"from": "raw", "kind": "velocity_rms", "frequency_step": "1 Hz"}
    peaks, rms = sent | {"amplitudes": "peak"}, sent | {"amplitudes": "rms"}
    found = told(derived(batch(now, amplitudes), peaks=peaks, rms=rms))
    assert found["m/rms"].value == pytest.approx(1000)
    assert found["m/peaks"].value == pytest.approx(1000 / math.sqrt(2))


def test_windows_that_nobody_asks_about_go_no_further(now: datetime):
    found = derived(batch(now, SIGNAL), other=RAW | {"from": "raw", "kind": "kurtosis"})
    assert [sample.tag for sample in found] == ["m/load", "m/other"]
    unasked = derivation(other=RAW | {"kind": "kurtosis"})
    strange = batch(now, None)
    strange = replace(strange, windows={0: SIGNAL})
    assert [sample.tag for sample in unasked.joined(strange, answer(unasked.questions(strange, lambda _t: None)))] == [
        "m/raw"
    ]
