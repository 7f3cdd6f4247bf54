"""A simulated bearing sounds where its geometry says, louder the more it is worn, and a sensor's noise is believed."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.simulator.accelerometer import Accelerometer, RollingBearing
from connectors.simulator.modelled import PUMP
from maintenance.bearings import Bearing, Fault
from maintenance.vibration import doubt, envelope_spectrum, harmonics_rms, kurtosis

SENSOR = Accelerometer(RollingBearing(9, 7.94, 39.04))
SHAFT_HZ = 1480 / 60


def heard(fault: Fault, wear: float, seed: int) -> float:
    bearing = Bearing(9, 7.94, 39.04)
    found = envelope_spectrum(SENSOR.window(wear, SHAFT_HZ, seed), SENSOR.rate_hz, 3200, 9600)
    return harmonics_rms(found, bearing.frequency(fault, SHAFT_HZ), bearing.telling(fault, 3, 0.02), 0.02)


def test_the_outer_ring_grows_louder_as_it_wears_and_the_inner_one_hardly():
    levels = [np.mean([heard(Fault.BPFO, wear, seed) for seed in range(4)]) for wear in (0.0, 0.4, 0.7, 1.0)]
    assert levels == sorted(levels)
    assert levels[-1] > 4 * levels[0]
    inner = [np.mean([heard(Fault.BPFI, wear, seed) for seed in range(4)]) for wear in (0.0, 1.0)]
    assert levels[-1] - levels[0] > 3 * (inner[1] - inner[0])
    assert kurtosis(SENSOR.window(1.0, SHAFT_HZ, 1)) > 2 * kurtosis(SENSOR.window(0.0, SHAFT_HZ, 1))


@pytest.mark.parametrize(("wear", "shaft_hz"), [(0.0, SHAFT_HZ), (1.0, SHAFT_HZ), (1.0, 0.0)])
def test_windows_can_be_believed_and_are_the_same_again(wear: float, shaft_hz: float):
    window = SENSOR.window(wear, shaft_hz, 7)
    assert doubt(window) is None
    assert (window == SENSOR.window(wear, shaft_hz, 7)).all()
    assert (window != SENSOR.window(wear, shaft_hz, 8)).any()


def test_the_geometry_is_that_of_bearings():
    assert SENSOR.bearing.outer_order == pytest.approx(Bearing(9, 7.94, 39.04).order(Fault.BPFO))
    assert PUMP.listening is not None
    assert PUMP.listening.component in {part.plan.key for part in PUMP.parts}
