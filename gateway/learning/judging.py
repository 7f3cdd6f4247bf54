"""What a kind's lives teach, and whether money may follow it: judged over the very lives, none by what has seen it.

What is believed is reviewed first by the lives that have ended since (`review`). Then each life that was seen to its
end, at costs that are known, is a trial of who shall decide (`promotion`); lives that were cut short teach lifetimes
alone. Functions of their arguments: no clock, no chance; it is run in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from gateway.learning import rules
from gateway.learning.kinds import Wearing
from gateway.learning.lifespans import by_clocks
from gateway.learning.phases import Phase
from gateway.learning.promotion import PATIENCES, Way, by_lifetimes, by_models, by_rule, in_charge
from gateway.learning.review import reviewed
from gateway.learning.standing import Standing
from gateway.learning.task import Case, Closed, Task, Verdict
from gateway.learning.trial import Trial
from maintenance import outcomes
from maintenance.frames import History
from maintenance.settings import DeviationWear
from marketplace.hindsight import Comparison

LIVES_LEAST: Final = 2
"""With fewer ended lives nothing is learned."""

Ended = Sequence[tuple[Closed, float]]
"""Lives of which it is known how they ended, with what was left of each."""


def judge(task: Task, histories: Mapping[str, History]) -> Verdict:
    """Return where a kind stands; `histories` are those of its closed lives that have one, by life."""
    ended = list(_ended(task, histories))
    before = reviewed(task, ended, histories)
    found = _verdict(task, before, ended, histories)
    standing = replace(found.standing, closed=len(task.closed), outside=_outside(before, found.standing))
    return replace(found, standing=standing)


def _outside(before: Standing, after: Standing) -> tuple[float, ...]:
    return before.outside if after.model and before.model else ()


def _verdict(task: Task, before: Standing, ended: Ended, histories: Mapping[str, History]) -> Verdict:
    counted = replace(before, lives=len(ended), learned=tuple(life.life for life, _left in ended))
    want = {"have": str(len(ended)), "want": str(LIVES_LEAST)}
    if task.ceiling is Phase.BOUND:
        return Verdict(counted.bound("PINNED", {}))
    if len(ended) < LIVES_LEAST:
        return Verdict(counted.bound("TOO_FEW_LIVES", want))
    trials = _trials(task, ended, histories)
    if len(trials) < LIVES_LEAST:
        code = "NO_COSTS" if not any(case.costs for case in task.cases.values()) else "TOO_FEW_LIVES"
        return Verdict(counted.bound(code, want | {"have": str(len(trials))}))
    barred = task.ceiling is Phase.ADAPTABLE or len(ended) < before.barred_until
    planned = float(np.mean([each.costs.planned for each in trials]))
    chosen, comparison = in_charge(_ways(task, trials, ended, histories, barred), planned)
    return _stands(task.kind.by, counted, chosen, comparison, trials)


def _ways(
    task: Task, trials: Sequence[Trial], ended: Ended, histories: Mapping[str, History], barred: bool
) -> list[Way]:
    """The ways to decide that are weighed; barred: no model is among them."""
    usual = float(np.median([life.ran + left for life, left in ended]))
    ways, wear = by_rule(trials, task.kind.by, usual), next(iter(task.cases.values())).settings.wear
    if task.kind.by is not Wearing.DEVIATION:
        return [*ways, *by_lifetimes(task, trials, usual)]
    if barred or not isinstance(wear, DeviationWear):
        return ways
    lives = [replace(histories[life.life], left=left) for life, left in ended]
    return [*ways, *by_models(trials, lives, wear, usual)]


def _stands(by: Wearing, before: Standing, chosen: Way, comparison: Comparison, trials: Sequence[Trial]) -> Verdict:
    """Return where a kind stands with whoever decides; what went wrong stays told until it may be tried again."""
    barred = before.lives < before.barred_until
    plain = chosen.patience == PATIENCES[by][0] and not chosen.model
    standing = replace(
        before,
        phase=Phase.AUTONOMOUS if chosen.signals else Phase.ADAPTABLE,
        code=before.code if barred else "NOT_CONVINCING" if plain else "CONVINCED",
        parameters=before.parameters if barred else {},
        patience=chosen.patience,
        model=chosen.model,
        version=chosen.version,
        signals=chosen.signals,
        bounds=chosen.bounds,
        judged=len(trials),
        gain=round(comparison.gain, 4),
        error=round(comparison.error, 4),
        currency=trials[0].costs.currency,
    )
    return Verdict(standing, chosen.document)


def _ended(task: Task, histories: Mapping[str, History]) -> Iterator[tuple[Closed, float]]:
    """The lives of which it is known how they ended, with what was left of each."""
    wear = next(iter(task.cases.values())).settings.wear
    for life in task.closed:
        case = task.cases.get(life.component)
        if case is None or (task.kind.by is Wearing.DEVIATION and life.life not in histories):
            continue
        if isinstance(wear, DeviationWear) and not _alike(wear, case, histories[life.life]):
            continue
        left = outcomes.left(life.found, life.ran, case.rated or life.ran)
        if left is not None and life.ran > 0:
            yield life, left


def _alike(wear: DeviationWear, case: Case, history: History) -> bool:
    """Whether a component is watched by the same signals as the kind's first; one that is not keeps the rule."""
    other = case.settings.wear
    same = isinstance(other, DeviationWear) and (other.tags, other.baseline) == (wear.tags, wear.baseline)
    return same and history.frames.shape[1] == len(wear.tags)


def _trials(task: Task, ended: Ended, histories: Mapping[str, History]) -> list[Trial]:
    """The lives that are judged by: seen to their end, at costs that are known."""
    wear = next(iter(task.cases.values())).settings.wear
    if isinstance(wear, DeviationWear):
        believed = rules.by_deviation([life for life, _left in ended], task.cases, histories, wear.baseline)
    else:
        by = rules.by_usage if task.kind.by is Wearing.USAGE else by_clocks
        believed = {life.life: by(life, task.cases[life.component]) for life, _left in ended}
    return [
        Trial(life, case, case.costs, life.ran + left, believed[life.life])
        for life, left in ended
        for case in [task.cases[life.component]]
        if case.costs is not None and outcomes.seen_to_its_end(life.ran, left)
    ]
