"""What an accelerometer on a rolling bearing sends: raw windows of vibration, from the first knock to the last.

A window holds the sensor's noise, the shaft's unbalance, and the ringing of the housing, which a damage of the outer
ring strikes once for every ball that passes it. How hard goes up and down with the turning load, a little by chance,
and grows with the damage; balls slip a little, so that the strikes come late. Model and frequency: Randall and Antoni,
Rolling element bearing diagnostics - A tutorial, Mechanical Systems and Signal Processing 25, 2011, sections 2 and 3.
The same wear, speed and seed give the same window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_RINGING: Final = 512
"""Points after which a strike is gone."""


@dataclass(frozen=True, slots=True)
class RollingBearing:
    """A bearing's geometry, from its maker: diameters in mm, the contact angle in degrees."""

    balls: int
    ball_diameter_mm: float
    pitch_diameter_mm: float
    contact_angle_deg: float = 0.0

    @property
    def outer_order(self) -> float:
        """How many balls pass a spot of the outer ring in a turn of the shaft (BPFO)."""
        ratio = self.ball_diameter_mm / self.pitch_diameter_mm * math.cos(math.radians(self.contact_angle_deg))
        return self.balls / 2 * (1 - ratio)


@dataclass(frozen=True, slots=True)
class Accelerometer:
    """A sensor on the housing of a bearing; accelerations in m/s2.

    noise: its standard deviation. unbalance: amplitude of the shaft's own turn. worst: amplitude of a strike when the
    bearing is worn out; `bend` is how late and steeply it gets there, as in `machines.Level`. swing: by how much of
    itself a strike goes up and down with the load; slip: by how much of itself the damage sounds lower than geometry
    says.
    """

    bearing: RollingBearing
    rate_hz: float = 25_600.0
    points: int = 4096
    noise: float = 1.0
    unbalance: float = 2.0
    worst: float = 12.0
    bend: float = 2.0
    swing: float = 0.3
    slip: float = 0.01
    resonance_hz: float = 5_200.0
    decay_hz: float = 900.0

    def strike(self, wear: float) -> float:
        """Return the amplitude of a strike at a wear of 0 to 1."""
        return self.worst * math.expm1(self.bend * wear) / math.expm1(self.bend)

    def window(self, wear: float, shaft_hz: float, seed: int) -> Vector:
        """Return a window at a wear of 0 to 1 and a speed of the shaft; at standstill there is noise alone."""
        rng = np.random.default_rng(seed)
        heard: Vector = rng.normal(0.0, self.noise, self.points)
        if shaft_hz <= 0:
            return heard
        seconds = np.arange(self.points) / self.rate_hz
        turned = 2 * math.pi * (shaft_hz * seconds + rng.uniform())
        strikes = self._strikes(shaft_hz * seconds, turned, rng) * self.strike(wear)
        ringing = np.exp(-self.decay_hz * seconds[:_RINGING]) * np.sin(
            2 * math.pi * self.resonance_hz * seconds[:_RINGING]
        )
        return heard + self.unbalance * np.sin(turned) + np.convolve(strikes, ringing)[: self.points]

    def _strikes(self, turns: Vector, turned: Vector, rng: np.random.Generator) -> Vector:
        """Return how hard the damage strikes at each point, as a share of its usual: 0 between strikes."""
        passed = np.floor(turns * self.bearing.outer_order * (1 - self.slip) + rng.uniform())
        at = np.flatnonzero(np.diff(passed) > 0) + 1
        found = np.zeros(self.points)
        found[at] = (1 + self.swing * np.cos(turned[at])) * (1 + 0.1 * rng.normal(size=len(at)))
        return found
