"""Finished lives, and what they say of how long the next ones last.

Four sentences of promise. A life that ended in failure and one that was cut short (replaced early, still running) both
count, each for what it proves and no more. Before any life has ended the answer is the prior itself: the maker's
rating, taken as wrong by half its size two times in three. Each finished life moves the answer, whatever the order in
which lives are told, and a rating that was wrong fades as they come. The answer is a distribution over median and
shape on a small grid, so that nothing has to converge and few lives leave it as wide as it should be.

The likelihood of right-censored lives is that of Meeker and Escobar, Statistical Methods for Reliability Data (1998),
2.4 and 8.2: a failure at t weighs with the density there, a life that was still going at t with the survival to t.
Its posterior is that of their chapter 14, but for one thing: a life that outlived the last failure tells of the median
with all that it ran, of the shape only up to that failure. Taken whole, a single part of great age argues for a
flatter shape, and thereby takes a tenth from the median for having lasted; so a life that was cut short later never
shortens the median by more than two parts in a thousand. No clock, no chance, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from maintenance.features import Vector

COMMON_SHAPE = 3.0
"""The Weibull shape of common wear: its hazard grows with the square of the age."""
BEARING_SHAPE = 1.5
"""The Weibull slope of rolling bearings: the factor for reliability of ISO 281 rests on 1.5 (ISO/TR 1281-2); Lundberg
and Palmgren, Dynamic capacity of rolling bearings (1947), found 10/9 for ball and 9/8 for roller bearings."""

MEDIAN_SPREAD = 0.4
"""A rated life is within a factor of 1.5 two times in three: load and dirt differ by site, and makers are hopeful."""
SHAPE_SPREAD = 0.35
"""A stated shape is within a factor of 1.4 two times in three: 3 stands for 2.1 to 4.3."""
SHAPE_LEAST, SHAPE_MOST = 1.0, 20.0
"""Bounds of a stated shape: the hazard of wear does not fall, and nothing is sharper than a fuse. What lives tell may
go beyond, because early failures of bad parts are told as well."""
LEAST_SHARE = 1e-3
"""A life is at least this share of the prior's median: one that ended at once is no proof of how parts wear."""
MOST_SHARE = 1e6
"""And at most this multiple of it; beyond, somebody mistook the unit."""

MEDIANS, SHAPES = 25, 9
"""Points of the grid: a third of a deviation apart, so that a mixture of sharp lives has no steps, and a whole one,
which sums of smooth functions forgive."""
REACH = 4.0
"""Deviations from the middle to the edge of the grid."""
ROUNDS = 16
"""Times, at most, that the grid is laid anew around what was found; five are usual, more where lives are far from the
prior and the grid has to travel."""
NEGLIGIBLE = 1e-7
"""A point of the grid that weighs less than this is left out of the answer."""


@dataclass(frozen=True, slots=True)
class FinishedLife:
    """What one part ran, all in, in the clock's unit; `failed` False: it was replaced early or is still running.

    A part that may have failed by something else failed by as much as that is likely, from 0 to 1.
    Raises ValueError for a use that is not finite or below 0, and for what is no probability.
    """

    use: float
    failed: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.use) and self.use >= 0):
            raise ValueError("a life is finite and not below 0")
        if not 0.0 <= self.failed <= 1.0:
            raise ValueError("what is likely lies from 0 to 1")


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before any life ended: median (the rated life) and shape, each log-normal by its spread.

    Raises ValueError for a median or spread that is not above 0, or a shape out of bounds.
    """

    median: float
    shape: float = COMMON_SHAPE
    median_spread: float = MEDIAN_SPREAD
    shape_spread: float = SHAPE_SPREAD

    def __post_init__(self) -> None:
        if not all(math.isfinite(each) and each > 0 for each in (self.median, self.median_spread, self.shape_spread)):
            raise ValueError("a prior has a median and spreads that are finite and above 0")
        if not SHAPE_LEAST <= self.shape <= SHAPE_MOST:
            raise ValueError(f"the shape of a life lies within {SHAPE_LEAST:g} and {SHAPE_MOST:g}")


@dataclass(frozen=True, slots=True, eq=False)
class Lifetimes:
    """How long parts of one kind last: Weibull lives, each point of a grid with its weight.

    medians, shapes, weights: one of each for a point; weights are above 0 and add up to 1. median, shape: the middle
    of the distribution (the mean of the logarithm); the spreads are the deviations of the logarithm.
    """

    medians: Vector
    shapes: Vector
    weights: Vector
    median: float
    shape: float
    median_spread: float
    shape_spread: float


def median_of_b10(b10: float, shape: float) -> float:
    """Return the median life from the B10 life, which 90 % reach (ISO 281: the basic rating life L10).

    A Weibull life of scale s and shape k reaches t with exp(-(t / s)^k). So B10 = s ln(10/9)^(1/k), the median is
    s ln(2)^(1/k), and their ratio is (ln 2 / ln(10/9))^(1/k): 3.51 at a shape of 1.5, 1.87 at 3.
    """
    ratio: float = (math.log(2.0) / math.log(10.0 / 9.0)) ** (1.0 / shape)
    return b10 * ratio


def scale_of(median: Vector | float, shape: Vector | float) -> Vector:
    """Return the Weibull scale, which 37 % reach, from the median."""
    scale: Vector = np.asarray(median) / math.log(2.0) ** (1.0 / np.asarray(shape))
    return scale


def learned(lives: Iterable[FinishedLife], prior: Prior) -> Lifetimes:
    """Return what lives, told in any order, make of a prior; with none, the prior itself."""
    told = _Told.of(lives, prior)
    shapes = _settled(lambda centre, spread: _both(told, prior, centre, spread), prior)
    marginal = shapes.weights.sum(axis=0)
    medians = _settled(lambda centre, spread: _given(told, prior, shapes.shape, marginal, centre[0], spread[0]), prior)
    found = medians.lifetimes(prior)
    if len(told.whole):
        return found
    return replace(
        found,
        median=prior.median,
        shape=prior.shape,
        median_spread=prior.median_spread,
        shape_spread=prior.shape_spread,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Lives as the likelihood reads them: logarithms of their use in medians of the prior, in ascending order.

    shares: how likely each of the failed did fail. within: all lives, but none longer than the longest that failed,
    and those that failed alone where none did.
    """

    failed: Vector
    shares: Vector
    within: Vector
    whole: Vector

    @classmethod
    def of(cls, lives: Iterable[FinishedLife], prior: Prior) -> _Told:
        shares = sorted((min(max(life.use / prior.median, LEAST_SHARE), MOST_SHARE), life.failed) for life in lives)
        failed = np.array([math.log(use) for use, failed in shares if failed > 0])
        likely = np.array([float(failed) for _use, failed in shares if failed > 0])
        whole = np.array([math.log(use) for use, _failed in shares])
        return cls(failed, likely, np.minimum(whole, failed[-1]) if len(failed) else failed, whole)

    def log_likelihood(self, lives: Vector, median: Vector, shape: Vector) -> Vector:
        """The likelihood's logarithm over a grid, by the logarithm of the median (rows) and the shape (columns)."""
        if not len(lives):
            return np.zeros((len(median), len(shape)))
        scale = median[:, None] + np.log(scale_of(1.0, shape))
        powers = np.logaddexp.reduce(lives[:, None] * shape, axis=0)  # log of the sum of use^shape
        spent = np.exp(np.minimum(powers - shape * scale, 700.0))
        failures, use = self.shares.sum(), (self.shares * self.failed).sum()
        density = failures * (np.log(shape) - shape * scale) + (shape - 1.0) * use
        found: Vector = density - spent
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Weights over logarithms of the median, in medians of the prior, (rows) and of the shape (columns)."""

    median: Vector
    shape: Vector
    weights: Vector

    def moments(self) -> tuple[Vector, Vector]:
        """Return middle and deviation of both, as the next grid is laid around: never tighter than this one can tell,
        and no tighter at all while the weight lies at an edge."""
        middles, spreads = [], []
        for axis, marginal in ((self.median, self.weights.sum(axis=1)), (self.shape, self.weights.sum(axis=0))):
            middle, spacing = float(marginal @ axis), float(axis[1] - axis[0])
            deviation = math.sqrt(float(marginal @ (axis - middle) ** 2))
            inside = axis[0] + spacing < middle < axis[-1] - spacing
            middles.append(middle)
            spreads.append(max(deviation, 0.4 * spacing if inside else _laid(axis)))
        return np.array(middles), np.array(spreads)

    def fits(self, centre: Vector, spread: Vector) -> bool:
        """Whether another grid, laid so, would be this one over again."""
        return all(
            abs(middle - (axis[0] + axis[-1]) / 2) < 0.05 * deviation and abs(deviation / _laid(axis) - 1.0) < 0.05
            for axis, middle, deviation in zip((self.median, self.shape), centre.tolist(), spread.tolist(), strict=True)
        )

    def lifetimes(self, prior: Prior) -> Lifetimes:
        (median, shape), (median_spread, shape_spread) = (each.tolist() for each in self.moments())
        medians, shapes = np.meshgrid(prior.median * np.exp(self.median), np.exp(self.shape), indexing="ij")
        kept = self.weights > NEGLIGIBLE * self.weights.max()
        weights = self.weights[kept] / self.weights[kept].sum()
        middle = prior.median * math.exp(median), math.exp(shape)
        return Lifetimes(medians[kept], shapes[kept], weights, *middle, median_spread, shape_spread)


def _settled(laid: Callable[[Vector, Vector], _Grid], prior: Prior) -> _Grid:
    """Lay a grid around the prior, and then around what it shows, until that is all."""
    centre = np.array([0.0, math.log(prior.shape)])
    spread = np.array([prior.median_spread, prior.shape_spread])
    for _round in range(ROUNDS):
        found = laid(centre, spread)
        centre, spread = found.moments()
        if found.fits(centre, spread):
            break
    return found


def _both(told: _Told, prior: Prior, centre: Vector, spread: Vector) -> _Grid:
    """Weigh median and shape together, by the lives as far as they tell of the shape."""
    median = centre[0] + spread[0] * np.linspace(-REACH, REACH, MEDIANS)
    shape = centre[1] + spread[1] * np.linspace(-REACH, REACH, SHAPES)
    opinion = (median[:, None] / prior.median_spread) ** 2 + ((shape - math.log(prior.shape)) / prior.shape_spread) ** 2
    logarithm = told.log_likelihood(told.within, median, np.exp(shape)) - 0.5 * opinion
    weights = np.exp(logarithm - logarithm.max())
    return _Grid(median, shape, weights / weights.sum())


def _given(told: _Told, prior: Prior, shape: Vector, marginal: Vector, centre: float, spread: float) -> _Grid:
    """Weigh the median for each shape by all that the lives ran; the shapes keep their weights."""
    median = centre + spread * np.linspace(-REACH, REACH, MEDIANS)
    opinion = (median[:, None] / prior.median_spread) ** 2
    logarithm = told.log_likelihood(told.whole, median, np.exp(shape)) - 0.5 * opinion
    weights = np.exp(logarithm - logarithm.max(axis=0))
    return _Grid(median, shape, weights * (marginal / weights.sum(axis=0)))


def _laid(axis: Vector) -> float:
    """The deviation that an axis was laid with."""
    return float(axis[-1] - axis[0]) / (2.0 * REACH)
