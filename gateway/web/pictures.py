"""A belief as a picture: of a need as it stands, and of what an order was placed on, as it was recorded then.

What was measured before a moment stays what it was, so the history of an order's picture is read from the telemetry
store while the same part is fitted; the belief, the limit and the advice are those of the record and never computed
anew. What is no longer kept is not drawn, and the words say so. It reads no store itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from gettext import gettext as _
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from gateway.views import NeedView
from gateway.views.changes import changes
from gateway.views.foresight import Foresight, foresee, usual
from gateway.web import charts
from gateway.web.charts import Chart
from maintenance.needs import Evidence, Need
from maintenance.picture import Picture
from marketplace.ordering.reason import Recorded

SHOWN_MAX: Final = 3
"""Pictures of one order: more components than that in one order are told in words alone."""

Stored = Mapping[str, tuple[Need, Picture]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One belief: the picture, what it says in words, what a part usually lasts, and what would change the advice.

    chart: "" where there is nothing to draw. told: whether the history was still there.
    """

    component: str
    chart: Markup
    words: str
    usual: str
    changes: Sequence[str]
    told: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """What the evidence says was measured: a value and the limit that it was held against, in `unit`."""

    value: float
    limit: float
    unit: str


def of_need(view: NeedView, picture: Picture, zone: ZoneInfo) -> Markup:
    """Return the picture of a need as it stands."""
    band = [(point.at, point.low, point.middle, point.high) for point in picture.forecast]
    seen = view.foresight
    return charts.draw(Chart(view.name, picture.unit, picture.history, seen.now, picture.threshold, band, seen), zone)


async def panel_of_need(view: NeedView, picture: Picture, zone: ZoneInfo) -> Panel:
    """Return everything that explains a need as it stands."""
    advice = view.advice
    turned = [] if advice is None else await changes(view.belief, advice.weighed.terms, advice.weighed.now, zone)
    drawn, seen = of_need(view, picture, zone), view.foresight
    return Panel(view.component, drawn, seen.words(zone), usual(view.belief, zone), turned, len(picture.history) > 1)


async def panels_of_record(
    recorded: Sequence[Recorded], stored: Stored, called: Callable[[str], str], zone: ZoneInfo
) -> list[Panel]:
    """Return the same of what an order was placed on, as it was then; `called`: what people call components."""
    return [await _panel(one, stored.get(one.component), called, zone) for one in recorded[:SHOWN_MAX]]


async def _panel(
    one: Recorded, stored: tuple[Need, Picture] | None, called: Callable[[str], str], zone: ZoneInfo
) -> Panel:
    by = one.weighed
    seen = foresee(one.belief, by.now, by.terms, one.figures)
    chart = chart_of_record(one, seen, stored, called(one.component))
    turned = await changes(one.belief, by.terms, by.now, zone)
    drawn = charts.draw(chart, zone)
    return Panel(one.component, drawn, seen.words(zone), usual(one.belief, zone), turned, len(chart.history) > 1)


def chart_of_record(one: Recorded, seen: Foresight, stored: tuple[Need, Picture] | None, name: str) -> Chart:
    """Return what to draw of a recorded belief; `stored` is what the telemetry store holds of that component today."""
    chart = Chart(_("{component}, as it was then").format(component=name), "", (), seen.now, foresight=seen, past=True)
    if stored is not None and stored[0].life == one.life:
        past = [point for point in stored[1].history if point[0] <= one.belief.as_of]
        chart = replace(chart, unit=stored[1].unit, history=past if len(past) > 1 else ())
    measured = measured_of(one.evidence)
    if measured is None:
        return chart
    past = list(chart.history) if chart.unit == measured.unit else []
    points = [*past, (one.belief.as_of, measured.value)]
    return replace(chart, unit=measured.unit, limit=measured.limit, history=points)


_READ: Final[Mapping[str, tuple[str, str]]] = {
    "LEVEL": ("value", "limit"),
    "LEVEL_TREND": ("value", "limit"),
    "USAGE": ("used", "rated"),
    "USAGE_BY_CLOCK": ("used", "rated"),
    "DEVIATION": ("ratio", "failure"),
}
"""Which figures of which evidence are a value and its limit."""


def measured_of(evidence: Sequence[Evidence]) -> Measured | None:
    """Return what was measured, out of the first evidence that says a value and its limit; None where none does."""
    for each in evidence:
        names = _READ.get(each.code)
        if names is not None:
            value, limit = (_figure(each.parameters.get(name, "")) for name in names)
            if value is None or limit is None:
                return None
            if each.code != "USAGE_BY_CLOCK":
                return Measured(value, limit, each.parameters.get("unit", "σ"))
            return Measured(100.0 * value / limit, 100.0, "%") if limit else None
    return None


def _figure(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
