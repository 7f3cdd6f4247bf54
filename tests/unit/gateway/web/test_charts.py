import math
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.views.foresight import Foresight
from gateway.web import charts
from gateway.web.charts import FRAMES, Chart

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


def history(values) -> list[tuple[datetime, float]]:
    return [(NOW - DAY * (len(values) - index - 1), value) for index, value in enumerate(values)]


def chart(**changes) -> Chart:
    band = tuple((NOW + DAY * step, 5 + step * 0.3, 5 + step * 0.4, 5 + step * 0.5) for step in range(12))
    said = {"title": "Bearing", "unit": "mm/s", "history": history([1.2, 2, 3, 4, 5.0]), "now": NOW, "limit": 7.1,
            "band": band, "foresight": seen()}  # fmt: skip
    return Chart(**(said | changes))


def seen(**changes) -> Foresight:
    fails = tuple(NOW + DAY * days for days in (4, 5, 6, 7, 8))
    return Foresight(**({"now": NOW, "fails": fails, "decide_by": NOW + 2 * DAY, "arrives": NOW + 5 * DAY} | changes))


def parsed(drawn) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawn))


def test_a_chart_says_in_words_what_it_shows():
    root = parsed(charts.picture(chart(), ZONE))
    assert root.find("title").text == "Bearing"
    words = root.find("desc").text
    assert words == (
        "Last value 5.00 mm/s. Limit 7.10 mm/s. Expected to reach it about 2026-03-08. "
        "It fails with 10\N{NO-BREAK SPACE}% by 2026-03-06, as likely as not by 2026-03-08, "
        "with 90\N{NO-BREAK SPACE}% by 2026-03-10. Decide by 2026-03-04. "
        "A part decided on then is expected on 2026-03-07."
    )
    assert root.attrib["role"] == "img"


def test_history_limit_band_now_and_decision_are_drawn_by_class_and_without_styles():
    drawn = str(charts.draw(chart(), ZONE))
    for kind in ("history", "limit", "band", "likely", "now", "decide", "arrive", "risk", "risk half", "even", "grid"):
        assert f'class="{kind}"' in drawn
    assert "style=" not in drawn
    assert "fill=" not in drawn


def test_no_line_and_no_shade_runs_over_a_gap():
    points = history([1.0, 2.0, 3.0, 4.0])
    spread = [(at, value - 0.5, value + 9) for at, value in points]
    gap = points[1][0] + DAY / 2
    root = parsed(charts.picture(chart(history=points, spread=spread, gaps=[gap], limit=None, band=()), ZONE))
    paths = {path.attrib["class"]: path.attrib["d"] for path in root.iter() if path.tag.endswith("path")}
    assert paths["history"].count("M") == 2
    assert paths["band"].count("M") == paths["band"].count("Z") == 2


def test_one_drawing_is_for_the_desk_and_one_for_the_telephone():
    wide, narrow = parsed(charts.draw(chart(), ZONE))
    assert [each.attrib["class"] for each in (wide, narrow)] == ["chart wide", "chart narrow"]
    assert [each.attrib["viewBox"].split()[2] for each in (wide, narrow)] == ["640", "340"]
    assert wide.find("desc").text == narrow.find("desc").text


def test_with_nothing_measured_and_nothing_foreseen_there_is_no_chart():
    assert str(charts.draw(chart(history=[], foresight=None), ZONE)) == ""
    assert str(charts.draw(chart(history=history([math.nan]), foresight=None), ZONE)) == ""
    assert str(charts.draw(chart(history=[], foresight=Foresight(NOW, (None,) * 5)), ZONE)) == ""


def test_without_history_what_is_believed_is_drawn_alone_and_nothing_is_said_to_be_measured():
    root = parsed(charts.picture(chart(history=[]), ZONE))
    kinds = {each.attrib.get("class") for each in root.iter()}
    assert {"risk", "even", "decide", "arrive"} <= kinds
    assert not {"history", "limit", "now"} & kinds
    assert root.find("desc").text.startswith("It fails with 10")


def uprights(root) -> dict[str, float]:
    return {each.attrib["class"]: float(each.attrib["x1"]) for each in root.iter() if each.attrib.get("x1")}


def test_moments_stand_where_the_scale_of_time_says():
    at = uprights(parsed(charts.picture(chart(), ZONE)))
    assert at["now"] < at["decide"] < at["arrive"] < at["even"] < 640
    a_day = (at["even"] - at["now"]) / 6
    assert (at["decide"] - at["now"], at["arrive"] - at["now"]) == (
        pytest.approx(2 * a_day, abs=0.2),
        pytest.approx(5 * a_day, abs=0.2),
    )
    (whole, half) = [each for each in parsed(charts.picture(chart(), ZONE)).iter() if "rx" in each.attrib]
    assert float(whole.attrib["x"]) == pytest.approx(at["now"] + 4 * a_day, abs=0.2)
    assert float(whole.attrib["width"]) == pytest.approx(4 * a_day, abs=0.2)
    assert float(half.attrib["width"]) == pytest.approx(2 * a_day, abs=0.2)


def test_where_the_end_is_not_known_the_lane_goes_on_in_an_arrow():
    open_end = seen(fails=(NOW + 4 * DAY, NOW + 5 * DAY, NOW + 6 * DAY, None, None))
    drawn = str(charts.picture(chart(foresight=open_end), ZONE))
    assert 'class="risk" d="M' in drawn
    assert 'class="risk half" d="M' in drawn
    assert "lie beyond what is known ahead" in drawn


def test_a_picture_of_the_past_says_then_instead_of_now():
    labels = [each.text for each in parsed(charts.picture(chart(past=True), ZONE)).iter() if each.tag.endswith("text")]
    assert "then" in labels
    assert "now" not in labels


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
    assert "Expected" not in parsed(charts.picture(chart(limit=100.0), ZONE)).find("desc").text


def test_a_far_forecast_is_drawn_whole_and_leaves_the_past_its_place():
    far = seen(fails=tuple(NOW + days * DAY for days in (300, 350, 400, 450, 500)), decide_by=NOW + 200 * DAY)
    at = uprights(parsed(charts.picture(chart(foresight=far), ZONE)))
    assert 100 < at["now"] < at["decide"] < at["even"] < 628


def test_a_tail_without_end_does_not_squeeze_what_matters():
    long = seen(fails=tuple(NOW + days * DAY for days in (4, 5, 6, 7, 30_000)))
    at = uprights(parsed(charts.picture(chart(foresight=long), ZONE)))
    assert at["decide"] - at["now"] > 30


def test_a_long_past_does_not_squeeze_what_is_ahead():
    old = [(NOW - DAY * days, 5.0) for days in range(900, -1, -1)]
    at = uprights(parsed(charts.picture(chart(history=old), ZONE)))
    assert at["even"] - at["now"] > 60


def test_large_values_are_told_in_thousands():
    labels = [each.text for each in parsed(charts.picture(chart(history=history([0, 6e5])), ZONE)).iter()]
    assert "200\N{NO-BREAK SPACE}k" in labels


def test_thinning_keeps_extremes_and_order():
    points = history([math.sin(step) for step in range(5000)])
    points[1234] = (points[1234][0], 99.0)
    points[3210] = (points[3210][0], -99.0)
    kept = charts.thin(points, 400)
    assert len(kept) <= 400
    assert kept == sorted(kept)
    assert {99.0, -99.0} <= {value for _at, value in kept}


values = st.floats(-1e9, 1e9, allow_nan=False)


moments = st.none() | st.floats(-400, 40_000).map(lambda days: NOW + timedelta(days=days))
forecasts = st.builds(
    lambda fails, decide_by, arrives: Foresight(
        NOW, tuple(sorted(fails, key=lambda at: (at is None, at or NOW))), decide_by, arrives
    ),
    st.lists(moments, min_size=5, max_size=5),
    moments,
    moments,
)


@given(st.lists(values, max_size=50), values, st.lists(values, max_size=8), forecasts, st.sampled_from(FRAMES))
def test_whatever_was_measured_and_foreseen_the_chart_is_whole_finite_and_within_its_frame(
    measured, limit, ahead, foreseen, frame
):
    band = tuple((NOW + DAY * step, value - 1, value, value + 1) for step, value in enumerate(ahead))
    drawn = str(
        charts.picture(chart(history=history(measured), limit=limit, band=band, foresight=foreseen), ZONE, frame)
    )
    if not drawn:
        assert not measured
        return
    root = parsed(drawn)
    assert not re.search(r"\b(nan|inf)\b", re.sub("<desc>.*</desc>", "", drawn))
    for each in root:
        assert all(
            -1 <= float(each.attrib[name]) <= frame.width + 1 for name in ("x", "x1", "x2") if name in each.attrib
        )


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
