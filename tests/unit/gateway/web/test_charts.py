import math
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web import charts
from gateway.web.charts import Chart

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


def history(values) -> list[tuple[datetime, float]]:
    return [(NOW - DAY * (len(values) - index - 1), value) for index, value in enumerate(values)]


def chart(**changes) -> Chart:
    band = tuple((NOW + DAY * step, 5 + step * 0.3, 5 + step * 0.4, 5 + step * 0.5) for step in range(12))
    said = {"title": "Bearing", "unit": "mm/s", "history": history([1.2, 2, 3, 4, 5.0]), "now": NOW, "limit": 7.1,
            "band": band, "decide_by": NOW + 2 * DAY}  # fmt: skip
    return Chart(**(said | changes))


def parsed(drawn) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawn))


def test_a_chart_says_in_words_what_it_shows():
    root = parsed(charts.draw(chart(), ZONE))
    assert root.find("title").text == "Bearing"
    words = root.find("desc").text
    assert words == (
        "Last value 5.00 mm/s. Limit 7.10 mm/s. Expected to reach it about 2026-03-08. Decide by 2026-03-04."
    )
    assert root.attrib["role"] == "img"


def test_history_limit_band_now_and_decision_are_drawn_by_class_and_without_styles():
    drawn = str(charts.draw(chart(), ZONE))
    for kind in ("history", "limit", "band", "likely", "now", "decide", "grid"):
        assert f'class="{kind}"' in drawn
    assert "style=" not in drawn
    assert "fill=" not in drawn


def test_no_line_and_no_shade_runs_over_a_gap():
    points = history([1.0, 2.0, 3.0, 4.0])
    spread = [(at, value - 0.5, value + 9) for at, value in points]
    gap = points[1][0] + DAY / 2
    root = parsed(charts.draw(chart(history=points, spread=spread, gaps=[gap], limit=None, band=()), ZONE))
    paths = {path.attrib["class"]: path.attrib["d"] for path in root.iter() if path.tag.endswith("path")}
    assert paths["history"].count("M") == 2
    assert paths["band"].count("M") == paths["band"].count("Z") == 2


def test_without_history_there_is_no_chart():
    assert str(charts.draw(chart(history=[]), ZONE)) == ""
    assert str(charts.draw(chart(history=history([math.nan])), ZONE)) == ""


def test_text_enters_escaped():
    drawn = str(charts.draw(chart(title="<script>", unit='"><b'), ZONE))
    assert "<script>" not in drawn
    assert "<b" not in drawn.replace("<b>", "<b") or '"><b' not in drawn
    parsed(drawn)


def test_a_level_that_falls_to_its_limit_is_expected_there_too():
    band = tuple((NOW + DAY * step, 50 - 6.0 * step, 50 - 5.0 * step, 50 - 4.0 * step) for step in range(12))
    falling = chart(history=history([90, 70, 50]), limit=25, band=band, unit="%")
    assert charts.crosses(falling) == NOW + 6 * DAY


def test_a_forecast_that_never_reaches_the_limit_names_no_day():
    assert charts.crosses(chart(limit=100.0)) is None
    assert charts.crosses(chart(band=())) is None
    assert "Expected" not in parsed(charts.draw(chart(limit=100.0), ZONE)).find("desc").text


def test_a_far_forecast_leaves_room_for_the_history():
    far = chart(decide_by=NOW + 4000 * DAY, band=tuple((NOW + 400 * DAY * n, 5.0, 5.0, 5.0) for n in range(12)))
    scale = charts._scale(far, far.history)
    assert scale.end - NOW <= 3 * (NOW - far.history[0][0])


def test_thinning_keeps_extremes_and_order():
    points = history([math.sin(step) for step in range(5000)])
    points[1234] = (points[1234][0], 99.0)
    points[3210] = (points[3210][0], -99.0)
    kept = charts.thin(points, 400)
    assert len(kept) <= 400
    assert kept == sorted(kept)
    assert {99.0, -99.0} <= {value for _at, value in kept}


values = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(values, min_size=1, max_size=50), values, st.lists(values, max_size=8))
def test_whatever_was_measured_the_chart_is_whole_and_finite(measured, limit, ahead):
    band = tuple((NOW + DAY * step, value - 1, value, value + 1) for step, value in enumerate(ahead))
    drawn = str(charts.draw(chart(history=history(measured), limit=limit, band=band), ZONE))
    parsed(drawn)
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]), (-3, 4, [-2, 0, 2, 4])],
)
def test_ticks_are_round(low, high, found):
    assert charts.ticks(low, high) == pytest.approx(found)


@pytest.mark.parametrize(("share", "width"), [(-1, "0.0"), (0.26, "26.0"), (7, "100.0")])
def test_a_meter_never_leaves_its_rail_and_says_its_value(share, width):
    drawn = str(charts.meter(share, "Health & <more>", level="fair"))
    assert f'class="fill" width="{width}"' in drawn
    assert 'aria-label="Health &amp; &lt;more&gt;"' in drawn
