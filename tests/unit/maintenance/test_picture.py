"""A picture for a chart: bounded, in calendar time, wider the farther ahead, and equal after a round trip."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from maintenance.features import History
from maintenance.picture import Picture, draw
from maintenance.trackers.tracker import Outlook

DAY = timedelta(days=1)


def test_the_middle_follows_the_slope_in_calendar_time(now: datetime):
    picture = draw("mill/seal", History([], []), Outlook(100, 1.0, 0.0, 1000, "cycles"), 2.0, DAY, now)
    assert picture.forecast[-1].at == now + DAY
    assert picture.forecast[-1].middle == pytest.approx(148)
    assert picture.forecast[-1].low == picture.forecast[-1].high


def test_growth_bends_the_course_and_chance_widens_it(now: datetime):
    outlook = Outlook(2.0, 0.01, 0.002, 7.1, "mm/s", growth=0.01, flow=0.001)
    points = draw("mill/bearing", History(), outlook, 1.0, 10 * DAY, now).forecast
    assert points[-1].middle > 2.0 + 0.01 * 240
    assert points[-1].low < points[-1].middle < points[-1].high


def test_nothing_is_drawn_beyond_ten_years(now: datetime):
    picture = draw("mill/oil", History(), Outlook(0, 1, 0, 1, "h"), 1.0, timedelta(days=10**6), now)
    assert picture.forecast[-1].at <= now + timedelta(days=3653)


def test_a_picture_survives_its_document(now: datetime):
    history = History([24.0, 48.5], [0.1, 0.30000000000000004])
    picture = draw("mill/oil", history, Outlook(0, 1, 0.1, 1, "h"), 1.0, DAY, now)
    assert Picture.of_document(json.loads(json.dumps(picture.document()))) == picture
