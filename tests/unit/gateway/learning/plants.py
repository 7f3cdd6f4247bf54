"""Kinds with lives that ended, as the judge is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.learning.kinds import Kind, Wearing
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from gateway.learning.task import Case, Closed, Task
from maintenance.assets import Found
from maintenance.frames import History
from maintenance.settings import ComponentSettings
from marketplace.timing import Costs
from tests.unit.maintenance.lives import SIGNALS, life

COSTS = Costs("EUR", 100.0, 500.0, 10.0, 1.0)
DELAYS = (8.0,)
SPINDLE = "mill/spindle"
SPINDLES = Kind(Wearing.DEVIATION, "spindles")
SEALS = Kind(Wearing.USAGE, "seal-kit")
DIES = Kind(Wearing.CLOCKS, "die")
CLOCKS = {
    "hours": {"rated_life": "1000 h"},
    "strokes": {"tag": "strokes", "rated_life": "50000 strokes", "resets_at_fitting": True},
}
STROKES_AN_HOUR = 5.0


def quick(count: int, seed: int = 0) -> list[History]:
    """So many lives of about 60 hours."""
    return [life(unit, seed=seed, usual=60) for unit in range(count)]


def spindle(rated: str = "60 h", **wear: object) -> ComponentSettings:
    said = {"by": "deviation", "tags": list(SIGNALS), "peers": "spindles", "frame": "1 h", "baseline": 10} | wear
    lines = {"part": {"item": "spindle", "quantity": 1}}
    job = {"title": "Replace it", "lines": lines}
    return ComponentSettings.model_validate({"name": "Spindle", "rated_life": rated, "wear": said, "job": job})


def seal(rated: str = "1000 h") -> ComponentSettings:
    lines = {"kit": {"item": "seal-kit", "quantity": 1}}
    job = {"title": "Replace it", "lines": lines}
    return ComponentSettings.model_validate({"name": "Seal", "rated_life": rated, "wear": {"by": "usage"}, "job": job})


def die() -> ComponentSettings:
    lines = {"die": {"item": "die", "quantity": 1}}
    wear = {"by": "usage", "clocks": CLOCKS}
    return ComponentSettings.model_validate(
        {"name": "Die", "wear": wear, "job": {"title": "Replace it", "lines": lines}}
    )


def dies(hours: Sequence[float], found: Found | None = Found.FAILED) -> Task:
    units = {"hours": "h", "strokes": "strokes"}
    lives = tuple(
        Closed(f"l{at}", "press/die", run, run, found, clocks={"hours": run, "strokes": STROKES_AN_HOUR * run})
        for at, run in enumerate(hours)
    )
    return Task(DIES, {"press/die": replace(case(die()), units=units)}, lives, Standing())


def case(settings: ComponentSettings, costs: Costs | None = COSTS) -> Case:
    return Case(settings, "h", costs, DELAYS, 4.0)


def closed(history: History, component: str = "mill/spindle", found: Found | None = Found.FAILED) -> Closed:
    return Closed(history.unit, component, history.life, history.life, found)


def spindles(lives: Sequence[History], found: Found | None = Found.FAILED, **changes: object) -> Task:
    task = Task(
        SPINDLES, {"mill/spindle": case(spindle())}, tuple(closed(each, found=found) for each in lives), Standing()
    )
    return replace(task, **changes)  # type: ignore[arg-type]


def seals(runs: Sequence[float], found: Found | None = Found.FAILED, ceiling: Phase = Phase.AUTONOMOUS) -> Task:
    lives = tuple(Closed(f"l{at}", "press/seal", run, run, found) for at, run in enumerate(runs))
    return Task(SEALS, {"press/seal": case(seal())}, lives, Standing(), ceiling)


def by_life(lives: Sequence[History]) -> dict[str, History]:
    return {each.unit: each for each in lives}
