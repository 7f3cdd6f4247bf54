"""Who decides: the rule without history, until others have shown over lives that they never saw that they cost less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.learning import promotion
from gateway.learning.kinds import Wearing
from gateway.learning.promotion import LIVES_MIN, PATIENCES, Way, by_models, by_rule, in_charge, unseen
from gateway.learning.trial import Trial
from maintenance import growing
from maintenance.learning import learn
from marketplace.hindsight import Course, compare
from marketplace.timing import WATCHED_PATIENCE
from tests.unit.gateway.learning.plants import COSTS, case, closed, quick, spindle
from tests.unit.maintenance.lives import SIGNALS

LIVES = quick(16)
WEAR = spindle().wear


def courses(use: float, lives: int = 10, failed: int = 0) -> tuple[Course, ...]:
    good = [Course(100.0, use, 0.0)] * (lives - failed)
    return (*good, *[Course(700.0, use, 1.0)] * failed)


def test_a_way_that_lets_parts_live_longer_at_no_failure_takes_over():
    rule, ridge = Way(1.5, courses(100.0)), Way(1.5, courses(130.0), "ridge")
    assert in_charge([rule, ridge], 100.0)[0] is ridge


def test_a_way_that_fails_once_in_ten_does_not():
    rule, bold = Way(1.5, courses(100.0)), Way(2.0, courses(130.0, failed=1), "ridge")
    assert in_charge([rule, bold], 100.0)[0] is rule


def test_without_a_way_nobody_decides():
    with pytest.raises(ValueError, match="has to decide"):
        in_charge([], 100.0)


COURSES = st.builds(Course, st.integers(50, 900), st.integers(10, 300), st.just(0.0))
WAYS = st.integers(1, 8).flatmap(
    lambda lives: st.lists(st.lists(COURSES, min_size=lives, max_size=lives), min_size=1, max_size=4)
)


@settings(max_examples=40)
@given(WAYS)
def test_whoever_decides_is_the_first_or_convinces_against_it(found: list[list[Course]]):
    ways = [Way(1.0 + at, each) for at, each in enumerate(found)]
    chosen, comparison = in_charge(ways, 100.0)
    assert chosen is ways[0] or comparison.convincing
    assert comparison == compare(ways[0].courses, chosen.courses, 100.0)


def trials() -> list[Trial]:
    """Of a rule that never speaks, so that every part fails."""
    told = spindle()
    return [Trial(closed(each), case(told), COSTS, each.life, lambda _use: None) for each in LIVES]


def test_what_a_lesson_says_of_a_life_begins_when_its_health_is_known_and_ends_with_it():
    lesson = learn(LIVES, SIGNALS, 10)
    for believing, life in zip(unseen(lesson, trials()), LIVES, strict=True):
        assert believing(10.0) is None
        near, far = believing(life.life - 2.0), believing(15.0)
        assert near is not None
        assert far is not None
        assert near.remaining_use(0.5) < far.remaining_use(0.5)


def test_no_life_is_believed_by_what_it_taught():
    lesson = learn(LIVES, SIGNALS, 10)
    moved = replace(lesson, walks=(replace(lesson.walks[0], rest=lesson.walks[0].rest + 50.0), *lesson.walks[1:]))
    before, after = lesson.unseen_tables(), moved.unseen_tables()
    assert np.array_equal(after[0].survival, before[0].survival)
    assert not np.array_equal(after[1].survival, before[1].survival)


def test_the_rule_is_weighed_at_each_patience_from_enough_lives_on_too():
    few = LIVES_MIN["patience"]
    assert [way.patience for way in by_rule(trials()[: few - 1], Wearing.DEVIATION, 60.0)] == [WATCHED_PATIENCE]
    ways = by_rule(trials()[:few], Wearing.DEVIATION, 60.0)
    assert [way.patience for way in ways] == list(PATIENCES[Wearing.DEVIATION])


def test_a_model_is_weighed_at_each_patience_from_enough_lives_on():
    ways = list(by_models(trials(), LIVES, WEAR, 60.0))
    assert [(way.model, way.patience) for way in ways] == [("ridge", each) for each in PATIENCES[Wearing.DEVIATION]]
    assert all(len(way.courses) == len(LIVES) and way.signals == SIGNALS for way in ways)
    few = LIVES_MIN["ridge"] - 1
    assert list(by_models(trials()[:few], LIVES[:few], WEAR, 60.0)) == []


def test_where_scikit_learn_grows_trees_otherwise_the_ridge_goes_on_alone(monkeypatch: pytest.MonkeyPatch):
    class Stranger:
        def __init__(self, **_said: object) -> None:
            raise TypeError("an unexpected keyword")

    monkeypatch.setattr(growing, "_grower", lambda: Stranger)
    monkeypatch.setitem(promotion.LIVES_MIN, "boosted", 5)
    assert {way.model for way in by_models(trials(), LIVES, WEAR, 60.0)} == {"ridge"}
