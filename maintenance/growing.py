"""How boosted trees grow: one after the other on what those before it left over, by scikit-learn's grower of one tree.

Rows are told in bins of each column's values, once for however many forests are grown from them. Of scikit-learn only
the grower is loaded: its packages would bring statistics and sparse matrices along and take a second to open. The
grower is no public part of scikit-learn, so whatever it does otherwise than it did raises NotImplementedError, and the
ridge goes on alone. No chance: the same rows give the same trees.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maintenance.features import Vector

TREES: Final = 120
RATE: Final = 0.06
LEAVES: Final = 12
LEAF_MIN: Final = 40
"""Frames that a leaf speaks for at least."""
SHRINKAGE: Final = 10.0
BINS: Final = 64
"""Values of a column that are told apart: lives that were left out are told no better with 255, which take twice as
long."""
_HISTOGRAMS: Final = "sklearn.ensemble._hist_gradient_boosting"
_PACKAGES: Final = ("sklearn", "sklearn.utils", "sklearn.ensemble", _HISTOGRAMS)
_REFUSALS: Final = (ImportError, AttributeError, TypeError, ValueError, LookupError)

Binned = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """The edges of each column's bins; a value that is not above an edge lies before it."""

    edges: tuple[Vector, ...]

    @classmethod
    def of(cls, rows: Vector) -> Bins:
        """Return bins in which about as many rows lie, or one for each value where there are few."""
        return cls(tuple(_edges(column) for column in rows.T))

    def binned(self, rows: Vector) -> Binned:
        """Return rows as the numbers of their bins."""
        places = np.empty(rows.shape, np.uint8, order="F")
        for column, edges in enumerate(self.edges):
            places[:, column] = np.searchsorted(edges, rows[:, column])
        return places


def _edges(column: Vector) -> Vector:
    values = np.unique(column)
    if len(values) <= BINS:
        return (values[:-1] + values[1:]) / 2.0
    shares = np.linspace(0.0, 100.0, BINS + 1)[1:-1]
    return np.unique(np.percentile(column, shares, method="averaged_inverted_cdf"))


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees as they were grown: the value that they begin at, and scikit-learn's record of each.

    grown: what they make of the rows that they were grown from.
    """

    first: float
    trees: Sequence[Any]
    grown: Vector

    @property
    def nodes(self) -> list[Any]:
        """Each tree as a table with a row for each node."""
        return [tree.nodes for tree in self.trees]

    def predict(self, rows: Binned) -> Vector:
        """Return the values of rows in the bins that it was grown with. Raises NotImplementedError."""
        values, told = np.full(len(rows), self.first), np.ascontiguousarray(rows)
        try:
            for tree in self.trees:
                values += tree.predict_binned(told, BINS, 1)
        except _REFUSALS as error:
            raise _otherwise() from error
        return values


def forest(bins: Bins, rows: Binned, value: Vector) -> Forest:
    """Grow trees for the value of each row, by least squares. Raises NotImplementedError."""
    said = {
        "X_binned": np.asfortranarray(rows),
        "hessians": np.ones(1, np.float32),
        "n_bins": BINS + 1,
        "n_bins_non_missing": np.array([len(edges) + 1 for edges in bins.edges], np.uint32),
        "has_missing_values": False,
        "max_leaf_nodes": LEAVES,
        "min_samples_leaf": LEAF_MIN,
        "l2_regularization": SHRINKAGE,
        "shrinkage": RATE,
        "n_threads": 1,  # threads that wait for each other on a busy edge server cost more than they bring
    }
    first, trees = float(value.mean()), []
    grown, edges = np.full(len(value), first), list(bins.edges)
    try:
        for _tree in range(TREES):
            grower = _grower()(gradients=(grown - value).astype(np.float32), **said)
            grower.grow()
            for leaf in grower.finalized_leaves:
                grown[leaf.sample_indices] += leaf.value
            trees.append(grower.make_predictor(binning_thresholds=edges))
    except _REFUSALS as error:
        raise _otherwise() from error
    return Forest(first, trees, grown)


def _otherwise() -> NotImplementedError:
    return NotImplementedError("this version of scikit-learn grows its trees otherwise; the ridge goes on alone")


@cache
def _grower() -> Any:
    """Return scikit-learn's grower of one tree, its packages left closed where nobody has opened them."""
    closed = [name for name in _PACKAGES if name not in sys.modules]
    try:
        for name in closed:
            sys.modules[name] = _unopened(name)
        return import_module(f"{_HISTOGRAMS}.grower").TreeGrower
    except (ImportError, AttributeError):  # it needs more than it did
        pass
    finally:
        for name in closed:
            sys.modules.pop(name, None)
    return import_module(f"{_HISTOGRAMS}.grower").TreeGrower


def _unopened(name: str) -> ModuleType:
    """Return a package whose own start has not run."""
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(name)
    package = ModuleType(name)
    package.__spec__, package.__path__ = spec, list(spec.submodule_search_locations)
    return package
