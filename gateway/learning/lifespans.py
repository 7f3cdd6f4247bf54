"""What closed lives of wear by use teach of how long such parts last, told in shares of each component's own rating.

Every closed life teaches, those that were cut short too; only those that were seen to their end are judged by, each by
what the others teach.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.learning.task import Task
from gateway.learning.trial import Believing, Trial
from maintenance import lifetimes, outcomes, prognosis
from maintenance.lifetimes import FinishedLife, Prior


def shares(task: Task) -> list[tuple[str, FinishedLife]]:
    """Return every closed life of wear by use, by its id, in shares of what its component is rated for."""
    found = []
    for life in task.closed:
        case = task.cases.get(life.component)
        if case is not None and case.rated > 0 and life.ran > 0:
            ended = outcomes.finished(life.found, life.ran, case.rated)
            found.append((life.life, FinishedLife(round(ended.use / case.rated, 6), ended.failed)))
    return found


def outlived(trial: Trial, told: Sequence[tuple[str, FinishedLife]]) -> tuple[Believing, float]:
    """Return what lives other than its own make of one, and the life that they hold usual."""
    rated, shape, basis = trial.case.rated, trial.case.shape, trial.basis
    others = [FinishedLife(life.use * rated, life.failed) for name, life in told if name != trial.life.life]
    lives = lifetimes.learned(others, Prior(rated, shape))
    return lambda use: prognosis.by_usage(use, use, rated, shape, basis, lives), lives.median
