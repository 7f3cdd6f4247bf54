"""At which frequencies a rolling bearing sounds when one of its parts is damaged.

Promises: the four frequencies that geometry gives for an outer ring that stands still and an inner ring that turns with
the shaft, without slip; real bearings slip by 1 to 2 %, which whoever looks for them allows for. Source: R. B. Randall,
Vibration-based Condition Monitoring, Wiley 2011, section 2.2.3. Refuses to know signals and settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """Which part is damaged, by what its frequency is called."""

    BPFO = "bpfo"
    """Balls passing a spot of the outer ring."""
    BPFI = "bpfi"
    """Balls passing a spot of the inner ring."""
    BSF = "bsf"
    """A ball's spin; a spot on it strikes one of the rings twice a turn, so its second harmonic is often the louder."""
    FTF = "ftf"
    """The cage's turn."""


_RINGS: Final = frozenset({Fault.BPFO, Fault.BPFI})
_LOUD: Final = 5
"""Harmonics of a ring that may be heard among another fault's."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """A bearing's geometry; the diameters are in one unit, whichever. Raises ValueError for what cannot be built."""

    balls: int
    ball_diameter: float
    pitch_diameter: float
    contact_angle_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.balls < 1:
            raise ValueError("a bearing has at least one ball")
        if not 0 < self.ball_diameter < self.pitch_diameter < math.inf:
            raise ValueError("a ball is thicker than nothing and thinner than the circle that it runs on")
        if not 0 <= self.contact_angle_deg < 90:
            raise ValueError("a contact angle is from 0 to below 90 degrees")

    def order(self, fault: Fault) -> float:
        """Return a fault's frequency as a multiple of the shaft's."""
        ratio = self.ball_diameter / self.pitch_diameter * math.cos(math.radians(self.contact_angle_deg))
        match fault:
            case Fault.BPFO:
                return self.balls / 2 * (1 - ratio)
            case Fault.BPFI:
                return self.balls / 2 * (1 + ratio)
            case Fault.BSF:
                return self.pitch_diameter / (2 * self.ball_diameter) * (1 - ratio**2)
            case Fault.FTF:
                return (1 - ratio) / 2

    def frequency(self, fault: Fault, shaft_hz: float) -> float:
        """Return a fault's frequency in Hz at a shaft's speed in turns a second."""
        return self.order(fault) * abs(shaft_hz)

    def telling(self, fault: Fault, most: int, slip: float) -> tuple[int, ...]:
        """Return the harmonics of a fault up to the `most`th at which, within a slip, no other ring can sound.

        In many ball bearings the third harmonic of the outer ring lies on the second of the inner: a damage of either
        would be heard as both. The first always counts.
        """
        own = self.order(fault)
        others = [self.order(ring) * harmonic for ring in _RINGS - {fault} for harmonic in range(1, _LOUD + 1)]
        return tuple(
            harmonic
            for harmonic in range(1, most + 1)
            if harmonic == 1 or all(abs(harmonic * own - other) > slip * (harmonic * own + other) for other in others)
        )
