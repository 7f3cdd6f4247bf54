"""Charts as SVG, made on the server: what was measured, the limit, the forecast, and by when to decide.

Pure: numbers in, markup out. Every chart says in words what it shows (title and description), takes its colours from
the style sheet by class, so that it follows light and dark, and carries no style of its own, which the page's policy
would refuse anyway. Text enters escaped.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from gettext import gettext as _
from itertools import pairwise
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from gateway.i18n import day, figure, number

WIDTH, HEIGHT = 640, 270
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 28, 34
POINTS_MAX = 400
"""More cannot be told apart at this width; further points are thinned, keeping each stretch's extremes."""

Point = tuple[datetime, float]
Timed = TypeVar("Timed", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw, all values in `unit`. `limit` is the value at which the component is worn out.

    band: (time, 10 % line, middle, 90 % line) of where the value will be; empty when nothing can be foreseen.
    spread: (time, lowest, highest) of what each point of the history stands for. gaps: over these no line runs.
    begin: where the chart starts; at its first point if left out.
    """

    title: str
    unit: str
    history: Sequence[Point]
    now: datetime
    limit: float | None = None
    band: Sequence[tuple[datetime, float, float, float]] = ()
    decide_by: datetime | None = None
    spread: Sequence[tuple[datetime, float, float]] = ()
    gaps: Sequence[datetime] = ()
    begin: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime
    low: float
    high: float

    def x(self, moment: datetime) -> float:
        return LEFT + (moment - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def draw(chart: Chart, zone: ZoneInfo) -> Markup:
    """Return the chart as SVG, or nothing when there is no history to draw."""
    history = thin([point for point in chart.history if math.isfinite(point[1])], POINTS_MAX)
    if not history:
        return Markup()
    scale = _scale(chart, history)
    plot = Markup('<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>').format(
        LEFT,
        TOP,
        WIDTH - LEFT - RIGHT,
        HEIGHT - TOP - BOTTOM,
        _spread(scale, chart) + _band(scale, chart) + _line(scale, history, chart.gaps),
    )  # an inner svg cuts off what leaves the plot
    parts = [
        _axes(scale, chart, zone),
        plot,
        _limit(scale, chart),
        _upright(scale, chart.now, "now", _("now"), high=False),
        _decide(scale, chart),
    ]
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" preserveAspectRatio="xMidYMid meet">'
        "<title>{title}</title><desc>{words}</desc>{parts}</svg>"
    ).format(
        width=WIDTH, height=HEIGHT, title=chart.title, words=describe(chart, history, zone), parts=Markup().join(parts)
    )


def describe(chart: Chart, history: Sequence[Point], zone: ZoneInfo) -> str:
    """Return in words what the chart shows."""
    said = [_("Last value {value} {unit}.").format(value=figure(history[-1][1]), unit=chart.unit)]
    if chart.limit is not None:
        said.append(_("Limit {value} {unit}.").format(value=figure(chart.limit), unit=chart.unit))
        crossing = crosses(chart)
        if crossing is not None:
            said.append(_("Expected to reach it about {day}.").format(day=day(crossing, zone)))
    if chart.decide_by is not None:
        said.append(_("Decide by {day}.").format(day=day(chart.decide_by, zone)))
    return " ".join(said)


def crosses(chart: Chart) -> datetime | None:
    """Return when the middle of the forecast passes the limit, None when it does not within the forecast."""
    if chart.limit is None or not chart.band:
        return None
    below = chart.band[0][2] < chart.limit
    return next((at for at, _low, middle, _high in chart.band if (middle < chart.limit) != below), None)


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points, keeping the lowest and the highest of each stretch in their order."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, most // 2)
    kept: list[Point] = []
    for index in range(stretches):
        stretch = points[index * len(points) // stretches : (index + 1) * len(points) // stretches]
        low, high = min(stretch, key=_value), max(stretch, key=_value)
        kept.extend(sorted({low, high}))
    return kept


def _value(point: Point) -> float:
    return point[1]


def _scale(chart: Chart, history: Sequence[Point]) -> _Scale:
    begin, now = chart.begin or history[0][0], max(history[-1][0], chart.now)
    past = max(now - begin, timedelta(hours=1))
    ahead = [moment for moment, *_values in chart.band if moment > now]
    crossing = crosses(chart)
    wanted = [moment for moment in (crossing, chart.decide_by) if moment is not None and moment > now]
    length = max(wanted, default=max(ahead, default=now)) - now
    # a far forecast shall not squeeze the history into a corner, so the future takes at most three times the past
    end = now + max(min(length * 1.15, past * 3), past * 0.015)
    values = [value for _moment, value in history] + ([] if chart.limit is None else [chart.limit])
    values += [value for _moment, *both in chart.spread for value in both if math.isfinite(value)]
    low, high = min(values), max(values)
    room = (high - low) * 0.14 or max(abs(high) * 0.1, 1.0)
    floor = 0.0 if 0 <= low <= (high - low) else low - room
    return _Scale(begin, max(end, begin + timedelta(minutes=1)), floor, high + room)


def _line(scale: _Scale, history: Sequence[Point], gaps: Sequence[datetime]) -> Markup:
    strokes = (
        " L".join(f"{scale.x(moment):.1f} {scale.y(value):.1f}" for moment, value in run)
        for run in _runs(history, gaps)
    )
    path = " ".join(f"M{stroke}" for stroke in strokes)
    moment, value = history[-1]
    return Markup('<path class="history" d="{}"/><circle class="last" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(
        path, scale.x(moment), scale.y(value)
    )


def _runs(points: Sequence[Timed], gaps: Sequence[datetime]) -> list[Sequence[Timed]]:
    """Return points in stretches between which nothing is drawn."""
    moments = [point[0] for point in points]
    ends = sorted({bisect_right(moments, gap) for gap in gaps} - {0, len(points)})
    return [points[start:end] for start, end in pairwise([0, *ends, len(points)])]


def _spread(scale: _Scale, chart: Chart) -> Markup:
    """Draw what the history's points stand for, each stretch from its lowest to its highest."""
    drawn = [each for each in chart.spread if all(map(math.isfinite, each[1:]))]
    shades = []
    for run in _runs(drawn, chart.gaps):
        upper = [f"{scale.x(at):.1f} {scale.y(high):.1f}" for at, _low, high in run]
        lower = [f"{scale.x(at):.1f} {scale.y(low):.1f}" for at, low, _high in reversed(run)]
        shades.append("M" + " L".join(upper + lower) + " Z")
    return Markup('<path class="band" d="{}"/>').format(" ".join(shades)) if drawn else Markup()


def _band(scale: _Scale, chart: Chart) -> Markup:
    """Draw where the value will be: the space between the 10 % and the 90 % line, and the middle."""
    points = [point for point in chart.band if all(map(math.isfinite, point[1:]))]
    if len(points) < 2:
        return Markup()
    upper = [f"{scale.x(at):.1f} {_bounded(scale.y(high)):.1f}" for at, _low, _middle, high in points]
    lower = [f"{scale.x(at):.1f} {_bounded(scale.y(low)):.1f}" for at, low, _middle, _high in reversed(points)]
    middle = [f"{scale.x(at):.1f} {_bounded(scale.y(value)):.1f}" for at, _low, value, _high in points]
    return Markup('<path class="band" d="M{} Z"/><path class="likely" d="M{}"/>').format(
        " L".join(upper + lower), " L".join(middle)
    )


def _bounded(place: float) -> float:
    """Far outside the plot is far enough: a browser need not handle numbers without end."""
    return min(max(place, -50.0 * HEIGHT), 50.0 * HEIGHT)


def _limit(scale: _Scale, chart: Chart) -> Markup:
    if chart.limit is None:
        return Markup()
    y = scale.y(chart.limit)
    label = _("limit {value} {unit}").format(value=figure(chart.limit), unit=chart.unit)
    return Markup(
        '<line class="limit" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
        '<text class="limit-label" x="{}" y="{:.1f}">{}</text>'
    ).format(LEFT, WIDTH - RIGHT, LEFT + 6, y - 6, label, y=y)


def _decide(scale: _Scale, chart: Chart) -> Markup:
    if chart.decide_by is None or not scale.begin <= chart.decide_by <= scale.end:
        return Markup()
    return _upright(scale, chart.decide_by, "decide", _("decide by"), high=True)


def _upright(scale: _Scale, moment: datetime, kind: str, label: str, *, high: bool) -> Markup:
    """Draw an upright with its label: above the plot, or at its foot to the left of the line."""
    x = scale.x(moment)
    anchor = "end" if x > WIDTH - RIGHT - 70 or not high else "start" if x < LEFT + 70 else "middle"
    return Markup(
        '<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        '<text class="{kind}-label" x="{at:.1f}" y="{y}" text-anchor="{anchor}">{label}</text>'
    ).format(
        kind=kind,
        x=x,
        at=x if high else x - 6,
        top=TOP - 6,
        bottom=HEIGHT - BOTTOM,
        y=TOP - 12 if high else HEIGHT - BOTTOM - 6,
        anchor=anchor,
        label=label,
    )


def _axes(scale: _Scale, chart: Chart, zone: ZoneInfo) -> Markup:
    values = ticks(scale.low, scale.high)
    places = _places(values)
    rows = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            LEFT, WIDTH - RIGHT, y=scale.y(value)
        )
        + Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            LEFT - 8, scale.y(value) + 4, number(value, places)
        )
        for value in values
    ]
    days = [
        Markup('<text class="{}" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            "tick minor" if index % 2 else "tick",  # on a telephone the minor ones would run into each other
            scale.x(moment),
            HEIGHT - 12,
            anchor,
            _short(moment, scale, zone),
        )
        for index, (moment, anchor) in enumerate(_moments(scale))
    ]
    unit = Markup('<text class="tick" x="2" y="14">{}</text>').format(chart.unit)
    return Markup().join([*rows, *days, unit])


def _places(values: Sequence[float]) -> int:
    """Return the decimals that tell every tick from the next."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _moments(scale: _Scale) -> list[tuple[datetime, str]]:
    length = scale.end - scale.begin
    anchors = ["start", "middle", "middle", "middle", "end"]
    return [(scale.begin + length * (index / 4), anchor) for index, anchor in enumerate(anchors)]


def _short(moment: datetime, scale: _Scale, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return local.strftime("%d.%m. %H:%M") if scale.end - scale.begin < timedelta(days=4) else local.strftime("%Y-%m-%d")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values between two bounds, at steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


def meter(share: float, label: str, *, level: str) -> Markup:
    """Return a small bar for a share of one; `level` (good, fair, poor) chooses its colour, the label says it."""
    width = 100 * min(max(share, 0.0), 1.0)
    return Markup(
        '<svg class="meter {level}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<rect class="rail" width="100" height="8"/><rect class="fill" width="{width:.1f}" height="8"/></svg>'
    ).format(level=level, label=escape(label), width=width)
