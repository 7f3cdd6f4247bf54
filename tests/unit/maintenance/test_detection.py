"""A machine is held against its own healthy self, on a scale that its peers share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maintenance.detection import Baseline, index, pooled_scatter, z_scores
from maintenance.features import vector


def healthy(seed: int, mean: list[float], scatter: list[float], frames: int = 25) -> Baseline:
    rng = np.random.default_rng(seed)
    baseline = Baseline(len(mean), frames)
    for _ in range(frames):
        baseline.take(rng.normal(mean, scatter))
    return baseline


def test_only_the_first_frames_make_the_healthy_self():
    baseline = healthy(1, [10.0], [1.0])
    mean = list(baseline.mean)
    baseline.take(vector([1000.0]))
    assert baseline.complete
    assert baseline.mean == mean


def test_the_variance_is_the_sample_variance():
    baseline, frames = Baseline(1, 5), [1.0, 2.0, 4.0, 8.0, 16.0]
    for value in frames:
        baseline.take(vector([value]))
    assert baseline.variance()[0] == pytest.approx(np.var(frames, ddof=1))


def test_peers_share_their_scatter_not_their_mean():
    own, peers = healthy(0, [10.0], [1.0]), [healthy(seed, [50.0], [1.0]) for seed in range(1, 40)]
    assert pooled_scatter(own, peers)[0] == pytest.approx(1.0, abs=0.1)


def test_a_peer_that_is_still_learning_says_nothing():
    own, young = healthy(0, [10.0], [1.0]), Baseline(1, 25)
    assert pooled_scatter(own, [young])[0] == pooled_scatter(own, [])[0]


def test_a_signal_that_stood_still_has_no_scale():
    baseline = healthy(1, [10.0, 5.0], [1.0, 0.0])
    z = z_scores(vector([1.0, 1.0]), pooled_scatter(baseline, []))
    assert np.isfinite(z[0])
    assert math.isnan(z[1])


def test_the_index_is_the_usual_distance_of_the_signals():
    assert index(vector([2.0, -2.0, math.nan])) == 2.0
    assert index(vector([math.nan])) is None
    assert index(vector([1.0] * 9 + [500.0])) == 1.0
