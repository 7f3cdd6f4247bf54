"""A kind goes its way on evidence alone: what convinces is believed, what goes wrong is taken back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gateway.learning.documents import checked
from gateway.learning.judging import judge
from gateway.learning.phases import Phase
from gateway.learning.review import looked_back
from gateway.learning.standing import Standing
from gateway.learning.task import Task, Verdict
from maintenance.assets import Found
from maintenance.frames import History
from marketplace.timing import WATCHED_PATIENCE
from tests.unit.gateway.learning.plants import by_life, case, closed, quick, seals, spindle, spindles

LIVES = quick(16)


@cache
def convinced() -> Verdict:
    return judge(spindles(LIVES), by_life(LIVES))


def mute(*lengths: int) -> list[History]:
    """Lives of which no signal says anything, and whose lengths say nothing of each other."""
    chance = np.random.default_rng(1)
    return [
        History(f"unit-{at}", 100.0 + chance.normal(0, 1, (length, 6)), np.arange(1.0, length + 1))
        for at, length in enumerate(lengths)
    ]


def test_lives_whose_signals_tell_the_end_are_believed():
    standing = convinced().standing
    assert (standing.phase, standing.model, standing.code) == (Phase.AUTONOMOUS, "ridge", "CONVINCED")
    assert (standing.lives, standing.judged, standing.closed) == (16, 16, 16)
    assert standing.gain > standing.error > 0
    assert standing.signals == spindle().wear.tags
    assert standing.patience == WATCHED_PATIENCE, "it decides with the patience at which it was judged"


def test_the_model_that_is_believed_is_the_one_that_was_judged():
    verdict = convinced()
    model = checked(verdict.document, verdict.standing.version)
    assert model.version == verdict.standing.version
    assert model.lives == len(LIVES)
    with pytest.raises(ValueError, match="not the one"):
        checked(verdict.document.replace("6", "7", 1), verdict.standing.version)


def test_the_same_lives_give_the_same_verdict():
    assert judge(spindles(LIVES), by_life(LIVES)) == convinced()


def test_few_lives_teach_no_model():
    assert judge(spindles(LIVES[:14]), by_life(LIVES[:14])).standing.model == ""


def test_signals_that_say_nothing_are_not_believed():
    silent = mute(14, 25, 90, 33)
    verdict = judge(spindles(silent), by_life(silent))
    assert (verdict.standing.phase, verdict.standing.model, verdict.document) == (Phase.ADAPTABLE, "", "")


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (spindles(LIVES[:1]), "TOO_FEW_LIVES"),
        (spindles(LIVES, found=None), "TOO_FEW_LIVES"),
        (spindles(LIVES, found=Found.LIKE_NEW), "TOO_FEW_LIVES"),
        (spindles(LIVES, found=Found.HALF), "TOO_FEW_LIVES"),  # of none it is known what deciding would have cost
        (spindles(LIVES, ceiling=Phase.BOUND), "PINNED"),
        (spindles(LIVES, cases={"mill/spindle": case(spindle(), costs=None)}), "NO_COSTS"),
        (seals([900.0]), "TOO_FEW_LIVES"),
        (seals([900.0] * 9, found=None), "TOO_FEW_LIVES"),
    ],
)
def test_without_evidence_the_rule_goes_on(task: Task, code: str):
    verdict = judge(task, by_life(LIVES))
    assert (verdict.standing.phase, verdict.standing.code, verdict.document) == (Phase.BOUND, code, "")
    assert verdict.standing.patience == 1.0


def test_a_life_without_frames_or_of_other_signals_teaches_nothing():
    assert judge(spindles(LIVES), by_life(LIVES[:1])).standing.lives == 1
    cases = {"mill/spindle": case(spindle()), "lathe/spindle": case(spindle(tags=["a", "b"]))}
    others = tuple(closed(each, "lathe/spindle") for each in LIVES)
    assert judge(spindles(LIVES, cases=cases, closed=others), by_life(LIVES)).standing.lives == 0
    narrow = [replace(each, frames=each.frames[:, :2]) for each in LIVES]
    assert judge(spindles(LIVES), by_life(narrow)).standing.lives == 0


def test_a_kind_that_may_only_adapt_gets_no_model():
    standing = judge(spindles(LIVES, ceiling=Phase.ADAPTABLE), by_life(LIVES)).standing
    assert (standing.phase, standing.model) == (Phase.ADAPTABLE, "")


def test_parts_that_last_longer_than_rated_are_believed_to():
    verdict = judge(seals([3800.0, 4100.0, 3900.0, 4000.0]), {})
    assert (verdict.standing.phase, verdict.standing.model) == (Phase.ADAPTABLE, "lifetimes")
    assert verdict.standing.gain > verdict.standing.error


def sudden(unit: str, like: History) -> History:
    """A part that failed in the middle of its healthy life."""
    return History(unit, like.frames[:20], like.use[:20])


def believed(lives: list[History], **changes: object) -> Task:
    verdict = convinced()
    return spindles(lives, standing=verdict.standing, taught=verdict.document, **changes)


def test_a_failure_that_the_model_gave_no_chance_takes_it_back_until_two_more_lives_have_ended():
    lives = [*LIVES, sudden("new", LIVES[0])]
    after = judge(believed(lives), by_life(lives)).standing
    assert (after.phase, after.code, after.model) == (Phase.ADAPTABLE, "MISSED", "")
    assert after.parameters["component"] == "mill/spindle"
    assert after.barred_until == 19
    more = [*lives, *(replace(each, unit=f"more-{at}") for at, each in enumerate(quick(2, seed=4)))]
    again = judge(replace(believed(more), standing=after, taught=""), by_life(more)).standing
    assert again.code in ("CONVINCED", "NOT_CONVINCING")


def test_a_model_that_goes_on_being_right_stays():
    lives = [*LIVES, replace(quick(1, seed=7)[0], unit="new")]
    after = judge(believed(lives), by_life(lives)).standing
    assert (after.phase, after.lives) == (Phase.AUTONOMOUS, 17)
    assert len(after.outside) == 1


def test_a_model_of_another_plant_is_taken_back():
    model = checked(convinced().document, convinced().standing.version)
    slow = [replace(each, use=3.0 * each.use, unit=f"slow-{at}") for at, each in enumerate(quick(3, seed=5))]
    lives = [*LIVES, *slow]
    after = judge(believed(lives), by_life(lives)).standing
    outside = [looked_back(model, each, 8.0) for each in slow]
    assert np.mean([each[0] for each in outside if each]) > 0.4
    assert (after.code, after.phase) == ("DRIFTED", Phase.ADAPTABLE)


def test_other_signals_than_those_learned_from_take_a_model_back():
    cases = {"mill/spindle": case(spindle(tags=["b", "a", "c", "d", "e", "f"]))}
    after = judge(replace(believed(LIVES[:1]), cases=cases), by_life(LIVES[:1])).standing
    assert (after.phase, after.model) == (Phase.BOUND, "")


def test_a_standing_comes_back_from_its_document():
    standing = convinced().standing
    assert Standing.of(standing.document()) == standing
