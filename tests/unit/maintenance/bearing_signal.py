"""What an accelerometer on a bearing hears: noise, an unbalance, and a resonance struck once a fault period."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from maintenance.bearings import Bearing, Fault

RATE_HZ = 25_600.0
POINTS = 8192
SHAFT_HZ = 1480 / 60
BEARING = Bearing(9, 7.94, 39.04)
"""A 6205 deep groove ball bearing."""

RESONANCE_HZ, DECAY_HZ = 5200.0, 900.0


def window(
    severity: float,
    *,
    fault: Fault = Fault.BPFO,
    shaft_hz: float = SHAFT_HZ,
    slip: float = 0.0,
    drift: float = 0.0,
    seed: int = 1,
    points: int = POINTS,
) -> NDArray[np.float64]:
    """Return a window in m/s2: noise of 1, an unbalance of 2, and strikes of `severity`.

    slip: by how much of itself the fault sounds lower than the geometry says. drift: by how much of itself the speed
    rises over the window.
    """
    rng = np.random.default_rng(seed)
    seconds = np.arange(points) / RATE_HZ
    turned = shaft_hz * (seconds + drift * seconds**2 / (2 * seconds[-1]))
    struck = turned * BEARING.order(fault) * (1 - slip)
    first = np.flatnonzero(np.diff(np.floor(struck + rng.uniform())) > 0)
    ringing = np.zeros(points)
    ringing[first] = 1 + 0.1 * rng.normal(size=len(first))
    after = seconds[:512]
    tone = np.exp(-DECAY_HZ * after) * np.sin(2 * math.pi * RESONANCE_HZ * after)
    signal = severity * np.convolve(ringing, tone)[:points]
    return signal + 2 * np.sin(2 * math.pi * turned) + rng.normal(size=points)
