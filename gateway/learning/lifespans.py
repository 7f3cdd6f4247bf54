"""What closed lives of wear by use teach of how long such parts last, told in shares of each component's own rating.

Every closed life teaches, those that were cut short too; only those that were seen to their end are judged by, each by
what the others teach. A part on several clocks is judged along the calendar, each clock at the pace at which it ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.learning.kinds import Wearing
from gateway.learning.task import Case, Closed, Task
from gateway.learning.trial import Believing, Trial, basis_of
from maintenance import outcomes, prognosis, risks
from maintenance.belief import Belief
from maintenance.lifetimes import Lifetimes, Prior
from maintenance.prognosis import Clocked
from maintenance.risks import EndedLife

Told = Sequence[tuple[str, EndedLife]]
"""Lives by their ids, each in shares of what its component is rated for, by the name of each clock."""


def shares(task: Task) -> list[tuple[str, EndedLife]]:
    """Return every closed life of wear by use, by its id, in shares of what its component is rated for."""
    found = []
    for life in task.closed:
        case = task.cases.get(life.component)
        priors = {} if case is None else case.priors
        if case is not None and life.ran > 0 and any(name in priors for name in life.each):
            ended = outcomes.finished(life.found, life.ran, case.rated or life.ran)
            longer = ended.use / life.ran
            known = {name: prior.median for name, prior in priors.items() if name in life.each}
            use = {name: round(life.each[name] * longer / rated, 6) for name, rated in known.items()}
            found.append((life.life, EndedLife(use, ended.failed > 0)))
    return found


def document_of(told: Told, by: Wearing) -> dict[str, Any]:
    """Return what lives taught as it is kept."""
    if by is Wearing.USAGE:
        return {"format": 1, "kind": "lifetimes", "lives": [[life.use[""], life.failed] for _name, life in told]}
    return {"format": 1, "kind": "lifetimes", "clocks": [[dict(life.use), life.failed] for _name, life in told]}


def lives_of(document: Mapping[str, Any]) -> list[EndedLife]:
    """Return the lives of a document. Raises KeyError, TypeError or ValueError for one that says something else."""
    if "clocks" in document:
        return [EndedLife(use, failed) for use, failed in document["clocks"]]
    return [EndedLife({"": use}, failed) for use, failed in document["lives"]]


def in_shares(lives: Sequence[EndedLife], priors: Mapping[str, Prior]) -> dict[str, Lifetimes]:
    """Return what lives make of clocks of these shapes, in shares of their ratings."""
    return risks.learned(lives, {name: Prior(1.0, prior.shape) for name, prior in priors.items()})


def scaled(lives: Mapping[str, Lifetimes], priors: Mapping[str, Prior]) -> dict[str, Lifetimes]:
    """Return the same by what each clock is rated for."""
    return {name: _scaled(found, priors[name].median) for name, found in lives.items()}


def _scaled(lives: Lifetimes, rated: float) -> Lifetimes:
    return replace(lives, medians=lives.medians * rated, median=lives.median * rated)


def outlived(trial: Trial, told: Told) -> tuple[Believing, float]:
    """Return what lives other than its own make of one, and the life that they hold usual."""
    case, priors = trial.case, trial.case.priors
    lives = scaled(in_shares([life for name, life in told if name != trial.life.life], priors), priors)
    if "" in lives:
        single, basis = lives[""], trial.basis
        return lambda use: prognosis.by_usage(use, use, case.rated, case.shape, basis, single), single.median
    believing = by_clocks(trial.life, case, lives)
    half = min(found.median / trial.life.clocks[name] for name, found in lives.items() if name in trial.life.clocks)
    return believing, half * trial.life.ran


def by_clocks(life: Closed, case: Case, lives: Mapping[str, Lifetimes] | None = None) -> Believing:
    """Return what is believed of a life on several clocks, by what lives taught or by its ratings."""
    told, basis = lives or {}, basis_of(life, case)
    paces = {name: ran / life.ran for name, ran in life.clocks.items() if name in case.priors}

    def believed(hours: float) -> Belief:
        clocks = [
            Clocked(pace * hours, pace * hours, prior.median, prior.shape, pace, told.get(name))
            for name, prior in case.priors.items()
            if (pace := paces.get(name)) is not None
        ]
        return prognosis.by_clocks(clocks, basis)

    return believed
