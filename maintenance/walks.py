"""Lives that have ended as whoever learns sees them: a row of features for each frame, and what was left then.

What is healthy in a kind comes from the first frames of its lives. All lives walk side by side through one `Bank`, the
very one by which a component that still works is followed. What is left is told by its logarithm, because the end is
where decisions fall: how long a healthy part lasts, its frames do not say. No cost, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from maintenance.bank import ALPHAS, Bank, Rows
from maintenance.features import Vector
from maintenance.frames import History

FLOOR, CAP, NEAR = 0.05, 1.0, 0.3
"""In shares of the usual life: what is added before the logarithm, beyond what a rest counts as that, and how near the
end frames begin to weigh fully. Decisions need the end; how long a healthy part lasts, its frames do not say."""


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
