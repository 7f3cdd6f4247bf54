"""A model that is believed is held against the lives that have ended since, and taken back where it went wrong.

A failure to which it gave next to no chance, when an order would still have helped, is a miss; lives that lie outside
of its band too often are of another plant. Either bars the next model until more lives have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from gateway.learning.documents import checked
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from gateway.learning.task import RETRIAL_LIVES, Case, Closed, Task
from maintenance.assets import Found
from maintenance.frames import History
from maintenance.learning import Learned, smoothed
from maintenance.settings import DeviationWear
from maintenance.walks import untold, walks

MISSED: Final = 0.01
"""A failure to which the model gave less than this, when an order would still have helped, is a miss."""
DRIFT_LIVES, DRIFT_SHARE = 3, 0.4
"""Over so many lives a tenth should lie outside the band; beyond this share the model is of another plant."""
EDGE: Final = 0.05
"""A band of nine in ten leaves out one in twenty at each end."""


def reviewed(task: Task, ended: Sequence[tuple[Closed, float]], histories: Mapping[str, History]) -> Standing:
    """Return where a kind stands after lives that ended, each with what was left of it, before it is judged anew."""
    before = task.standing
    if before.phase is not Phase.AUTONOMOUS or not task.taught:
        return before
    wear = next(iter(task.cases.values())).settings.wear
    if not isinstance(wear, DeviationWear) or wear.tags != before.signals:
        return before.bound("SIGNALS_CHANGED", {})
    model = checked(task.taught, before.version)
    barred = len(ended) + RETRIAL_LIVES
    for life, left in ended:
        if life.life in before.learned:
            continue
        case = task.cases[life.component]
        told = looked_back(model, replace(histories[life.life], left=left), arrival_use(life, case))
        if told is None:
            continue
        outside, probability = told
        before = replace(before, outside=(*before.outside, round(outside, 4))[-DRIFT_LIVES:])
        if life.found is Found.FAILED and probability < MISSED:
            figures = {"component": life.component, "probability": f"{probability:.2%}"}
            return before.bound("MISSED", figures, barred_until=barred)
    share = float(np.mean(before.outside)) if len(before.outside) == DRIFT_LIVES else 0.0
    if share > DRIFT_SHARE:
        return before.bound("DRIFTED", {"share": f"{share:.0%}"}, barred_until=barred)
    return before


def arrival_use(life: Closed, case: Case) -> float:
    """Return the use from a decision until the part is there, as the life was used."""
    return (max(case.delays, default=0.0) + case.step) * life.use_per_hour


def looked_back(model: Learned, history: History, ahead: float) -> tuple[float, float] | None:
    """Return what share of a model's beliefs had what really was left outside of their band of nine in ten, and the
    probability that it gave the end when an order would still have helped; None of a life too short to say.

    ahead: how long before the end that is, by use.
    """
    walked = walks([history], model.reference, model.healthy, model.usual)
    if not walked or not len(walked[0].rest):
        return None
    walk = walked[0]
    said = smoothed(untold(model.regression.predict(walk.common, walk.special), model.usual))
    rest = np.maximum(walk.rest, 0.0)
    gone = np.array(
        [
            1.0 - float(np.interp(left, model.table.use, model.table.at(float(each))))
            for each, left in zip(said, rest, strict=True)
        ]
    )
    within = rest <= model.table.use[-1]
    outside = float(np.mean((gone[within] < EDGE) | (gone[within] > 1.0 - EDGE))) if np.any(within) else 0.0
    at = int(np.argmin(np.abs(rest - ahead)))
    return outside, float(gone[at])
