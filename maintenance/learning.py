"""Learning from lives that have ended: how much is left, and how sure one may be, by what others of the kind showed.

A `History` is one life, frame by frame. `learn` regresses the logarithm of the remaining use on each frame's features
(ridge regression, its strength chosen by leaving out one life at a time) and keeps what the lives that were left out
really had left where the regression said so much: that table, smoothed by kernels, is the belief (Nadaraya and Watson,
1964; conditional Kaplan-Meier after Beran, 1981, without censoring). A model never judges a life that it has seen.
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

from maintenance.bank import ALPHAS, Bank, Rows
from maintenance.features import Vector

FORMAT: Final = 1
FLOOR, CAP, NEAR = 0.05, 1.0, 0.3
"""In shares of the usual life: what is added before the logarithm, beyond what a rest counts as that, and how near the
end frames begin to weigh fully. Decisions need the end; how long a healthy part lasts, its frames do not say."""
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
WIDTH, WIDTH_SHARE = 0.01, 0.04
REST, REST_SHARE = 0.005, 0.03
"""Kernels of the table, in shares of the usual life and of the value: over predictions, and over what was left."""
SURPRISE: Final = 0.01
"""Share of parts that fail within a usual life by what no signal shows."""
PREDICTIONS, USES, AHEAD = 48, 96, 1.6
"""The table's rows and columns, and how many usual lives it looks ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One life that has ended: frames of shape (frames, signals), and the use at the end of each, ascending.

    left: what was left when it ended, by use; 0 after a failure.
    """

    unit: str
    frames: Vector
    use: Vector
    left: float = 0.0

    def __post_init__(self) -> None:
        if self.frames.ndim != 2 or len(self.frames) != len(self.use) or not np.all(np.diff(self.use) > 0):
            raise ValueError("a history has one ascending use for each frame")
        if not np.all(np.isfinite(self.frames)):
            raise ValueError("the frames of a history are whole")

    @property
    def life(self) -> float:
        """The use from new to the end of life."""
        return float(self.use[-1]) + self.left


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What is healthy in a kind: the mean of its units' healthy means, and the scatter within a unit, by signal."""

    centre: Vector
    scatter: Vector

    @classmethod
    def of(cls, histories: Sequence[History], healthy: int) -> Reference:
        """Return it from the first frames of lives."""
        first = [each.frames[:healthy] for each in histories]
        centre = np.mean([each.mean(axis=0) for each in first], axis=0)
        return cls(centre, np.sqrt(np.mean([each.var(axis=0, ddof=1) for each in first], axis=0)))


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A history as features, one row for each frame after the healthy ones, and what was left then."""

    unit: str
    common: Vector
    special: Vector
    use: Vector
    rest: Vector


Step = tuple[Bank, Rows, Vector]
"""A bank of many lives after a frame, the rows that have one, and their use at its end."""


def side_by_side(histories: Sequence[History], healthy: int, scatter: Vector) -> Iterator[Step]:
    """Walk lives through one bank, frame by frame after the healthy ones, of which each life has more than those.

    scatter: see `Bank.take`; one row for all lives or one for each.
    """
    bank, lengths = Bank(len(histories), scatter.shape[-1]), np.array([len(each.frames) for each in histories])
    bank.begin(np.arange(len(histories)), np.array([each.frames[:healthy].mean(axis=0) for each in histories]))
    for at in range(healthy, int(lengths.max())):
        rows = np.flatnonzero(lengths > at)
        frames = np.array([histories[row].frames[at] for row in rows.tolist()])
        use = np.array([histories[row].use[at] for row in rows.tolist()])
        bank.take(rows, frames, use, scatter if scatter.ndim == 1 else scatter[rows])
        yield bank, rows, use


def parted(rows: Sequence[Rows], values: Sequence[Vector], lives: int) -> list[Vector]:
    """Return, life by life, what each step of a walk said of its rows."""
    which = np.concatenate(rows)
    ends = np.cumsum(np.bincount(which, minlength=lives))[:-1]
    return np.split(np.concatenate(values)[np.argsort(which, kind="stable")], ends)


def walks(histories: Sequence[History], reference: Reference, healthy: int, usual: float) -> list[Walk]:
    """Return each history's features; all lives walk side by side. Lives that ended before health was known are left
    out."""
    lasting = [each for each in histories if len(each.frames) > healthy]
    if not lasting:
        return []
    which, commons, specials = [], [], []
    for bank, rows, use in side_by_side(lasting, healthy, reference.scatter):
        common, special = features(bank, rows, use, reference, usual)
        which.append(rows)
        commons.append(common)
        specials.append(special)
    apart = (parted(which, each, len(lasting)) for each in (commons, specials))
    return [
        Walk(each.unit, common, special, each.use[healthy:], each.life - each.use[healthy:])
        for each, common, special in zip(lasting, *apart, strict=True)
    ]


def features(bank: Bank, rows: Rows, use: Vector, reference: Reference, usual: float) -> tuple[Vector, Vector]:
    """Return what every kind of wear has in common (deviation, trend), and what this kind has (averages, age).

    The averages are told from the unit's own health and from the kind's, plainly and by signed logarithms, because
    signals move ever faster towards the end.
    """
    shifted, drift = bank.deviation[rows], np.maximum(bank.slope(rows), 0.0)
    to_failure = np.maximum(3.0 - shifted, 0.0) / np.maximum(drift, 1.0 / usual)
    common = np.stack(
        [np.log(np.maximum(shifted, 0.3)), shifted, np.log(np.minimum(to_failure / usual, CAP) + FLOOR)], axis=1
    )
    scatter = np.where(reference.scatter > 0, reference.scatter, np.inf)
    own = dict(zip(ALPHAS, np.moveaxis(bank.averages[rows] / scatter, 1, 0), strict=True))
    apart = (bank.healthy[rows] - reference.centre) / scatter
    special = [own[0.1] - own[0.03], own[0.1], own[0.2] + apart, own[0.06] + apart]
    special += [_signed_log(own[0.1]), _signed_log(own[0.06] + apart), use[:, None] / usual]
    return common, np.hstack(special)


def _signed_log(values: Vector) -> Vector:
    return np.sign(values) * np.log1p(np.abs(values))


def told(rest: Vector, usual: float) -> Vector:
    """Return what is regressed on: the logarithm of what is left."""
    return np.log(np.minimum(rest / usual, CAP) + FLOOR)


def untold(value: Vector, usual: float) -> Vector:
    """Return what is left by a regressed value."""
    return usual * (np.exp(np.clip(value, np.log(FLOOR), np.log(CAP + FLOOR))) - FLOOR)


def weights(rest: Vector, usual: float) -> Vector:
    """Return how much frames weigh: the nearer to the end, the more."""
    return 1.0 / (1.0 + rest / (NEAR * usual))


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


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What was left where so much was predicted: survival of shape (predictions, uses), a row for each prediction."""

    predictions: Vector
    use: Vector
    survival: Vector

    def at(self, prediction: float) -> Vector:
        """Return the survival over `use` for one prediction, between the rows."""
        place = float(np.interp(prediction, self.predictions, np.arange(len(self.predictions))))
        low = min(int(place), len(self.predictions) - 2)
        share = place - low
        between: Vector = (1.0 - share) * self.survival[low] + share * self.survival[low + 1]
        return between


def table(predicted: Sequence[Vector], rests: Sequence[Vector], usual: float) -> Table:
    """Return the table of lives: what regressions that had not seen them predicted, and what was left.

    With few lives the kernels are wider: what one life showed is not what the next will.
    """
    return _table([_seen(np.concatenate(list(predicted)), np.concatenate(list(rests)), usual, len(predicted))], usual)


def tables_without(
    predicted: Sequence[Vector], rests: Sequence[Vector], usual: float, groups: Sequence[Sequence[int]]
) -> list[Table]:
    """Return the table without each group of lives, none of which is empty or all.

    What a life adds to a table is a sum, so that each life is weighed but once.
    """
    others = len(predicted) - max(len(group) for group in groups)
    told = ([np.concatenate([each[at] for at in group]) for each in (predicted, rests)] for group in groups)
    seen = [_seen(said, left, usual, others) for said, left in told]
    return [_table([each for at, each in enumerate(seen) if at != group], usual) for group in range(len(groups))]


def _axes(usual: float) -> tuple[Vector, Vector]:
    """The rows and columns of a table: predictions, and uses."""
    rows = np.concatenate(
        (np.linspace(0.0, 0.3, PREDICTIONS // 2, endpoint=False), np.linspace(0.3, CAP, PREDICTIONS // 2))
    )
    use = np.concatenate(([0.0], np.linspace(0.0, 0.5, USES // 2)[1:], np.geomspace(0.5, AHEAD, USES // 2)[1:]))
    return usual * rows, usual * use


Seen = tuple[Vector, Vector]
"""How near the nearest of some lives came to each row of a table, as a logarithm, and the sums of their kernels."""


def _seen(said: Vector, left: Vector, usual: float, lives: int) -> Seen:
    rows, use = _axes(usual)
    wider = 1.0 + 3.0 / max(lives, 1)
    nearest, sums = np.empty(len(rows)), np.empty((len(rows), len(use)))
    for row, prediction in enumerate(rows):
        nearness = -0.5 * ((said - prediction) / (wider * (WIDTH * usual + WIDTH_SHARE * prediction))) ** 2
        nearest[row] = nearness.max()
        weight = np.exp(nearness - nearest[row])
        kept = weight > 1e-4
        blur = 0.55 * wider * (REST * usual + REST_SHARE * prediction)
        sums[row] = _blurred(left[kept], use, blur) @ weight[kept]
    return nearest, sums


def _blurred(left: Vector, use: Vector, width: float) -> Vector:
    """Return the survival of rests at each use, each blurred by a logistic kernel."""
    survival: Vector = 1.0 / (1.0 + np.exp(np.clip((use[:, None] - left) / width, -40.0, 40.0)))
    return survival


def _table(seen: Sequence[Seen], usual: float) -> Table:
    """Return the table of what was seen, given that all still work."""
    rows, use = _axes(usual)
    nearest = np.max([near for near, _sums in seen], axis=0)
    total = np.sum([sums * np.exp(near - nearest)[:, None] for near, sums in seen], axis=0)
    survival = total / total[:, :1] * np.exp(-SURPRISE * use / usual)
    return Table(rows, use, np.minimum.accumulate(survival, axis=1))


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
