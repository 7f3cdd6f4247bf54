"""Who decides: the rule without history, until others have shown over lives that they never saw that they cost less."""

from __future__ import annotations

import pytest

from gateway.promotion import RULE, Setting, Way, in_charge, taught, ways
from maintenance.learning import Lesson, learn
from marketplace.hindsight import Beliefs, Course
from marketplace.stakes import Supply
from marketplace.timing import Costs
from tests.unit.maintenance.lives import SIGNALS, lives

SETTING = Setting(Costs("EUR", 100.0, 500.0, 10.0, 1.0), Supply("maker", 0.0, (20.0,)), 10.0)


def courses(use: float, lives: int = 10, failed: int = 0) -> tuple[Course, ...]:
    good = [Course(100.0, use, 0.0)] * (lives - failed)
    return (*good, *[Course(700.0, use, 1.0)] * failed)


def test_a_way_that_lets_parts_live_longer_at_no_failure_takes_over():
    rule, ridge = Way(RULE, 1.5, courses(100.0)), Way("ridge", 1.5, courses(130.0))
    assert in_charge([rule, ridge], 100.0) is ridge


def test_a_way_that_fails_once_in_ten_does_not():
    rule, bold = Way(RULE, 1.5, courses(100.0)), Way("ridge", 2.0, courses(130.0, failed=1))
    assert in_charge([rule, bold], 100.0) is rule


def test_without_lives_the_rule_decides_and_without_a_way_nobody():
    rule = Way(RULE, 1.5, ())
    assert in_charge([rule, Way("ridge", 1.5, ())], 100.0) is rule
    with pytest.raises(ValueError, match="has to decide"):
        in_charge([], 100.0)


def late(_at: float) -> None:
    """A rule that never speaks lets every part fail."""


def test_lessons_are_weighed_against_the_rule_over_the_same_lives():
    taken: list[Lesson] = []

    def lesson() -> Lesson:
        taken.append(learn(lives(10), SIGNALS, 25))
        return taken[0]

    blind: list[tuple[Beliefs, float]] = [(late, each.life) for each in lives(10)]
    chosen, learned = ways(blind, 150.0, [lesson], SETTING)
    assert chosen.kind == "ridge"
    assert learned == {"ridge": taken[0]}
    assert sum(course.failed for course in chosen.courses) < 2


def test_what_a_lesson_says_of_a_life_begins_when_its_health_is_known_and_ends_with_it():
    lesson = learn(lives(3), SIGNALS, 25)
    for (beliefs, failed_at), life in zip(taught(lesson), lives(3), strict=True):
        assert failed_at == life.life
        assert beliefs(20.0) is None
        near, far = beliefs(failed_at - 5.0), beliefs(40.0)
        assert near is not None
        assert far is not None
        assert near.mean < far.mean
