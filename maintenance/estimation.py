"""From the signals of a part at work to samples of its estimated wear, before anything is folded.

Whenever the first clock has gone on by what makes a row, the newest good value of each signal is one; see
`wear_estimate` for what becomes of it. A part's own beginning must have been heard: of one that was fitted before
anybody listened, or whose past is unknown, nothing can be told until the next is fitted.

Promises: constant time and memory for a sample; each row gives the wear and its standard deviation at the clock's own
time. Where the wear cannot be told (a signal is missing or leaps, the beginning is too short or was not heard, or the
part is worked in a way that no measured part was) the wear is UNCERTAIN with a code that says why, the deviation is
-1, and what was seen then moves nothing later. A counter that jumps back, and up again, counts nothing twice. Refuses
to know files, clocks and money.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from connectors.samples import Batch, Keys, Quality, ticks_of
from maintenance.assets import Life
from maintenance.estimates import DEVIATION, Estimate, Taught
from maintenance.wear_estimate import BASELINE, WearMeter

OUTSIDE: Final = 0.25
"""A feature outside all that was learned from, by this part of how wide that is, is of a regime never seen."""
UNTOLD: Final = -1.0
"""The deviation of what nobody can tell."""

LifeOf = Callable[[str], Life | None]
"""The life in a component's slot, None where nobody knows of one."""
Row = tuple[list[float], list[float]]
"""Use since fitting on each clock, and each signal, NaN where none stands."""


@dataclass(slots=True)
class Counted:
    """Use on one counter: what it went on by; its state is JSON-able.

    peak: what it showed before it jumped back. Where it comes back to that, it had only looked away.
    """

    use: float = 0.0
    last: float | None = None
    peak: float | None = None

    def take(self, reading: float) -> None:
        """Fold a reading."""
        last, self.last = self.last, reading
        if last is None:
            return
        if reading < last:
            self.peak = last if self.peak is None else max(last, self.peak)
        elif self.peak is not None and reading >= self.peak:
            self.use += reading - self.peak
            self.peak = None
        else:
            self.use += reading - last


@dataclass(slots=True)
class Rows:
    """Makes rows of what one part's tags say; its state is JSON-able."""

    every: float
    clocks: list[Counted]
    signals: list[float]
    row_at: float = 0.0

    @classmethod
    def new(cls, use: Estimate) -> Rows:
        """Return those of a part of which nothing was heard."""
        return cls(use.every, [Counted() for _clock in use.clocks], [math.nan] * len(use.signals))

    def begin(self) -> None:
        """Another part works from now on; what signals and counters show goes on."""
        self.row_at = 0.0
        for clock in self.clocks:
            clock.use, clock.peak = 0.0, None

    def doubt(self) -> None:
        """Nothing stands any more until it is said again."""
        self.signals = [math.nan] * len(self.signals)

    def signal(self, place: int, value: float) -> None:
        """Take the newest value of a signal; NaN when it cannot be believed."""
        self.signals[place] = value

    def clock(self, place: int, reading: float) -> Row | None:
        """Take a counter's reading; return the row that it makes, if any."""
        self.clocks[place].take(reading)
        if place or self.clocks[0].use - self.row_at < self.every * (1 - 1e-9):
            return None
        self.row_at = self.clocks[0].use
        return [clock.use for clock in self.clocks], list(self.signals)

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able; signals must be heard anew."""
        return {"clocks": [[each.use, each.last, each.peak] for each in self.clocks], "row_at": self.row_at}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state. Raises KeyError, TypeError, ValueError for one of another shape."""
        clocks = [Counted(float(use), last, peak) for use, last, peak in state["clocks"]]
        if len(clocks) != len(self.clocks):
            raise ValueError("a state of other clocks")
        self.clocks, self.row_at = clocks, float(state["row_at"])


@dataclass(frozen=True, slots=True)
class Told:
    """What a row says: the wear, its standard deviation, and a code of why it cannot be believed, "" where it can."""

    wear: float
    deviation: float
    doubt: str = ""


@dataclass(slots=True)
class Follower:
    """Follows the part in one slot. heard: our time of the first clock's first value, in ticks; seen: whether the
    part's own beginning was heard."""

    use: Estimate
    taught: Taught
    rows: Rows
    meter: WearMeter
    life: str = ""
    seen: bool = False
    heard: int | None = None
    newest: dict[int, int] = field(default_factory=dict)

    @classmethod
    def new(cls, use: Estimate, taught: Taught) -> Follower:
        """Return one that has heard nothing."""
        return cls(use, taught, Rows.new(use), WearMeter.new(taught.model))

    def mind(self, life: Life | None) -> None:
        """Begin anew where another part is in the slot than before."""
        if (life.id if life else "") == self.life:
            return
        self.life = life.id if life else ""
        heard_before = life is not None and self.heard is not None and self.heard <= ticks_of(life.fitted_at)
        self.seen = heard_before and life is not None and life.used_before == 0
        self.rows.begin()
        self.meter = WearMeter.new(self.taught.model)

    def take(self, place: int, value: float, good: bool, source: int, received: int) -> Told | None:
        """Take a value of a tag by its place, signals first; return what a row that it makes says."""
        if source < self.newest.get(place, source):
            return None
        self.newest[place] = source
        clock = place - len(self.use.signals)
        if clock < 0:
            self.rows.signal(place, value if good else math.nan)
            return None
        if not good:
            return None
        if clock == 0 and self.heard is None:
            self.heard = received
        before = self.rows.row_at
        row = self.rows.clock(clock, value)
        return None if row is None else self._told(row, self.rows.row_at - before)

    def _told(self, row: Row, gone: float) -> Told:
        meter, (clocks, signals) = self.meter, row
        if not meter.traits.begun and gone > BASELINE * self.use.every:
            self.seen = False  # it worked while nobody listened, so what comes now is not its beginning
        missing = not all(math.isfinite(value) for value in signals)
        strange = meter.traits.begun and not missing and self._is_strange(signals)
        mean = meter.mean
        said = meter.take(clocks, [math.nan] * len(signals) if strange else signals)
        if strange or said.strangeness > OUTSIDE:
            strange, meter.mean = True, mean
        doubt = self._doubt(missing, strange, said.known)
        return Told(meter.mean, UNTOLD if doubt else said.deviation, doubt)

    def _doubt(self, missing: bool, strange: bool, known: bool) -> str:
        if not self.seen:
            return "BEGINNING_NOT_HEARD"
        if missing:
            return "SIGNAL_MISSING"
        if not self.meter.traits.begun:
            return "BEGINNING"
        if strange:
            return "NEVER_SEEN"
        return "" if known else "SIGNAL_LEAPS"

    def _is_strange(self, signals: Sequence[float]) -> bool:
        """Tell whether the part is worked as none was that the model knows, by any signal that it listens to."""
        model, rises = self.taught.model, self.meter.traits.rises
        first = 2 * model.clocks
        listened = {(term.feature - first) // 2 for term in model.terms if term.feature >= first}
        return any(
            _beyond(rises[each].now(signals[each]), *self.taught.seen[each]) > OUTSIDE
            for each in listened
            if signals[each] > 0
        )

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        kept = {"life": self.life, "seen": self.seen, "heard": self.heard, "version": self.taught.version}
        return {**kept, "rows": self.rows.snapshot(), "meter": self.meter.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state. What another model believed of the same part is told anew from what was heard.

        Raises KeyError, TypeError, ValueError for one of another shape, and changes nothing then.
        """
        meter = WearMeter.of(self.taught.model, state["meter"])
        traits = meter.traits
        if (len(traits.use), len(traits.rises)) != (len(self.use.clocks), len(self.use.signals)):
            raise ValueError("a state of other tags")
        self.rows.restore(state["rows"])
        if state["version"] != self.taught.version:
            meter.mean = 0.0
        self.meter, self.life, self.seen, self.heard = meter, state["life"], state["seen"], state["heard"]


def _beyond(value: float, low: float, high: float) -> float:
    """Return how far a value is outside of a span, in widths of it."""
    return max(low - value, value - high, 0.0) / max(high - low, 1e-12)


class Estimation:
    """The estimates of a site, by the key `machine/estimate`; what has no model tells nothing."""

    def __init__(self, estimates: Mapping[str, Estimate]) -> None:
        self._followers = {
            key: Follower.new(each, each.taught) for key, each in estimates.items() if each.taught is not None
        }
        self._keys = Keys()
        self._readers: list[list[tuple[str, int]]] = []
        self._clocks: list[bool] = []
        for key, follower in self._followers.items():
            for place, tag in enumerate((*follower.use.signals, *follower.use.clocks)):
                number = self._keys.number(tag.key)
                if number == len(self._readers):
                    self._readers.append([])
                    self._clocks.append(False)
                self._readers[number].append((key, place))
                self._clocks[number] |= place >= len(follower.use.signals)

    def joined(self, batch: Batch, life_of: LifeOf) -> Batch:
        """Return a batch with samples of what its values told of wear behind it; the batch itself where none did."""
        if not self._followers:
            return batch
        numbers = self._keys.adopt(batch).tags
        rows = np.flatnonzero(numbers < len(self._readers))
        if not len(rows):
            return batch
        for follower in self._followers.values():
            follower.mind(life_of(follower.use.component))
        last = np.array(self._clocks)[numbers[rows]]  # a row is made of what was said with its clock
        ordered = rows[np.lexsort((last, batch.source[rows]))]
        told = [found for row in ordered.tolist() for found in self._heard(batch, row, int(numbers[row]))]
        return _behind(batch, told) if told else batch

    def _heard(self, batch: Batch, row: int, number: int) -> list[tuple[int, str, Told]]:
        value = float(batch.values[row])
        good = batch.quality[row] == Quality.GOOD and math.isfinite(value)
        times = int(batch.source[row]), int(batch.received[row])
        found = ((key, self._followers[key].take(place, value, good, *times)) for key, place in self._readers[number])
        return [(row, key, told) for key, told in found if told is not None]

    def heard_since(self, ticks: int) -> None:
        """Everything was heard from a time on, as in a recording that begins then."""
        for follower in self._followers.values():
            follower.heard = ticks

    def doubt(self, tags: Sequence[str]) -> None:
        """The wire to these tags is gone: what they said last no longer stands."""
        gone = set(tags)
        for follower in self._followers.values():
            if any(tag.key in gone for tag in follower.use.signals):
                follower.rows.doubt()

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return the state of every estimate, JSON-able, by a name that no component has."""
        return {f"estimate {key}": each.snapshot() for key, each in self._followers.items()}

    def restore(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up a snapshot; what does not fit begins anew, and tells nothing until the next part is fitted."""
        for key, follower in self._followers.items():
            try:
                follower.restore(states[f"estimate {key}"])
            except (KeyError, TypeError, ValueError, AttributeError):
                continue


def _behind(batch: Batch, told: Sequence[tuple[int, str, Told]]) -> Batch:
    """Append wear and deviation of each row, the wear first."""
    rows = np.repeat([row for row, _key, _said in told], 2)
    keys = [name for _row, key, _said in told for name in (key, key + DEVIATION)]
    values = [value for _row, _key, said in told for value in (said.wear, said.deviation)]
    quality = [each for _row, _key, said in told for each in (_quality(said), Quality.GOOD)]
    texts = {len(batch) + 2 * place: said.doubt for place, (_row, _key, said) in enumerate(told) if said.doubt}
    return replace(
        batch,
        tags=np.concatenate([batch.tags, np.array([batch.keys.number(key) for key in keys], np.int32)]),
        values=np.concatenate([batch.values, np.array(values, np.float64)]),
        quality=np.concatenate([batch.quality, np.array(quality, np.uint8)]),
        source=np.concatenate([batch.source, batch.source[rows]]),
        received=np.concatenate([batch.received, batch.received[rows]]),
        texts={**batch.texts, **texts},
    )


def _quality(said: Told) -> Quality:
    return Quality.UNCERTAIN if said.doubt else Quality.GOOD
