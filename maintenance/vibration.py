"""From a window of raw vibration, or a spectrum of it, to the few numbers that say how a machine is.

Promises: pure functions of their arguments; a feature grows in proportion to the signal (kurtosis and crest factor not
at all) and knows nothing of a constant offset; what a window is too short to tell raises `Unresolved` with what it
would need, and `doubt` says why a window is not to be believed, so that neither ever becomes a number. Refuses to know
tags, settings and units: values are in the unit of the signal, frequencies in Hz.

How: a window is freed of its straight-line trend and weighted by a Hann window; the power of each bin is corrected for
that window's energy, so that the bins of a band sum to the mean square in it (Parseval). The envelope is the magnitude
of the analytic signal of one band, by FFT (Randall and Antoni, Rolling element bearing diagnostics - A tutorial,
Mechanical Systems and Signal Processing 25, 2011, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from gettext import gettext as _
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

POINTS_MIN: Final = 256
"""Fewer resolve no two frequencies of a machine."""
POINTS_MAX: Final = 65_536
"""2.5 s at 25.6 kHz; two megabytes while it is worked on."""
STEPS_MIN: Final = 2.0
"""Bins below the lower end of a band: what is nearer to nothing is the trend's leak."""
TURNS_MIN: Final = 5.0
"""Periods of a fault in a window: its band is then narrower than the way to the next one."""
MAIN_LOBE: Final = 1.5
"""Half the width, in bins, in which a Hann window keeps all but a thousandth of a line's power."""

LEAST: Final = 1e-60
MOST: Final = 1e60
"""Of a signal's span and values: what is beyond is no measurement, and its fourth power no number."""
STILL_SHARE: Final = 1 / 8
"""A part of a window as long as this that does not move is a sensor that does not."""
CLIPPED_SHARE: Final = 0.002
"""Of a window's values at its very end of range; noise reaches its own extreme once."""
CLIPPED_TIMES: Final = 4.0
"""A crowd at the end this many times that of the next value is a wall; a coarse sine's is at most 2.5 times."""
_CLIPPED_MIN: Final = 4
_BAND_MIN: Final = 8
"""Bins of a band that can have an envelope."""


class Unresolved(ValueError):
    """The window or spectrum is too short or too coarse for what is asked; `str()` says what it would need."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Mean square by frequency: `power[k]` is what lies within half a step of `k * step_hz`.

    end_hz: up to where it says anything.
    """

    step_hz: float
    power: Vector
    end_hz: float

    def __post_init__(self) -> None:
        if not self.step_hz > 0:
            raise ValueError("a spectrum has a step above 0 Hz")


# ---- what is not to be believed


def doubt(values: Vector) -> str | None:
    """Return a stable code of why a window cannot be believed, or None.

    `WINDOW_TOO_SHORT`, `WINDOW_TOO_LONG`, `NOT_A_NUMBER`, `FLAT` (nothing moves), `STUCK` (a part of it does not),
    `CLIPPED` (it runs into an end of its range).
    """
    if len(values) < POINTS_MIN:
        return "WINDOW_TOO_SHORT"
    if len(values) > POINTS_MAX:
        return "WINDOW_TOO_LONG"
    if not np.isfinite(values).all():
        return "NOT_A_NUMBER"
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    if largest > MOST:
        return "NOT_A_NUMBER"
    if high - low <= max(1e-12 * largest, LEAST):
        return "FLAT"
    if _longest_still(values) >= len(values) * STILL_SHARE:
        return "STUCK"
    if _is_wall(values, high) or _is_wall(-values, -low):
        return "CLIPPED"
    return None


def _longest_still(values: Vector) -> int:
    """Return how many values in a row are the same."""
    changes = np.flatnonzero(values[1:] != values[:-1])
    edges = np.concatenate([[-1], changes, [len(values) - 1]])
    return int(np.diff(edges).max())


def _is_wall(values: Vector, end: float) -> bool:
    """Tell whether values crowd at their upper end as none do just below it."""
    crowd = int(np.count_nonzero(values == end))
    if crowd < max(_CLIPPED_MIN, len(values) * CLIPPED_SHARE):
        return False
    below = values[values < end]
    return crowd > CLIPPED_TIMES * int(np.count_nonzero(below == below.max()))


def doubt_of_spectrum(amplitudes: Vector) -> str | None:
    """Return a stable code of why a spectrum cannot be believed, or None; an amplitude below nothing is no number."""
    if len(amplitudes) < 2:
        return "WINDOW_TOO_SHORT"
    if len(amplitudes) > POINTS_MAX:
        return "WINDOW_TOO_LONG"
    if not np.isfinite(amplitudes).all() or amplitudes.min() < 0 or amplitudes.max() > MOST:
        return "NOT_A_NUMBER"
    return None if amplitudes.max() > LEAST else "FLAT"


# ---- spectra


def spectrum(values: Vector, rate_hz: float) -> Spectrum:
    """Return the spectrum of a window sampled at a rate. Raises ValueError for a rate of 0 or less."""
    _require_rate(rate_hz)
    count = len(values)
    weights, energy = _hann(count)
    transformed = np.fft.rfft(_level(values) * weights)
    power = (transformed.real**2 + transformed.imag**2) * (2 / (count * energy))
    power[0] /= 2
    if count % 2 == 0:
        power[-1] /= 2
    return Spectrum(rate_hz / count, power, rate_hz / 2)


def given(amplitudes: Vector, step_hz: float, *, peak: bool) -> Spectrum:
    """Return the spectrum that a machine sent: amplitudes from 0 Hz on in steps, as peaks or as root mean squares.

    Its bins are summed by their squares. One that was weighted by a Hann window and corrected for amplitude reads up
    to 22 % high so, always alike. Raises ValueError for a step of 0 or less.
    """
    power = amplitudes * amplitudes
    return Spectrum(step_hz, power / 2 if peak else power, step_hz * (len(amplitudes) - 1))


def envelope_spectrum(values: Vector, rate_hz: float, low_hz: float, high_hz: float) -> Spectrum:
    """Return the spectrum of the envelope of what a window holds between two frequencies.

    It says something up to the width of the band. Raises ValueError for a rate of 0 or less, `Unresolved` when the band
    lies beyond half the rate or holds too few bins.
    """
    _require_rate(rate_hz)
    count, step = len(values), rate_hz / len(values)
    if not 0 < low_hz < high_hz <= rate_hz / 2:
        text = _("a band from {low:g} to {high:g} Hz needs a sampling rate of at least {rate:g} Hz")
        raise Unresolved(text.format(low=low_hz, high=high_hz, rate=2 * high_hz))
    first, last = math.ceil(low_hz / step), math.floor(high_hz / step)
    if last - first < _BAND_MIN:
        seconds = 2 * _BAND_MIN / (high_hz - low_hz)
        text = _("a band from {low:g} to {high:g} Hz needs a window of at least {seconds:g} s")
        raise Unresolved(text.format(low=low_hz, high=high_hz, seconds=seconds))
    inside = np.fft.rfft(_level(values))[first : last + 1]
    # The band alone, moved down to 0 Hz: its magnitude is the envelope all the same, at the rate that the band needs.
    points = 1 << (2 * len(inside) - 1).bit_length()
    magnitude = np.abs(np.fft.ifft(inside, points)) * (2 * points / count)
    found = spectrum(magnitude, points * step)
    return Spectrum(found.step_hz, found.power, high_hz - low_hz)


def _require_rate(rate_hz: float) -> None:
    if not 0 < rate_hz < math.inf:
        raise ValueError("a sampling rate is above 0 Hz")


def _level(values: Vector) -> Vector:
    """Return values without their mean and their straight-line trend."""
    count = len(values)
    places = np.arange(count) - (count - 1) / 2
    level: Vector = values - values.mean()
    level -= places * (float(places @ level) * 12 / (count * (count * count - 1.0)))
    return level


@lru_cache(maxsize=8)
def _hann(count: int) -> tuple[Vector, float]:
    """Return a Hann window, periodic, and its energy. Lengths are as many as a plant's sensors have."""
    weights = 0.5 - 0.5 * np.cos(np.arange(count) * (2 * math.pi / count))
    weights.flags.writeable = False
    return weights, float(weights @ weights)


# ---- features


def band_rms(found: Spectrum, low_hz: float, high_hz: float) -> float:
    """Return the root mean square between two frequencies, ends included. Raises `Unresolved`."""
    return math.sqrt(float(found.power[_band(found, low_hz, high_hz)].sum()))


def integrated_rms(found: Spectrum, low_hz: float, high_hz: float) -> float:
    """Return the root mean square of the signal's integral over time between two frequencies, times a second.

    Of an acceleration in m/s2 it is the velocity in m/s, as ISO 20816-1 judges it between 10 and 1,000 Hz. Raises
    `Unresolved`.
    """
    band = _band(found, low_hz, high_hz)
    omega = np.arange(band.start, band.stop) * (2 * math.pi * found.step_hz)
    return math.sqrt(float((found.power[band] / (omega * omega)).sum()))


def _band(found: Spectrum, low_hz: float, high_hz: float) -> slice:
    if not 0 < low_hz < high_hz <= found.end_hz:
        text = _("a band from {low:g} to {high:g} Hz is asked for, and the spectrum ends at {end:g} Hz")
        raise Unresolved(text.format(low=low_hz, high=high_hz, end=found.end_hz))
    if low_hz < STEPS_MIN * found.step_hz:
        text = _("a band from {low:g} Hz on needs a window of at least {seconds:g} s, or a step of {step:g} Hz")
        raise Unresolved(text.format(low=low_hz, seconds=STEPS_MIN / low_hz, step=low_hz / STEPS_MIN))
    return slice(math.ceil(low_hz / found.step_hz - 1e-9), math.floor(high_hz / found.step_hz + 1e-9) + 1)


def harmonics_rms(found: Spectrum, frequency_hz: float, harmonics: Sequence[int], slip: float) -> float:
    """Return the root mean square around harmonics of a frequency, each within a share `slip` of where it belongs.

    harmonics: which, 1 is the frequency itself. Raises ValueError for a frequency or slip below nothing, and
    `Unresolved` when the window holds too few periods or the spectrum ends before the last harmonic.
    """
    if not frequency_hz > 0 or not harmonics or min(harmonics) < 1 or not 0 <= slip < 0.5:
        raise ValueError("a frequency above 0 Hz, at least one harmonic, and a slip from 0 to below a half")
    if frequency_hz < TURNS_MIN * found.step_hz:
        text = _("{frequency:g} Hz needs a window of at least {seconds:g} s, or a step of {step:g} Hz")
        numbers = {"seconds": TURNS_MIN / frequency_hz, "step": frequency_hz / TURNS_MIN}
        raise Unresolved(text.format(frequency=frequency_hz, **numbers))
    highest = max(harmonics) * frequency_hz * (1 + slip)
    if highest > found.end_hz:
        text = _("the harmonics of {frequency:g} Hz reach {highest:g} Hz, and the spectrum ends at {end:g} Hz")
        raise Unresolved(text.format(frequency=frequency_hz, highest=highest, end=found.end_hz))
    total = 0.0
    for harmonic in harmonics:
        centre = harmonic * frequency_hz
        reach = max(slip * centre, MAIN_LOBE * found.step_hz)
        first, last = math.ceil((centre - reach) / found.step_hz), math.floor((centre + reach) / found.step_hz)
        total += float(found.power[max(first, 1) : last + 1].sum())
    return math.sqrt(total)


def kurtosis(values: Vector) -> float:
    """Return the fourth moment over the square of the second: 3 for noise, more where something knocks. No unit."""
    square = (values - values.mean()) ** 2
    return float((square * square).mean()) / float(square.mean()) ** 2


def crest_factor(values: Vector) -> float:
    """Return the peak over the root mean square, both from the mean: 1.41 for a sine. No unit."""
    centred = values - values.mean()
    return float(np.abs(centred).max()) / math.sqrt(float((centred * centred).mean()))
