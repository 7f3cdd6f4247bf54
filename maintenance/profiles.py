"""Ready settings for recordings that many people have: what to watch on them, and nothing about how they end."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from connectors.samples import Measure
from maintenance.needs import JobKind
from maintenance.settings import ComponentSettings, DeviationWear, JobSettings, LineSettings

TURBOFAN_CYCLE = "cycle"
TURBOFAN_SENSORS = tuple(f"s{number}" for number in range(1, 22))
"""The 21 sensor columns of NASA C-MAPSS, in the order of the file."""
TURBOFAN_SETTINGS = ("op1", "op2", "op3")
TURBOFAN_MOVING = tuple(f"s{number}" for number in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21))
"""The sensors that move at one operating condition; the other seven stand still or step between two values
(Saxena and others, Damage propagation modeling for aircraft engine run-to-failure simulation, PHM 2008). Altitude (in
1,000 ft), Mach number and throttle angle say which condition it is."""


TURBOFAN_RATED = Measure(200, "cycles")
"""A round number, as a maker would print it; nobody has counted."""


def turbofan(peers: str | None = "turbofan", rated_life: Measure | None = TURBOFAN_RATED) -> ComponentSettings:
    """Return the component that stands for the engine of one C-MAPSS unit: one cycle is one hour of plant time.

    No limit is known: only the distance from the unit's own first 25 cycles counts, with the noise of the first 25
    cycles of its peers.
    """
    return ComponentSettings(
        name="Engine",
        rated_life=rated_life,
        wear=DeviationWear(
            by="deviation",
            tags=TURBOFAN_MOVING,
            clock=TURBOFAN_CYCLE,
            baseline=25,
            peers=peers,
            frame=Measure(1, "h"),
            regime=dict(zip(TURBOFAN_SETTINGS, (Measure(1, "1"), Measure(0.02, "1"), Measure(1, "1")), strict=True)),
        ),
        job=JobSettings(
            title="Replace the engine",
            duration=Measure(8, "h"),
            lines={"engine": LineSettings(item="engine", quantity=Decimal(1), kind=JobKind.PART)},
        ),
        stale_after=Measure(1, "d"),
    )


def turbofan_tags() -> Mapping[str, str]:
    """Return the unit of every tag of a C-MAPSS unit; the recording names none for its sensors."""
    return {TURBOFAN_CYCLE: "cycles"} | dict.fromkeys((*TURBOFAN_SETTINGS, *TURBOFAN_SENSORS), "1")
