"""The tracker of lives that are measured by a level on its way to an engineering limit, up or down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from maintenance import health, prognosis
from maintenance.features import DiscountedTrend, Framer, RobustLevel, Trend
from maintenance.needs import Evidence
from maintenance.packing import Layout, Packer, Unpacker
from maintenance.prognosis import Basis, Drift, Habits
from maintenance.sensors import CHANGES, Sense, swaps_of
from maintenance.settings import ComponentSettings, LevelWear, in_unit
from maintenance.trackers.tracker import CLOCK, KEEP, Assessment, Outlook, Proposal, Tracker, number
from maintenance.usage import SUSTAINED

DEVIATION = 1
"""The signal number of the level's stated deviation."""
LEVEL_SAMPLES = 5
"""Samples before a level says anything: the first few of a connection may be a machine that starts up."""
AS_NEW, WORN = 0.15, 0.35
"""A level within 15 % of new, after it was beyond 35 %, looks like a new part."""
KEEP_LONG = 0.99
"""The longer past, five times the trend's, tells whether wear accelerates."""
FRAMES_PER_LIFE = 200
"""A level's frame is this part of the rated life, so that a trend's memory is a tenth of it."""
NOISE_FLOOR = 0.005
"""Noise of less than this share of the way to the limit decides nothing."""
LEARNING_FRAMES = 5
"""Frames of a part in which its sensor is learned, whatever the machine does meanwhile."""
LEAST_WORN, MOST_WORN = -1.0, 3.0
"""What lies as far before new as the limit lies behind, or thrice as far as the limit, is hardly wear: another unit, a
broken wire, or a machine that should have been stopped. In each case a person should look."""


class LevelTracker(Tracker):
    """A life measured by a level on its way to an engineering limit; folded as the share of that way.

    A level whose deviation is stated is no better known than that, however steady it is, and not known at all before
    the first one or while it is below 0.
    """

    kind = "level"
    kept = Layout(
        numbers=("at", "worst", "new_since", "stated"), wholes=("new_count", "wild", "tame"), truths=("typed",)
    )

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str], habits: Habits = prognosis.USUAL) -> None:
        super().__init__(settings, tags)
        wear = settings.wear
        assert isinstance(wear, LevelWear)
        self.habits = habits
        self._tag, self._unit = wear.tag, wear.limit.unit
        self._is_stated = wear.deviation is not None
        self._as_new, self._limit = wear.as_new.value, wear.limit.value
        self._span = self._limit - self._as_new
        self._smoothing_hours = in_unit(wear.smoothing, "h")
        usual_hours = self.rated / self.clock.rate.prior / FRAMES_PER_LIFE
        self._frame_hours = in_unit(wear.frame, "h") if wear.frame else max(usual_hours, 1 / 60)
        self._swaps = swaps_of(self._unit)
        self.forget()

    def forget(self) -> None:
        """A new part has its own level and its own trend."""
        self.robust = RobustLevel(floor=NOISE_FLOOR)
        self.sense = Sense(floor=NOISE_FLOOR * abs(self._span))
        self.framer = Framer(1, self._frame_hours)
        self.trend, self.long = DiscountedTrend(KEEP), DiscountedTrend(KEEP_LONG)
        self.at: float | None = None
        self.worst = 0.0
        self.new_since: float | None = None
        self.new_count = 0
        self.typed = False
        self.wild, self.tame = 0, 0
        self.stated: float | None = None

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a level, or a reading of the counter of use."""
        self._turn(hours)  # before the counter moves: a frame ends with its own use
        if signal == CLOCK:
            self.clock.take(value, hours)
            return
        if signal == DEVIATION:
            self.stated = value
            return
        young = self.trend.points < LEARNING_FRAMES
        if self._is_stated or self.sense.take(value, self.clock.used_at(hours), hours, self._swaps, learning=young):
            self._weigh(value, hours)

    def _weigh(self, value: float, hours: float) -> None:
        """Fold a level, unless it can hardly be wear.

        Several such in a row move the level, so that a person is asked, but no trend; when they end it is learned anew.
        """
        worn = (value - self._as_new) / self._span
        if LEAST_WORN <= worn <= MOST_WORN:
            if self.wild:
                self.tame += 1
                if self.wild >= SUSTAINED and self.tame < SUSTAINED:
                    return
                if self.wild >= SUSTAINED:
                    self.robust = RobustLevel(floor=NOISE_FLOOR)
                self.wild = 0
            self._fold(worn, hours)
            return
        self.wild, self.tame = self.wild + 1, 0
        if self.wild >= SUSTAINED:
            self.robust.take(min(max(worn, 2 * LEAST_WORN), 2 * MOST_WORN), 1.0)

    def _turn(self, hours: float) -> None:
        closed = self.framer.turn(hours)
        if closed is not None and not math.isnan(closed[0]):
            for trend in (self.trend, self.long):
                trend.take(self.clock.used_at(hours), float(closed[0]))
            self.history.take(hours, self._value(float(closed[0])))

    def _fold(self, worn: float, hours: float) -> None:
        """Fold a level that may be believed, as a share of the way."""
        if self.at is None:
            self.robust.take(worn, 1.0)
            self.at = hours
        elif hours > self.at:
            self.robust.take(worn, -math.expm1((self.at - hours) / self._smoothing_hours))
            self.at = hours
        else:
            self.robust.take(worn, 0.0)
        self.framer.take(0, self._clipped(worn))
        if self.robust.level > self.worst and self.robust.count >= SUSTAINED:
            self.worst = self.robust.level
        if worn > AS_NEW:
            self.new_since, self.new_count = None, 0
        elif self.worst >= WORN:
            self.new_since = hours if self.new_since is None else self.new_since
            self.new_count += 1

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Fold a level that a person measured and typed in: one such is enough to know."""
        if self.at is not None and hours < self.at:
            raise ValueError(_("a newer level is known already"))
        self._turn(hours)
        self._fold((value - self._as_new) / self._span, hours)
        self.typed, self.stated = True, 0.0  # it was measured; the estimate may disagree at its next word

    def _clipped(self, worn: float) -> float:
        """A spark is no wear: trends see what the smoother would believe at most."""
        level, scale = self.robust.level, self.robust.scale
        bound = 4.0 * (scale if scale > NOISE_FLOOR else NOISE_FLOOR)
        return level - bound if worn < level - bound else level + bound if worn > level + bound else worn

    def proposal(self) -> Proposal | None:
        """Return a level that is back to new for several samples and a whole frame, or a counter's jump back."""
        since = self.new_since
        lasting = since is not None and self.at is not None and self.at - since >= self._frame_hours
        if since is None or not lasting or self.new_count < SUSTAINED:
            return self.clock_proposal()
        was, now = self._value(self.worst), self._value(self.robust.level)
        return Proposal("LEVEL_AS_NEW", since, {"was": number(was), "value": number(now), "unit": self._unit})

    def dismiss(self) -> None:
        """The low level is the old part's: begin to watch for a new one from here."""
        super().dismiss()
        self.worst, self.new_since, self.new_count = self.robust.level, None, 0

    def _value(self, worn: float) -> float:
        return self._as_new + worn * self._span

    def _rate(self) -> tuple[Trend | None, Drift]:
        """Return the trend with the open frame in, and the wear rate that follows."""
        trend, long = self.trend, self.long
        if self.at is not None and trend.points and any(self.framer.counts):
            use, newest = self.clock.used_at(self.at), float(self.framer.open_frame()[0])
            trend, long = trend.with_point(use, newest), long.with_point(use, newest)
        fit = trend.fit()
        return fit, prognosis.drift(self.rated, self.robust.level, fit, long.fit(), self.habits)

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Let the level pass its limit at the rated drift, or the unit's own once it has one."""
        if self.robust.count < LEVEL_SAMPLES and not self.typed:
            return self._untold(hours, basis)
        doubts = self._doubts(hours)
        known = basis.known and self.proposal() is None and not self.clock.doubted and not doubts
        worn, (trend, rate) = self.robust.level, self._rate()
        deviation = math.hypot(self.robust.deviation, self._stated_share())
        belief = prognosis.by_level(worn, deviation, rate, self.rated, replace(basis, known=known), self.habits)
        parameters = {"tag": self._tag, "value": number(self._value(worn)), "limit": number(self._limit)}
        parameters["unit"] = self._unit
        code = "LEVEL"
        if trend is not None:
            code = "LEVEL_TREND"
            per_day = rate.mean * self._span * basis.use_per_hour * 24
            parameters["slope_per_day"] = number(per_day)
        evidence = (Evidence(code, parameters), *self._estimated(), *doubts, *self.clock_evidence())
        return Assessment(belief, health.of_level(self._value(worn), self._as_new, self._limit), evidence)

    def _stated_share(self) -> float:
        """The stated deviation as a share of the way; it is of the estimate's whole error, which no average lessens."""
        return max(self.stated or 0.0, 0.0) / abs(self._span)

    def _estimated(self) -> list[Evidence]:
        if self.stated is None or self.stated < 0:
            return []
        return [Evidence("LEVEL_ESTIMATED", {"tag": self._tag, "off": number(self.stated), "unit": self._unit})]

    def _doubts(self, hours: float) -> list[Evidence]:
        """Whatever makes the level less than believable: the sensor itself, or whoever estimates it."""
        used = self.clock.used_at(hours)
        stuck = not self._is_stated and self.sense.is_stuck(used, hours, self.rated, counted=self.clock.counted)
        found = self.sense.doubts(self._tag, self._unit, self._swaps, stuck=stuck)
        if self.wild >= 2:
            value = number(self._value(self.robust.level))
            found.append(Evidence("LEVEL_IMPLAUSIBLE", {"tag": self._tag, "value": value, "unit": self._unit}))
        if self._is_stated and (self.stated is None or self.stated < 0):
            found.append(Evidence("LEVEL_DOUBTED", {"tag": self._tag}))
        return found

    def _untold(self, hours: float, basis: Basis) -> Assessment:
        """Too few samples say nothing: no alarm is raised on silence, and nothing is bought without a person."""
        used = self.clock.used_at(hours)
        belief = prognosis.by_usage(used, used, self.rated, 3.0, replace(basis, known=False))
        value = self._value(self.robust.level)
        score = health.of_level(value, self._as_new, self._limit)
        return Assessment(belief, score, (Evidence("NO_LEVEL_YET", {"tag": self._tag}), *self.clock_evidence()))

    def outlook(self, hours: float) -> Outlook:
        """Return the level and its course to the limit."""
        span = self._span
        _, rate = self._rate()
        return Outlook(
            self._value(self.robust.level),
            rate.mean * span,
            rate.deviation * abs(span),
            self._limit,
            self._unit,
            growth=max(rate.growth, 0.0),
            flow=self.habits.flow(max(rate.mean, 0.0)) * span**2,
            start=self._as_new,
        )

    def identity(self) -> list[Any]:
        """Return also the two ends of the level and the frame."""
        stated = [True] if self._is_stated else []
        return [*super().identity(), self._unit, self._as_new, self._limit, self._frame_hours, *stated]

    def pack(self, packer: Packer) -> None:
        """Pack also the level, its trends and its sensor."""
        super().pack(packer)
        packer.things(self, self.robust, self.sense, self.trend, self.long)
        self.framer.pack(packer)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        super().unpack(packed)
        packed.things(self, self.robust, self.sense, self.trend, self.long)
        self.framer.unpack(packed)

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        super().adopt(state)
        self.robust = RobustLevel(**state["robust"])
        if "sense" in state:  # a snapshot from before sensors were watched has none, and learns it anew
            self.sense = Sense(**state["sense"] | {"changes": min(state["sense"]["changes"], CHANGES)})
            self.wild, self.tame = state["wild"]
        self.trend, self.long = DiscountedTrend(**state["trend"]), DiscountedTrend(**state["long"])
        self.framer = Framer(**state["framer"])
        self.at, self.worst, self.new_since, self.new_count, self.typed = state["seen"]
        self.stated = state.get("stated")
