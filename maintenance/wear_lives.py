"""From what a part's tags said while it worked, and what was measured of it, to a life that wear is learned from.

Rows are made as they are while wear is estimated (`estimation.Rows`), so that a model meets later what it was taught.
Between two measurements wear is taken to grow in proportion to use on the first clock. Knows no file and no store.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Final

import numpy as np

from maintenance.estimates import Estimate, Taught
from maintenance.estimation import Rows
from maintenance.wear_estimate import BASELINE, Traits
from maintenance.wear_file import sealed
from maintenance.wear_learning import WearHistory, learn

ROWS_MIN: Final = 2 * BASELINE
"""Of one life: as much again as its own beginning, against which the rest is told."""

Said = tuple[int, int, float]
"""When, in ticks; which tag by its place, signals first; its value, NaN when it cannot be believed."""


class LifeUnusable(ValueError):
    """A life teaches nothing; `str()` is the sentence that says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How worn a part was at a time, in ticks."""

    at: int
    wear: float


def life_of(use: Estimate, said: Iterable[Said], measured: Sequence[Measured]) -> WearHistory:
    """Return a life from its fitting, the first measurement, to its last one.

    said: in the order of time; what comes before the fitting says only where counters and signals stood. Raises
    `LifeUnusable` for fewer than two measurements or too few rows.
    """
    if len(measured) < 2:
        raise LifeUnusable(_("is measured once: say its wear when it was fitted, and at least once later"))
    rows, fitted, end = Rows.new(use), measured[0].at, measured[-1].at
    made: list[tuple[int, list[float], list[float]]] = []
    begun = False
    for at, place, value in said:
        if at > fitted and not begun:
            rows.begin()
            begun = True
        if at > end:
            break
        clock = place - len(use.signals)
        if clock < 0:
            rows.signal(place, value)
        elif math.isfinite(value) and (row := rows.clock(clock, value)) is not None and begun:
            made.append((at, *row))
    if len(made) < ROWS_MIN:
        sentence = _("has {count} rows between its measurements, and {least} are needed: did its clock {clock} run?")
        raise LifeUnusable(sentence.format(count=len(made), least=ROWS_MIN, clock=use.clocks[0].key))
    clocks = np.array([each for _at, each, _signals in made])
    times = np.array([at for at, _clocks, _signals in made], np.float64)
    ran = np.interp([each.at for each in measured], [fitted, *times], [0.0, *clocks[:, 0]])
    wear = np.interp(clocks[:, 0], ran, [each.wear for each in measured])
    return WearHistory(clocks, np.array([signals for _at, _clocks, signals in made]), wear)


def teach(use: Estimate, lives: Sequence[WearHistory]) -> Taught:
    """Return what lives teach. Raises ValueError for fewer than three."""
    model = learn(lives)
    rises = np.array([row for life in lives for row in _rises(life)])
    if not len(rises):
        raise ValueError(_("no row of any part has all its signals"))
    seen = tuple((float(low), float(high)) for low, high in zip(rises.min(axis=0), rises.max(axis=0), strict=True))
    return sealed(use, Taught(model, seen))


def _rises(life: WearHistory) -> list[list[float]]:
    """Return by how much each signal was above its beginning, row by row once that was whole and where it was heard."""
    traits = Traits.new(life.clocks.shape[1], life.signals.shape[1])
    found = []
    for clocks, signals in zip(life.clocks.tolist(), life.signals.tolist(), strict=True):
        traits.take(clocks, signals)
        if traits.begun and traits.heard:
            found.append([rise.now(value) for rise, value in zip(traits.rises, signals, strict=True)])
    return found
