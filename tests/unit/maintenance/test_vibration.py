"""Features of signals whose features are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maintenance import vibration
from maintenance.bearings import Fault
from maintenance.vibration import Spectrum, Unresolved
from tests.unit.maintenance.bearing_signal import BEARING, POINTS, RATE_HZ, SHAFT_HZ, window

Vector = NDArray[np.float64]
BAND = 3200.0, 9600.0


def sine(frequency_hz: float, amplitude: float = 1.0, *, rate_hz: float = 5120.0, seconds: float = 1.0) -> Vector:
    return amplitude * np.sin(2 * math.pi * frequency_hz * np.arange(round(rate_hz * seconds)) / rate_hz + 0.3)


def heard(values: Vector, fault: Fault, shaft_hz: float = SHAFT_HZ, *, slip: float = 0.02) -> float:
    found = vibration.envelope_spectrum(values, RATE_HZ, *BAND)
    return vibration.harmonics_rms(found, BEARING.frequency(fault, shaft_hz), BEARING.telling(fault, 3, slip), slip)


# ---- velocity


@given(st.floats(20, 900), st.floats(0.01, 100))
@settings(max_examples=40)
def test_the_velocity_of_a_sine_is_exact(frequency_hz: float, amplitude: float):
    found = vibration.integrated_rms(vibration.spectrum(sine(frequency_hz, amplitude), 5120.0), 10, 1000)
    exact = amplitude / (2 * math.pi * frequency_hz) / math.sqrt(2)
    assert found == pytest.approx(exact, rel=1.3 / frequency_hz**2 + 2e-4)


def test_what_vibrates_outside_of_the_band_does_not_count():
    inside = sine(100)
    slow, fast = sine(4, 1.0), sine(1200, 50.0)
    alone = vibration.integrated_rms(vibration.spectrum(inside, 5120.0), 10, 1000)
    both = vibration.integrated_rms(vibration.spectrum(inside + slow + fast, 5120.0), 10, 1000)
    assert both == pytest.approx(alone, rel=1e-3)
    slowly = vibration.integrated_rms(vibration.spectrum(inside + slow, 5120.0), 2, 1000)
    assert slowly > 10 * alone


def test_the_mean_square_of_a_band_is_that_of_the_signal_in_it():
    noise = np.random.default_rng(3).normal(size=65_536)
    found = vibration.spectrum(noise, 1000.0)
    assert vibration.band_rms(found, 0.1, 500) == pytest.approx(1, rel=0.02)
    assert vibration.band_rms(found, 100, 225) == pytest.approx(0.5, rel=0.02)


def test_a_spectrum_that_the_machine_sent_gives_what_its_window_gives():
    amplitudes = np.zeros(1001)
    amplitudes[[50, 120]] = 3.0, 4.0
    window = sine(50, 3) + sine(120, 4)
    for peak, scale in ((True, 1.0), (False, math.sqrt(0.5))):
        sent = vibration.given(amplitudes * scale, 1.0, peak=peak)
        for rms in (vibration.band_rms, vibration.integrated_rms):
            assert rms(sent, 10, 1000) == pytest.approx(rms(vibration.spectrum(window, 5120.0), 10, 1000), rel=1e-3)


# ---- bearings


@pytest.mark.parametrize("fault", [Fault.BPFO, Fault.BPFI])
@pytest.mark.parametrize(("slip", "drift"), [(0.0, 0.0), (0.015, 0.0), (0.0, 0.02)])
def test_only_the_band_of_the_damaged_ring_rises(fault: Fault, slip: float, drift: float):
    other = Fault.BPFI if fault is Fault.BPFO else Fault.BPFO
    healthy = window(0.0)
    levels, others = [], []
    for severity in (2.0, 5.0, 12.0):
        values = window(severity, fault=fault, slip=slip, drift=drift)
        shaft_hz = SHAFT_HZ * (1 + drift / 2)
        levels.append(heard(values, fault, shaft_hz) / heard(healthy, fault, shaft_hz))
        others.append(heard(values, other, shaft_hz) / heard(healthy, other, shaft_hz))
    assert 1.2 < levels[0] < levels[1] / 1.5 < levels[2] / 3
    assert max(others) < levels[2] / 5


def test_another_speed_has_its_fault_elsewhere():
    values = window(8.0, shaft_hz=20.0)
    assert heard(values, Fault.BPFO, 20.0) > 4 * heard(values, Fault.BPFO, SHAFT_HZ)


def test_the_depth_of_a_modulation_comes_out_as_it_went_in():
    seconds = np.arange(25_600) / RATE_HZ
    values = 2 * (1 + 0.5 * np.cos(2 * math.pi * 80 * seconds)) * np.sin(2 * math.pi * 5000 * seconds)
    found = vibration.envelope_spectrum(values, RATE_HZ, *BAND)
    assert vibration.harmonics_rms(found, 80.0, (1,), 0.01) == pytest.approx(1 / math.sqrt(2), rel=1e-3)


def test_knocking_is_seen_in_kurtosis_and_crest_factor():
    noise = np.random.default_rng(5).normal(size=65_536)
    assert vibration.kurtosis(noise) == pytest.approx(3, abs=0.1)
    assert vibration.kurtosis(sine(50)) == pytest.approx(1.5)
    assert vibration.crest_factor(sine(50)) == pytest.approx(math.sqrt(2), rel=1e-3)
    assert vibration.kurtosis(window(20.0)) > vibration.kurtosis(window(0.0)) + 1


# ---- laws


Feature = Callable[[Vector], float]
LINEAR: list[Feature] = [
    lambda values: vibration.integrated_rms(vibration.spectrum(values, RATE_HZ), 10, 1000),
    lambda values: vibration.band_rms(vibration.spectrum(values, RATE_HZ), 10, 1000),
    lambda values: heard(values, Fault.BPFO),
    lambda values: heard(values, Fault.BPFI),
]
RATIOS: list[Feature] = [vibration.kurtosis, vibration.crest_factor]
SHORT = {severity: window(severity) for severity in (0.0, 6.0)}


@given(st.sampled_from(sorted(SHORT)), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(max_examples=25, deadline=None)
def test_a_feature_grows_with_the_signal_and_knows_no_offset(severity: float, scale: float, offset: float):
    values = SHORT[severity]
    changed = (values + offset) * scale
    for feature in LINEAR:
        assert feature(changed) == pytest.approx(feature(values) * scale, rel=1e-6)
    for feature in RATIOS:
        assert feature(changed) == pytest.approx(feature(values), rel=1e-6)
    assert vibration.doubt(changed) is vibration.doubt(values) is None


def test_the_same_window_gives_the_identical_number():
    values = window(3.0)
    assert [feature(values) for feature in LINEAR] == [feature(values.copy()) for feature in LINEAR]


# ---- what is not to be believed


NOISE = np.random.default_rng(7).normal(size=POINTS)


def spoilt(*places: int, by: float) -> Vector:
    values = NOISE.copy()
    values[list(places)] = by
    return values


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (NOISE, None),
        (np.round(NOISE * 3), None),
        (np.round(100 * sine(50.1)), None),
        (np.round(3 * sine(50.1)), None),
        (NOISE[:255], "WINDOW_TOO_SHORT"),
        (np.zeros(65_537), "WINDOW_TOO_LONG"),
        (spoilt(17, by=math.nan), "NOT_A_NUMBER"),
        (spoilt(17, by=-math.inf), "NOT_A_NUMBER"),
        (spoilt(17, by=1e200), "NOT_A_NUMBER"),
        (np.zeros(POINTS), "FLAT"),
        (np.full(POINTS, 9.81), "FLAT"),
        (NOISE * 1e-200, "FLAT"),
        (spoilt(*range(2000, 3100), by=0.1), "STUCK"),
        (np.clip(NOISE, -2.5, 9.0), "CLIPPED"),
        (np.clip(NOISE, -9.0, 2.5), "CLIPPED"),
        (np.clip(window(20.0), -8.0, 8.0), "CLIPPED"),
        (np.clip(1.3 * sine(50.1), -1.0, 1.0), "CLIPPED"),
    ],
)
def test_a_window_is_doubted_by_a_stable_code(values: Vector, code: str | None):
    assert vibration.doubt(values) == code


@pytest.mark.parametrize(
    ("amplitudes", "code"),
    [
        ([0.0, 1.0, 0.5], None),
        ([1.0], "WINDOW_TOO_SHORT"),
        ([0.0, -1.0], "NOT_A_NUMBER"),
        ([0.0, math.nan], "NOT_A_NUMBER"),
        ([0.0, math.inf], "NOT_A_NUMBER"),
        ([0.0] * 500, "FLAT"),
        ([1.0] * 65_537, "WINDOW_TOO_LONG"),
    ],
)
def test_a_spectrum_is_doubted_by_a_stable_code(amplitudes: list[float], code: str | None):
    assert vibration.doubt_of_spectrum(np.array(amplitudes)) == code


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (lambda found: vibration.band_rms(found, 1, 1000), "at least 2 s, or a step of 0.5 Hz"),
        (lambda found: vibration.band_rms(found, 10, 3000), "ends at 2560 Hz"),
        (lambda found: vibration.harmonics_rms(found, 2.0, (1,), 0.0), "2 Hz needs a window of at least 2.5 s"),
        (
            lambda found: vibration.harmonics_rms(found, 1000.0, (1, 3), 0.0),
            "reach 3000 Hz, and the spectrum ends at 2560",
        ),
    ],
)
def test_what_a_window_cannot_tell_is_refused_with_what_it_would_need(asked: Callable[[Spectrum], float], needs: str):
    with pytest.raises(Unresolved, match=needs):
        asked(vibration.spectrum(sine(50), 5120.0))


def test_a_window_as_long_as_was_asked_for_is_enough():
    found = vibration.spectrum(sine(50, seconds=2.5), 5120.0)
    assert vibration.harmonics_rms(found, 2.0, (1,), 0.0) < 1e-3
    assert vibration.band_rms(found, 1, 1000) == pytest.approx(math.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "needs"),
    [(2000, 6000, "a sampling rate of at least 12000 Hz"), (100, 104, "a window of at least 4 s")],
)
def test_an_envelope_of_a_band_that_the_window_has_not_is_refused(low: float, high: float, needs: str):
    with pytest.raises(Unresolved, match=needs):
        vibration.envelope_spectrum(sine(50), 5120.0, low, high)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_is_above_nothing(rate_hz: float):
    with pytest.raises(ValueError, match="sampling rate"):
        vibration.spectrum(NOISE, rate_hz)
    with pytest.raises(ValueError, match="sampling rate"):
        vibration.envelope_spectrum(NOISE, rate_hz, 1, 2)
