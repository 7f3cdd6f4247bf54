"""The newest good value of every tag, in columns, and what in a batch is news.

Promises: a value that is bad, uncertain, not a number, or older than what is known moves nothing and is counted; a
value again, as after a reconnection, is fresh and nothing is learned twice; a batch costs a few operations on columns,
whatever its tags, and the same comes out as if each value had been taken alone. Refuses to know components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.samples import Batch, Keys, Numbers, Provenance, Quality, Ticks, Values, moment_of, ticks_of
from maintenance.packing import Packer, Unpacker

NEVER: Final = -(2**63)
"""The time of what has not been yet, in ticks."""
REASONS: Final = ("bad", "uncertain", "not a number", "late")
"""Why a value moved nothing."""
_BAD, _UNCERTAIN, _NO_NUMBER, _LATE = range(4)
_PROVENANCES: Final = (Provenance.A, Provenance.B)


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest value of a tag, for people: in `unit`, as far as it can be believed now."""

    tag: str
    value: float
    unit: str
    quality: Quality
    source_time: datetime
    receive_time: datetime


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """The rows of a batch that moved something, in their order: which tag, to what, at which source time."""

    tags: Numbers
    values: Values
    source: Ticks


class Points:
    """Tags by number; see the module.

    good_at: when a tag's newest value was last known to stand, in ticks; `NEVER` before its first.
    """

    def __init__(self) -> None:
        self._keys = Keys()
        self._watched = np.zeros(0, bool)
        self._units: list[str] = []
        self._source = np.zeros(0, np.int64)
        self._received = np.zeros(0, np.int64)
        self._value = np.zeros(0, np.float64)
        self._provenance = np.zeros(0, np.uint8)
        self._quality = np.zeros(0, np.uint8)
        self._refused = np.zeros((len(REASONS), 0), np.int64)
        self._row = np.zeros(0, np.int64)
        self.good_at = np.zeros(0, np.int64)

    def watch(self, key: str, unit: str) -> int:
        """Keep the newest value of a tag from now on; return its number."""
        number = self._keys.number(key)
        self._grow()
        if not self._watched[number]:
            self._watched[number] = True
            self._units[number] = unit
        return number

    def find(self, key: str) -> int | None:
        """Return a tag's number, or None when it is not watched."""
        number = self._keys.find(key)
        return number if number is not None and number < len(self._watched) and self._watched[number] else None

    def take(self, batch: Batch) -> News:
        """Take a batch; return what of it is news."""
        batch = self._keys.adopt(batch)
        self._grow()
        rows = np.flatnonzero(self._watched[batch.tags])
        tags, source, received = batch.tags[rows], batch.source[rows], batch.received[rows]
        values, quality = batch.values[rows], batch.quality[rows]
        provenance = _PROVENANCES.index(batch.provenance)
        orderly = self._orderly(tags, source)
        good = orderly & (quality == Quality.GOOD) & np.isfinite(values)
        self._settle(tags, values, quality, source, received, orderly, good, provenance)
        if not orderly.all():
            for row in np.flatnonzero(~orderly).tolist():
                good[row] = self._one(
                    int(tags[row]),
                    float(values[row]),
                    Quality(int(quality[row])),
                    int(source[row]),
                    int(received[row]),
                    provenance,
                )
        return News(tags[good], values[good], source[good])

    def _orderly(self, tags: Numbers, source: Ticks) -> NDArray[np.bool_]:
        """Tell of each row whether all rows of its tag are newer than what is known, and each than the one before."""
        count = len(tags)
        places = np.arange(count)
        self._row[tags] = places  # the last row of a tag stays
        if bool((self._row[tags] == places).all()):
            return source > self._source[tags]
        order = np.argsort(tags, kind="stable")
        tag, time = tags[order], source[order]
        first = np.ones(count, bool)
        first[1:] = tag[1:] != tag[:-1]
        newer = np.empty(count, bool)
        newer[1:] = time[1:] > time[:-1]
        newer[first] = time[first] > self._source[tag[first]]
        starts = np.flatnonzero(first)
        whole = np.logical_and.reduceat(newer, starts)
        orderly = np.empty(count, bool)
        orderly[order] = np.repeat(whole, np.diff(np.append(starts, count)))
        return orderly

    def _settle(
        self,
        tags: Numbers,
        values: Values,
        quality: NDArray[np.uint8],
        source: Ticks,
        received: Ticks,
        orderly: NDArray[np.bool_],
        good: NDArray[np.bool_],
        provenance: int,
    ) -> None:
        """Take the orderly rows: of several of a tag the last one stays, as assignment by index has it."""
        if good.all():
            self._keep(tags, values, source, received, provenance)
            self._quality[tags] = Quality.GOOD
            return
        self._keep(tags[good], values[good], source[good], received[good], provenance)
        doubt = np.where(good, np.uint8(Quality.GOOD), np.maximum(quality, np.uint8(Quality.UNCERTAIN)))
        self._quality[tags[orderly]] = doubt[orderly]
        refused = orderly & ~good
        for reason, mask in (
            (_BAD, quality == Quality.BAD),
            (_UNCERTAIN, quality == Quality.UNCERTAIN),
            (_NO_NUMBER, quality == Quality.GOOD),
        ):
            np.add.at(self._refused[reason], tags[refused & mask], 1)

    def _keep(self, tags: Numbers, values: Values, source: Ticks, received: Ticks, provenance: int) -> None:
        self._source[tags] = source
        self._value[tags] = values
        self._received[tags] = received
        self.good_at[tags] = received
        self._provenance[tags] = provenance

    def _one(self, tag: int, value: float, quality: Quality, source: int, received: int, provenance: int) -> bool:
        """Take a value among others of its tag that came out of order; return whether it is news."""
        if source <= self._source[tag]:
            self._again(tag, value, quality, source, received)
            return False
        if quality is not Quality.GOOD or not math.isfinite(value):
            reason = {Quality.BAD: _BAD, Quality.UNCERTAIN: _UNCERTAIN}.get(quality, _NO_NUMBER)
            self._refused[reason, tag] += 1
            self._quality[tag] = max(quality, Quality.UNCERTAIN)
            return False
        self._source[tag], self._value[tag], self._received[tag] = source, value, received
        self._provenance[tag], self._quality[tag], self.good_at[tag] = provenance, Quality.GOOD, received
        return True

    def _again(self, tag: int, value: float, quality: Quality, source: int, received: int) -> None:
        """The same value again, as after a reconnection: it is fresh, and nothing is learned twice."""
        same = source == self._source[tag] and received > self._received[tag] and value == self._value[tag]
        if same and quality is Quality.GOOD:
            self._quality[tag], self.good_at[tag] = Quality.GOOD, received
        else:
            self._refused[_LATE, tag] += 1

    def doubt(self, tags: Numbers) -> None:
        """The wire to these tags is gone: their newest values no longer stand for now."""
        self._quality[tags] = np.maximum(self._quality[tags], np.uint8(Quality.UNCERTAIN))

    def stand(self, tags: Numbers, now: datetime) -> None:
        """The wire to these tags is open and silent: what was good still stands."""
        good = tags[(self._quality[tags] == Quality.GOOD) & (self._source[tags] != NEVER)]
        self.good_at[good] = ticks_of(now)

    def latest(self, tag: int) -> Reading | None:
        """Return a tag's newest good value and how far it can be believed now, or None before the first."""
        if self._source[tag] == NEVER:
            return None
        times = moment_of(int(self._source[tag])), moment_of(int(self._received[tag]))
        quality = Quality(int(self._quality[tag]))
        return Reading(self._keys[tag], float(self._value[tag]), self._units[tag], quality, *times)

    def newest(self, tags: Numbers) -> Values:
        """Return the newest good value of each of these tags, not a number before its first."""
        return np.where(self._source[tags] == NEVER, np.nan, self._value[tags])

    def refused(self, tag: int) -> Mapping[str, int]:
        """Return how many values of a tag moved nothing, by reason."""
        return {why: int(count) for why, count in zip(REASONS, self._refused[:, tag], strict=True) if count}

    def pack(self, tag: int, packer: Packer) -> None:
        """Pack a tag's newest value, when it was good, and what was refused."""
        heard = self._source[tag] != NEVER
        packer.whole(int(self._source[tag]) if heard else None)
        if not heard:
            return
        packer.number(float(self._value[tag]))
        for count in (self._received[tag] - self._source[tag], self.good_at[tag] - self._received[tag]):
            packer.whole(int(count))
        packer.whole(int(self._provenance[tag]))
        for refused in self._refused[:, tag].tolist():
            packer.whole(refused)

    def unpack(self, tag: int, packed: Unpacker) -> None:
        """Go on from what was packed, but for what is known better already.

        A value comes back as uncertain, for nobody has said yet that it still stands.
        """
        source = packed.whole()
        if source is None:
            return
        value, later, again, provenance = packed.number(), packed.count(), packed.count(), packed.count()
        refused = [packed.count() for _reason in REASONS]
        if self._source[tag] != NEVER:
            return
        self._source[tag], self._value[tag], self._received[tag] = source, value, source + later
        self.good_at[tag], self._provenance[tag] = source + later + again, provenance
        self._quality[tag], self._refused[:, tag] = Quality.UNCERTAIN, refused

    def adopt(self, tag: int, document: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        if document["newest"] is None or self._source[tag] != NEVER:
            return
        _key, value, source_time, receive_time, provenance = document["newest"]
        self._value[tag] = value
        self._source[tag] = ticks_of(datetime.fromisoformat(source_time))
        self._received[tag] = ticks_of(datetime.fromisoformat(receive_time))
        self._provenance[tag] = _PROVENANCES.index(Provenance(provenance))
        self._quality[tag] = Quality.UNCERTAIN
        if document["good_at"]:
            self.good_at[tag] = ticks_of(datetime.fromisoformat(document["good_at"]))
        for reason, why in enumerate(REASONS):
            self._refused[reason, tag] = document["refused"].get(why, 0)

    def _grow(self) -> None:
        """Make room for every key that has a number."""
        missing = len(self._keys) - len(self._watched)
        if missing <= 0:
            return
        missing = max(missing, len(self._watched))  # doubled, so that a growing plant costs little
        self._units += [""] * missing
        self._watched = np.append(self._watched, np.zeros(missing, bool))
        self._source = np.append(self._source, np.full(missing, NEVER))
        self.good_at = np.append(self.good_at, np.full(missing, NEVER))
        self._received = np.append(self._received, np.zeros(missing, np.int64))
        self._value = np.append(self._value, np.full(missing, math.nan))
        self._provenance = np.append(self._provenance, np.zeros(missing, np.uint8))
        self._quality = np.append(self._quality, np.full(missing, Quality.BAD, np.uint8))
        self._refused = np.concatenate([self._refused, np.zeros((len(REASONS), missing), np.int64)], axis=1)
        self._row = np.append(self._row, np.zeros(missing, np.int64))
