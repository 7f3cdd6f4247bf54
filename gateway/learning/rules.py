"""What the rule that needs no history believed of lives that have ended, as a gateway would have at each moment.

A life that wore by deviation is held against its healthy self by the functions that its tracker uses, with the healthy
selves of the other lives as peers; all lives walk side by side, their frames told as if they came at their pace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.learning.task import Case, Closed
from gateway.learning.trial import Believing, basis_of
from maintenance import prognosis
from maintenance.bank import DEVIATING, deviation, trend_of
from maintenance.belief import Belief
from maintenance.departure import Return, departure
from maintenance.detection import Baseline
from maintenance.features import Vector
from maintenance.frames import History
from maintenance.settings import DeviationWear
from maintenance.trackers.by_deviation import DeviationTracker
from maintenance.trackers.pool import Pool
from maintenance.walks import parted, side_by_side


def by_usage(life: Closed, case: Case) -> Believing:
    """Return what is believed of a life by its rating."""
    basis = basis_of(life, case)
    return lambda use: prognosis.by_usage(use, use, case.rated, case.shape, basis)


def by_deviation(
    lives: Sequence[Closed], cases: Mapping[str, Case], histories: Mapping[str, History], healthy: int
) -> dict[str, Believing]:
    """Return what is believed of each life after its healthy frames; of one that had no more than those, nothing."""
    found: dict[str, Believing] = {life.life: lambda _use: None for life in lives}
    lasting = [life for life in lives if len(histories[life.life].frames) > healthy]
    if not lasting:
        return found
    pool, walking = Pool(), [histories[life.life] for life in lasting]
    for life, history in zip(lasting, walking, strict=True):
        pool.know(life.life, Baseline.of(history.frames[:healthy]))
    scatter = np.array([pool.scatter(life.life) for life in lasting])
    which, smooth, moments = [], [], []
    for bank, rows, _use in side_by_side(walking, healthy, scatter):
        which.append(rows)
        smooth.append(bank.averages[rows, DEVIATING])
        moments.append(bank.moments(rows))
    apart = (parted(which, each, len(lasting)) for each in (smooth, moments))
    for life, history, *told in zip(lasting, walking, scatter, *apart, strict=True):
        found[life.life] = _believing(life, cases[life.component], history.use[healthy:], *told)
    return found


def _believing(life: Closed, case: Case, ends: Vector, scatter: Vector, smooth: Vector, moments: Vector) -> Believing:
    """Return what is believed between the ends of frames, by the smoothed distance and the trend after each."""
    basis = basis_of(life, case)
    tracker = _tracker(case)
    usual, horizon = tracker.usual(basis.use_per_hour), tracker.horizon(basis.use_per_hour)
    back = _back(deviation(smooth, scatter))

    def believed(use: float) -> Belief | None:
        at = int(np.searchsorted(ends, use, "right")) - 1
        if at < 0 or back[at] or not np.any(scatter > 0):
            return None
        now = departure(smooth[at], scatter, trend_of(moments[at]), usual)
        return prognosis.by_deviation(now.deviation, now.rate, horizon, basis)

    return believed


def _back(deviations: Vector) -> list[bool]:
    """Return whether, as each frame ended, those before it said that somebody may have fitted a new part."""
    watch, found = Return(), []
    for value in deviations.tolist():
        found.append(watch.lasting)
        watch.take(value, 0.0)
    return found


def _tracker(case: Case) -> DeviationTracker:
    """Return a tracker that measures use as the case does and knows one way to run."""
    wear = case.settings.wear
    assert isinstance(wear, DeviationWear)
    plain = case.settings.model_copy(update={"wear": wear.model_copy(update={"regime": {}, "clock": "use"})})
    return DeviationTracker("", plain, {"use": case.unit} | dict.fromkeys(wear.tags, ""), Pool())
