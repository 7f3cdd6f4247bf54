"""A wear estimate, learned from parts whose wear was measured while their signals were heard.

Few features, found one after another: the one that helps most comes next, as long as it helps. Whatever is chosen
(features, how strongly weights are held back, wear or its square root) is chosen by leaving each part out in turn, so
that every choice is judged by a part that it never saw, rows within one part being no news of each other. The errors
made there are what the model says of its own accuracy. Ridge regression: Hoerl and Kennard, Technometrics 12, 1970.
No clock, no chance, no I/O: the same lives give the same model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from maintenance.features import Vector
from maintenance.wear_estimate import NINETY, Term, WearModel, traits_of

LEAST_LIVES: Final = 3
"""With one left out, two are needed to tell what a part is like from what parts are like."""
STRENGTHS: Final = (10.0, 30.0, 100.0)
"""Ridge: that many rows speak for a weight of nothing."""
TERMS_MAX: Final = 6
LEAST_GAIN: Final = 0.01
"""A further feature must take a hundredth off the error, or it is chance."""


@dataclass(frozen=True, slots=True, eq=False)
class WearHistory:
    """One part from its fitting on, a row a measurement.

    clocks: use since fitting, a column a clock, the first being what rises gather over. signals: a column each.
    wear: as measured, or interpolated between measurements. Raises ValueError for columns of unequal length, no row,
    or a wear or clock that is not finite and at least 0; a signal may be missing (NaN).
    """

    clocks: Vector
    signals: Vector
    wear: Vector

    def __post_init__(self) -> None:
        if not (self.clocks.ndim == self.signals.ndim == 2 and self.wear.ndim == 1 and len(self.wear)):
            raise ValueError("a history has tables of clocks and signals, and a column of wear")
        if not len(self.clocks) == len(self.signals) == len(self.wear):
            raise ValueError("clocks, signals and wear of a history are equally long")
        if not all(np.isfinite(each).all() and (each >= 0).all() for each in (self.clocks, self.wear)):
            raise ValueError("clocks and wear of a history are finite and at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Every row of every life: features in deviations from their middles behind a column of ones, and the target.

    gram, moment: sums of products within each life, so that leaving one out is a subtraction.
    """

    rows: Vector
    wear: Vector
    target: Vector
    edges: tuple[int, ...]
    gram: Vector
    moment: Vector
    rooted: bool

    @classmethod
    def of(cls, features: Vector, lives: Sequence[Vector], rooted: bool) -> _Table:
        wear = np.concatenate(lives)
        target = np.sqrt(wear) if rooted else wear
        edges = (0, *np.cumsum([len(life) for life in lives]).tolist())
        rows = np.column_stack((np.ones(len(wear)), features))
        parts = [slice(first, last) for first, last in pairwise(edges)]
        gram = np.stack([rows[part].T @ rows[part] for part in parts])
        moment = np.stack([rows[part].T @ target[part] for part in parts])
        return cls(rows, wear, target, edges, gram, moment, rooted)

    def left_out(self, columns: Sequence[int], strength: float) -> Vector:
        """Return the estimates of every row, each by the other lives."""
        chosen = np.array((0, *columns))
        gram = (self.gram.sum(axis=0) - self.gram)[:, chosen[:, None], chosen] + _ridge(len(chosen), strength)
        moment = (self.moment.sum(axis=0) - self.moment)[:, chosen]
        weights = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
        return np.concatenate([self._estimated(life, chosen, each) for life, each in enumerate(weights)])

    def _estimated(self, life: int, chosen: Vector, weights: Vector) -> Vector:
        told = np.maximum(self.rows[self.edges[life] : self.edges[life + 1], chosen] @ weights, 0.0)
        estimated: Vector = np.maximum.accumulate(told * told if self.rooted else told)
        return estimated

    def weights(self, columns: Sequence[int], strength: float) -> Vector:
        """Return the weights by all lives, that of the ones first."""
        chosen = np.array((0, *columns))
        gram = self.gram.sum(axis=0)[chosen[:, None], chosen] + _ridge(len(chosen), strength)
        solved: Vector = np.linalg.solve(gram, self.moment.sum(axis=0)[chosen])
        return solved


@dataclass(frozen=True, slots=True)
class _Choice:
    """A way to estimate, and its mean absolute error on lives left out."""

    error: float
    columns: tuple[int, ...]
    strength: float
    table: _Table


def learn(histories: Sequence[WearHistory]) -> WearModel:
    """Return the model that did best on lives left out.

    Raises ValueError for fewer than three histories, or for some that differ in their clocks or signals.
    """
    shapes = {(history.clocks.shape[1], history.signals.shape[1]) for history in histories}
    if len(histories) < LEAST_LIVES or len(shapes) != 1:
        raise ValueError(f"wear is learned from at least {LEAST_LIVES} lives with the same clocks and signals")
    features = np.concatenate([traits_of(history.clocks, history.signals) for history in histories])
    middle, spread = features.mean(axis=0), features.std(axis=0)
    moving = np.flatnonzero(spread > 1e-9 * np.abs(features).max(axis=0)).tolist()
    scaled = (features - middle) / np.where(spread > 0, spread, 1.0)
    lives = [history.wear for history in histories]
    tables = [_Table.of(scaled, lives, rooted) for rooted in (False, True)]
    best = min(
        (_chosen(table, moving, strength) for table in tables for strength in STRENGTHS), key=lambda each: each.error
    )
    constant, *weights = best.table.weights(best.columns, best.strength).tolist()
    terms = tuple(
        Term(at, weight, *(float(each[at]) for each in (middle, spread, features.min(axis=0), features.max(axis=0))))
        for at, weight in zip((column - 1 for column in best.columns), weights, strict=True)
    )
    floor, share = _spread(best, len(lives))
    return WearModel(*shapes.pop(), terms, constant, best.table.rooted, floor, share)


def _chosen(table: _Table, moving: Sequence[int], strength: float) -> _Choice:
    """Add one feature after another while that helps lives left out."""
    best = _judged(table, (), strength)
    while len(best.columns) < TERMS_MAX:
        further = min(_further(table, best, moving), key=lambda each: each.error, default=best)
        if further.error > best.error * (1.0 - LEAST_GAIN) or further is best:
            break
        best = further
    return best


def _further(table: _Table, best: _Choice, moving: Sequence[int]) -> Iterator[_Choice]:
    for feature in moving:
        if feature + 1 not in best.columns:
            yield _judged(table, (*best.columns, feature + 1), best.strength)


def _judged(table: _Table, columns: tuple[int, ...], strength: float) -> _Choice:
    error = float(np.abs(table.left_out(columns, strength) - table.wear).mean())
    return _Choice(error, columns, strength, table)


def _spread(choice: _Choice, lives: int) -> tuple[float, float]:
    """Return floor and share of the deviation, such that nine errors in ten on lives left out lie within it.

    Rows of one life err together, so that not a row is the next draw but a life: of `lives` and that one more, nine in
    ten are asked for, as conformal prediction asks it (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
    World, 2.2). With nine lives or fewer that is the largest error seen.
    """
    estimate = choice.table.left_out(choice.columns, choice.strength)
    error = np.abs(estimate - choice.table.wear)
    share = float(np.clip(np.cov(estimate, error)[0, 1] / max(estimate.var(), 1e-12), 0.0, None))
    floor = max(float(error.mean() - share * estimate.mean()), 0.1 * float(error.mean()), 1e-9)
    within = float(np.quantile(error / (floor + share * estimate), min(0.9 * (1.0 + 1.0 / lives), 1.0)))
    return floor * within / NINETY, share * within / NINETY


def _ridge(size: int, strength: float) -> Vector:
    held = np.full(size, strength)
    held[0] = 0.0
    return np.diag(held)
