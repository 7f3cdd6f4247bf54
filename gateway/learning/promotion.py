"""Which of several ways to decide is in charge: the first, until another has shown over ended lives that it costs less.

Ways are weighed in their order: the rule that needs no history as it is, then with more patience, then what was learned
(lifetimes for wear by use; a ridge and, from enough lives, boosted trees for deviation), patient or not. Each is what
deciding so would have cost over each life, by beliefs of which that life was left out. The next takes over from the
last one that did where its gain convinces (`marketplace.hindsight.compare`), and whoever stands at the end must
convince against the first too: else that one goes on. Pure; a gateway and the benchmarks run this very code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.learning.documents import digest, written
from gateway.learning.kinds import Wearing
from gateway.learning.lifespans import document_of, outlived, shares
from gateway.learning.standing import Bounds
from gateway.learning.task import Task
from gateway.learning.trial import Believing, Trial
from gateway.learning.watching import bounds_of
from maintenance import boosting
from maintenance.belief import Belief
from maintenance.frames import History
from maintenance.learning import Fit, Lesson, lessons, ridge
from maintenance.settings import DeviationWear
from maintenance.tables import Table
from marketplace.hindsight import Comparison, Course, compare
from marketplace.timing import WATCHED_PATIENCE

PATIENCES: Final = {
    Wearing.USAGE: (1.0, 1.5, 2.0),
    Wearing.CLOCKS: (1.0, 1.5, 2.0),
    Wearing.DEVIATION: (WATCHED_PATIENCE, 2.0, 3.0),
}
"""What is tried, the gateway's own first: nothing is judged at another patience than it would decide with."""
PATIENT: Final = 3.0
"""Where lifetimes are known, more patience may be right: a failure that costs twenty parts makes a wary rule."""
LIVES_MIN: Final = {"patience": 15, "ridge": 15, "boosted": 20}
"""Ended lives from which more patience or a model is weighed at all where signals tell of the end: with fewer, what
convinces is chance too often."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way of deciding with what it would have cost over each life; `model` is "" for the rule."""

    patience: float
    courses: Sequence[Course]
    model: str = ""
    version: str = ""
    document: str = ""
    signals: tuple[str, ...] = ()
    bounds: tuple[Bounds, ...] = ()


def in_charge(ways: Sequence[Way], planned: float) -> tuple[Way, Comparison]:
    """Return who decides and what that saves against the first. Raises ValueError without any."""
    if not ways:
        raise ValueError("somebody has to decide")
    first = incumbent = ways[0]
    for challenger in ways[1:]:
        if compare(incumbent.courses, challenger.courses, planned).convincing:
            incumbent = challenger
    comparison = compare(first.courses, incumbent.courses, planned)
    return (incumbent, comparison) if comparison.convincing else (first, compare(first.courses, first.courses, planned))


def by_rule(trials: Sequence[Trial], by: Wearing, usual: float) -> list[Way]:
    """Return the rule that needs no history, patient or not; `usual` is what the kind's lives ran."""
    few = by is Wearing.DEVIATION and len(trials) < LIVES_MIN["patience"]
    patiences = PATIENCES[by][:1] if few else PATIENCES[by]
    told = [trial.courses(trial.rule, patiences, trial.case.rated or usual, usual) for trial in trials]
    return [Way(patience, courses) for patience, courses in zip(patiences, _turned(told), strict=True)]


def _turned(courses: Sequence[Sequence[Course]]) -> Iterator[list[Course]]:
    """Turn courses by life and patience into those by patience and life."""
    return (list(each) for each in zip(*courses, strict=True))


def by_lifetimes(task: Task, trials: Sequence[Trial], usual: float) -> list[Way]:
    """Return the rule over what lives taught of how long such parts last, patient or not."""
    told, patiences = shares(task), (*PATIENCES[task.kind.by], PATIENT)
    document = written(document_of(told, task.kind.by))
    courses = []
    for trial in trials:
        believing, median = outlived(trial, told)
        courses.append(trial.courses(believing, patiences, median, usual))
    ways = zip(patiences, _turned(courses), strict=True)
    return [Way(patience, each, "lifetimes", digest(document), document) for patience, each in ways]


def by_models(trials: Sequence[Trial], lives: Sequence[History], wear: DeviationWear, usual: float) -> Iterator[Way]:
    """Return what is learned from ended lives, each way to learn patient or not; none of too few.

    A way to learn that tells lives which it has not seen worse than a plainer one is not among them.
    """
    lives = [each for each in lives if len(each.frames) > wear.baseline]
    enough = [fit for kind, fit in fits().items() if len(lives) >= LIVES_MIN[kind]]
    if not enough:
        return
    patiences = PATIENCES[Wearing.DEVIATION]
    bounds, taught = bounds_of(lives), lessons(lives, wear.tags, wear.baseline, enough)
    least = np.inf
    while (lesson := _next(taught)) is not None:
        if lesson.error > least:  # what tells unseen lives worse than a plainer one did need not be replayed
            continue
        least = lesson.error
        believing = unseen(lesson, trials)
        told = [
            trial.courses(each, patiences, lesson.model.usual, usual)
            for trial, each in zip(trials, believing, strict=True)
        ]
        document, kind = written(lesson.model.document()), lesson.model.regression.kind
        for patience, courses in zip(patiences, _turned(told), strict=True):
            yield Way(patience, courses, kind, digest(document), document, wear.tags, bounds)


def _next(taught: Iterator[Lesson]) -> Lesson | None:
    try:
        return next(taught, None)
    except NotImplementedError:  # scikit-learn is another one than this was written for
        return None


def fits() -> dict[str, Fit]:
    """Return the ways to learn that are installed, by kind, the plainest first."""
    found: dict[str, Fit] = {"ridge": ridge}
    return found | ({"boosted": boosting.boosted} if boosting.available() else {})


def unseen(lesson: Lesson, trials: Sequence[Trial]) -> list[Believing]:
    """Return what the model would have believed of each life, by tables and regressions that had not seen it."""
    place, tables = {walk.unit: at for at, walk in enumerate(lesson.walks)}, lesson.unseen_tables()

    def believing(trial: Trial) -> Believing:
        at = place.get(trial.life.life)
        if at is None:  # too short to have outlasted its healthy frames
            return lambda _use: None
        return _along(lesson, at, tables[at], trial)

    return [believing(trial) for trial in trials]


def _along(lesson: Lesson, at: int, known: Table, trial: Trial) -> Believing:
    walk, said, basis = lesson.walks[at], lesson.predicted[at], trial.basis

    def believed(use: float) -> Belief | None:
        row = int(np.searchsorted(walk.use, use, "right")) - 1
        return basis.belief(known.use, known.at(float(said[row]))) if row >= 0 else None

    return believed
