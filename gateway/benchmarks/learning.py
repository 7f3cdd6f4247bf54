"""How the cost of buying falls as lives are seen to end: over perfect foresight, with 0, 2, 5, 10 and 50 of them.

Each draw takes so many lives of the folds that are not decided, by chance, and decides every engine once by whoever is
in charge after them (`gateway.learning.judging`). A draw stands for a plant that has that much history; the ninetieth
percentile says how bad luck ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from gateway.benchmarks.engines import FOLDS, engines_of
from gateway.benchmarks.ordering import FOLD_SEEDS, decided, lives, workers
from gateway.replacement import cost_ratio

SEEN: Final = (0, 2, 5, 10, 50)


def measure(directory: Path, subset: str, seed: int, draws: int) -> dict[str, Any]:
    """Return mean and ninetieth percentile of the ratio, the failures, and who was in charge, by lives seen.

    Raises RecordingError.
    """
    engines = engines_of(directory, subset)
    work = [
        (seen, draw, lived)
        for seen in SEEN
        for draw in range(draws if seen else FOLD_SEEDS)
        for lived in lives(engines, f"{seed}/{draw}", seen)
    ]
    with workers() as pool:
        parts = decided(pool, [lived for _seen, _draw, lived in work])
    ratios: dict[str, Any] = {}
    for seen in SEEN:
        mine = [part for (each, _draw, _lived), part in zip(work, parts, strict=True) if each == seen]
        runs = [mine[at : at + FOLDS] for at in range(0, len(mine), FOLDS)]
        courses = [[course for _kind, part in run for course in part.values()] for run in runs]
        found = [cost_ratio(each) for each in courses]
        kinds = [kind for kind, _part in mine]
        ratios[str(seen)] = {
            "mean": round(float(np.mean(found)), 3),
            "p90": round(float(np.quantile(found, 0.9)), 3),
            "failures_percent": round(100 * float(np.mean([one.failed for run in courses for one in run])), 2),
            "in_charge": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        }
    return {"subset": subset, "draws": draws, "ratio": ratios}
