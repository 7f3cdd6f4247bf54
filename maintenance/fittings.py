"""The counters of a machine at the moment in which a part is fitted, from what is known then. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from maintenance.assets import Fitting, machine_of
from maintenance.monitor import Monitor


def counters_now(monitor: Monitor, component: str, names: Sequence[str]) -> dict[str, float]:
    """Return the newest readings of a component's counters, by tag; those that were never read are not in it."""
    found = {name: monitor.latest(f"{machine_of(component)}/{name}") for name in names}
    return {name: reading.value for name, reading in found.items() if reading is not None}


def counters_told(fitting: Fitting, names: Sequence[str]) -> dict[str, float]:
    """Return the counter at a fitting that telemetry proposes, where the proposal rests on a counter that fell."""
    told = json.loads(fitting.evidence)
    return {told.get("tag", names[-1]): float(told["reading"])} if names and "reading" in told else {}
