"""From the windows in a batch to samples of the features computed from them, before anything is folded.

Promises: a window becomes one sample of each of its features, at the window's own source time, quality and provenance;
one that cannot be believed (no numbers, stuck, clipped, too short for what is asked, the shaft's speed unknown) becomes
a BAD sample without a number whose text is a code that says why, so that it moves nothing and is seen; at standstill a
bearing says nothing, and there is no sample. No window is left in what comes out. A batch without windows is not looked
at. `answer` needs nothing but what it is given, so that it can run beside the event loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from connectors.samples import Batch, Quality, Values
from maintenance import vibration
from maintenance.vibration import Spectrum, Unresolved
from maintenance.windows import SPEEDS, Feature, Kind, Source

STANDSTILL_HZ: Final = 1 / 60
"""One turn a minute: nothing rolls that could be heard."""

SpeedOf = Callable[[str], float | None]
"""The newest good value of a tag by its key, None when none stands for now."""


@dataclass(frozen=True, slots=True)
class Question:
    """A window of a batch, and what is asked of it: features by key, each with its shaft's speed in Hz."""

    row: int
    window: Values
    asked: tuple[tuple[str, Feature, float | None], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A feature of a window; `value` is NaN where there is none, and `doubt` says why."""

    row: int
    key: str
    value: float
    doubt: str = ""


class Derivation:
    """The features of a site, by the key `machine/feature`; their windows and speeds are tags of the same machine."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._by_window: dict[str, list[tuple[str, Feature]]] = {}
        self._speeds: dict[str, str] = {}
        for key, feature in features.items():
            machine = key.partition("/")[0]
            self._by_window.setdefault(f"{machine}/{feature.window}", []).append((key, feature))
            if feature.speed_tag is not None:
                self._speeds[f"{machine}/{feature.speed_tag}"] = feature.speed_unit

    @property
    def speeds(self) -> dict[str, str]:
        """The tags of shafts' speeds by key, each with its unit."""
        return dict(self._speeds)

    def questions(self, batch: Batch, speed: SpeedOf) -> list[Question]:
        """Return what is asked of a batch's windows; a speed in the batch itself counts before what was known."""
        return [
            Question(row, window, self._asked(batch, batch.keys[int(batch.tags[row])], speed))
            for row, window in batch.windows.items()
        ]

    def _asked(self, batch: Batch, tag: str, speed: SpeedOf) -> tuple[tuple[str, Feature, float | None], ...]:
        return tuple(
            (key, feature, _speed(batch, key.partition("/")[0], feature, speed))
            for key, feature in self._by_window.get(tag, ())
        )

    def joined(self, batch: Batch, answers: Sequence[Answer]) -> Batch:
        """Return a batch with answers in place of its windows."""
        kept = np.flatnonzero(~np.isin(np.arange(len(batch)), np.fromiter(batch.windows, np.int64)))
        rows = np.array([answer.row for answer in answers], np.int64)
        values = np.array([answer.value for answer in answers], np.float64)
        quality = np.where(np.isfinite(values), batch.quality[rows], np.uint8(Quality.BAD)).astype(np.uint8)
        places = {int(old): new for new, old in enumerate(kept)}
        texts = {places[row]: text for row, text in batch.texts.items() if row in places}
        texts |= {len(kept) + place: answer.doubt for place, answer in enumerate(answers) if answer.doubt}
        order = np.concatenate([kept, rows])
        numbers = np.array([batch.keys.number(answer.key) for answer in answers], np.int32)
        return replace(
            batch,
            tags=np.concatenate([batch.tags[kept], numbers]),
            values=np.concatenate([batch.values[kept], values]),
            quality=np.concatenate([batch.quality[kept], quality]),
            source=batch.source[order],
            received=batch.received[order],
            texts=texts,
            windows={},
        )


def _speed(batch: Batch, machine: str, feature: Feature, speed: SpeedOf) -> float | None:
    """Return a shaft's speed in Hz, None where it is not known."""
    if feature.speed_tag is None:
        return feature.speed_hz
    tag = f"{machine}/{feature.speed_tag}"
    number = batch.keys.find(tag)
    rows = np.flatnonzero(batch.tags == (-1 if number is None else number))
    if not len(rows):
        value = speed(tag)
    else:
        newest = int(rows[-1])
        good = batch.quality[newest] == Quality.GOOD and math.isfinite(batch.values[newest])
        value = float(batch.values[newest]) if good else None
    return None if value is None else abs(value) * SPEEDS[feature.speed_unit]


def answer(questions: Iterable[Question]) -> list[Answer]:
    """Compute what is asked; a function of its arguments."""
    return [found for question in questions for found in _answers(question)]


def _answers(question: Question) -> Iterable[Answer]:
    work = _Work(question.window)
    for key, feature, speed_hz in question.asked:
        if feature.order and speed_hz is not None and speed_hz < STANDSTILL_HZ:
            continue
        doubt = work.doubt(feature.source)
        if doubt is None and feature.order and speed_hz is None:
            doubt = "SPEED_UNKNOWN"
        if doubt is not None:
            yield Answer(question.row, key, math.nan, doubt)
            continue
        try:
            yield Answer(question.row, key, work.value(feature, speed_hz or 0.0) * feature.factor)
        except Unresolved:
            yield Answer(question.row, key, math.nan, "UNRESOLVED")


class _Work:
    """One window on the bench: what several features share is computed once."""

    def __init__(self, window: Values) -> None:
        self._window = window
        self._doubts: dict[bool, str | None] = {}
        self._spectra: dict[tuple[Source, tuple[float, float] | None], Spectrum] = {}

    def doubt(self, source: Source) -> str | None:
        raw = source.rate_hz > 0
        if raw not in self._doubts:
            judge = vibration.doubt if raw else vibration.doubt_of_spectrum
            self._doubts[raw] = "NO_WINDOW" if not len(self._window) else judge(self._window)
        return self._doubts[raw]

    def value(self, feature: Feature, speed_hz: float) -> float:
        if feature.kind is Kind.KURTOSIS:
            return vibration.kurtosis(self._window)
        if feature.kind is Kind.CREST_FACTOR:
            return vibration.crest_factor(self._window)
        if feature.order:
            found = self._spectrum(feature.source, feature.band_hz)
            return vibration.harmonics_rms(found, feature.order * speed_hz, feature.harmonics, feature.slip)
        assert feature.band_hz is not None
        rms = vibration.integrated_rms if feature.integrated else vibration.band_rms
        return rms(self._spectrum(feature.source, None), *feature.band_hz)

    def _spectrum(self, source: Source, band: tuple[float, float] | None) -> Spectrum:
        """The spectrum of the window, or of its envelope in a band."""
        if (source, band) not in self._spectra:
            self._spectra[source, band] = self._made(source, band)
        return self._spectra[source, band]

    def _made(self, source: Source, band: tuple[float, float] | None) -> Spectrum:
        if not source.rate_hz:
            return vibration.given(self._window, source.step_hz, peak=source.peak)
        if band is None:
            return vibration.spectrum(self._window, source.rate_hz)
        return vibration.envelope_spectrum(self._window, source.rate_hz, *band)
