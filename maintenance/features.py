"""Data manipulation (ISO 13374 DM): from samples to features, in constant time and memory.

Three small machines: a robust smoother that a single wild value hardly moves but a lasting step does; a framer that
averages whatever arrives within a span of plant time; a discounted straight-line fit whose memory fades. They hold
numbers only: no tag, no unit, no clock. Their state is packed, see `packing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from maintenance.packing import Layout, Packer, Unpacker

Vector = NDArray[np.float64]

CLIP = 4.0
"""An innovation beyond this many scales counts as one of this many: a spark moves little, a step still arrives."""
ALPHA_MAX = 0.2
"""However rare the samples, a level is the work of about nine of them, never of one."""
WARM_UP = 5
TRIM = 0.2
"""Share of the largest and of the smallest left out of a trimmed mean: two wild signals in ten hardly count."""


def ewma(previous: float, value: float, alpha: float) -> float:
    """Return the exponentially weighted moving average after one more value; `alpha` is the weight of the new one."""
    return previous + alpha * (value - previous)


def trimmed_mean(values: Vector) -> float:
    """Return the mean without the largest and smallest fifth; with fewer than five values it is the plain mean."""
    cut = int(values.size * TRIM)
    return float(np.sort(values)[cut : values.size - cut].mean())


@dataclass(slots=True)
class RobustLevel:
    """A smoothed level with the scale of its noise (mean absolute innovation).

    floor: the smallest scale believed in, so that a signal that stood still can move again. Above 0.
    """

    kept: ClassVar = Layout(numbers=("level", "scale"), wholes=("count",))
    floor: float
    level: float = 0.0
    scale: float = 0.0
    count: int = 0

    def take(self, value: float, alpha: float) -> None:
        """Fold one finite value; `alpha` is bounded by `ALPHA_MAX` after the first few."""
        self.count = count = self.count + 1
        innovation = value - self.level
        if count <= WARM_UP:
            alpha = 1.0 / count
        else:
            alpha = alpha if alpha < ALPHA_MAX else ALPHA_MAX
            bound = CLIP * (self.scale if self.scale > self.floor else self.floor)
            innovation = -bound if innovation < -bound else bound if innovation > bound else innovation
        self.level += alpha * innovation
        if count > 1:
            weight = alpha if alpha * count > 1.0 else 1.0 / count
            self.scale += weight * (abs(innovation) - self.scale)

    @property
    def deviation(self) -> float:
        """The standard deviation of the level itself, were the noise normal: sigma = scale * sqrt(pi / 2)."""
        weight = ALPHA_MAX / (2.0 - ALPHA_MAX)
        return max(self.scale, self.floor) * math.sqrt(math.pi / 2 * max(weight, 1.0 / max(self.count, 1)))


@dataclass(slots=True)
class Framer:
    """Averages the values of several signals over spans of plant time, aligned to the epoch.

    A frame closes when a value of a later frame arrives; a signal that was silent in it keeps its last value, because
    machines report changes only.
    """

    signals: int
    span_hours: float
    index: int | None = None
    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    last: list[float | None] = field(default_factory=list)
    usual: float = 1.0

    def __post_init__(self) -> None:
        self.sums = self.sums or [0.0] * self.signals
        self.counts = self.counts or [0] * self.signals
        self.last = self.last or [None] * self.signals

    def turn(self, hours: float) -> Vector | None:
        """Move to the frame of a time; return the one that this closed, NaN where a signal is missing, or None."""
        index = int(hours / self.span_hours + 1e-9)
        if self.index is not None and index <= self.index:
            return None  # a signal that lags behind the others is counted where they are
        closed = None
        if self.index is not None:
            closed = self.open_frame()
            self.usual += 0.1 * (sum(self.counts) - self.usual)
            self.sums = [0.0] * self.signals
            self.counts = [0] * self.signals
        self.index = index
        return closed

    def take(self, signal: int, value: float) -> None:
        """Fold one value into the open frame."""
        self.sums[signal] += value
        self.counts[signal] += 1
        self.last[signal] = value

    @property
    def end_hours(self) -> float:
        """When the open frame ends."""
        return ((self.index or 0) + 1) * self.span_hours

    def open_frame(self) -> Vector:
        """Return the frame as it would be if it closed now."""
        return np.array(
            [
                total / count if count else math.nan if last is None else last
                for total, count, last in zip(self.sums, self.counts, self.last, strict=True)
            ]
        )

    @property
    def fill(self) -> float:
        """How full the open frame is against a usual one, from 0 to 1."""
        return min(sum(self.counts) / max(self.usual, 1.0), 1.0)

    def pack(self, packer: Packer) -> None:
        """Pack the open frame."""
        packer.whole(self.index)
        packer.number(self.usual)
        for total, count, last in zip(self.sums, self.counts, self.last, strict=True):
            packer.whole(count)
            if count:
                packer.number(total)
            packer.number(last)

    def unpack(self, packed: Unpacker) -> None:
        """Go on with the frame that was packed, of as many signals."""
        self.index, self.usual = packed.whole(), packed.number() or 0.0
        for signal in range(self.signals):
            self.counts[signal] = count = packed.count()
            self.sums[signal] = (packed.number() or 0.0) if count else 0.0
            self.last[signal] = packed.number()


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line seen from its newest point: `level` there, `slope` per unit of use, and their deviations."""

    level: float
    slope: float
    slope_deviation: float
    noise: float
    span: float
    points: int


@dataclass(slots=True)
class DiscountedTrend:
    """Least squares whose points fade by `keep` with every newer one (memory of about 1 / (1 - keep) points).

    Moments are kept about the newest point, so that a life of millions of cycles costs no precision.
    """

    kept: ClassVar = Layout(numbers=("at", "s0", "s1", "s2", "y0", "y1", "yy"), wholes=("points",))
    keep: float
    points: int = 0
    at: float = 0.0
    s0: float = 0.0
    s1: float = 0.0
    s2: float = 0.0
    y0: float = 0.0
    y1: float = 0.0
    yy: float = 0.0

    def take(self, use: float, value: float) -> None:
        """Fold one point; `use` never falls (a fall counts as standing still)."""
        step = max(use - self.at, 0.0) if self.points else 0.0
        keep = self.keep
        self.s2 = keep * (self.s2 + 2 * step * self.s1 + step * step * self.s0)
        self.s1 = keep * (self.s1 + step * self.s0)
        self.y1 = keep * (self.y1 + step * self.y0)
        self.s0 = keep * self.s0 + 1.0
        self.y0 = keep * self.y0 + value
        self.yy = keep * self.yy + value * value
        self.at = max(use, self.at) if self.points else use
        self.points += 1

    def fit(self) -> Trend | None:
        """Return the line, or None before three points at different use."""
        determinant = self.s0 * self.s2 - self.s1 * self.s1
        if self.points < 3 or determinant <= 1e-9 * self.s0 * max(self.s2, 1e-12):
            return None
        backward = (self.s0 * self.y1 - self.s1 * self.y0) / determinant
        level = (self.y0 - backward * self.s1) / self.s0
        residual = max(self.yy - level * self.y0 - backward * self.y1, 0.0)
        noise = math.sqrt(residual / max(self.s0 - 2.0, 1.0))
        deviation = noise * math.sqrt(self.s0 / determinant)
        return Trend(level, -backward, deviation, noise, 2.0 * self.s1 / self.s0, self.points)

    def with_point(self, use: float, value: float) -> DiscountedTrend:
        """Return a copy that has seen one more point."""
        copy = replace(self)
        copy.take(use, value)
        return copy


HISTORY_MAX = 60
"""Points kept for a chart, 30 at least: one for each few pixels of what a phone has room for beside the forecast."""
STEPS = 0xFFFF
"""A packed point is placed within so many steps of the chart's width and height: far finer than anybody sees."""


@dataclass(slots=True)
class History:
    """A bounded picture of the past: when full, every second point goes and the stride doubles."""

    hours: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stride: int = 1
    skipped: int = 0

    def take(self, hours: float, value: float) -> None:
        """Keep the point, or skip it by the stride."""
        self.skipped += 1
        if self.skipped < self.stride:
            return
        self.skipped = 0
        self.hours.append(hours)
        self.values.append(value)
        if len(self.hours) >= HISTORY_MAX:
            self._thin()

    def _thin(self) -> None:
        self.hours, self.values, self.stride = self.hours[::2], self.values[::2], self.stride * 2

    def pack(self, packer: Packer) -> None:
        """Pack the points, to the `STEPS`; a picture decides nothing."""
        for count in (len(self.hours), self.stride, self.skipped):
            packer.whole(count)
        for axis in (self.hours, self.values):
            if axis:
                low, span = min(axis), max(axis) - min(axis)
                packer.number(low)
                packer.number(span)
                packer.array(np.rint((vector(axis) - low) * (STEPS / (span or 1.0))), "<u2")

    def unpack(self, packed: Unpacker) -> None:
        """Go on from the points that were packed."""
        count, self.stride, self.skipped = packed.count(), packed.count(), packed.count()
        self.hours, self.values = (_axis(packed, count) if count else [] for _ in range(2))

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed, which had more points."""
        self.hours, self.values, self.stride, self.skipped = (
            state[each] for each in ("hours", "values", "stride", "skipped")
        )
        while len(self.hours) >= HISTORY_MAX:
            self._thin()


def _axis(packed: Unpacker, count: int) -> list[float]:
    low, span = packed.number() or 0.0, packed.number() or 0.0
    placed: list[float] = (low + packed.array(count, kind="<u2") * (span / STEPS)).tolist()
    return placed


def vector(values: Sequence[float]) -> Vector:
    """Return the numbers as a vector."""
    return np.asarray(values, dtype=np.float64)
