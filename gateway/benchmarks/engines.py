"""Recorded engines as benchmarks have them: read, parted into folds, and believed by the rule that needs no history.

The engines are NASA's C-MAPSS training files, played through the monitor as a gateway has it; one cycle is one hour.
An engine is believed with the first 25 cycles, without labels, of ten others beside it, and never with more of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Final

import numpy as np

from connectors.samples import Batch, Measure, Provenance, Quality, Sample
from connectors.simulator.recordings import CMapss, Recording, RecordingError
from maintenance.assets import Life
from maintenance.frames import History
from maintenance.monitor import Monitor
from maintenance.needs import Belief
from maintenance.profiles import (
    TURBOFAN_CYCLE,
    TURBOFAN_MOVING,
    TURBOFAN_RATED,
    TURBOFAN_SETTINGS,
    turbofan,
    turbofan_tags,
)
from maintenance.regimes import Regimes
from maintenance.settings import DeviationWear
from maintenance.slots import Watched

FOLDS: Final = 5
PEERS: Final = 10
HEALTHY: Final = 25
"""Cycles of a peer that may be used: those in which nobody fails."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CYCLE: Final = timedelta(hours=1)
RATED: Final = TURBOFAN_RATED.value
_TAGS: Final = (*TURBOFAN_MOVING, *TURBOFAN_SETTINGS)


def engines_of(directory: Path, subset: str) -> dict[int, Recording]:
    """Return a subset's training engines by unit. Raises RecordingError."""
    form = CMapss(subset)
    file = form.find(directory)
    if file is None:
        text = _("{directory} holds no train_{subset}.txt or .txt.gz of NASA's C-MAPSS")
        raise RecordingError(text.format(directory=directory, subset=subset))
    return {each.unit: each for each in form.read(file)}


def folds(units: Sequence[int], seed: str) -> list[list[int]]:
    """Return units in five parts, by chance."""
    mixed = sorted(units)
    random.Random(seed).shuffle(mixed)
    return [mixed[number::FOLDS] for number in range(FOLDS)]


def peers_of(engines: Mapping[int, Recording], units: Sequence[int], seed: str) -> tuple[Recording, ...]:
    """Return ten of the units, in their health."""
    chosen = random.Random(seed).sample(sorted(units), min(PEERS, len(units)))
    return tuple(Recording(unit, engines[unit].channels, engines[unit].rows[:HEALTHY]) for unit in chosen)


def believed(engine: Recording, peers: Sequence[Recording], every: int, rated: float = RATED) -> dict[int, Belief]:
    """Play an engine to its last cycle but one, peers in their health before it; return what was believed when.

    every: cycles between two beliefs. What is not known well enough to spend on is left out.
    """
    units = {f"unit-{each.unit}": each for each in (engine, *peers)}
    settings, tags = turbofan(rated_life=Measure(rated, "cycles")), turbofan_tags()
    monitor = Monitor(
        {f"{unit}/engine": Watched(unit, settings, tags) for unit in units},
        {f"{unit}/engine": Life(f"life-{unit}", f"{unit}/engine", START) for unit in units},
    )
    for peer in peers:
        for cycle in range(1, len(peer) + 1):
            _fold(monitor, peer, cycle)
        _fold(monitor, peer, len(peer) + 1)  # a frame ends when the next begins
    key, found = f"unit-{engine.unit}/engine", {}
    for cycle in range(1, len(engine)):
        _fold(monitor, engine, cycle)
        if cycle % every == 0:
            belief = monitor.assess(key, START + cycle * CYCLE).belief
            if belief.known:
                found[cycle] = belief
    return found


def _fold(monitor: Monitor, engine: Recording, cycle: int) -> None:
    at, unit = START + cycle * CYCLE, f"unit-{engine.unit}"
    said = {TURBOFAN_CYCLE: float(cycle)}
    if cycle <= len(engine):
        row = dict(zip(engine.channels, engine.rows[cycle - 1], strict=True))
        said |= {tag: row[tag] for tag in _TAGS}
    samples = [Sample(f"{unit}/{tag}", value, Quality.GOOD, at, at, Provenance.A) for tag, value in said.items()]
    monitor.fold(Batch.of("", samples))


def histories(lives: Sequence[Recording], healthy: Sequence[Recording]) -> dict[int, History]:
    """Return lives by unit, their signals made comparable over regimes by the health of some engines and their own."""
    common = {each.unit: _columns(each)[:HEALTHY] for each in healthy}
    settings = len(TURBOFAN_SETTINGS)
    found = {}
    for life in lives:
        rows = _columns(life)
        known = np.vstack(list((common | {life.unit: rows[:HEALTHY]}).values()))
        regimes = Regimes.of(_tolerance(), known[:, -settings:], known[:, :-settings])
        frames = _held(regimes.relative(rows[:, -settings:], rows[:, :-settings]))
        found[life.unit] = History(str(life.unit), frames, np.arange(1.0, len(life) + 1))
    return found


def _columns(engine: Recording) -> np.typing.NDArray[np.float64]:
    places = [engine.channels.index(tag) for tag in _TAGS]
    return np.array(engine.rows)[:, places]


def _tolerance() -> np.typing.NDArray[np.float64]:
    wear = turbofan().wear
    assert isinstance(wear, DeviationWear)
    return np.array([each.value for each in wear.regime.values()])


def _held(frames: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Hold a signal's last value where its regime was never seen in health; nothing at first."""
    held = frames.copy()
    last = np.zeros(frames.shape[1])
    for row in held:
        row[:] = np.where(np.isfinite(row), row, last)
        last = row
    return held
