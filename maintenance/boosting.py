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

from maintenance import growing
from maintenance.features import Vector
from maintenance.learning import FOLDS, REGRESSIONS, Regression
from maintenance.walks import Walk, told

DEPTH: Final = growing.LEAVES - 1
EVERY: Final = 2
"""Every second frame is learned from: neighbours say the same."""
CHECKED: Final = 16
"""One frame in so many shows that the arrays say what the trees did."""

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
            before, node = node, np.where(lower, self.left[tree, node], self.right[tree, node])
            if np.array_equal(node, before):
                break
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
    """Whether scikit-learn is installed."""
    return find_spec("sklearn") is not None


def boosted(walks: Sequence[Walk], usual: float) -> tuple[Regression, list[Vector]]:
    """Grow trees, and others without each group of lives in turn; all see values in the same bins, which know no end.

    Raises NotImplementedError, see `maintenance.growing`.
    """
    groups, lives = min(FOLDS, len(walks)), np.repeat(np.arange(len(walks)), [len(walk.rest) for walk in walks])
    rows = np.vstack([np.hstack([walk.common, walk.special]) for walk in walks])
    value = np.concatenate([told(walk.rest, usual) for walk in walks])
    taught = np.concatenate([np.arange(len(walk.rest)) % EVERY == 0 for walk in walks])
    bins = growing.Bins.of(rows[taught])
    binned, unseen = bins.binned(rows), np.zeros(len(rows))
    for group in range(groups):
        others, mine = taught & (lives % groups != group), lives % groups == group
        unseen[mine] = growing.forest(bins, binned[others], value[others]).predict(binned[mine])
    forest = growing.forest(bins, binned[taught], value[taught])
    trees = _arrays(forest.first, forest.nodes)
    some = rows[taught][::CHECKED]
    if not np.allclose(trees.predict(some[:, :0], some), forest.grown[::CHECKED], rtol=0, atol=1e-9):
        raise NotImplementedError("this version of scikit-learn keeps its trees otherwise; the ridge goes on alone")
    return trees, [unseen[lives == life] for life in range(len(walks))]


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
