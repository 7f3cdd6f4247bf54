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
from decimal import Decimal
from gettext import gettext as _
from itertools import pairwise
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from gateway.i18n import day, figure, number
from gateway.views.foresight import Foresight

POINTS_MAX = 400
"""More cannot be told apart at this width; further points are thinned, keeping each stretch's extremes."""
ROW, LANE, FOOT = 22, 34, 34
"""Heights: a row of labels above the plot, the lane of the failure below it, the days at the foot."""
PAST_LEAST, PAST_MOST = 0.12, 4.0
"""How much past is drawn beside what is ahead, as a share of it: so that neither squeezes the other into a corner."""

Point = tuple[datetime, float]
Timed = TypeVar("Timed", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Frame:
    """Measures of one rendering, in units of its view box; `kind` is its class, by which a style sheet chooses."""

    kind: str
    width: int
    plot: int
    left: int
    right: int = 12
    stations: int = 4


FRAMES = (Frame("wide", 640, 208, 60), Frame("narrow", 340, 180, 46, stations=2))
"""What fits a desk and what fits a telephone: letters keep their size, whatever the width."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw, all values in `unit`. `limit` is the value at which the component is worn out.

    band: (time, 10 % line, middle, 90 % line) of where the value will be; empty when nothing can be foreseen.
    foresight: when it fails, by when to decide and when a part arrives; None where nobody asked.
    spread: (time, lowest, highest) of what each point of the history stands for. gaps: over these no line runs.
    begin: where the chart starts; at its first point if left out. past: `now` has long been, as in a record.
    """

    title: str
    unit: str
    history: Sequence[Point]
    now: datetime
    limit: float | None = None
    band: Sequence[tuple[datetime, float, float, float]] = ()
    foresight: Foresight | None = None
    spread: Sequence[tuple[datetime, float, float]] = ()
    gaps: Sequence[datetime] = ()
    begin: datetime | None = None
    past: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where moments and values lie. top, floor: of the plot; foot: of the lane below it, where there is one."""

    frame: Frame
    begin: datetime
    end: datetime
    low: float
    high: float
    top: int
    floor: int
    foot: int

    @property
    def left(self) -> int:
        return self.frame.left

    @property
    def right(self) -> int:
        return self.frame.width - self.frame.right

    @property
    def height(self) -> int:
        return self.foot + FOOT

    @property
    def plots(self) -> bool:
        return self.floor > self.top

    def x(self, moment: datetime) -> float:
        return self.left + (moment - self.begin) / (self.end - self.begin) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.floor - (value - self.low) / (self.high - self.low) * (self.floor - self.top)


def draw(chart: Chart, zone: ZoneInfo) -> Markup:
    """Return the chart for every width, of which the style sheet shows one; nothing where there is nothing to draw."""
    drawn = [picture(chart, zone, frame) for frame in FRAMES]
    return Markup('<div class="charts">{}</div>').format(Markup().join(drawn)) if all(drawn) else Markup()


def picture(chart: Chart, zone: ZoneInfo, frame: Frame = FRAMES[0]) -> Markup:
    """Return the chart as one SVG; nothing without history and without a moment ahead."""
    history = thin([point for point in chart.history if math.isfinite(point[1])], POINTS_MAX)
    if not history and not _ahead(chart):
        return Markup()
    scale = _scale(chart, history, frame)
    parts = [_days(scale, zone), _lane(scale, chart.foresight), _uprights(scale, chart)]
    if history:
        limit, label = _limit(scale, chart)
        parts = [_values(scale, chart), _plot(scale, chart, history), limit, *parts, label]
    return Markup(
        '<svg class="chart {kind}" viewBox="0 0 {width} {height}" role="img" preserveAspectRatio="xMidYMid meet">'
        "<title>{title}</title><desc>{words}</desc>{parts}</svg>"
    ).format(
        kind=frame.kind,
        width=frame.width,
        height=scale.height,
        title=chart.title,
        words=describe(chart, history, zone),
        parts=Markup().join(parts),
    )


def _plot(scale: _Scale, chart: Chart, history: Sequence[Point]) -> Markup:
    """Draw what was measured and its course; an inner svg cuts off what leaves the plot."""
    return Markup('<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>').format(
        scale.left,
        scale.top,
        scale.right - scale.left,
        scale.floor - scale.top,
        _spread(scale, chart) + _band(scale, chart) + _line(scale, history, chart.gaps),
    )


def describe(chart: Chart, history: Sequence[Point], zone: ZoneInfo) -> str:
    """Return in words what the chart shows."""
    said = []
    if history:
        said.append(_("Last value {value} {unit}.").format(value=figure(history[-1][1]), unit=chart.unit))
    if history and chart.limit is not None:
        said.append(_("Limit {value} {unit}.").format(value=figure(chart.limit), unit=chart.unit))
        crossing = crosses(chart)
        if crossing is not None:
            said.append(_("Expected to reach it about {day}.").format(day=day(crossing, zone)))
    if chart.foresight is not None:
        said.append(chart.foresight.words(zone))
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


def _ahead(chart: Chart) -> list[datetime]:
    """Return the moments that a chart must reach to; a long tail is drawn as far again as what matters, no further."""
    seen = chart.foresight
    if seen is None:
        return []
    early, _quarter, even, _third, late = seen.fails
    wanted = [each for each in (even or early, seen.decide_by, seen.arrives) if each is not None]
    tail = late if late is not None and late > chart.now else None
    if wanted and tail is not None:
        tail = min(tail, max(chart.now, *wanted) + max(max(wanted) - chart.now, timedelta(0)))
    return wanted if tail is None else [*wanted, tail]


def _scale(chart: Chart, history: Sequence[Point], frame: Frame) -> _Scale:
    begin, end = _span(chart, history)
    low, high = _range(chart, [point for point in history if point[0] >= begin] or history[-1:])
    seen = chart.foresight
    marks = 0 if seen is None else (seen.decide_by is not None) + (seen.arrives is not None)
    top = 6 + ROW * max(marks, 1)
    floor = top + (frame.plot if history else 0)
    return _Scale(frame, begin, end, low, high, top, floor, floor + (0 if seen is None else LANE))


def _span(chart: Chart, history: Sequence[Point]) -> tuple[datetime, datetime]:
    """Return from when to when: what is ahead as far as it matters, and of the past what does not dwarf it."""
    now = max(history[-1][0], chart.now) if history else chart.now
    band = [moment for moment, *_values in chart.band if moment > now]
    wanted = [moment for moment in (crosses(chart), *_ahead(chart)) if moment is not None and moment > now]
    ahead = (max(wanted, default=max(band, default=now)) - now) * 1.08
    first = chart.begin or (history[0][0] if history else min([now, *_ahead(chart)]))
    past = max(now - first, timedelta(hours=1))
    if chart.foresight is not None and ahead:
        past = min(max(now - first, ahead * PAST_LEAST), ahead * PAST_MOST)
    begin, end = now - past, now + max(ahead, past * 0.015)
    return begin, max(end, begin + timedelta(minutes=1))


def _range(chart: Chart, history: Sequence[Point]) -> tuple[float, float]:
    values = [value for _moment, value in history] + ([] if chart.limit is None else [chart.limit])
    values += [value for _moment, *both in chart.spread for value in both if math.isfinite(value)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.14 or max(abs(high) * 0.1, 1.0)
    return (0.0 if 0 <= low <= (high - low) else low - room), high + room


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
    return min(max(place, -10_000.0), 10_000.0)


def _limit(scale: _Scale, chart: Chart) -> tuple[Markup, Markup]:
    """Draw the limit: its line, and its label, which lies over whatever crosses it."""
    if chart.limit is None:
        return Markup(), Markup()
    y = scale.y(chart.limit)
    label = _("limit {value} {unit}").format(value=figure(chart.limit), unit=chart.unit)
    line = Markup('<line class="limit" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>')
    text = Markup('<text class="limit-label" x="{}" y="{:.1f}">{}</text>')
    return line.format(scale.left, scale.right, y=y), text.format(scale.left + 6, y - 6, label)


def _lane(scale: _Scale, seen: Foresight | None) -> Markup:
    """Draw when it fails: 10 to 90 % pale, the middle half darker, even odds as a mark; open where nothing is known."""
    if seen is None:
        return Markup()
    middle = scale.floor + LANE / 2 + 3
    parts = [
        Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            scale.left - 8, middle + 4, _("fails")
        ),
        Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            scale.left, scale.right, y=middle
        ),
    ]
    early, early_half, even, late_half, late = seen.fails
    for first, last, kind in ((early, late, "risk"), (early_half, late_half, "risk half")):
        if first is not None and first < scale.end:
            parts.append(_stretch(scale, first, last, middle, kind))
    if even is not None and scale.begin <= even <= scale.end:
        parts.append(
            Markup('<line class="even" x1="{x:.1f}" x2="{x:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                middle - 10, middle + 10, x=scale.x(even)
            )
        )
    return Markup().join(parts)


def _stretch(scale: _Scale, first: datetime, last: datetime | None, middle: float, kind: str) -> Markup:
    """Draw one stretch of the lane; one that goes on beyond the chart ends in an arrow."""
    left, end = scale.x(max(first, scale.begin)), float(scale.right)
    if last is not None and last <= scale.end:
        end = max(scale.x(max(last, scale.begin)), left + 2)
        return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="12" rx="4"/>').format(
            kind, left, middle - 6, end - left
        )
    point = max(end - 7, left)
    return Markup(
        '<path class="{}" d="M{l:.1f} {t:.1f} H{p:.1f} L{e:.1f} {m:.1f} L{p:.1f} {b:.1f} H{l:.1f} Z"/>'
    ).format(kind, l=left, p=point, e=end, t=middle - 6, m=middle, b=middle + 6)


def _uprights(scale: _Scale, chart: Chart) -> Markup:
    """Draw now, the last moment to decide and the arrival of a part; each label in a row of its own, over all lines."""
    seen = chart.foresight
    marks: list[tuple[datetime | None, str, str]] = []
    if seen is not None:
        marks = [(seen.decide_by, "decide", _("decide by")), (seen.arrives, "arrive", _("part is here"))]
    drawn = [(_line_at(scale, chart.now, "now", scale.top - 4), _now(scale, chart))] if scale.plots else []
    for row, (moment, kind, label) in enumerate(mark for mark in marks if mark[0] is not None):
        if moment is not None and scale.begin <= moment <= scale.end:
            base = 16 + ROW * row
            drawn.append((_line_at(scale, moment, kind, base + 5), _label(scale, moment, kind, label, base)))
    return Markup().join([line for line, _text in drawn] + [text for _line, text in drawn])


def _line_at(scale: _Scale, moment: datetime, kind: str, top: int) -> Markup:
    return Markup('<line class="{}" x1="{x:.1f}" x2="{x:.1f}" y1="{}" y2="{}"/>').format(
        kind, top, scale.foot, x=scale.x(moment)
    )


def _now(scale: _Scale, chart: Chart) -> Markup:
    """Label now at the foot of its line, beside what has been."""
    label = _("then") if chart.past else _("now")
    return Markup('<text class="now-label" x="{:.1f}" y="{}" text-anchor="end">{}</text>').format(
        scale.x(chart.now) - 6, scale.floor - 6, label
    )


def _label(scale: _Scale, moment: datetime, kind: str, label: str, base: int) -> Markup:
    """Label an upright above the plot: about its line, or on the side where there is room."""
    x = scale.x(moment)
    room = 4.0 * len(label) + 4
    anchor = "end" if x > scale.right - room else "start" if x < scale.left + room or kind == "arrive" else "middle"
    if kind == "arrive" and x + 2 * room > scale.right:
        anchor = "end"
    return Markup('<text class="{}-label" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
        kind, x, base, anchor, label
    )


def _values(scale: _Scale, chart: Chart) -> Markup:
    """Draw the lines of round values, and the unit above them."""
    values = ticks(scale.low, scale.high)
    places = _places(values)
    thousands = max(map(abs, values), default=0.0) >= 10_000 and places == 0
    rows = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            scale.left, scale.right, y=scale.y(value)
        )
        + Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            scale.left - 8, scale.y(value) + 4, _thousands(value) if thousands else number(value, places)
        )
        for value in values
    ]
    unit = Markup('<text class="tick" x="2" y="16">{}</text>').format(chart.unit)
    return Markup().join([*rows, unit])


def _thousands(value: float) -> str:
    """Return a large value as people write it where there is little room: 200 k."""
    told = number(Decimal(f"{value / 1000:.4g}").normalize())
    return told if value == 0 else f"{told}\N{NO-BREAK SPACE}k"


def _days(scale: _Scale, zone: ZoneInfo) -> Markup:
    return Markup().join(
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            scale.x(moment), scale.height - 10, anchor, _short(moment, scale, zone)
        )
        for moment, anchor in _moments(scale)
    )


def _places(values: Sequence[float]) -> int:
    """Return the decimals that tell every tick from the next."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _moments(scale: _Scale) -> list[tuple[datetime, str]]:
    length, last = scale.end - scale.begin, scale.frame.stations
    anchors = ["start", *["middle"] * (last - 1), "end"]
    return [(scale.begin + length * (index / last), anchor) for index, anchor in enumerate(anchors)]


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
