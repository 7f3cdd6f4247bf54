"""Wear is irreversible, seeded, different from part to part, and blind to how often one looks."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.simulator.wear import Slot, WearLaw, chance, fitted, make_part

LAW = WearLaw(life=1_000)
HOURS = st.floats(0, 3_000)


def slot(seed: int = 1, number: int = 1, wear: float = 0.0, law: WearLaw = LAW) -> Slot:
    return fitted(law, "mill/spindle-bearing", seed=seed, number=number, wear=wear)


@given(seed=st.integers(), hours=HOURS, more=HOURS)
def test_wear_never_heals(seed: int, hours: float, more: float) -> None:
    part = slot(seed).part
    assert 0.0 <= part.wear_at(hours) <= part.wear_at(hours + more) <= 1.0


@given(steps=st.lists(st.floats(0, 200), max_size=20))
def test_running_in_one_go_or_in_many_wears_alike(steps: list[float]) -> None:
    often = once = slot()
    for hours in steps:
        often = often.advanced(hours)
    once = once.advanced(sum(steps))
    assert often.wear == pytest.approx(once.wear)


def test_the_same_seed_and_number_have_the_same_fate_and_others_do_not() -> None:
    assert slot(seed=7, number=3) == slot(seed=7, number=3)
    assert len({slot(seed, number).part.life for seed in range(5) for number in range(1, 5)}) == 20


@given(seed=st.integers())
def test_a_part_fails_exactly_at_the_end_of_its_life(seed: int) -> None:
    new = slot(seed)
    assert not new.advanced(new.part.life * 0.999_999).failed
    assert new.advanced(new.hours_left).failed
    assert new.advanced(1e9).used == new.part.life


@given(seed=st.integers(), wear=st.floats(0, 1))
def test_a_part_can_be_fitted_already_worn(seed: int, wear: float) -> None:
    assert slot(seed, wear=wear).wear == pytest.approx(wear)


def test_lives_scatter_around_their_mean_as_the_law_says() -> None:
    lives = [make_part(LAW, 1, chance(seed, "press/seal", 1)).life for seed in range(600)]
    assert statistics.mean(lives) == pytest.approx(1_000, rel=0.03)
    assert statistics.stdev(lives) / statistics.mean(lives) == pytest.approx(LAW.spread, rel=0.15)


@settings(max_examples=20)
@given(seed=st.integers(), roughness=st.floats(0.01, 1.0))
def test_even_the_roughest_wear_ends(seed: int, roughness: float) -> None:
    rough = slot(seed, law=WearLaw(life=10, roughness=roughness))
    assert rough.part.path[-1] >= 1.0
    assert 0 < rough.part.life < float("inf")


def test_a_part_can_break_before_its_time() -> None:
    broken = slot(wear=0.2).worn_out()
    assert broken.failed
    assert broken.wear == 1.0
    assert broken.hours_left == 0.0


@pytest.mark.parametrize("wear", [-0.1, 1.1, float("nan")])
def test_a_wear_beyond_new_and_worn_out_is_refused(wear: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        slot(wear=wear)
