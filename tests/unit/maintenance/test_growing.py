"""Trees grow as scikit-learn's own boosting grows them, from rows that were told in bins once."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance import growing
from maintenance.growing import BINS, Bins, forest

CHANCE = np.random.default_rng(2)
ROWS = np.hstack([CHANCE.normal(0, 1, (900, 3)), CHANCE.integers(0, 5, (900, 1)), np.ones((900, 1))])
VALUE = np.sin(ROWS[:, 0]) + 0.3 * ROWS[:, 3] + CHANCE.normal(0, 0.1, 900)


@pytest.mark.long  # scikit-learn takes a second to load whole
def test_they_are_the_trees_of_scikit_learns_own_boosting():
    from sklearn.ensemble import HistGradientBoostingRegressor

    bins = Bins.of(ROWS)
    ours = forest(bins, bins.binned(ROWS), VALUE)
    theirs = HistGradientBoostingRegressor(
        max_iter=growing.TREES,
        learning_rate=growing.RATE,
        max_leaf_nodes=growing.LEAVES,
        min_samples_leaf=growing.LEAF_MIN,
        l2_regularization=growing.SHRINKAGE,
        max_bins=BINS,
        early_stopping=False,
    ).fit(ROWS, VALUE)
    assert ours.predict(bins.binned(ROWS)) == pytest.approx(theirs.predict(ROWS), abs=1e-5)
    assert ours.grown == pytest.approx(ours.predict(bins.binned(ROWS)), abs=1e-9)
    assert np.corrcoef(ours.grown, VALUE)[0, 1] > 0.95


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_a_bin_holds_what_lies_between_its_edges_and_order_is_kept(values: list[float]):
    column = np.array(values)[:, None]
    bins = Bins.of(column)
    places = bins.binned(column)[:, 0]
    assert len(bins.edges[0]) < BINS
    assert np.all(np.diff(places[np.argsort(column[:, 0], kind="stable")].astype(int)) >= 0)


def test_nothing_of_scikit_learn_is_loaded_but_the_grower():
    code = "import sys; from maintenance.growing import _grower; _grower();"
    code += "print('sklearn' in sys.modules, 'scipy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
