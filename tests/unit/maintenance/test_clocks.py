"""People tell a use with its unit; which clock they mean follows from it, or they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.samples import Measure
from maintenance.clocks import clock_read, use_before
from maintenance.settings import ComponentSettings

TAGS = {"hours": "h", "starts": "starts", "vibration": "mm/s"}
HOURS = {"tag": "hours", "rated_life": "1000 h"}
STARTS = {"tag": "starts", "rated_life": "500 starts"}
AGE = {"rated_life": "2 year"}


def component(wear: dict[str, Any], **more: Any) -> ComponentSettings:
    return ComponentSettings.model_validate({"name": "x", "wear": wear, "job": {"title": "x"}} | more)


def clocks(**each: dict[str, Any]) -> ComponentSettings:
    return component({"by": "usage", "clocks": each})


TWO = clocks(hours=HOURS, starts=STARTS)
THREE = clocks(hours=HOURS, starts=STARTS, age=AGE)
ONE = component({"by": "usage", "tag": "starts"}, rated_life="500 starts")
LEVEL = component({"by": "level", "tag": "vibration", "as_new": "1 mm/s", "limit": "7 mm/s"}, rated_life="9 h")


@pytest.mark.parametrize(
    ("settings", "value", "clock", "found"),
    [
        (TWO, "12 starts", "", ("starts", 12.0)),
        (TWO, "2 d", "", ("hours", 48.0)),
        (TWO, "2 d", "hours", ("hours", 48.0)),
        (THREE, "2 d", "age", ("age", 48.0)),
        (THREE, "12 starts", "", ("starts", 12.0)),
        (ONE, "12 starts", "", ("", 12.0)),
        (LEVEL, "2 mm/s", "", ("", 2.0)),
    ],
)
def test_a_reading_is_of_the_clock_that_its_unit_fits(
    settings: ComponentSettings, value: str, clock: str, found: tuple[str, float]
):
    assert clock_read(settings, TAGS, Measure.parse(value), clock) == found


@pytest.mark.parametrize(
    ("settings", "value", "clock", "said"),
    [
        (THREE, "12 h", "", "may be of several clocks, so nothing is taken; say which: hours, age"),
        (TWO, "12 bananas", "", "its clocks are hours, starts"),
        (TWO, "12 h", "starts", "12 h is in the unit of no clock that is meant"),
        (TWO, "12 h", "minutes", "there is no clock minutes; its clocks are hours, starts"),
        (ONE, "12 starts", "hours", "there is no clock hours; it has but one"),
        (ONE, "12 h", "", "12 h is not in starts"),
        (LEVEL, "2 h", "", "2 h is not in mm/s"),
    ],
)
def test_a_reading_that_fits_no_clock_or_several_is_refused_by_name(
    settings: ComponentSettings, value: str, clock: str, said: str
):
    with pytest.raises(ValueError, match=said):
        clock_read(settings, TAGS, Measure.parse(value), clock)


@pytest.mark.parametrize(
    ("settings", "used", "found"),
    [(TWO, "3 d", 72.0), (TWO, "0 starts", 0.0), (ONE, "0 h", 0.0), (ONE, "7 starts", 7.0)],
)
def test_what_a_part_had_run_is_told_on_its_first_clock_and_nothing_on_any(
    settings: ComponentSettings, used: str, found: float
):
    assert use_before(settings, TAGS, Measure.parse(used)) == found


@pytest.mark.parametrize(("settings", "used"), [(TWO, "7 starts"), (ONE, "7 h")])
def test_what_a_part_had_run_is_refused_in_another_unit(settings: ComponentSettings, used: str):
    with pytest.raises(ValueError, match="is not in"):
        use_before(settings, TAGS, Measure.parse(used))
