"""A machine is held against its own healthy self, on a scale that its peers share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maintenance.detection import Baseline, index, pooled_variance, scatter, z_scores
from maintenance.features import vector


def healthy(seed: int, mean: list[float], scatter: list[float], frames: int = 25) -> Baseline:
    return Baseline.of(np.random.default_rng(seed).normal(mean, scatter, (frames, len(mean))))


def test_the_variance_is_the_sample_variance():
    frames = [1.0, 2.0, 4.0, 8.0, 16.0]
    baseline = Baseline.of(vector(frames)[:, None])
    assert (baseline.mean[0], baseline.variance[0]) == (np.mean(frames), pytest.approx(np.var(frames, ddof=1)))


def test_peers_share_their_scatter_not_their_mean():
    own, peers = healthy(0, [10.0], [1.0]), [healthy(seed, [50.0], [1.0]) for seed in range(1, 40)]
    assert scatter(own, pooled_variance([own, *peers]))[0] == pytest.approx(1.0, abs=0.1)


def test_a_signal_that_stood_still_has_no_scale():
    baseline = healthy(1, [10.0, 5.0], [1.0, 0.0])
    z = z_scores(vector([1.0, 1.0]), scatter(baseline, pooled_variance([baseline])))
    assert np.isfinite(z[0])
    assert math.isnan(z[1])


def test_the_index_is_the_usual_distance_of_the_signals():
    assert index(vector([2.0, -2.0, math.nan])) == 2.0
    assert index(vector([math.nan])) is None
    assert index(vector([1.0] * 9 + [500.0])) == 1.0
