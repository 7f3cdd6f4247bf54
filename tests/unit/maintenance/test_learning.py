"""What lives that have ended teach: how much is left of another, and how sure one may be."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from maintenance import boosting
from maintenance.bank import Bank
from maintenance.frames import History
from maintenance.learning import Fit, Learned, Lesson, learn, learned_of, lessons, ridge, smoothed
from maintenance.tables import Table, table
from maintenance.walks import told, untold, walks
from tests.unit.maintenance.lives import SIGNALS, life, lives

HEALTHY = 25
FITS = [pytest.param(ridge, id="ridge"), pytest.param(boosting.boosted, id="boosted")]


@cache
def taught(count: int, fit: Fit = ridge) -> Lesson:
    """What so many lives teach, learned once for all tests."""
    return learn(lives(count), SIGNALS, HEALTHY, fit)


def predicted(model: Learned, *histories: History) -> list[np.ndarray]:
    walked = walks(histories, model.reference, model.healthy, model.usual)
    return [smoothed(untold(model.regression.predict(walk.common, walk.special), model.usual)) for walk in walked]


@pytest.mark.parametrize("fit", FITS)
def test_what_is_left_of_a_life_that_it_never_saw_is_told_near_its_end(fit: Fit):
    model = taught(8, fit).model
    words = predicted(model, *lives(10, seed=9))
    errors = [each[-30:] - np.arange(29, -1, -1.0) for each in words]
    assert np.mean(np.abs(errors)) < 12
    assert model.lives == 8


@pytest.mark.parametrize("fit", FITS)
def test_the_same_lives_give_the_same_model_and_it_comes_back_from_its_document(fit: Fit):
    first, again = taught(4, fit).model, learn(lives(4), SIGNALS, HEALTHY, fit).model
    back = learned_of(json.loads(json.dumps(first.document())))
    assert first.version == again.version == back.version
    assert np.array_equal(predicted(first, life(77))[0], predicted(back, life(77))[0])
    assert taught(3).model.version != first.version


def test_one_row_at_a_time_is_told_what_many_are_told_together():
    model, one = taught(4).model, life(5, seed=3)
    bank, row = Bank(3, len(SIGNALS)), np.array([1])
    bank.begin(row, one.frames[:HEALTHY].mean(axis=0, keepdims=True))
    said = []
    for frame, use in zip(one.frames[HEALTHY:], one.use[HEALTHY:], strict=True):
        bank.take(row, frame[None, :], np.array([use]), model.reference.scatter)
        said.append(model.predict(bank, row, np.array([use]))[0])
    assert smoothed(np.array(said)) == pytest.approx(predicted(model, one)[0])


def test_nine_intervals_in_ten_hold_what_was_really_left():
    lesson = taught(30)
    held = []
    new = lives(40, seed=5)
    for one, words in zip(new, predicted(lesson.model, *new), strict=True):
        for prediction, use in zip(words[10::10], one.use[HEALTHY + 10 :: 10], strict=True):
            survival = lesson.model.table.at(prediction)
            gone = 1 - np.interp(one.life - use, lesson.model.table.use, survival)
            held.append(0.05 <= gone <= 0.95)
    assert 0.82 <= np.mean(held) <= 0.97


@pytest.mark.parametrize("prediction", [-5.0, 0.0, 3.7, 80.0, 1e6])
def test_a_row_of_the_table_is_a_distribution(prediction: float):
    known = taught(4).model.table
    survival = known.at(prediction)
    assert survival[0] == pytest.approx(1.0)
    assert np.all(np.diff(survival) <= 1e-12)
    assert survival.min() >= 0
    assert known.use[0] == 0
    assert np.all(np.diff(known.use) > 0)


def test_where_more_is_predicted_more_is_left():
    known = taught(30).model.table
    means = [np.trapezoid(known.at(prediction), known.use) for prediction in (5, 20, 50, 100)]
    assert means == sorted(means)


def test_few_lives_are_believed_less():
    said, left = np.full(50, 20.0), np.full(50, 20.0)
    many, few = (table([said] * lives, [left] * lives, 100.0) for lives in (50, 2))
    spread = [_spread(each) for each in (many, few)]
    assert spread[1] > 1.5 * spread[0]


def _spread(known: Table) -> float:
    survival = known.at(20.0)
    return float(np.interp(-0.1, -survival, known.use) - np.interp(-0.9, -survival, known.use))


def test_a_table_leaves_no_more_open_than_predictions_did():
    chance = np.random.default_rng(8)

    def predicted(left: np.ndarray) -> np.ndarray:
        return np.clip((left + 10.0) * np.exp(chance.normal(0, 0.12, len(left))) - 10.0, 0.0, None)

    rests = [np.arange(149.0, -1.0, -1.0) for _life in range(60)]
    known, inside = table([predicted(left) for left in rests], rests, 200.0), []
    for left in rests[:20]:
        for said, true in zip(predicted(left), left, strict=True):
            low, high = (np.interp(-share, -known.at(said), known.use) for share in (0.95, 0.05))
            inside += [low <= true <= high] if 15 < said < 110 else []
    assert 0.87 < np.mean(inside) < 0.94


def test_the_mean_of_what_is_left_is_that_of_lives_that_went_on_from_there():
    rests = [np.full(5, rest) for rest in (20.0, 30.0, 100.0) * 20]
    known = table([np.full(5, 40.0)] * 60, rests, 200.0)
    means = [known.mean(40.0, most) for most in (10.0, 50.0, 300.0)]
    assert means == pytest.approx([10.0, np.mean([20.0, 30.0, 50.0]), np.mean([20.0, 30.0, 100.0])], rel=0.06)


def test_a_table_without_a_life_has_not_seen_it():
    lesson = taught(4)
    without = lesson.unseen_tables()[0]
    alone = table(lesson.predicted[1:], [walk.rest for walk in lesson.walks[1:]], lesson.model.usual)
    assert np.allclose(without.survival, alone.survival, atol=0.002)


def test_what_is_regressed_on_comes_back():
    rest = np.array([0.0, 1.0, 50.0, 150.0])
    assert untold(told(rest, 150.0), 150.0) == pytest.approx(rest)
    assert untold(np.array([-99.0, 99.0]), 150.0) == pytest.approx([0.0, 150.0])


def test_a_signal_that_stands_still_says_nothing_and_breaks_nothing():
    stuck = [replace(each, frames=np.where(np.arange(6) == 2, 7.0, each.frames)) for each in lives(6)]
    model = learn(stuck, SIGNALS, HEALTHY).model
    assert model.reference.scatter[2] == 0
    assert np.all(
        np.isfinite(predicted(model, replace(life(9), frames=np.where(np.arange(6) == 2, 7.0, life(9).frames))))
    )


def test_lives_too_few_or_of_another_kind_teach_nothing():
    with pytest.raises(ValueError, match="two lives"):
        learn(lives(1), SIGNALS, HEALTHY)
    with pytest.raises(ValueError, match="one column"):
        learn(lives(3), SIGNALS[:-1], HEALTHY)
    short = [replace(each, frames=each.frames[:20], use=each.use[:20]) for each in lives(3)]
    with pytest.raises(ValueError, match="two lives"):
        learn(short, SIGNALS, HEALTHY)


def test_a_history_is_whole_and_ascends():
    with pytest.raises(ValueError, match="whole"):
        History("u", np.array([[1.0], [np.nan]]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="ascending"):
        History("u", np.ones((2, 1)), np.array([2.0, 2.0]))


@pytest.mark.parametrize("wrong", [{"format": 0}, {"kind": "oracle"}])
def test_a_document_of_another_version_is_refused(wrong: dict):
    document = taught(3).model.document()
    with pytest.raises(ValueError, match="another version"):
        learned_of(document | wrong)


def test_of_many_lives_each_is_told_by_the_table_without_its_group():
    lesson = taught(30)
    tables = lesson.unseen_tables()
    assert len({id(each) for each in tables}) == 5
    assert tables[3] is tables[8] is not tables[4]
    others = [at for at in range(30) if at % 5 != 3]
    alone = table([lesson.predicted[at] for at in others], [lesson.walks[at].rest for at in others], lesson.model.usual)
    assert np.allclose(tables[3].survival, alone.survival, atol=0.002)


def test_several_ways_to_learn_share_the_lives_and_are_each_what_they_are_alone():
    both = list(lessons(lives(4), SIGNALS, HEALTHY, [ridge, boosting.boosted]))
    assert [each.model.version for each in both] == [taught(4).model.version, taught(4, boosting.boosted).model.version]
    assert both[0].walks is both[1].walks
    assert all(each.error > 0 for each in both)
