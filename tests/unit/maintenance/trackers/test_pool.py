"""What units share is found once, whenever it is asked for, and is the same in whatever order they came."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from maintenance.detection import Baseline
from maintenance.regimes import Regimes
from maintenance.trackers.pool import Pool

CHANCE = np.random.default_rng(5)
LOADS = np.array([0.5])


def healthy(frames: int = 25) -> np.ndarray:
    """Three signals and a load, which is low or high and moves all of them."""
    load = CHANCE.choice([10.0, 20.0], (frames, 1))
    return np.hstack([load * [1.0, 2.0, 3.0] + CHANCE.normal(0, 1, (frames, 3)), load])


def test_many_units_that_come_to_know_themselves_cost_one_finding(monkeypatch: pytest.MonkeyPatch):
    found, of = [], Regimes.of

    def counted(*told: np.ndarray) -> Regimes:
        found.append(len(told[1]))
        return of(*told)

    monkeypatch.setattr(Regimes, "of", counted)
    pool = Pool()
    for unit in range(40):
        pool.put(f"u{unit}", healthy(), LOADS)
    for unit in range(40):
        assert pool.scatter(f"u{unit}").shape == pool.baseline(f"u{unit}").mean.shape == (3,)
    assert found == [40 * 25]


def in_several_ways(pool: Pool, unit: str, rows: np.ndarray) -> None:
    pool.put(unit, rows, LOADS)


def in_one_way(pool: Pool, unit: str, rows: np.ndarray) -> None:
    pool.know(unit, Baseline.of(rows))


@pytest.mark.parametrize("come", [in_several_ways, in_one_way])
def test_the_order_in_which_units_come_decides_nothing(come: Callable[[Pool, str, np.ndarray], None]):
    rows = {f"u{unit}": healthy() for unit in range(6)}
    pools = [Pool(), Pool()]
    for pool, units in zip(pools, (list(rows), list(rows)[::-1]), strict=True):
        for unit in units:
            come(pool, unit, rows[unit])
            pool.scatter(unit)  # as trackers do in between
    for unit in rows:
        first, second = (pool.scatter(unit) for pool in pools)
        assert np.array_equal(first, second)
        assert np.array_equal(*(pool.baseline(unit).mean for pool in pools))


def test_a_unit_that_does_not_know_itself_has_no_health():
    pool = Pool()
    pool.put("u0", healthy(), LOADS)
    with pytest.raises(KeyError):
        pool.scatter("u1")


@pytest.mark.parametrize("ways", [1, 2, 6])
def test_wear_is_told_as_large_as_it_is_in_however_many_ways_a_lone_unit_is_run(ways: int):
    chance, told = np.random.default_rng(7), []
    for _unit in range(60):
        level, scale = chance.uniform(-100, 100, (ways, 14)), chance.uniform(0.6, 1.6, (ways, 14))
        way, seen = chance.integers(0, ways, 25), chance.integers(0, ways, 100)
        noise = chance.normal(0, 1, (25, 14))
        pool = Pool()
        pool.put("u", np.hstack([level[way] + scale[way] * noise, 10.0 * way[:, None]]), LOADS)
        worn = np.hstack([level[seen] + 2.0 * scale[seen], 10.0 * seen[:, None]])
        told.append(np.nanmean((pool.comparable(worn, 1) - pool.baseline("u").mean) / pool.scatter("u")))
    assert np.mean(told) == pytest.approx(2.0, rel=0.07)
