"""How worn a part is, told from signals that know nothing of wear, by what other parts of its kind looked like.

A worn edge asks more of drives and spindle than the same edge did when new. So each signal is told against the part's
own beginning, as the logarithm of a ratio: units and offsets between machines drop out. A `WearModel`, learned by
`maintenance.wear_learning` from parts whose wear was measured, weighs those rises, what has gathered of them over use,
and the part's clocks. A `WearMeter` follows one part: one row at a time, constant time and memory, never back in time.
Its estimate never falls, because wear does not. Knows no tag, no clock, no chance, no I/O; wear in the unit in which
it was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from maintenance.features import RobustLevel, Vector

BASELINE: Final = 10
"""Rows that a part's own beginning is made of: enough to average noise, too few to be worn."""
SLOW, FAST = 0.1, 0.2
"""Weights of a new row: a rise is the work of about twenty rows, what gathers of it forgives less smoothing."""
FLOOR: Final = 0.01
"""A signal's noise is at least one part in a hundred, so that one that stood still can move again."""
LEAP: Final = 1.0
"""A value that is a factor of e off what its signal just was tells of another unit, a broken sensor or an idle cut:
wear changes drives by parts in a hundred from row to row, another cut by less than a factor of two."""
USE_MAX: Final = 1e12
"""More than any clock of a part reaches, and little enough to reckon with."""
STRANGE: Final = 1.0
"""A feature as far outside all that was learned from as that is wide is beyond any answer."""
NINETY: Final = 1.645
"""Nine in ten of a normal distribution lie within so many deviations."""


@dataclass(frozen=True, slots=True)
class WearEstimate:
    """The believed wear and its standard deviation, both in the unit of the measured wear.

    The mean and 1.645 deviations either way hold nine values in ten. strangeness: how far the part is outside all that
    was learned from, in widths of that; 0 is within. known: False while the part's own beginning is too short, a
    signal is missing or leaps, or the part is too strange; then the estimate must not trigger anything alone.
    """

    mean: float
    deviation: float
    strangeness: float
    known: bool


def feature_count(clocks: int, signals: int) -> int:
    """Return how many features a row has: use and its root for each clock, rise and gathered rise for each signal."""
    return 2 * (clocks + signals)


@dataclass(slots=True)
class Rise:
    """One signal against its own beginning, in logarithms; its state is JSON-able."""

    rows: int = 0
    base: RobustLevel = field(default_factory=lambda: RobustLevel(FLOOR))
    slow: RobustLevel = field(default_factory=lambda: RobustLevel(FLOOR))
    fast: RobustLevel = field(default_factory=lambda: RobustLevel(FLOOR))
    gathered: float = 0.0

    def take(self, value: float, use: float) -> bool:
        """Fold one value, worked at for so much more use; False when it was left out: no finite value above 0, or one
        that leaps. What gathers meanwhile does so at the level that was."""
        heard = math.isfinite(value) and value > 0.0 and not self._leaps(math.log(value))
        if heard:
            self._fold(math.log(value))
        if self.rows:
            self.gathered += use * (self.fast.level - self.base.level)
        return heard

    def _leaps(self, logarithm: float) -> bool:
        return self.rows >= BASELINE and abs(logarithm - self.fast.level) > LEAP

    def _fold(self, logarithm: float) -> None:
        self.rows += 1
        if self.rows <= BASELINE:
            self.base.take(logarithm, 1.0 / self.rows)
        self.slow.take(logarithm, SLOW)
        self.fast.take(logarithm, FAST)

    @property
    def level(self) -> float:
        """By how much the signal is above its beginning: 0.1 is about a tenth."""
        return self.slow.level - self.base.level

    def now(self, value: float) -> float:
        """Return by how much one value above 0 is above the signal's beginning, unsmoothed."""
        return math.log(value) - self.base.level

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> Rise:
        """Return what a snapshot holds."""
        levels = {name: RobustLevel(**snapshot[name]) for name in ("base", "slow", "fast")}
        return cls(rows=snapshot["rows"], gathered=snapshot["gathered"], **levels)


@dataclass(slots=True)
class Traits:
    """What one part's rows come to, as features: the state of a `WearMeter` but for the wear itself.

    Raises ValueError for no clock or no signal.
    """

    use: list[float]
    rises: list[Rise]
    heard: bool = True

    @classmethod
    def new(cls, clocks: int, signals: int) -> Traits:
        """Return those of a part that was just fitted; what gathers does so over the first clock."""
        if clocks < 1 or signals < 1:
            raise ValueError("wear is estimated from at least one clock and one signal")
        return cls([0.0] * clocks, [Rise() for _signal in range(signals)])

    def take(self, clocks: Sequence[float], signals: Sequence[float]) -> None:
        """Fold one row: use since fitting on each clock, and each signal.

        A clock that goes back, or is no number up to `USE_MAX`, stands still; a signal that is not finite
        and above 0, or that leaps, is left out. Raises ValueError for another number of clocks or signals.
        """
        if len(clocks) != len(self.use) or len(signals) != len(self.rises):
            raise ValueError(f"a row has {len(self.use)} clocks and {len(self.rises)} signals")
        before = self.use[0]
        self.use = [max(old, new) if new <= USE_MAX else old for old, new in zip(self.use, clocks, strict=True)]
        gone = self.use[0] - before
        heard = [rise.take(value, gone) for rise, value in zip(self.rises, signals, strict=True)]
        self.heard = all(heard)

    @property
    def begun(self) -> bool:
        """Whether every signal's own beginning is whole."""
        return all(rise.rows >= BASELINE for rise in self.rises)

    def row(self) -> list[float]:
        """Return the features as they are now, in the order of `feature_count`."""
        clocks = [each for use in self.use for each in (use, math.sqrt(use))]
        return clocks + [each for rise in self.rises for each in (rise.level, rise.gathered)]


@dataclass(frozen=True, slots=True)
class Term:
    """One feature's part in the wear: `weight` for each `spread` above its `middle`; `low` to `high` was seen."""

    feature: int
    weight: float
    middle: float
    spread: float
    low: float
    high: float

    def strangeness(self, value: float) -> float:
        """Return how far a value is outside what was seen, in widths of that."""
        return max(self.low - value, value - self.high, 0.0) / max(self.high - self.low, 1e-12)


@dataclass(frozen=True, slots=True)
class WearModel:
    """What makes wear of features; plain numbers, so that it can be kept as JSON, hashed and versioned.

    rooted: the terms add up to the square root of the wear. The deviation is `floor` plus `share` of the wear.
    """

    clocks: int
    signals: int
    terms: tuple[Term, ...]
    middle: float
    rooted: bool
    floor: float
    share: float

    def raw(self, row: Sequence[float]) -> float:
        """Return the wear that a row of features alone speaks for, not below 0."""
        told = sum(term.weight * (row[term.feature] - term.middle) / term.spread for term in self.terms)
        wear = max(self.middle + told, 0.0)
        return wear * wear if self.rooted else wear

    def strangeness(self, row: Sequence[float]) -> float:
        """Return how far a row of features is outside all that was learned from, in widths of that."""
        return max((term.strangeness(row[term.feature]) for term in self.terms), default=0.0)

    def deviation(self, wear: float, strangeness: float) -> float:
        """Return the standard deviation of an estimate: wider by as much as the part is strange."""
        return (self.floor + self.share * wear) * (1.0 + strangeness)

    def snapshot(self) -> dict[str, Any]:
        """Return the parameters, JSON-able."""
        return {**asdict(self), "terms": [asdict(term) for term in self.terms]}

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> WearModel:
        """Return the model of a snapshot. Raises KeyError or TypeError for one of another shape."""
        return cls(**{**snapshot, "terms": tuple(Term(**term) for term in snapshot["terms"])})


@dataclass(slots=True)
class WearMeter:
    """Follows the wear of one part from its fitting on; constant time and memory for each row."""

    model: WearModel
    traits: Traits
    mean: float = 0.0

    @classmethod
    def new(cls, model: WearModel) -> WearMeter:
        """Return the meter of a part that was just fitted."""
        return cls(model, Traits.new(model.clocks, model.signals))

    def take(self, clocks: Sequence[float], signals: Sequence[float]) -> WearEstimate:
        """Fold one row, see `Traits.take`, and return what is believed then.

        A part that is too strange keeps the estimate that it had: what nobody has seen is no measure.
        """
        self.traits.take(clocks, signals)
        row = self.traits.row()
        strangeness = self.model.strangeness(row)
        if strangeness <= STRANGE:
            self.mean = max(self.mean, self.model.raw(row))
        known = self.traits.begun and self.traits.heard and strangeness <= STRANGE
        return WearEstimate(self.mean, self.model.deviation(self.mean, strangeness), strangeness, known)

    def snapshot(self) -> dict[str, Any]:
        """Return the state without its model, JSON-able."""
        return {"mean": self.mean, "traits": asdict(self.traits)}

    @classmethod
    def of(cls, model: WearModel, snapshot: Mapping[str, Any]) -> WearMeter:
        """Return a meter that goes on from a snapshot. Raises KeyError or TypeError for one of another shape."""
        kept = snapshot["traits"]
        rises = [Rise.of(rise) for rise in kept["rises"]]
        return cls(model, Traits(list(kept["use"]), rises, kept["heard"]), snapshot["mean"])


def traits_of(clocks: Vector, signals: Vector) -> Vector:
    """Return the features of a whole life, a row for each row of it: what a meter would have seen, row by row."""
    traits = Traits.new(clocks.shape[1], signals.shape[1])
    rows = []
    for use, values in zip(clocks.tolist(), signals.tolist(), strict=True):
        traits.take(use, values)
        rows.append(traits.row())
    return np.array(rows).reshape(len(rows), feature_count(clocks.shape[1], signals.shape[1]))
