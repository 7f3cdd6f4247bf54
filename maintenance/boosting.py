"""Boosted regression trees for `maintenance.learning`: needs scikit-learn to learn (extra `learning`), not to predict.

A model keeps its trees as plain arrays, so that it is read from a document without running anything that it holds.
Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 29, 2001. There is no chance
in it: the same lives give the same trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maintenance.features import Vector
from maintenance.learning import FOLDS, REGRESSIONS, Regression, Walk, told

TREES: Final = 120
RATE: Final = 0.06
LEAVES: Final = 12
DEPTH: Final = LEAVES - 1
LEAF_MIN: Final = 40
"""Frames that a leaf speaks for at least."""
SHRINKAGE: Final = 10.0
EVERY: Final = 2
"""Every second frame is learned from: neighbours say the same."""
LIVES_MIN: Final = 10
"""With fewer lives trees learn the units, not the wear."""

Numbers = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """Trees side by side, arrays of shape (trees, nodes); a leaf is its own child. `first` is where they begin."""

    first: float
    feature: Numbers
    threshold: Vector
    left: Numbers
    right: Numbers
    value: Vector
    kind: str = "boosted"

    def predict(self, common: Vector, special: Vector) -> Vector:
        """Return the regressed values."""
        rows = np.hstack([common, special])
        tree, node = np.arange(len(self.value)), np.zeros((len(rows), len(self.value)), np.int32)
        which = np.arange(len(rows))[:, None]
        for _level in range(DEPTH):
            lower = rows[which, self.feature[tree, node]] <= self.threshold[tree, node]
            node = np.where(lower, self.left[tree, node], self.right[tree, node])
        values: Vector = self.first + self.value[tree, node].sum(axis=1)
        return values

    def document(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        arrays = ("feature", "threshold", "left", "right", "value")
        return {"first": self.first} | {name: getattr(self, name).tolist() for name in arrays}


def boosted_of(document: Mapping[str, Any]) -> Boosted:
    """Return the trees of a document."""
    feature, left, right = (np.array(document[name], np.int32) for name in ("feature", "left", "right"))
    return Boosted(
        document["first"], feature, np.array(document["threshold"]), left, right, np.array(document["value"])
    )


REGRESSIONS["boosted"] = boosted_of


def available() -> bool:
    """Tell whether the extra `learning` is installed."""
    return find_spec("sklearn") is not None


def boosted(walks: Sequence[Walk], usual: float) -> tuple[Regression, list[Vector]]:
    """Fit trees; lives are left out in groups. Raises ImportError without the extra `learning`."""
    groups = min(FOLDS, len(walks))
    unseen: list[Vector] = [np.zeros(0)] * len(walks)
    for group in range(groups):
        trees = _grown([walk for at, walk in enumerate(walks) if at % groups != group], usual)
        for at in range(group, len(walks), groups):
            unseen[at] = trees.predict(walks[at].common, walks[at].special)
    return _grown(walks, usual), unseen


def _grown(walks: Sequence[Walk], usual: float) -> Boosted:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    forest = HistGradientBoostingRegressor(
        max_iter=TREES,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAF_MIN,
        l2_regularization=SHRINKAGE,
        early_stopping=False,
        random_state=0,
    )
    rows = np.vstack([np.hstack([walk.common, walk.special])[::EVERY] for walk in walks])
    value = np.concatenate([told(walk.rest[::EVERY], usual) for walk in walks])
    with threadpool_limits(1):  # threads that wait for each other on a busy edge server cost more than they bring
        forest.fit(rows, value)
        first = float(np.ravel(forest._baseline_prediction)[0])
        trees = _arrays(first, [stage[0].nodes for stage in forest._predictors])
        same = np.allclose(trees.predict(rows[:, :0], rows), forest.predict(rows), rtol=0, atol=1e-9)
    if not same:
        raise NotImplementedError("this version of scikit-learn keeps its trees otherwise; the ridge goes on alone")
    return trees


def _arrays(first: float, trees: Sequence[Any]) -> Boosted:
    """Return trees as arrays; scikit-learn keeps a tree as a table with a row for each node."""
    shape = len(trees), max(len(nodes) for nodes in trees)
    feature, left, right = (np.zeros(shape, np.int32) for _ in range(3))
    threshold, value = np.zeros(shape), np.zeros(shape)
    for at, nodes in enumerate(trees):
        count, own, leaf = len(nodes), np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        feature[at, :count] = np.where(leaf, 0, nodes["feature_idx"])
        threshold[at, :count] = np.where(leaf, 0.0, nodes["num_threshold"])
        left[at, :count] = np.where(leaf, own, nodes["left"])
        right[at, :count] = np.where(leaf, own, nodes["right"])
        value[at, :count] = nodes["value"]
    return Boosted(first, feature, threshold, left, right, value)
