"""The shipped profile fits the recording it is for."""

from __future__ import annotations

from maintenance.profiles import TURBOFAN_SENSORS, turbofan, turbofan_tags
from maintenance.settings import DeviationWear, problems


def test_the_turbofan_profile_fits_its_tags():
    settings = turbofan()
    assert isinstance(settings.wear, DeviationWear)
    assert problems(settings, turbofan_tags()) == []
    assert len(turbofan_tags()) == 25
    assert set(settings.wear.tags) < set(TURBOFAN_SENSORS)


def test_a_rating_is_a_round_number_that_nobody_counted():
    assert str(turbofan().rated_life) == "200 cycles"
    assert turbofan(rated_life=None).rated_life is None
