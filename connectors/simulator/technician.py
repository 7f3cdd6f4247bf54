"""The technician: whoever walks up to the simulated machine with a new part.

A client of the factory's own control, run by the demo as a process of its own. It is the only thing that touches
machines; the gateway only ever sees the signals that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.simulator.control import Control


@dataclass(frozen=True, slots=True)
class Fitted:
    """A new part is in: the how many-th of its component, and at which plant time."""

    machine: str
    component: str
    part: int
    at: datetime


async def fit(state: Path, machine: str, component: str) -> Fitted:
    """Fit a new part into a component of the factory that keeps its state there.

    Raises ControlRefused when there is no such component, ControlUnreachable when no factory answers.
    """
    async with Control(state) as control:
        done = await control.call("POST", "/fit", {"machine": machine, "component": component})
    return Fitted(done["machine"], done["component"], int(done["part"]), datetime.fromisoformat(done["at"]))


async def look(state: Path) -> dict[str, Any]:
    """Return the true wear of every component and what the tags show. Raises ControlUnreachable."""
    async with Control(state) as control:
        return await control.call("GET", "/state")
