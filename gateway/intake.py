"""From what a connection delivers to what rules see: sifted, the latest of each tag known, estimators fed.

Promises: a value within its deadband counts as heard and is neither stored nor judged again; a batch costs a few
operations on columns however many tags there are; how long a value took from the machine's clock to here is counted.
Values that a machine recalled from its own history are passed on to be stored, and judge nothing. Windows become
samples of the features computed from them, beside the event loop, and go no further. What values tell of wear
(`maintenance.estimation`) comes behind them as samples of its own. Refuses to know databases and money.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from gettext import ngettext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.counters import Latencies
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Quality, ticks_of
from gateway.live import Board
from maintenance.derivation import Derivation, answer
from maintenance.estimation import Estimation
from maintenance.monitor import Monitor


class Sieve:
    """Leaves out what moved less than its tag's deadband since the last value that was let through."""

    def __init__(self, bands: Mapping[str, float]) -> None:
        """Take the deadband of each tag that has one, in its unit."""
        self._keys = Keys(bands)
        self._bands = np.fromiter(bands.values(), np.float64, len(bands))
        self._last = np.full(len(bands), np.nan)

    def sift(self, batch: Batch) -> Batch:
        """Return the rows that count: of no deadband, doubtful, words, the first ones, or moved far enough."""
        if not len(self._bands):
            return batch
        batch_tags = self._keys.adopt(batch).tags
        banded = np.flatnonzero(batch_tags < len(self._bands))
        if not len(banded):
            return batch
        kept = np.ones(len(batch), bool)
        tags, values = batch_tags[banded], batch.values[banded]
        good = (batch.quality[banded] == Quality.GOOD) & np.isfinite(values)
        in_order = np.sort(tags)
        if not (in_order[1:] == in_order[:-1]).any():
            still = good & (np.abs(values - self._last[tags]) < self._bands[tags])
            self._last[tags[~still]] = np.where(good, values, np.nan)[~still]
        else:
            still = self._one_by_one(tags, values, good)
        kept[banded] = ~still
        return batch if kept.all() else _rows(batch, np.flatnonzero(kept))

    def _one_by_one(
        self, tags: NDArray[np.int32], values: NDArray[np.float64], good: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Several values of a tag: each is measured against the one before it that was let through."""
        still = np.zeros(len(tags), bool)
        for row, (tag, value) in enumerate(zip(tags.tolist(), values.tolist(), strict=True)):
            still[row] = good[row] and abs(value - self._last[tag]) < self._bands[tag]
            if not still[row]:
                self._last[tag] = value if good[row] else np.nan
        return still


def _rows(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    places = {int(old): new for new, old in enumerate(rows)} if batch.texts else {}
    return replace(
        batch,
        tags=batch.tags[rows],
        values=batch.values[rows],
        quality=batch.quality[rows],
        source=batch.source[rows],
        received=batch.received[rows],
        texts={places[row]: text for row, text in batch.texts.items() if row in places},
    )


def _shown(batch: Batch) -> Batch:
    """Return the windows alone as people see them: how many numbers there were."""
    rows = np.fromiter(batch.windows, np.int64)
    counts = [len(window) for window in batch.windows.values()]
    texts = {row: ngettext("{count} number", "{count} numbers", count) for row, count in enumerate(counts)}
    told = {row: text.format(count=counts[row]) for row, text in texts.items()}
    return replace(_rows(batch, rows), texts=told, windows={})


class Intake:
    """The way of a batch; `samples` counts what was taken, `lag` how old the newest value of each batch was then.

    sieve: may be replaced by one of other deadbands.
    """

    def __init__(
        self,
        monitor: Monitor,
        board: Board,
        sieve: Sieve,
        clock: Callable[[], datetime],
        derivation: Derivation | None = None,
        estimation: Estimation | None = None,
    ) -> None:
        self._monitor = monitor
        self._board = board
        self.sieve = sieve
        self._clock = clock
        self.derive_by(derivation or Derivation({}))
        self._estimation = estimation or Estimation({})
        self.samples = 0
        self.lag = Latencies()

    def derive_by(self, derivation: Derivation) -> None:
        """Compute these features from now on."""
        self._derivation = derivation
        for tag, unit in derivation.speeds.items():
            self._monitor.watch(tag, unit)

    def estimate_by(self, estimation: Estimation) -> None:
        """Estimate by these from now on; what was known of the parts goes on where it still fits."""
        estimation.restore(self._estimation.snapshot())
        self._estimation = estimation

    def lost(self, tags: Sequence[str]) -> None:
        """The wire to these tags is gone."""
        self._estimation.doubt(tags)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return what estimates know, JSON-able."""
        return self._estimation.snapshot()

    def restore(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up a snapshot."""
        self._estimation.restore(states)

    async def derived(self, batch: Batch) -> Batch:
        """Return a batch with samples of features in place of its windows; `take` takes none that has any."""
        derivation = self._derivation
        questions = derivation.questions(batch, self._speed)
        answers = await asyncio.to_thread(answer, questions)
        self._board.put(_shown(batch))
        return derivation.joined(batch, answers)

    def _speed(self, tag: str) -> float | None:
        newest = self._monitor.latest(tag)
        return newest.value if newest is not None and newest.quality is Quality.GOOD else None

    def take(self, batch: Batch) -> Batch:
        """Take a batch; return what of it is to be stored."""
        self.samples += len(batch)
        if batch.recalled or not len(batch):
            return batch
        batch = self._estimation.joined(batch, self._monitor.life)
        self._board.put(batch)
        sifted = self.sieve.sift(batch)
        self._monitor.fold(sifted)
        self.lag.observe(max(0.0, (ticks_of(self._clock()) - int(batch.source.max())) / TICKS_PER_SECOND))
        return sifted
