"""How well what is left is told of engines that were cut off before their end, by all training lives.

The published measures: root mean square error of the last word on each test engine, with true lives capped at 125
cycles and uncapped, and NASA's score, which forgives an early word more than a late one (Saxena and others, 2008);
besides, how often what was really left lies within the 90 % interval of the belief. The word is what the regression
says; where lives count up to 125 cycles only, it is what the belief leaves of them in the mean.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

import numpy as np

from connectors.simulator.recordings import CMapss, Recording, RecordingError
from gateway.benchmarks.engines import HEALTHY, engines_of, histories
from gateway.learning.promotion import fits
from maintenance.features import Vector
from maintenance.frames import History
from maintenance.learning import Learned, learn, smoothed
from maintenance.profiles import TURBOFAN_MOVING
from maintenance.walks import untold, walks

CAP: Final = 125.0
EARLY, LATE = 13.0, 10.0
"""NASA's score: exp(-d / 13) - 1 for a word that comes early by d, exp(d / 10) - 1 for one that comes late."""


def measure(directory: Path, subset: str, seed: int) -> dict[str, Any]:
    """Return the figures; the seed decides nothing, because nothing here is left to chance. Raises RecordingError."""
    training = list(engines_of(directory, subset).values())
    tests, left = _tests(directory, subset)
    past = list(histories(training, training).values())
    model = learn(past, TURBOFAN_MOVING, HEALTHY, list(fits().values())[-1]).model
    told = {unit: _last_word(model, life) for unit, life in histories(tests, training).items()}
    said, capped = (np.array([getattr(told[each.unit], name) for each in tests]) for name in ("left", "capped"))
    inside = [word.low <= true <= word.high for word, true in zip(told.values(), left, strict=True)]
    return {
        "subset": subset,
        "seed": seed,
        "units": len(tests),
        "model": model.regression.kind,
        "rmse_capped": _rmse(capped - np.minimum(left, CAP)),
        "rmse_raw": _rmse(said - left),
        "score_capped": _score(capped - np.minimum(left, CAP)),
        "score_raw": _score(said - left),
        "coverage_90": round(100 * float(np.mean(inside)), 1),
    }


def _rmse(error: Vector) -> float:
    return round(float(np.sqrt(np.mean(error**2))), 2)


def _score(error: Vector) -> float:
    return round(float(np.sum(np.where(error < 0, np.exp(-error / EARLY), np.exp(error / LATE)) - 1)), 1)


@dataclass(frozen=True, slots=True)
class Word:
    """What was told of a cut life at its end, in cycles; what is left lies between low and high nine times in ten.

    capped: what is left in the mean, of lives that count up to `CAP`.
    """

    left: float
    capped: float
    low: float
    high: float


def _last_word(model: Learned, life: History) -> Word:
    walked = walks([life], model.reference, model.healthy, model.usual)
    if not walked:  # cut off before its health was known: as any that has lived so long
        left = model.usual - len(life.use)
        return Word(left, min(left, CAP), 0.0, float(model.table.use[-1]))
    predicted = smoothed(untold(model.regression.predict(walked[0].common, walked[0].special), model.usual))[-1]
    survival = model.table.at(float(predicted))
    low, high = (float(np.interp(-share, -survival, model.table.use)) for share in (0.95, 0.05))
    return Word(float(predicted), model.table.mean(float(predicted), CAP), low, high)


def _tests(directory: Path, subset: str) -> tuple[list[Recording], Vector]:
    """Return the test engines and what was left of each. Raises RecordingError."""
    form = CMapss(subset, part="test")
    file, rests = form.find(directory), _found(directory / f"RUL_{subset}.txt")
    if file is None or rests is None:
        text = _("{directory} holds no test_{subset}.txt and RUL_{subset}.txt, plain or .gz, of NASA's C-MAPSS")
        raise RecordingError(text.format(directory=directory, subset=subset))
    tests = list(form.read(file))
    opened = gzip.open if rests.suffix == ".gz" else open
    with opened(rests, "rt", encoding="ascii") as lines:
        left = [_number(rests.name, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(left) != len(tests):
        text = _("{file}: {count} lives for {engines} test engines")
        raise RecordingError(text.format(file=rests.name, count=len(left), engines=len(tests)))
    return tests, np.array(left)


def _found(plain: Path) -> Path | None:
    return next((file for file in (plain, plain.with_name(plain.name + ".gz")) if file.is_file()), None)


def _number(file: str, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RecordingError(
            _("{file}:{line}: not a number: {text}").format(file=file, line=line, text=text.strip()[:40])
        ) from error
