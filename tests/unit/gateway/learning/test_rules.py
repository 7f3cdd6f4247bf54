"""What the judge says that the rule believed is what a gateway's tracker believes at each frame of the same life."""

from __future__ import annotations

import numpy as np

from gateway.learning.rules import by_deviation
from gateway.learning.trial import EPOCH
from maintenance.detection import Baseline
from maintenance.frames import History
from maintenance.prognosis import Basis, Provenance
from maintenance.settings import DeviationWear
from maintenance.trackers.by_deviation import DeviationTracker
from maintenance.trackers.pool import Pool
from tests.unit.gateway.learning.plants import SPINDLE, by_life, case, closed, quick, spindle
from tests.unit.maintenance.lives import SIGNALS

LIVES = [*quick(3), History("short", quick(1)[0].frames[:8], quick(1)[0].use[:8])]
WEAR = spindle().wear


def tracked(life: History, pool: Pool) -> list[np.ndarray | None]:
    """Play a life to a tracker, a frame an hour; return what it believes before each next one."""
    settings = spindle()
    assert isinstance(settings.wear, DeviationWear)
    tracker = DeviationTracker(life.unit, settings, dict.fromkeys(SIGNALS, ""), pool)
    tracker.begin(0.0, 0.0, {})
    basis, found = Basis("h", 1.0, EPOCH, Provenance.A, True, 60.0), []
    for at, frame in enumerate(life.frames.tolist()):
        for signal, value in enumerate(frame):
            tracker.take(signal, value, float(at))
        belief = tracker.assess(at + 1.0, basis).belief
        found.append(belief.survival if belief.known else None)
    return found


def test_the_rule_believes_what_the_tracker_believes():
    pool, settings = Pool(), spindle()
    for life in LIVES[:3]:
        pool.know(life.unit, Baseline.of(life.frames[:10]))
    rules = by_deviation([closed(each) for each in LIVES], {SPINDLE: case(settings)}, by_life(LIVES), 10)
    for life in LIVES[:3]:
        for use, survival in zip(life.use.tolist(), tracked(life, pool), strict=True):
            belief = rules[life.unit](use)
            assert (belief is None) == (survival is None)
            assert belief is None or np.allclose(belief.survival, survival, atol=1e-12)


def test_a_life_that_never_knew_its_healthy_self_is_told_nothing():
    lives = LIVES[3:]
    rules = by_deviation([closed(each) for each in lives], {SPINDLE: case(spindle())}, by_life(lives), 10)
    assert rules["short"](5.0) is None


def test_a_part_that_seems_new_again_is_not_known():
    life = LIVES[0]
    back = History(
        "back", np.vstack([life.frames, life.frames[:9].repeat(8, axis=0)]), np.arange(1.0, len(life.use) + 73)
    )
    rule = by_deviation([closed(back)], {SPINDLE: case(spindle())}, by_life([back]), 10)["back"]
    assert rule(life.life) is not None
    assert rule(back.life) is None
