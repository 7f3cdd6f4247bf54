"""A component as a picture: what was measured, where it must not go, and where it will likely be when.

Plain values for a chart, in the unit of the measured quantity, with calendar times. Nothing is decided on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from maintenance.features import History
from maintenance.prognosis import quickened
from maintenance.trackers.tracker import Outlook

BAND_POINTS = 24
QUANTILE = 1.281552
"""Standard deviations from the middle to the 10 % and 90 % lines of a normal."""
AHEAD_MAX = timedelta(days=3652)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BandPoint:
    """Where the quantity will be at a time: below `low` with 10 %, below `high` with 90 %."""

    at: datetime
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Picture:
    """History (oldest first), threshold and forecast of one component's measured quantity, in `unit`."""

    component: str
    unit: str
    threshold: float
    history: tuple[tuple[datetime, float], ...]
    forecast: tuple[BandPoint, ...]

    def document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "component": self.component,
            "unit": self.unit,
            "threshold": self.threshold,
            "history": [[at.isoformat(), value] for at, value in self.history],
            "forecast": [[one.at.isoformat(), one.low, one.middle, one.high] for one in self.forecast],
        }

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Picture:
        """Return the picture that a document says."""
        return cls(
            document["component"],
            document["unit"],
            document["threshold"],
            tuple((datetime.fromisoformat(at), value) for at, value in document["history"]),
            tuple(
                BandPoint(datetime.fromisoformat(at), low, middle, high)
                for at, low, middle, high in document["forecast"]
            ),
        )


def draw(
    component: str, history: History, outlook: Outlook, use_per_hour: float, ahead: timedelta, now: datetime
) -> Picture:
    """Draw a component's history and its course over the time `ahead` (bounded to ten years)."""
    past = tuple((EPOCH + timedelta(hours=at), value) for at, value in zip(history.hours, history.values, strict=True))
    hours = np.linspace(0.0, min(ahead, AHEAD_MAX) / timedelta(hours=1), BAND_POINTS + 1)
    use = quickened(hours * use_per_hour, outlook.growth)
    middle = outlook.value + outlook.slope * use
    spread = QUANTILE * np.sqrt((outlook.slope_deviation * use) ** 2 + outlook.flow * use)
    band = [
        BandPoint(now + timedelta(hours=later), place - half, place, place + half)
        for later, place, half in zip(hours.tolist(), middle.tolist(), spread.tolist(), strict=True)
    ]
    return Picture(component, outlook.unit, outlook.threshold, past, tuple(band))
