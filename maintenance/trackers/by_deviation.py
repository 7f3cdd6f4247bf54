"""The tracker of lives that are measured by the distance from the unit's own healthy self; no limit is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any

import numpy as np

from maintenance import detection, health, prognosis
from maintenance.detection import Baseline
from maintenance.features import DiscountedTrend, Framer, Trend, Vector
from maintenance.needs import Evidence
from maintenance.prognosis import Basis, Drift
from maintenance.settings import ComponentSettings, DeviationWear, in_unit
from maintenance.trackers.tracker import CLOCK, KEEP, Assessment, Outlook, Proposal, Tracker, number
from maintenance.usage import SUSTAINED

SMOOTHING = 0.1
"""Weight of a new frame in the deviation: about ten frames make one opinion."""
FRAMES_PER_LIFE = 500
"""A frame is this part of the rated life, so that a baseline of 25 is a twentieth of it; but at least an hour."""
FRAMES_AHEAD = 1000
"""How far a deviation looks ahead where no life is rated."""


class Pool:
    """The healthy selves of units of one kind, so that they share their scatter."""

    def __init__(self) -> None:
        self._baselines: dict[str, Baseline] = {}
        self.version = 0

    def put(self, component: str, baseline: Baseline) -> None:
        """A unit has a healthy self, complete or just begun anew."""
        self._baselines[component] = baseline
        self.version += 1

    def scatter(self, component: str, own: Baseline) -> Vector:
        """Return the pooled healthy scatter for a unit; peers in the order of their keys, so that replay is exact."""
        peers = (self._baselines[key] for key in sorted(self._baselines) if key != component)
        return detection.pooled_scatter(own, peers)


class DeviationTracker(Tracker):
    """A life measured by the distance from the unit's own healthy self."""

    kind = "deviation"

    def __init__(self, component: str, settings: ComponentSettings, tags: Mapping[str, str], pool: Pool) -> None:
        super().__init__(settings, tags)
        wear = settings.wear
        assert isinstance(wear, DeviationWear)
        self._component, self._wear, self._pool = component, wear, pool
        usual_hours = self.rated / self.clock.rate.prior / FRAMES_PER_LIFE
        self._frame_hours = in_unit(wear.frame, "h") if wear.frame else max(usual_hours, 1.0)
        self.forget()

    def forget(self) -> None:
        """A new part has its own healthy self."""
        signals = len(self._wear.tags)
        self.framer = Framer(signals, self._frame_hours)
        self.baseline = Baseline(signals, self._wear.baseline)
        self.smooth = np.zeros(signals)
        self.trend = DiscountedTrend(KEEP)
        self.last_use = -math.inf
        self.worst, self.new_count, self.new_since = 0.0, 0, 0.0
        self._scatter: tuple[int, Vector] | None = None

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a value of a signal, or a reading of the counter of use."""
        ends = self.framer.end_hours
        closed = self.framer.turn(hours)  # before the counter moves: a frame ends with its own use
        if closed is not None:
            self._close(closed, ends)
        if signal == CLOCK:
            self.clock.take(value, hours)
        else:
            self.framer.take(signal, value)

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Refuse a typed value: it is one of several signals."""
        raise ValueError(_("this component is watched by several signals; a single reading says nothing about it"))

    def _close(self, frame: Vector, ends: float) -> None:
        use = self.clock.used_at(ends)
        if self.clock.counted and use <= self.last_use:
            return  # the machine stood still; at rest it is not itself
        self.last_use = use
        if not self.baseline.complete:
            self._learn(frame)
            return
        self.smooth = self._smoothed(frame, SMOOTHING)
        deviation = detection.index(self._z(self.smooth))
        if deviation is not None:
            self.trend.take(use, deviation)
            self.history.take(ends, deviation)
            self._watch_for_new(deviation, ends)

    def _learn(self, frame: Vector) -> None:
        """A frame with a missing signal teaches nothing about health."""
        if np.all(np.isfinite(frame)):
            self.baseline.take(frame)
        if self.baseline.complete:
            self._pool.put(self._component, self.baseline)

    def _smoothed(self, frame: Vector, alpha: float) -> Vector:
        distance = frame - np.array(self.baseline.mean)
        return np.where(np.isfinite(frame), self.smooth + alpha * (distance - self.smooth), self.smooth)

    def _z(self, smooth: Vector) -> Vector:
        if self._scatter is None or self._scatter[0] != self._pool.version:
            self._scatter = (self._pool.version, self._pool.scatter(self._component, self.baseline))
        return detection.z_scores(smooth, self._scatter[1])

    def _watch_for_new(self, deviation: float, hours: float) -> None:
        self.worst = max(self.worst, deviation)
        if self.worst < prognosis.FAILURE_DEVIATION / 2 or deviation > self.worst / 3:
            self.new_count = 0
            return
        self.new_since = hours if not self.new_count else self.new_since
        self.new_count += 1

    def proposal(self) -> Proposal | None:
        """Return a deviation that is gone for several frames, or a counter's jump back."""
        if self.new_count < SUSTAINED:
            return self.clock_proposal()
        return Proposal("DEVIATION_GONE", self.new_since, {"was": number(self.worst)})

    def dismiss(self) -> None:
        """The part is the old one, whatever its signals say."""
        super().dismiss()
        self.worst, self.new_count = 0.0, 0

    def _now(self, use_per_hour: float) -> tuple[Vector, float, Drift]:
        """Return z-scores, deviation and its drift with the open frame in, so far as it is filled."""
        healthy = self.baseline.wanted * self._frame_hours * use_per_hour
        usual = self.rated / prognosis.QUARTER or prognosis.QUARTER * healthy
        smooth, fresh = self.smooth, False
        use = self.clock.used_at(self.framer.end_hours)
        if any(self.framer.counts) and not (self.clock.counted and use <= self.last_use):
            smooth, fresh = self._smoothed(self.framer.open_frame(), SMOOTHING * self.framer.fill), True
        z = self._z(smooth)
        deviation = detection.index(z)
        if deviation is None:
            return z, 0.0, prognosis.deviation_drift(None, 0.0, usual)
        fit = (self.trend.with_point(use, deviation) if fresh else self.trend).fit()
        return z, deviation, prognosis.deviation_drift(_widened(fit), deviation, usual)

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Carry the deviation on along its trend; before there is a healthy self, only a rated life can speak."""
        horizon = prognosis.LIVES_AHEAD * self.rated or FRAMES_AHEAD * self._frame_hours * basis.use_per_hour
        if not self.baseline.complete:
            have = {"have": str(self.baseline.count), "want": str(self.baseline.wanted)}
            unknown, used = replace(basis, known=False), self.clock.used_at(hours)
            belief = prognosis.by_usage(used, used, self.rated or horizon, 3.0, unknown)
            return Assessment(belief, 1.0, (Evidence("BASELINE", have), *self.clock_evidence()))
        z, deviation, rate = self._now(basis.use_per_hour)
        told_enough = self.clock.past_known and not self.clock.doubted and bool(np.any(np.isfinite(z)))
        known = basis.known and told_enough and self.proposal() is None
        belief = prognosis.by_deviation(deviation, rate, horizon, replace(basis, known=known))
        figures = {"ratio": number(deviation), "failure": number(prognosis.FAILURE_DEVIATION)}
        evidence = [Evidence("DEVIATION", figures), *self._loudest(z)]
        if not self.clock.past_known:
            evidence.append(Evidence("PAST_UNKNOWN", {}))
        score = health.of_deviation(deviation, prognosis.FAILURE_DEVIATION)
        return Assessment(belief, score, (*evidence, *self.clock_evidence()))

    def _loudest(self, z: Vector) -> list[Evidence]:
        order = np.argsort(-np.abs(np.nan_to_num(z)))[:3]
        names = self._wear.tags
        return [Evidence("DEVIATION_TAG", {"tag": names[i], "z": f"{z[i]:+.1f}"}) for i in order if np.isfinite(z[i])]

    def outlook(self, hours: float) -> Outlook:
        """Return the deviation and its course to the usual failure level."""
        if not self.baseline.complete:
            return Outlook(0.0, 0.0, 0.0, prognosis.FAILURE_DEVIATION, "σ")
        _, deviation, rate = self._now(self.clock.rate.per_hour)
        slope = max(rate.mean, 0.0)
        return Outlook(deviation, slope, rate.deviation, prognosis.FAILURE_DEVIATION, "σ")

    def identity(self) -> list[Any]:
        """Return also the signals, the baseline and the frame."""
        return [*super().identity(), list(self._wear.tags), self._wear.baseline, self._frame_hours]

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        return super().snapshot() | {
            "framer": self.framer.snapshot(),
            "baseline": self.baseline.snapshot(),
            "smooth": self.smooth.tolist(),
            "trend": self.trend.snapshot(),
            "seen": [None if self.last_use == -math.inf else self.last_use, self.worst, self.new_count, self.new_since],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot; a complete healthy self rejoins the pool."""
        super().restore(state)
        self.framer, self.baseline = Framer(**state["framer"]), Baseline(**state["baseline"])
        self.smooth, self.trend = np.array(state["smooth"]), DiscountedTrend(**state["trend"])
        last_use, self.worst, self.new_count, self.new_since = state["seen"]
        self.last_use = -math.inf if last_use is None else last_use
        self._scatter = None
        if self.baseline.complete:
            self._pool.put(self._component, self.baseline)


def _widened(trend: Trend | None) -> Trend | None:
    """Points that were smoothed are alike: the error of their slope is that much larger than least squares says."""
    if trend is None:
        return None
    return replace(trend, slope_deviation=trend.slope_deviation * math.sqrt((2.0 - SMOOTHING) / SMOOTHING))
