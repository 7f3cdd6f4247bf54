"""The tracker of lives that are measured by the distance from the unit's own healthy self; no limit is known.

Where a model was learned from lives of this kind, it speaks as long as every signal that it knows does; else the rule
speaks that needs no history. An operating regime that nobody has seen in health says nothing, and asks a person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maintenance import detection, health, prognosis
from maintenance.bank import DEVIATING, SMOOTHING, Bank, trend_of
from maintenance.belief import Belief
from maintenance.departure import Departure, Return, departure
from maintenance.detection import Baseline, Healthy
from maintenance.features import TRIM, Framer, Vector
from maintenance.needs import Evidence
from maintenance.packing import Layout, Packer, Unpacker
from maintenance.prognosis import Basis
from maintenance.sensors import Leap, Stillness, real
from maintenance.settings import ComponentSettings, DeviationWear, in_unit
from maintenance.trackers.pool import Pool
from maintenance.trackers.tracker import CLOCK, Assessment, Outlook, Proposal, Tracker, number
from maintenance.usage import SUSTAINED

if TYPE_CHECKING:  # loaded only where something was learned
    from maintenance.learning import Learned

FRAMES_PER_LIFE = 500
"""A frame is this part of the rated life, so that a baseline of 25 is a twentieth of it; but at least an hour."""
ROW = np.array([0])
FRAMES_HELD = 2000
"""Frames held for whoever learns from them, four rated lives; older ones go where nobody fetches them."""
WILD_Z = 12.0
"""Four times as far out as is usual at failure, a sensor is doubted unless other signals confirm it."""
ODD_Z = 50.0
"""So far out nobody can tell, whatever the others say."""
NOISY_ALONE, CALM_ALONE = 2.8, 1.8
"""Where no other signal can confirm wear, two and a half times that is noise, until it has all but gone."""
NOISY_Z, NOISE = 4.5, 0.2
"""In health the mean step from one frame to the next is 1.1 scatters (2 / sqrt(pi)); four times that, over about five
frames, is another measurement, not more wear."""
FRAMES_AHEAD = 1000
"""How far a deviation looks ahead where no life is rated."""


class DeviationTracker(Tracker):
    """A life measured by the distance from the unit's own healthy self."""

    kind = "deviation"
    kept = Layout(numbers=("left",), wholes=("wild",), truths=("strange", "is_noisy"))

    def __init__(self, component: str, settings: ComponentSettings, tags: Mapping[str, str], pool: Pool) -> None:
        super().__init__(settings, tags)
        wear = settings.wear
        assert isinstance(wear, DeviationWear)
        self._component, self._wear, self._pool = component, wear, pool
        usual_hours = self.rated / self.clock.rate.prior / FRAMES_PER_LIFE
        self._frame_hours = in_unit(wear.frame, "h") if wear.frame else max(usual_hours, 1.0)
        self._tolerance = np.array([each.value for each in wear.regime.values()])
        self.forget()

    def forget(self) -> None:
        """A new part has its own healthy self."""
        signals = len(self._wear.tags)
        self.framer = Framer(signals + len(self._tolerance), self._frame_hours)
        self.healthy = Healthy(signals)
        self.rows: list[tuple[float, list[float]]] = []
        self.bank = Bank(1, signals)
        self.stillness = Stillness(signals)
        self.wild = 0
        self.alone = Leap() if signals == 1 else None
        self.is_noisy = False
        self.noise, self.newest = np.zeros(signals, np.float32), np.full(signals, math.nan, np.float32)
        self.left: float | None = None
        self.strange = False
        self.last_use = -math.inf
        self.back = Return()
        self.closed: list[tuple[float, list[float]]] = []
        self._reference: tuple[int, Baseline, Vector] | None = None

    @property
    def complete(self) -> bool:
        """Whether the healthy self is known."""
        return max(self.healthy.count, len(self.rows)) >= self._wear.baseline

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
        self.stillness.take(frame[: len(self._wear.tags)], use, ends)
        if not self.complete:
            self._learn(frame, use)
            return
        frame = self._comparable(frame)
        self.strange = not np.any(np.isfinite(frame))
        if self.strange:
            return
        z = self._z(frame - self._own().mean)
        self._hear(z)
        wild = self._wild(z)
        if np.any(wild):
            self.wild += 1
        elif self.wild:
            self._calm(frame)
        frame = self._tamed(frame, wild)
        self._closed(frame, use)
        if np.any(self._scatter() > 0):
            deviation = float(self.bank.deviation[0])
            self.history.take(ends, deviation)
            self.back.take(deviation, ends)

    def _z(self, distance: Vector) -> Vector:
        return detection.z_scores(distance, self._scatter())

    def _hear(self, z: Vector) -> None:
        """Fold the step of each signal into its noise, in healthy scatters; one that is missing makes none."""
        heard = real(z)
        step = np.minimum(np.abs(heard - self.newest), np.float32(WILD_Z))
        self.noise = np.where(np.isfinite(step), self.noise + np.float32(NOISE) * (step - self.noise), self.noise)
        self.newest = np.where(np.isfinite(heard), heard, self.newest)
        if self.alone is not None:
            self.alone.take(float(heard[0]))
            self.is_noisy = bool(self.noise[0] > (CALM_ALONE if self.is_noisy else NOISY_ALONE))

    def _wild(self, z: Vector) -> NDArray[np.bool_]:
        """Tell of each signal whether it is so far out that nobody can tell wear from a sensor."""
        size = np.fmax(np.abs(z), 0.0)  # one that is missing is not out at all
        wild = size > ODD_Z
        for place in np.flatnonzero(size > WILD_Z).tolist():
            wild[place] |= not self._confirmed(place)
        return wild

    def _confirmed(self, place: int) -> bool:
        """Whether health is left by what all signals but one say."""
        others = detection.index(np.delete(self._z(self.bank.averages[0, DEVIATING]), place))
        return others is not None and others > detection.LEFT

    def _tamed(self, frame: Vector, wild: NDArray[np.bool_]) -> Vector:
        """Return a frame without what is wild; where that lasts it moves the health, so that a person is asked."""
        if self.wild < SUSTAINED:
            return np.where(wild, np.nan, frame)
        reach = WILD_Z * self._scatter()
        return np.where(wild, np.clip(frame, self._own().mean - reach, self._own().mean + reach), frame)

    def _calm(self, frame: Vector) -> None:
        """Signals that were wild are themselves again: what they have moved meanwhile is learned anew."""
        if self.wild >= SUSTAINED:
            self.bank.begin(ROW, self._own().mean[None, :])
            distance = frame - self._own().mean
            self.bank.averages[0] = np.where(np.isfinite(distance), distance, 0.0)
            self.left = None
        self.wild = 0

    def _learn(self, frame: Vector, use: float) -> None:
        """A frame with a missing signal teaches nothing about health."""
        frame = self._as_packed(frame)
        if not np.all(np.isfinite(frame)):
            return
        if len(self._tolerance):
            self.rows.append((use, frame.tolist()))
        else:
            self.healthy.take(frame)
            self._keep(frame, use)
        if self.complete:
            self._join()
            self.bank.begin(ROW, self._own().mean[None, :])
            for at, row in self.rows:
                self._keep(self._comparable(np.array(row)), at)

    def _as_packed(self, frame: Vector) -> Vector:
        """Return a frame that is kept whole as the first one and how far it is from there, in four bytes: finer than
        any sensor."""
        if not self.rows:
            return frame
        first = np.array(self.rows[0][1])
        return first + real(frame - first)

    def _join(self) -> None:
        """Tell the peers what is healthy here."""
        if self.rows:
            self._pool.put(self._component, np.array([row for _use, row in self.rows]), self._tolerance)
        else:
            self._pool.know(self._component, self.healthy.baseline())

    def _comparable(self, frame: Vector) -> Vector:
        comparable: Vector = self._pool.comparable(frame[None, :], len(self._tolerance))[0]
        return comparable

    def _closed(self, frame: Vector, use: float) -> None:
        """Tell the averages, the model, and whoever collects frames."""
        at = np.array([use])
        self.bank.take(ROW, frame[None, :], at, self._scatter())
        model = self._model()
        if model is not None:
            left = float(model.predict(self.bank, ROW, at)[0])
            self.left = model.followed(self.left, left)
        self._keep(frame, use)

    def _keep(self, frame: Vector, use: float) -> None:
        """Hold a frame for whoever learns from it; one with a signal missing teaches nothing."""
        if np.all(np.isfinite(frame)):
            self.closed.append((use, frame.tolist()))
            del self.closed[:-FRAMES_HELD]

    def drain(self) -> list[tuple[float, list[float]]]:
        """Return the frames that closed since the last call: the use at the end of each, and its signals."""
        closed, self.closed = self.closed, []
        return closed

    def _model(self) -> Learned | None:
        """Return the model of this kind where it knows these signals and this many healthy frames."""
        model = self._pool.model
        fits = model is not None and (model.signals, model.healthy) == (self._wear.tags, self._wear.baseline)
        return model if fits else None

    def _own(self) -> Baseline:
        return self._referred()[1]

    def _scatter(self) -> Vector:
        return self._referred()[2]

    def _referred(self) -> tuple[int, Baseline, Vector]:
        if self._reference is None or self._reference[0] != self._pool.version:
            baseline, scatter = self._pool.baseline(self._component), self._pool.scatter(self._component)
            self._reference = (self._pool.version, baseline, scatter)
        return self._reference

    def _smoothed(self, frame: Vector, alpha: float) -> Vector:
        smooth: Vector = self.bank.averages[0, DEVIATING]
        distance = frame - self._own().mean
        return np.where(np.isfinite(frame), smooth + alpha * (distance - smooth), smooth)

    def proposal(self) -> Proposal | None:
        """Return a deviation that is gone for several frames, or a counter's jump back."""
        if not self.back.lasting:
            return self.clock_proposal()
        return Proposal("DEVIATION_GONE", self.back.since, {"was": number(self.back.worst)})

    def dismiss(self) -> None:
        """The part is the old one, whatever its signals say."""
        super().dismiss()
        self.back = Return()

    def usual(self, use_per_hour: float) -> float:
        """Return the use in which wear that has begun comes to the usual failure, as far as is known before."""
        healthy = self._wear.baseline * self._frame_hours * use_per_hour
        return self.rated / prognosis.QUARTER or prognosis.QUARTER * healthy

    def horizon(self, use_per_hour: float) -> float:
        """Return how much use a belief looks ahead."""
        return prognosis.LIVES_AHEAD * self.rated or FRAMES_AHEAD * self._frame_hours * use_per_hour

    def _now(self, use_per_hour: float) -> Departure:
        """Return how far the unit is from its healthy self with the open frame in, so far as it is filled."""
        smooth, fresh = self.bank.averages[0, DEVIATING], None
        use = self.clock.used_at(self.framer.end_hours)
        if any(self.framer.counts) and not (self.clock.counted and use <= self.last_use):
            frame = self._comparable(self.framer.open_frame())
            frame = self._tamed(frame, self._wild(self._z(frame - self._own().mean)))
            smooth, fresh = self._smoothed(frame, SMOOTHING * self.framer.fill), use
        trend = trend_of(self.bank.moments(ROW)[0])
        return departure(smooth, self._scatter(), trend, self.usual(use_per_hour), fresh)

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Believe the model, or carry the deviation on along its trend; before there is a healthy self, only a rated
        life can speak."""
        horizon = self.horizon(basis.use_per_hour)
        if not self.complete:
            have = {"have": str(max(self.healthy.count, len(self.rows))), "want": str(self._wear.baseline)}
            unknown, used = replace(basis, known=False), self.clock.used_at(hours)
            belief = prognosis.by_usage(used, used, self.rated or horizon, 3.0, unknown)
            return Assessment(belief, 1.0, (Evidence("BASELINE", have), *self.clock_evidence()))
        now = self._now(basis.use_per_hour)
        z, deviation = now.z, now.deviation
        told_enough = self.clock.past_known and not self.clock.doubted and bool(np.any(np.isfinite(z)))
        doubts = self._doubts(z, hours)
        known = basis.known and told_enough and self.proposal() is None and not self.strange and not doubts
        basis = replace(basis, known=known)
        learned = self._learned(z, self.clock.used_at(hours), basis)
        belief = learned[0] if learned else prognosis.by_deviation(deviation, now.rate, horizon, basis)
        figures = {"ratio": number(deviation), "failure": number(prognosis.FAILURE_DEVIATION)}
        evidence = [*(learned[1:] if learned else ()), Evidence("DEVIATION", figures), *self._loudest(z), *doubts]
        evidence += [Evidence("REGIME_UNSEEN", {})] if self.strange else []
        evidence += [] if self.clock.past_known else [Evidence("PAST_UNKNOWN", {})]
        score = health.of_deviation(deviation, prognosis.FAILURE_DEVIATION)
        return Assessment(belief, score, (*evidence, *self.clock_evidence()))

    def _doubts(self, z: Vector, hours: float) -> list[Evidence]:
        """Whatever makes sensors less than believable: one that stands still, or is far out where no other is."""
        use, names, counted = self.clock.used_at(hours), self._wear.tags, self.clock.counted
        stuck = self.stillness.stuck(use, hours, self.rated, counted=counted)
        found = [Evidence("SIGNAL_STUCK", {"tag": names[place]}) for place in stuck]
        loud = np.array([self.is_noisy]) if self.alone is not None else self.noise > NOISY_Z
        noisy = [place for place in np.flatnonzero(loud).tolist() if not self._confirmed(place)]
        for place in noisy if len(noisy) > int(len(names) * TRIM) else ():  # fewer are trimmed away anyhow
            times = number(self.noise[place] * math.sqrt(math.pi) / 2)
            found.append(Evidence("SENSOR_NOISY", {"tag": names[place], "times": times}))
        if self.wild:
            found.append(Evidence("SIGNALS_WILD", {"scatters": number(WILD_Z)}))
        elif (lone := detection.lone(z)) is not None:
            found.append(Evidence("SIGNAL_ALONE", {"tag": names[lone], "z": f"{z[lone]:+.0f}"}))
        elif self.alone is not None and (size := self._leapt(self.alone)):
            found.append(Evidence("SIGNAL_LEAPT", {"tag": names[0], "z": f"{size:+.0f}"}))
        return found

    def _leapt(self, alone: Leap) -> float:
        """Return how far the only signal has leapt, the open frame in; 0 where it has not."""
        if any(self.framer.counts):
            open_z = self._z(self._comparable(self.framer.open_frame()) - self._own().mean)
            alone = alone.with_frame(float(open_z[0]))
        return alone.size

    def _learned(self, z: Vector, use: float, basis: Basis) -> tuple[Belief, Evidence] | None:
        """Return what the model believes and its name, None where there is none or a signal that it needs is lost."""
        model = self._model()
        if model is None or self.left is None or not np.all(np.isfinite(z) | (model.reference.scatter == 0)):
            return None
        left = max(self.left - max(use - self.last_use, 0.0), 0.0)
        belief = replace(basis, life=model.usual).belief(model.table.use, model.table.at(left))
        figures = {"left": number(left), "unit": self.unit, "lives": str(model.lives), "version": model.version[:12]}
        return belief, Evidence("MODEL", figures)

    def _loudest(self, z: Vector) -> list[Evidence]:
        order = np.argsort(-np.abs(np.nan_to_num(z)))[:3]
        names = self._wear.tags
        return [Evidence("DEVIATION_TAG", {"tag": names[i], "z": f"{z[i]:+.1f}"}) for i in order if np.isfinite(z[i])]

    def outlook(self, hours: float) -> Outlook:
        """Return the deviation and its course to the usual failure level."""
        if not self.complete:
            return Outlook(0.0, 0.0, 0.0, prognosis.FAILURE_DEVIATION, "σ")
        now = self._now(self.clock.rate.per_hour)
        slope = max(now.rate.mean, 0.0)
        return Outlook(now.deviation, slope, now.rate.deviation, prognosis.FAILURE_DEVIATION, "σ")

    def identity(self) -> list[Any]:
        """Return also the signals, the baseline and the frame."""
        regime = {name: each.value for name, each in self._wear.regime.items()}
        return [*super().identity(), list(self._wear.tags), self._wear.baseline, self._frame_hours, regime]

    def pack(self, packer: Packer) -> None:
        """Pack also the healthy self and how far the unit is from it.

        Where the machine is run in several ways, the healthy frames themselves: which ways there are its peers say.
        """
        super().pack(packer)
        packer.things(self, self.back)
        packer.number(None if self.last_use == -math.inf else self.last_use)
        self.framer.pack(packer)
        self.stillness.pack(packer)
        packer.whole(len(self.rows))
        if self.rows:
            rows = np.array([row for _use, row in self.rows])
            packer.array(rows[0])
            packer.array(rows - rows[0], "<f4")
            packer.array(np.array([] if self.complete else [use for use, _row in self.rows]))
        else:
            self.healthy.pack(packer)
        if self.complete:
            self.bank.pack(0, packer)
            packer.array(self.noise, "<f4")
            packer.array(self.newest, "<f4")
            if self.alone is not None:
                self.alone.pack(packer)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed; a healthy self that is known rejoins the pool."""
        super().unpack(packed)
        packed.things(self, self.back)
        last_use = packed.number()
        self.last_use = -math.inf if last_use is None else last_use
        self.framer.unpack(packed)
        self.stillness.unpack(packed)
        count, signals = packed.count(), self.framer.signals
        if count:
            rows = packed.array(signals) + packed.array(count, signals, kind="<f4")
            uses = packed.array(count) if count < self._wear.baseline else np.zeros(count)  # told already
            self.rows = list(zip(uses.tolist(), rows.tolist(), strict=True))
        else:
            self.healthy.unpack(packed)
        if self.complete:
            self.bank.unpack(0, packed)
            self.noise, self.newest = (packed.array(len(self.noise), kind="<f4") for _ in range(2))
            if self.alone is not None:
                self.alone.unpack(packed)
            self._join()

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        super().adopt(state)
        self.framer = Framer(**state["framer"])
        for row, use in zip(*state["healthy"], strict=True):
            if len(self._tolerance):
                self.rows.append((use, self._as_packed(np.array(row)).tolist()))
            else:
                self.healthy.take(np.array(row))
        self.bank.adopt(0, state["bank"] | _moments(state))
        if "stillness" in state:  # a snapshot from before sensors were watched has none, and learns it anew
            self.stillness.adopt(state["stillness"])
            self.wild = state["wild"]
            self.noise, self.newest = (np.array(row, np.float32) for row in state["noise"])
        self.left, self.strange = state["left"]
        last_use, *seen = state["seen"]
        self.back = Return(*seen)
        self.last_use = -math.inf if last_use is None else last_use
        if self.complete:
            self._join()


def _moments(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trend of a snapshot from before it was the bank's, which lacked two of its moments."""
    trend = state.get("trend")
    return {} if trend is None else {"moments": [*state["bank"]["moments"], trend["yy"], trend["points"]]}
