"""Lives on several clocks teach each clock what they prove of it, and no more."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.samples import Provenance
from maintenance.lifetimes import Lifetimes, Prior, scale_of
from maintenance.prognosis import Basis, Clocked, by_clocks
from maintenance.risks import EndedLife, apart, blamed, learned

PRIORS = {"hours": Prior(1000.0), "starts": Prior(400.0, 2.0)}
USES = st.fixed_dictionaries({"hours": st.floats(1, 4000), "starts": st.floats(1, 1600)})
LIVES = st.lists(st.builds(EndedLife, USES, st.booleans(), st.sampled_from(["", "", "hours", "starts"])), max_size=5)


NOW = datetime(2026, 3, 2, tzinfo=UTC)
PACES = {"hours": 1.0, "starts": 0.4}


def tenth(lives: list[EndedLife], wrong: float = 1.0) -> float:
    """The hours that nine in ten new parts last, by lives, or by ratings of which that of hours is so far off."""
    found = learned(lives, PRIORS) if lives else {}
    told = [
        Clocked(0.0, 0.0, prior.median * (wrong if name == "hours" else 1.0), prior.shape, PACES[name], found.get(name))
        for name, prior in PRIORS.items()
    ]
    left = by_clocks(told, Basis("h", 1.0, NOW, Provenance.A, True)).remaining_use(0.1)
    assert left is not None
    return left


def same(one: Lifetimes, other: Lifetimes) -> bool:
    return all(np.array_equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(Lifetimes))


def test_without_lives_the_ratings_stand():
    found = learned([], PRIORS)
    assert {name: (each.median, each.shape) for name, each in found.items()} == {
        name: (prior.median, prior.shape) for name, prior in PRIORS.items()
    }


@hypothesis_settings(max_examples=10)
@given(LIVES, st.randoms(use_true_random=False))
def test_told_again_in_any_order_lives_give_the_identical_belief(lives: list[EndedLife], chance: Random):
    shuffled = list(lives)
    chance.shuffle(shuffled)
    one, other = learned(lives, PRIORS), learned(shuffled, PRIORS)
    assert all(same(one[name], other[name]) for name in PRIORS)


@hypothesis_settings(max_examples=10)
@given(LIVES, USES, st.floats(1.0, 4.0), st.sampled_from(sorted(PRIORS)))
def test_more_life_without_failing_shortens_no_median_and_hardly_what_nine_in_ten_last(
    lives: list[EndedLife], use: dict[str, float], longer: float, clock: str
):
    """Who lasts far longer than others tells also that lives differ more, which the first in ten feel."""
    shorter, further = ([*lives, EndedLife(use | {clock: times * use[clock]}, False)] for times in (1.0, longer))
    before, after = learned(shorter, PRIORS), learned(further, PRIORS)
    assert all(after[name].median >= 0.998 * before[name].median for name in PRIORS)
    assert tenth(further) >= 0.9 * tenth(shorter)


@given(USES)
def test_the_blame_for_a_failure_is_shared_whole_and_by_how_old_each_clock_was(use: dict[str, float]):
    shares = blamed(use, PRIORS)
    assert sum(shares.values()) == pytest.approx(1.0)
    older = blamed(use | {"hours": 2 * use["hours"]}, PRIORS)
    assert older["hours"] >= shares["hours"]


def moved(lives: list[EndedLife]) -> dict[str, float]:
    found = learned(lives, PRIORS)
    return {name: abs(math.log(found[name].median / prior.median)) for name, prior in PRIORS.items()}


def test_a_failure_moves_the_clock_that_was_far_older_more():
    by_hours = moved([EndedLife({"hours": 800.0, "starts": 10.0}, True)])
    by_starts = moved([EndedLife({"hours": 20.0, "starts": 320.0}, True)])
    assert by_hours["hours"] > 3 * by_hours["starts"]
    assert by_starts["starts"] > 3 * by_starts["hours"]


def test_a_cause_that_is_known_is_blamed_alone_and_the_other_clocks_only_lasted():
    life = EndedLife({"hours": 900.0, "starts": 10.0}, True, "starts")
    assert {name: each.failed for name, each in apart(life, PRIORS).items()} == {"hours": 0.0, "starts": 1.0}
    known = EndedLife({"starts": 10.0}, True, "starts")
    assert list(apart(known, PRIORS)) == ["starts"]


def test_a_failure_teaches_nothing_while_the_use_on_another_clock_is_unknown_but_having_lasted_does():
    assert apart(EndedLife({"hours": 900.0}, True), PRIORS) == {}
    assert list(apart(EndedLife({"hours": 900.0}, False), PRIORS)) == ["hours"]
    assert apart(EndedLife({"strokes": 900.0}, False), PRIORS) == {}


@pytest.mark.parametrize("wrong", [0.6, 1.0, 1.6])
def test_sixty_lives_make_good_for_a_rating_that_is_wrong_on_one_clock(wrong: float):
    """Paces differ from machine to machine, which is what tells the clocks apart."""
    rng, lives = np.random.default_rng(2), []
    for _ in range(60):
        pace = 0.4 * math.exp(rng.normal(0.0, 0.8))
        hours = wrong * float(scale_of(1000.0, 3.0)) * rng.weibull(3.0)
        starts = float(scale_of(400.0, 2.0)) * rng.weibull(2.0)
        lasted = min(hours, starts / pace)
        lives.append(EndedLife({"hours": lasted, "starts": lasted * pace}, True))
    assert tenth(lives) == pytest.approx(tenth([], wrong), rel=0.12)
