from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.views.foresight import foresee
from gateway.web.pictures import Measured, chart_of_record, measured_of, panels_of_record
from maintenance.needs import Evidence
from marketplace.ordering.reason import Recorded
from marketplace.timing import advise
from tests.showcase.data import PARTS, need_of, picture_of, terms_of

THEN = datetime(2026, 2, 20, 8, tzinfo=UTC)
NOW = THEN + timedelta(days=10)
ZONE = ZoneInfo("Europe/Berlin")
PART = PARTS["mill/spindle-bearing"]


def recorded(**changes) -> Recorded:
    need, terms = need_of(PART, THEN), terms_of(PART)
    advice = advise(need.belief, terms, THEN)
    said = Recorded(
        need.component, need.life, need.belief, need.health, need.evidence, advice.weighed, advice.parameters
    )
    return replace(said, **changes)


def drawn(one: Recorded, stored=None):
    seen = foresee(one.belief, one.weighed.now, one.weighed.terms, one.figures)
    return chart_of_record(one, seen, stored, "Mill, <bearing>")


def stored_now(life: str = "l1"):
    return replace(need_of(PART, NOW), life=life), picture_of(PART, NOW)


def test_a_record_is_drawn_with_what_was_measured_until_then_and_with_its_own_limit_and_forecast():
    need, picture = stored_now()
    chart = drawn(recorded(), (need, replace(picture, threshold=99.0)))
    assert len(chart.history) > 100
    assert chart.history[-1] == (THEN, PART.value)
    assert all(at <= THEN for at, _value in chart.history)
    assert (chart.limit, chart.unit, chart.now, chart.band, chart.past) == (PART.limit, "mm/s", THEN, (), True)
    assert chart.foresight.fails[2] - THEN == pytest.approx(timedelta(days=6.6), abs=timedelta(hours=2))


@pytest.mark.parametrize("stored", [None, stored_now("another"), (stored_now()[0], replace(stored_now()[1], unit="g"))])
def test_where_the_history_is_of_another_part_or_gone_only_the_record_is_drawn(stored):
    chart = drawn(recorded(), stored)
    assert chart.history == [(THEN, PART.value)]
    assert (chart.limit, chart.unit) == (PART.limit, "mm/s")


def test_where_no_value_was_recorded_the_history_stands_without_a_limit():
    chart = drawn(recorded(evidence=(Evidence("FORETOLD", {}),)), stored_now())
    assert len(chart.history) > 100
    assert chart.limit is None
    assert drawn(recorded(evidence=())).history == ()


async def test_what_is_not_kept_is_said_and_names_are_escaped():
    (panel,) = await panels_of_record([recorded()], {}, lambda key: f"<b>{key}", ZONE)
    assert not panel.told
    assert "<b>" not in panel.chart
    assert "&lt;b&gt;mill/spindle-bearing, as it was then" in panel.chart
    assert "as likely as not by 2026-02-26" in panel.words
    assert panel.words in panel.chart
    assert "usually lasts" in panel.usual


@pytest.mark.parametrize(
    ("code", "figures", "found"),
    [
        ("LEVEL", {"value": "5", "limit": "7", "unit": "mm"}, Measured(5.0, 7.0, "mm")),
        ("USAGE", {"used": "5", "rated": "7", "unit": "h"}, Measured(5.0, 7.0, "h")),
        ("DEVIATION", {"ratio": "5", "failure": "10"}, Measured(5.0, 10.0, "σ")),
        ("USAGE_BY_CLOCK", {"used": "5", "rated": "10", "unit": "h"}, Measured(50.0, 100.0, "%")),
        ("USAGE_BY_CLOCK", {"used": "5", "rated": "0", "unit": "h"}, None),
        ("LEVEL", {"value": "nan", "limit": "7", "unit": "mm"}, None),
        ("LEVEL", {"value": "?", "limit": "7"}, None),
        ("USAGE", {"used": "5"}, None),
        ("BASELINE", {"have": "5", "want": "25"}, None),
    ],
)
def test_a_value_and_its_limit_are_read_out_of_evidence(code, figures, found):
    assert measured_of([Evidence("STALE", {}), Evidence(code, figures)]) == found
