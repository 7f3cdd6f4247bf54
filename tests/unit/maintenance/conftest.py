"""A mill that can be told anything: a monitor with one component of each kind, and samples made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Fitting, FittingState, Life
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

TAGS = {"vibration": "mm/s", "cycles": "cycles", "hours": "h", "coolant": "%"} | {f"t{n}": "1" for n in range(5)}
WEAR: dict[str, dict[str, Any]] = {
    "bearing": {
        "rated_life": "1000 h",
        "wear": {"by": "level", "tag": "vibration", "as_new": "1 mm/s", "limit": "7 mm/s", "frame": "2 h"},
    },
    "coolant": {
        "rated_life": "400 h",
        "wear": {"by": "level", "tag": "coolant", "as_new": "100 %", "limit": "20 %"},
    },
    "seal": {"rated_life": "1000 cycles", "wear": {"by": "usage", "tag": "cycles", "resets_at_fitting": True}},
    "oil": {"rated_life": "1000 h", "wear": {"by": "usage", "tag": "hours"}},
    "calibration": {"rated_life": "180 d", "wear": {"by": "usage", "due": True}},
    "drive": {"wear": {"by": "deviation", "tags": [f"t{n}" for n in range(5)], "baseline": 10}},
}


def settings(name: str, **changes: Any) -> ComponentSettings:
    lines = {"part": {"item": name, "quantity": "1"}}
    return ComponentSettings.model_validate(
        {"name": name, "job": {"title": f"Replace the {name}", "lines": lines}} | WEAR[name] | changes
    )


@dataclass
class Mill:
    """The monitor and a time that moves only when somebody says so."""

    monitor: Monitor
    start: datetime
    hours: float = 0.0

    @property
    def now(self) -> datetime:
        return self.start + timedelta(hours=self.hours)

    def sample(self, tag: str, value: float, **changes: Any) -> Sample:
        quality = changes.pop("quality", Quality.BAD if math.isnan(value) else Quality.GOOD)
        source_time = changes.pop("source_time", self.now)
        provenance = changes.pop("provenance", Provenance.A)
        return Sample(f"mill/{tag}", value, quality, source_time, changes.pop("receive_time", self.now), provenance)

    def say(self, tag: str, *values: float, every: float = 1.0, **changes: Any) -> None:
        """Let a tag say values, each after some hours."""
        for value in values:
            self.hours += every
            self.monitor.take(self.sample(tag, value, **changes))

    def fit(self, name: str, used_before: float | None = 0.0, **counters: float) -> None:
        key = f"mill/{name}"
        life = Life(f"{name}-{self.hours:g}", key, self.now, used_before, counters=counters)
        self.monitor.fitted(Fitting("f", key, self.now, FittingState.DONE, "anna", "said"), life)


def watched(**changes: Any) -> dict[str, Watched]:
    return {f"mill/{name}": Watched("mill", settings(name, **changes.get(name, {})), TAGS) for name in WEAR}


@pytest.fixture
def make_mill(now: datetime) -> Callable[..., Mill]:
    def make(**changes: Any) -> Mill:
        lives = {key: Life(f"{key}-1", key, now) for key in watched()}
        return Mill(Monitor(watched(**changes), lives), now)

    return make


@pytest.fixture
def mill(make_mill: Callable[..., Mill]) -> Mill:
    return make_mill()
