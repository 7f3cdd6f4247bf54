"""Settings carry units, refuse what cannot be, and name every mistake that the machine's tags show."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.samples import Measure
from maintenance.lifetimes import median_of_b10
from maintenance.needs import JobKind
from maintenance.settings import (
    CLOCKS_MAX,
    ComponentSettings,
    UsageWear,
    clock_unit,
    counter_tags,
    in_unit,
    median_life,
    problems,
    shape_of,
    wear_tags,
)

TAGS = {"vibration": "mm/s", "cycles": "cycles", "hours": "h", "t24": "1", "t30": "1"}
LEVEL = {"by": "level", "tag": "vibration", "as_new": "1.2 mm/s", "limit": "7.1 mm/s"}
USAGE = {"by": "usage", "tag": "cycles"}


def component(wear: dict[str, Any], life: str | None = "20000 h", **more: Any) -> ComponentSettings:
    job = {"title": "Replace it", "lines": {"bearing": {"item": "bearing-7014", "quantity": 2, "kind": "part"}}}
    rated = {} if life is None else {"rated_life": life}
    return ComponentSettings.model_validate({"name": "Bearing", "wear": wear, "job": job} | rated | more)


def paths(settings: ComponentSettings) -> list[str]:
    return [path for path, _ in problems(settings, TAGS)]


def test_a_whole_component_is_read_with_its_units():
    settings = component(LEVEL)
    assert settings.rated_life == Measure(20000, "h")
    assert settings.job.lines["bearing"].kind is JobKind.PART
    assert problems(settings, TAGS) == []


def test_a_job_names_its_tools_and_skills_in_bounds():
    job = {"title": "Replace it", "duration": "6 h", "tools": [" bearing heater "], "skills": ["alignment"]}
    found = component(LEVEL, job=job).job
    assert (found.tools, found.skills, found.duration) == (("bearing heater",), ("alignment",), Measure(6, "h"))
    for wrong in ({"tools": [""]}, {"tools": ["x" * 101]}, {"skills": ["x"] * 51}, {"skills": "alignment"}):
        with pytest.raises(ValidationError):
            component(LEVEL, job=job | wrong)


@pytest.mark.parametrize(
    ("wear", "life", "path"),
    [
        (LEVEL | {"tag": "nowhere"}, "20000 h", "wear.tag"),
        (LEVEL | {"clock": "nowhere"}, "20000 h", "wear.clock"),
        (LEVEL | {"limit": "0.28 inch/s"}, "20000 h", "wear.limit"),
        (LEVEL | {"as_new": "1.2 m/s"}, "20000 h", "wear.as_new"),
        (LEVEL | {"limit": "1.2 mm/s"}, "20000 h", "wear.limit"),
        (LEVEL, "0 h", "rated_life"),
        (LEVEL, "-5 h", "rated_life"),
        (LEVEL, None, "rated_life"),
        (LEVEL | {"smoothing": "3 mm"}, "20000 h", "wear.smoothing"),
        (USAGE, "20000 h", "rated_life"),
        ({"by": "usage", "hours_per_day": 16}, "20000 cycles", "rated_life"),
        ({"by": "deviation", "tags": ["t24", "nowhere"]}, None, "wear.tags.1"),
        ({"by": "deviation", "tags": ["t24", "t24"]}, None, "wear.tags"),
    ],
)
def test_every_mistake_has_its_path(wear: dict[str, Any], life: str | None, path: str):
    assert path in paths(component(wear, life))


@pytest.mark.parametrize(
    ("wear", "life"),
    [
        (USAGE, "5000 cycles"),
        ({"by": "usage", "tag": "hours"}, "2 year"),
        ({"by": "usage", "due": True}, "180 d"),
        (LEVEL | {"clock": "hours"}, "8000 h"),
        ({"by": "deviation", "tags": ["t24", "t30"], "clock": "cycles"}, None),
    ],
)
def test_what_fits_the_machine_is_no_problem(wear: dict[str, Any], life: str | None):
    assert paths(component(wear, life)) == []


@pytest.mark.parametrize(
    "wear",
    [
        {"by": "magic"},
        USAGE | {"hours_per_day": 25},
        USAGE | {"surprise": 1},
        LEVEL | {"limit": "7.1"},
        {"by": "deviation", "tags": []},
        {"by": "deviation", "tags": ["t24"], "baseline": 2},
    ],
)
def test_what_cannot_be_is_refused(wear: dict[str, Any]):
    with pytest.raises(ValidationError):
        component(wear)


@pytest.mark.parametrize("quantity", [0, -1, "many"])
def test_a_line_wants_something(quantity: Any):
    with pytest.raises(ValidationError):
        component(LEVEL, job={"title": "x", "lines": {"a": {"item": "b", "quantity": quantity}}})


def test_units_of_time_convert_and_others_do_not():
    assert in_unit(Measure(2, "d"), "h") == 48
    assert in_unit(Measure(5, "cycles"), "cycles") == 5
    with pytest.raises(ValueError, match="is not in h"):
        in_unit(Measure(5, "cycles"), "h")


def test_the_clock_is_the_counters_or_the_calendars():
    assert clock_unit(component(USAGE).wear, TAGS) == "cycles"
    assert clock_unit(component(LEVEL).wear, TAGS) == "h"


def test_settings_say_themselves_as_they_were_written():
    assert component(LEVEL).model_dump(mode="json")["rated_life"] == "20000 h"
    assert "rated_life" in ComponentSettings.model_json_schema()["properties"]


@pytest.mark.parametrize(
    ("wear", "path"),
    [
        ({"as_new": 5000, "tag": "left"}, "wear.as_new"),
        ({"as_new": 5000, "resets_at_fitting": True}, "wear.as_new"),
        ({"counts_down": True, "tag": "left", "resets_at_fitting": True}, "wear.counts_down"),
    ],
)
def test_only_a_parts_own_counter_begins_elsewhere_or_runs_down(wear: dict[str, object], path: str):
    life = "5000 h" if "tag" not in wear else "5000 cycles"
    said = {"name": "x", "rated_life": life, "wear": {"by": "usage"} | wear, "job": {"title": "x"}}
    found = problems(ComponentSettings.model_validate(said), {"left": "cycles"})
    assert [each for each, _sentence in found] == [path]


HOURS = {"tag": "hours", "rated_life": "20000 h"}
STROKES = {"tag": "cycles", "rated_life": "50000 cycles"}


def clocks(*, life: str | None = None, wear: dict[str, Any] | None = None, **each: dict[str, Any]) -> ComponentSettings:
    return component({"by": "usage", "clocks": each} | (wear or {}), life)


def test_several_clocks_are_read_each_with_its_life():
    settings = clocks(hours=HOURS, strokes=STROKES, age={"rated_life": "10 year"})
    assert problems(settings, TAGS) == []
    assert wear_tags(settings.wear) == counter_tags(settings.wear) == ("hours", "cycles")
    assert clock_unit(settings.wear, TAGS) == "h"
    assert ComponentSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (clocks(hours=HOURS, strokes=STROKES | {"tag": "nowhere"}), "wear.clocks.strokes.tag"),
        (clocks(hours=HOURS, strokes=STROKES | {"rated_life": "5 h"}), "wear.clocks.strokes.rated_life"),
        (clocks(hours={"tag": "hours"}), "wear.clocks.hours.rated_life"),
        (clocks(hours=HOURS | {"rated_life": "0 h"}), "wear.clocks.hours.rated_life"),
        (clocks(hours=HOURS | {"b10_life": "5000 h"}), "wear.clocks.hours.b10_life"),
        (clocks(hours={"tag": "hours", "b10_life": "5 cycles"}), "wear.clocks.hours.b10_life"),
        (clocks(hours=HOURS | {"as_new": 5}), "wear.clocks.hours.as_new"),
        (clocks(hours=HOURS, again=HOURS), "wear.clocks.again.tag"),
        (clocks(hours=HOURS, life="20000 h"), "rated_life"),
        (clocks(hours=HOURS, wear={"tag": "cycles"}), "wear.tag"),
        (clocks(hours=HOURS, wear={"shape": 2}), "wear.shape"),
        (clocks(hours=HOURS, wear={"hours_per_day": 16}), "wear.hours_per_day"),
        (clocks(age={"b10_life": "1 year"}, wear={"due": True}), "wear.clocks.age.b10_life"),
        (component(LEVEL, None, b10_life="-1 h"), "b10_life"),
        (component(LEVEL, b10_life="9000 h"), "b10_life"),
        (component({"by": "foretold", "tag": "due"}, None, b10_life="1 h"), "b10_life"),
    ],
)
def test_every_mistake_of_a_clock_has_its_path(settings: ComponentSettings, path: str):
    assert path in [place for place, _ in problems(settings, TAGS | {"due": "s"})]


@pytest.mark.parametrize(
    "wear",
    [
        {"by": "usage", "clocks": {"7": HOURS}},
        {"by": "usage", "clocks": {"a.b": HOURS}},
        {"by": "usage", "clocks": {"hours": HOURS | {"surprise": 1}}},
        {"by": "usage", "clocks": {f"c{number}": HOURS for number in range(CLOCKS_MAX + 1)}},
    ],
)
def test_clocks_that_cannot_be_are_refused(wear: dict[str, Any]):
    with pytest.raises(ValidationError):
        component(wear, None)


@pytest.mark.parametrize(
    ("wear", "stated", "shape", "median"),
    [
        ({"by": "usage", "tag": "hours"}, {"rated_life": "1000 h"}, 3.0, 1000.0),
        ({"by": "usage", "tag": "hours"}, {"b10_life": "1000 h"}, 1.5, median_of_b10(1000.0, 1.5)),
        ({"by": "usage", "tag": "hours", "shape": 2}, {"b10_life": "1000 h"}, 2.0, median_of_b10(1000.0, 2.0)),
        ({"by": "usage", "tag": "hours", "shape": 2}, {"rated_life": "1000 h"}, 2.0, 1000.0),
    ],
)
def test_a_life_is_stated_as_the_median_or_as_b10(
    wear: dict[str, Any], stated: dict[str, str], shape: float, median: float
):
    settings = component(wear, None, **stated)
    assert problems(settings, TAGS) == []
    assert isinstance(settings.wear, UsageWear)
    assert shape_of(settings.wear, settings) == shape
    found = median_life(settings)
    assert found is not None
    assert (found.value, found.unit) == (pytest.approx(median), "h")


def test_the_b10_life_of_what_is_measured_is_a_bearings():
    found = median_life(component(LEVEL, None, b10_life="1000 h"))
    assert found is not None
    assert found.value == pytest.approx(3510, rel=0.001)
