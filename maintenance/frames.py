"""The frames of one life as they are kept for learning: bounded however long it lasts, and read back as a history.

Promises: a frame that is not newer by use than the last is known already and changes nothing. When a life has more
frames than fit, neighbours are averaged two by two, but for the first `whole` ones, which say what is healthy; read
back, an average stands for as many frames as it is of, so that what is learned of moving averages stays comparable.
A signal that was missing keeps its last value. Bytes that are no frames are refused, never guessed at. No clock, no
I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maintenance.features import Vector

FRAMES_MAX: Final = 4096
"""Frames of one life: eight rated lives of 500 each; with 14 signals 280 kB."""
CHUNK: Final = 64
"""Frames of one row: at each step the newest row of a component is written again, 2 kB on average."""

Told = Sequence[tuple[float, Sequence[float]]]
"""Frames as the monitor tells them: the use at the end of each, and its values in the order of the signals."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One life that has ended: frames of shape (frames, signals), and the use at the end of each, ascending.

    left: what was left when it ended, by use; 0 after a failure.
    """

    unit: str
    frames: Vector
    use: Vector
    left: float = 0.0

    def __post_init__(self) -> None:
        if self.frames.ndim != 2 or len(self.frames) != len(self.use) or not np.all(np.diff(self.use) > 0):
            raise ValueError("a history has one ascending use for each frame")
        if not np.all(np.isfinite(self.frames)):
            raise ValueError("the frames of a history are whole")

    @property
    def life(self) -> float:
        """The use from new to the end of life."""
        return float(self.use[-1]) + self.left


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Some frames in a row: use ascending, how many each is the mean of, values of shape (frames, signals)."""

    use: Vector
    weights: NDArray[np.uint32]
    values: NDArray[np.float32]

    @classmethod
    def none(cls, signals: int) -> Frames:
        """Return no frames of so many signals."""
        return cls(np.zeros(0), np.zeros(0, np.uint32), np.zeros((0, signals), np.float32))

    @classmethod
    def joined(cls, parts: Iterable[Frames]) -> Frames:
        """Return parts in a row. Raises ValueError without any, or where they do not follow each other."""
        each = list(parts)
        whole = cls(
            np.concatenate([part.use for part in each]),
            np.concatenate([part.weights for part in each]),
            np.concatenate([part.values for part in each]),
        )
        if not np.all(np.diff(whole.use) > 0):
            raise ValueError("frames follow each other by use")
        return whole

    def __len__(self) -> int:
        return len(self.use)

    def __getitem__(self, rows: slice) -> Frames:
        return Frames(self.use[rows], self.weights[rows], self.values[rows])

    def taking(self, told: Told, stride: int = 1, whole: int = 0) -> Frames:
        """Return them with what was told at the end: each of the last frames is the mean of up to `stride`.

        whole: how many of these very frames are never averaged.
        """
        use, weights, values = list(self.use), list(self.weights), list(self.values)
        for at, frame in told:
            new = np.asarray(frame, np.float32)
            if use and at <= use[-1]:
                continue
            if len(use) > whole and weights[-1] < stride:
                mean = values[-1] + (new - values[-1]) / np.float32(weights[-1] + 1)
                use[-1], values[-1] = at, np.where(np.isnan(new), values[-1], mean)
                weights[-1] += 1
            else:
                use.append(at)
                weights.append(np.uint32(1))
                values.append(new)
        shape = (len(use), self.values.shape[1])
        return Frames(np.array(use), np.array(weights, np.uint32), np.array(values, np.float32).reshape(shape))

    def halved(self, whole: int) -> Frames:
        """Return them with neighbours averaged two by two behind the first `whole`; a last one without is kept."""
        head, tail = self[:whole], self[whole:]
        pairs = len(tail) // 2
        first, second = tail[: 2 * pairs : 2], tail[1 : 2 * pairs : 2]
        weights = first.weights + second.weights
        share = (second.weights / weights).astype(np.float32)[:, None]
        filled = np.where(np.isnan(first.values), second.values, first.values)
        other = np.where(np.isnan(second.values), first.values, second.values)
        means = Frames(second.use, weights, filled + share * (other - filled))
        return Frames.joined([head, means, tail[2 * pairs :]])

    def content(self) -> bytes:
        """Return them as bytes: uses, weights and values, little-endian."""
        parts = self.use.astype("<f8"), self.weights.astype("<u4"), self.values.astype("<f4")
        return b"".join(part.tobytes() for part in parts)

    @classmethod
    def of(cls, content: bytes, frames: int, signals: int) -> Frames:
        """Return the frames of bytes. Raises ValueError where they are not so many of so many signals."""
        if min(frames, signals) < 0 or len(content) != frames * (8 + 4 + 4 * signals):
            raise ValueError("these bytes are no such frames")
        use = np.frombuffer(content, "<f8", frames)
        weights = np.frombuffer(content, "<u4", frames, 8 * frames)
        values = np.frombuffer(content, "<f4", frames * signals, 12 * frames).reshape(frames, signals)
        if not np.all(np.isfinite(use)) or np.any(weights == 0):
            raise ValueError("these bytes are no frames")
        return cls(use.astype(np.float64), weights.astype(np.uint32), values.astype(np.float32))

    def history(self, unit: str, left: float) -> History:
        """Return them as a life that ended with so much left. Raises ValueError where a signal never spoke."""
        ends = np.repeat(self.use, self.weights)
        behind = np.repeat(np.cumsum(self.weights), self.weights) - np.arange(1, len(ends) + 1)
        use = ends - behind * np.repeat(self._paces(), self.weights)
        return History(unit, np.repeat(_filled(self.values), self.weights, axis=0), use, left)

    def _paces(self) -> Vector:
        """Return the use of one frame within each average; before the first it was as after it."""
        paces = np.diff(self.use) / self.weights[1:]
        first = paces[:1] if len(paces) else self.use[:1] / self.weights[:1]
        return np.concatenate((first, paces))


def _filled(values: NDArray[np.float32]) -> Vector:
    """Return values of which each missing one is the last before it."""
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    filled: Vector = np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0).astype(np.float64)
    return filled
