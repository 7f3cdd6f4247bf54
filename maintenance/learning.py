"""Learning from lives that have ended: how much is left, and how sure one may be, by what others of the kind showed.

`learn` regresses the logarithm of the remaining use on each frame's features (`maintenance.walks`; ridge regression,
its strength chosen by leaving out one life at a time) and keeps what the lives that were left out really had left where
the regression said so much (`maintenance.tables`): that is the belief. A model never judges a life that it has seen.
With the extra `learning`, `maintenance.boosting` replaces the ridge by boosted trees; all else stays.

A model is a value: JSON-able, hashed, the same from the same lives. What it is worth in money, and whether it takes
over, is decided elsewhere: this module knows no cost. No clock, no I/O, no chance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np

from maintenance.bank import Bank, Rows
from maintenance.features import Vector
from maintenance.frames import History
from maintenance.tables import Table, table, tables_without
from maintenance.walks import Reference, Walk, features, told, untold, walks, weights

FORMAT: Final = 1
STRENGTHS: Final = (np.inf, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0)
"""Ridge penalties that are tried on the averages; with the first, only deviation and trend speak."""
GENTLE = 1.0
"""The penalty on deviation and trend, which every kind of wear has in common."""
EVERY = 2
"""Neighbouring frames say the same: every second one is learned from."""
SMOOTHING = 0.5
"""Weight of a new prediction against those before it."""
FOLDS: Final = 5
"""Lives are left out in this many groups where leaving out each alone takes too long."""


class Regression(Protocol):
    """From features to a regressed value, one for each row."""

    @property
    def kind(self) -> str:
        """Its name in documents."""

    def predict(self, common: Vector, special: Vector) -> Vector:
        """Return the regressed values."""

    def document(self) -> dict[str, Any]:
        """Return it, JSON-able."""


Fit = Callable[[Sequence[Walk], float], tuple[Regression, list[Vector]]]
"""From walks and the usual life to a regression, and what regressions that had not seen each walk say of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """A linear regression whose first columns are common and the others special, after a constant."""

    coefficients: Vector
    kind: str = "ridge"

    def predict(self, common: Vector, special: Vector) -> Vector:
        """Return the regressed values."""
        return _design(common, special) @ self.coefficients

    def document(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        return {"coefficients": self.coefficients.tolist()}


def _design(common: Vector, special: Vector) -> Vector:
    return np.hstack([np.ones((len(common), 1)), common, special])


def ridge(walks: Sequence[Walk], usual: float) -> tuple[Regression, list[Vector]]:
    """Fit a ridge regression, as strong as serves best when one life at a time is left out."""
    sums = [_sums(each, usual) for each in walks]
    gram, moment = (np.sum([each[part] for each in sums], axis=0) for part in (0, 1))
    common = 1 + walks[0].common.shape[1]
    tried = []
    for strength in STRENGTHS:
        unseen = [
            _design(walk.common, walk.special) @ _solved(gram - own, moment - side, strength, common)
            for walk, (own, side) in zip(walks, sums, strict=True)
        ]
        tried.append((_error(walks, unseen, usual), unseen, strength))
    _error_of_best, unseen, strength = min(tried, key=lambda each: each[0])
    return Ridge(_solved(gram, moment, strength, common)), unseen


def _sums(walk: Walk, usual: float) -> tuple[Vector, Vector]:
    design = _design(walk.common, walk.special)[::EVERY]
    weight, value = weights(walk.rest, usual)[::EVERY], told(walk.rest, usual)[::EVERY]
    weighed = design * weight[:, None]
    return design.T @ weighed, weighed.T @ value


def _solved(gram: Vector, moment: Vector, strength: float, common: int) -> Vector:
    """Solve the normal equations; an infinite strength leaves the special columns out."""
    size = common if np.isinf(strength) else len(moment)
    penalty = np.full(size, strength)
    penalty[:common] = GENTLE
    penalty[0] = 0.0
    coefficients = np.zeros(len(moment))
    coefficients[:size] = np.linalg.solve(gram[:size, :size] + np.diag(penalty), moment[:size])
    return coefficients


def _error(walks: Sequence[Walk], values: Sequence[Vector], usual: float) -> float:
    """Return the mean over lives of the weighed squared error."""
    errors = []
    for walk, value in zip(walks, values, strict=True):
        weight = weights(walk.rest, usual)
        errors.append(float(weight @ (told(walk.rest, usual) - value) ** 2 / weight.sum()))
    return float(np.mean(errors))


def smoothed(values: Vector) -> Vector:
    """Return each value with those before it, older ones fading."""
    result = np.empty_like(values)
    last = values[0] if len(values) else 0.0
    for at, value in enumerate(values):
        last += SMOOTHING * (value - last)
        result[at] = last
    return result


@dataclass(frozen=True, eq=False)
class Learned:
    """A model of one kind: what is healthy in it, a regression, and the table of what its word was worth.

    healthy: frames that count as healthy. usual: the median life, by use. lives: how many it was learned from.
    """

    signals: tuple[str, ...]
    healthy: int
    usual: float
    lives: int
    reference: Reference
    regression: Regression
    table: Table

    def predict(self, bank: Bank, rows: Rows, use: Vector) -> Vector:
        """Return what is left of each row, by use, not yet smoothed."""
        common, special = features(bank, rows, use, self.reference, self.usual)
        return untold(self.regression.predict(common, special), self.usual)

    def followed(self, before: float | None, left: float) -> float:
        """Return what is left by a new word after those before it, older ones fading; `before` is None at first."""
        return left if before is None else before + SMOOTHING * (left - before)

    def document(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        return {
            "format": FORMAT,
            "signals": list(self.signals),
            "healthy": self.healthy,
            "usual": self.usual,
            "lives": self.lives,
            "centre": self.reference.centre.tolist(),
            "scatter": self.reference.scatter.tolist(),
            "kind": self.regression.kind,
            "regression": self.regression.document(),
            "predictions": self.table.predictions.tolist(),
            "use": self.table.use.tolist(),
            "survival": self.table.survival.tolist(),
        }

    @cached_property
    def version(self) -> str:
        """The SHA-256 of its document: the same lives give the same model."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A model, and what it would have said of each life had it not seen it: for whoever judges it.

    error: of what it said, squared and weighed towards the end, the mean over lives.
    """

    model: Learned
    walks: tuple[Walk, ...]
    predicted: tuple[Vector, ...]
    error: float

    def unseen_tables(self) -> list[Table]:
        """Return, for each life, the table without it; of many lives, without its group."""
        lives = len(self.walks)
        count = min(FOLDS, lives) if lives > 2 * FOLDS else lives
        groups = [range(group, lives, count) for group in range(count)]
        without = tables_without(self.predicted, [walk.rest for walk in self.walks], self.model.usual, groups)
        return [without[at % count] for at in range(lives)]


def learn(histories: Sequence[History], signals: Sequence[str], healthy: int, fit: Fit = ridge) -> Lesson:
    """Learn from at least two lives. Raises ValueError with fewer, or where they do not fit the signals."""
    return next(lessons(histories, signals, healthy, [fit]))


def lessons(
    histories: Sequence[History], signals: Sequence[str], healthy: int, fits: Sequence[Fit]
) -> Iterator[Lesson]:
    """Learn from the same lives in several ways, one after the other; see `learn`."""
    if any(each.frames.shape[1] != len(signals) for each in histories):
        raise ValueError("every history has one column for each signal")
    lives = [each for each in histories if len(each.frames) > healthy]
    if len(lives) < 2:
        raise ValueError("it takes two lives that outlasted their healthy frames to learn anything")
    usual = float(np.median([each.life for each in lives]))
    reference = Reference.of(lives, healthy)
    walked = tuple(walks(lives, reference, healthy, usual))
    for fit in fits:
        regression, unseen = fit(walked, usual)
        predicted = tuple(smoothed(untold(each, usual)) for each in unseen)
        known = table(predicted, [each.rest for each in walked], usual)
        model = Learned(tuple(signals), healthy, usual, len(lives), reference, regression, known)
        yield Lesson(model, walked, predicted, _error(walked, unseen, usual))


REGRESSIONS: Final[dict[str, Callable[[Mapping[str, Any]], Regression]]] = {
    "ridge": lambda document: Ridge(np.array(document["coefficients"]))
}
"""How each kind of regression comes back from its document."""


def learned_of(document: Mapping[str, Any]) -> Learned:
    """Return the model of a document. Raises ValueError for one of another format or kind."""
    if document.get("format") != FORMAT or document.get("kind") not in REGRESSIONS:
        raise ValueError("this model was written by another version; it is learned again from its lives")
    return Learned(
        tuple(document["signals"]),
        document["healthy"],
        document["usual"],
        document["lives"],
        Reference(np.array(document["centre"]), np.array(document["scatter"])),
        REGRESSIONS[document["kind"]](document["regression"]),
        Table(*(np.array(document[name]) for name in ("predictions", "use", "survival"))),
    )
