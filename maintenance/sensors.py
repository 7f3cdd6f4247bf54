"""What a sensor gives away about itself: whether it is stuck, far noisier than it was, or tells another unit.

Promises: constant time and memory for each value, the same values in the same order give the same doubts, and nothing
is judged before enough is known. A value that looks as if its unit had been swapped is held back and moves nothing, as
a counter that jumps moves no use. A doubt never says how worn a part is: it only takes the confidence away, so that a
person is asked. Slow drift looks like wear from here; only other signals of the part can tell, see `trackers.by_modes`.
No clock, no chance, no I/O: times are hours since 1970 UTC, use is in the component's unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from maintenance.features import Vector, ewma
from maintenance.needs import Evidence
from maintenance.packing import Layout, Packer, Unpacker

LEARNED: Final = 30
"""Values before noise and range are known: the mean of so many steps is right within a seventh or so."""
CHANGES: Final = 20
"""Changes before it is known how often a signal changes."""
STILL_TIMES: Final = 20.0
"""A pause of twenty usual ones is no chance: with pauses at random, one in five hundred million."""
STILL_SHARE: Final = 0.01
"""No pause shorter than a hundredth of a life is called stuck: nothing is decided within it."""
STILL_LIFE: Final = 0.2
"""In a fifth of its rated life even wear that starts late has moved by a twentieth of its way; what never changes
within that is not measured."""
STILL_HOURS: Final = 72.0
"""By the calendar nobody knows when the machine rests: a long weekend is no fault of a sensor."""
NOISY: Final = 6.0
"""Steps so many times the learned ones are another measurement, not more wear."""
CLIP: Final = 20.0
"""One spark counts as no more than so many usual steps, so that two of them in a row are not called noise."""
NOW: Final = 0.1
SLOWLY: Final = 0.001
"""Weights of a new step in what noise is now, and in what is usual once it was learned."""
NEAR: Final = 0.1
"""A value is one in another unit when it lies within a tenth of what the last would be there."""
PLAIN: Final = 0.5
"""No swap is seen where noise alone is more than half of what the other unit would show."""
RETURNED: Final = 5
"""Values in the old unit before a swap is over."""
LEAP_FRAMES: Final = (1, 2, 4, 8)
"""Over so many frames each, before and after, a leap is looked for: the smaller it is, the longer that takes."""
LEAP_SURE: Final = 4.3
"""Standard deviations that the mean of frames leaves the mean of those before by chance once in a hundred thousand."""
LEAP_BACK: Final = 2.0
"""What is within two scatters of where it was has not leapt; what went on by two more wears."""
FARTHEST: Final = 12.0
"""A frame counts as no farther out than that, so that one spark is no leap of eight frames."""

FAMILIES: Final[tuple[Mapping[str, float], ...]] = (
    {"mm/s": 1.0, "in/s": 25.4, "m/s": 1000.0, "µm/s": 0.001, "km/h": 1000.0 / 3.6},
    {"µm": 1.0, "mm": 1000.0, "m": 1e6, "in": 25400.0, "mil": 25.4},
    {"m/s²": 1.0, "g": 9.80665, "mm/s²": 0.001},
    {"Pa": 1.0, "hPa": 100.0, "kPa": 1000.0, "psi": 6894.757, "bar": 1e5, "MPa": 1e6},
    {"1/min": 1.0, "rpm": 1.0, "Hz": 60.0},
    {"1": 100.0, "%": 1.0},
)
"""Units of one quantity, each with its size in the first; a swap goes from one to another."""
PREFIXES: Final = {"x1000": 0.001, "x0.001": 1000.0}
"""What a unit that no family knows may be taken for."""
TEMPERATURES: Final = {"°C": (1.0, 0.0), "K": (1.0, 273.15), "°F": (1.8, 32.0)}
"""Degrees as they are shown: factor and offset from degrees Celsius."""


@dataclass(frozen=True, slots=True)
class Swap:
    """A unit that was swapped with the tag's own, one way or the other: `value * factor + offset` is shown then."""

    unit: str
    factor: float
    offset: float = 0.0

    def shown(self, value: float) -> float:
        """Return what would be shown of a value."""
        return value * self.factor + self.offset


def swaps_of(unit: str) -> tuple[Swap, ...]:
    """Return the units for which one may be taken by mistake."""
    if unit in TEMPERATURES:
        factor, offset = TEMPERATURES[unit]
        there = {
            other: (scale / factor, zero - offset * scale / factor)
            for other, (scale, zero) in TEMPERATURES.items()
            if other != unit
        }
        return tuple(
            swap
            for other, (scale, zero) in there.items()
            for swap in (Swap(other, scale, zero), Swap(other, 1.0 / scale, -zero / scale))
        )
    family = next((each for each in FAMILIES if unit in each), PREFIXES | {unit: 1.0})
    size = family[unit]
    others = {other: size / each for other, each in family.items() if each != size}
    return tuple(Swap(other, way) for other, factor in others.items() for way in (factor, 1.0 / factor))


@dataclass(slots=True)
class Sense:
    """One sensor's behaviour so far; `floor` is the noise below which none is worth a word, in the tag's unit.

    usual, noise: the mean step from one value to the next, as learned and now. pause: the usual use between two
    changes. swapped: which of the unit's swaps it tells in now, as far as that can be told.
    """

    kept: ClassVar = Layout(
        numbers=("last", "low", "high", "usual", "noise", "pause", "changed_use", "changed_hours"),
        wholes=("count", "changes", "swapped", "returned"),
    )
    floor: float
    count: int = 0
    last: float = 0.0
    low: float = 0.0
    high: float = 0.0
    usual: float = 0.0
    noise: float = 0.0
    changes: int = 0
    pause: float = 0.0
    changed_use: float = 0.0
    changed_hours: float = 0.0
    swapped: int | None = None
    returned: int = 0

    def take(self, value: float, use: float, hours: float, swaps: tuple[Swap, ...], *, learning: bool = False) -> bool:
        """Fold one finite value; return whether it may be believed.

        learning: whether the part is so young that its sensor is still being learned, however many values came.
        """
        if self.count == 0:
            self._begin(value, use, hours)
            return True
        inside = self.low <= value <= self.high
        if (self.swapped is not None or not inside) and self._is_swapped(value, swaps):
            return False
        step = abs(value - self.last)
        if learning or self.count < LEARNED:
            self.usual = self.noise = ewma(self.usual, step, 1.0 / min(self.count, round(1 / SLOWLY)))
        else:
            self._step(step)
        if step:
            self._change(use, hours)
        self.count += 1
        self.last = value
        if not inside:
            self.low, self.high = min(self.low, value), max(self.high, value)
        return True

    def _begin(self, value: float, use: float, hours: float) -> None:
        self.count, self.last, self.low, self.high = 1, value, value, value
        self.changed_use, self.changed_hours = use, hours

    def _is_swapped(self, value: float, swaps: tuple[Swap, ...]) -> bool:
        if self.swapped is not None:
            if self._nearer(value, swaps[self.swapped]):
                self.returned = 0
                return True
            self.returned += 1
            if self.returned >= RETURNED:
                self.swapped, self.returned = None, 0
            return False
        if self.count < LEARNED or self.low <= value <= self.high:
            return False
        if abs(value - self.last) <= NOISY * max(self.usual, self.floor):
            return False
        self.swapped = next((place for place, swap in enumerate(swaps) if self._fits(value, swap)), None)
        self.returned = 0
        return self.swapped is not None

    def _fits(self, value: float, swap: Swap) -> bool:
        expected, noise = swap.shown(self.last), 3.0 * self.usual * abs(swap.factor)
        if noise > PLAIN * abs(expected):  # around nothing any unit tells much the same
            return False
        return abs(value - expected) <= NEAR * abs(expected) + noise and self._nearer(value, swap)

    def _nearer(self, value: float, swap: Swap) -> bool:
        """Whether a value is nearer to the last as the other unit shows it, each in its own size."""
        expected = swap.shown(self.last)
        return abs(value - expected) * abs(self.last or 1.0) < abs(value - self.last) * abs(expected or 1.0)

    def _step(self, step: float) -> None:
        usual = self.usual if self.usual > self.floor else self.floor
        self.noise += NOW * ((step if step < CLIP * usual else CLIP * usual) - self.noise)  # each value comes here
        if self.noise <= NOISY * usual:
            self.usual += SLOWLY * ((step if step < NOISY * usual else NOISY * usual) - self.usual)

    def _change(self, use: float, hours: float) -> None:
        pause = use - self.changed_use
        if self.changes < CHANGES:
            self.changes += 1  # more are not told apart
        self.pause += ((pause if pause > 0.0 else 0.0) - self.pause) / self.changes
        self.changed_use, self.changed_hours = use, hours

    @property
    def is_noisy(self) -> bool:
        """Whether it is far noisier than it was learned to be."""
        usual = max(self.usual, self.floor)
        return usual > 0 and self.noise > NOISY * usual

    def is_stuck(self, use: float, hours: float, rated: float, *, counted: bool) -> bool:
        """Tell whether it has stood still for too long while its machine ran; `rated` is the life, 0 if none.

        counted: a counter tells the use; else only the calendar does, and the machine may have been at rest.
        """
        if not self.count:
            return False
        still = use - self.changed_use
        if not counted and hours - self.changed_hours <= STILL_HOURS:
            return False
        usual = self.changes >= CHANGES and still > max(STILL_TIMES * self.pause, STILL_SHARE * rated)
        return usual or (rated > 0 and still > STILL_LIFE * rated)

    def doubts(self, tag: str, unit: str, swaps: tuple[Swap, ...], *, stuck: bool) -> list[Evidence]:
        """Return whatever takes the confidence away, with its figures; nothing from a sensor that behaves."""
        found = []
        if self.swapped is not None:
            figures = {"tag": tag, "unit": unit, "other": swaps[self.swapped].unit}
            found.append(Evidence("UNIT_SWAPPED", figures))
        if self.is_noisy:
            times = self.noise / max(self.usual, self.floor)
            found.append(Evidence("SENSOR_NOISY", {"tag": tag, "times": f"{times:.0f}"}))
        if stuck:
            found.append(Evidence("SENSOR_STUCK", {"tag": tag, "value": f"{self.last:.4g}", "unit": unit}))
        return found


def real(values: Vector) -> NDArray[np.float32]:
    """Return values as a controller's REAL, of four bytes; what is beyond that is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


class Leap:
    """Of one signal that no other can confirm: whether what it tells came in a leap, as a shifted sensor's does.

    Wear that is slow against eight frames never leaps. A leap is over once the signal is back where it was for a few
    frames, or has gone on from where it leapt to: that is wear again. Values are distances in healthy scatters.
    """

    kept: ClassVar = Layout(numbers=("before", "after"), wholes=("frames", "back"))

    def __init__(self) -> None:
        self.recent: list[float] = []
        self.before: float | None = None
        self.after, self.frames, self.back = 0.0, 0, 0

    @property
    def size(self) -> float:
        """How far it leapt, 0 where it has not."""
        return 0.0 if self.before is None else self.after - self.before

    def take(self, z: float) -> None:
        """Fold a frame; one that is missing (NaN) says nothing."""
        if math.isnan(z):
            return
        kept = float(np.float32(min(max(z, -FARTHEST), FARTHEST)))  # as it is packed
        self.recent = [*self.recent, kept][-2 * LEAP_FRAMES[-1] :]
        if self.before is None:
            self._look()
        else:
            self._follow(kept, self.before)

    def with_frame(self, z: float) -> Leap:
        """Return a copy that has seen one more frame."""
        other = copy(self)
        other.take(z)
        return other

    def _look(self) -> None:
        for frames in LEAP_FRAMES:
            if len(self.recent) < 2 * frames:
                return
            now, before = _mean(self.recent[-frames:]), _mean(self.recent[-2 * frames : -frames])
            if abs(now) - abs(before) > LEAP_SURE * math.sqrt(2.0 / frames):
                self.before, self.after, self.frames, self.back = before, now, 0, 0
                return

    def _follow(self, z: float, before: float) -> None:
        """See whether it comes back or goes on; where it leapt to is known some frames later."""
        longest = LEAP_FRAMES[-1]
        self.frames, now = self.frames + 1, _mean(self.recent[-longest:])
        if self.frames <= 2 * longest:
            self.after = max(self.after, now, key=abs)
        self.back = self.back + 1 if abs(z - before) < LEAP_BACK else 0
        went_on = self.frames > 2 * longest and abs(now) > abs(self.after) + LEAP_BACK
        if self.back >= RETURNED or went_on:
            self.before, self.recent = None, []

    def pack(self, packer: Packer) -> None:
        """Pack what is known."""
        packer.things(self)
        packer.whole(len(self.recent))
        packer.array(np.array(self.recent), "<f4")

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        packed.things(self)
        self.recent = packed.array(packed.count(), kind="<f4").tolist()


class Stillness:
    """Of several signals at once, by the frame: which stand still for far longer than they ever did.

    A frame is compared as a controller's REAL, of four bytes: what is less than that is no change.
    """

    def __init__(self, signals: int) -> None:
        self._last = np.full(signals, np.nan, np.float32)
        self._changes = np.zeros(signals, np.uint8)
        self._pause = np.zeros(signals, np.float32)
        self._changed = np.zeros((2, signals))

    def take(self, frame: Vector, use: float, hours: float) -> None:
        """Fold a frame; a signal that is missing in it (NaN) neither changed nor stood still."""
        self._fold(real(frame), use, hours)

    def _fold(self, frame: NDArray[np.float32], use: float, hours: float) -> None:
        first = np.isnan(self._last) & np.isfinite(frame)
        moved = np.isfinite(frame) & ~np.isnan(self._last) & (frame != self._last)
        self._changes[moved] = np.minimum(self._changes[moved], CHANGES - 1) + 1  # more are not told apart
        weight = np.maximum(1.0 / np.maximum(self._changes[moved], 1.0), 1.0 / CHANGES)
        self._pause[moved] += weight * (np.maximum(use - self._changed[0, moved], 0.0) - self._pause[moved])
        self._changed[:, first | moved] = np.array([[use], [hours]])
        self._last = np.where(np.isfinite(frame), frame, self._last)

    def stuck(self, use: float, hours: float, rated: float, *, counted: bool) -> list[int]:
        """Return the places of signals that stand still; see `Sense.is_stuck`.

        What never moved in health has no say anyhow, so nothing is said of signals that hardly ever changed.
        """
        still = use - self._changed[0]
        found = (self._changes >= CHANGES) & (still > np.maximum(STILL_TIMES * self._pause, STILL_SHARE * rated))
        if not counted:
            found &= hours - self._changed[1] > STILL_HOURS
        return [int(place) for place in np.flatnonzero(found)]

    def pack(self, packer: Packer) -> None:
        """Pack what is known of each signal: 25 bytes."""
        packer.array(self._last, "<f4")
        packer.array(self._changes, "u1")
        packer.array(self._pause, "<f4")
        packer.array(self._changed)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed, of as many signals."""
        signals = len(self._last)
        self._last, self._changes = packed.array(signals, kind="<f4"), packed.array(signals, kind="u1")
        self._pause, self._changed = packed.array(signals, kind="<f4"), packed.array(2, signals)

    def adopt(self, state: Sequence[Sequence[float | None]]) -> None:
        """Go on from a snapshot from before states were packed."""
        last, changes, pause, *changed = (np.array(row, np.float64) for row in state)
        self._last, self._pause = last.astype(np.float32), pause.astype(np.float32)
        self._changes, self._changed = np.minimum(changes, CHANGES).astype(np.uint8), np.array(changed)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
