"""What a kind's lives teach, and whether money may follow it: judged over the very lives, none by what has seen it.

Candidates come in order: the rule that needs no history as it is, then with more patience, then what was learned
(lifetimes for wear by use, patient or not; a ridge and, from enough lives, boosted trees for deviation). Each life is
replayed by `marketplace.hindsight` at its component's own costs, with beliefs of which that life was left out. The next
takes over from the last one that did where its gain convinces, and whoever stands at the end must convince against the
plain rule too: else that one goes on. Only lives that were seen to their end are judged by; those that were cut short
teach lifetimes alone. Functions of their arguments: no clock, no chance; it is run in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import numpy as np

from connectors.samples import Provenance
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.phases import Phase
from gateway.learning.standing import Bounds, Standing
from maintenance import boosting, lifetimes, outcomes, prognosis
from maintenance.assets import Found
from maintenance.belief import Belief
from maintenance.features import Vector
from maintenance.learning import (
    FOLDS,
    Fit,
    History,
    Learned,
    Lesson,
    Table,
    learn,
    learned_of,
    ridge,
    smoothed,
    table,
    untold,
    walks,
)
from maintenance.lifetimes import FinishedLife, Prior
from maintenance.prognosis import Basis
from maintenance.settings import (
    ComponentSettings,
    CounterSettings,
    DeviationWear,
    UsageWear,
    in_unit,
    median_life,
    shape_of,
)
from maintenance.trackers.by_deviation import DeviationTracker
from maintenance.trackers.pool import Pool
from marketplace.hindsight import Comparison, Course, compare, replayed
from marketplace.stakes import Supply, Survival
from marketplace.timing import WATCHED_PATIENCE, Costs, stakes_by_age, stakes_of

PATIENCES: Final = {Wearing.USAGE: (1.0, 1.5, 2.0), Wearing.DEVIATION: (WATCHED_PATIENCE, 2.0)}
"""What is tried, the gateway's own first: nothing is judged at another patience than it would decide with."""
PATIENT: Final = 3.0
"""Where lifetimes are known, more patience may be right: a failure that costs twenty parts makes a wary rule."""
LIVES_LEAST: Final = 2
"""With fewer ended lives nothing is learned."""
STEPS: Final = 40
"""Decisions in a usual life, at most: where a site decides oftener, a replay of each would take hours and show the
same."""
MISSED: Final = 0.01
"""A failure to which the model gave less than this, when an order would still have helped, is a miss."""
DRIFT_LIVES, DRIFT_SHARE = 3, 0.4
"""Over so many lives a tenth should lie outside the band; beyond this share the model is of another plant."""
RETRIAL_LIVES: Final = 2
"""Lives that must end after a model went wrong before one is believed again."""
EDGE: Final = 0.05
"""A band of nine in ten leaves out one in twenty at each end."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Beliefs that are judged are of no moment."""


@dataclass(frozen=True, slots=True)
class Case:
    """A component of a kind: how it wears, in which unit its use is, and what deciding about it costs.

    costs: None where nothing is bought for it. delays: from a decision to the part, in hours, the approval included.
    step: hours between decisions.
    """

    settings: ComponentSettings
    unit: str
    costs: Costs | None = None
    delays: tuple[float, ...] = ()
    step: float = 1.0

    @property
    def rated(self) -> float:
        """The life that half reach by rating, in the unit; 0 where none is stated."""
        life = median_life(self.settings)
        return in_unit(life, self.unit) if life is not None else 0.0

    @property
    def shape(self) -> float:
        """The Weibull shape of its life by rating."""
        wear = self.settings.wear
        return shape_of(wear, self.settings) if isinstance(wear, CounterSettings) else lifetimes.COMMON_SHAPE


@dataclass(frozen=True, slots=True)
class Closed:
    """A life that was closed: what it had run, all in, in how many calendar hours of watching, and how it was found.

    before: what it had run when watching began.
    """

    life: str
    component: str
    ran: float
    hours: float
    found: Found | None
    before: float = 0.0

    @property
    def use_per_hour(self) -> float:
        """How it was used while it was watched."""
        return max(self.ran - self.before, 1e-9) / max(self.hours, 1e-9)


@dataclass(frozen=True, slots=True)
class Task:
    """All that is known of a kind: its components, its closed lives, where it stood, and the model that it had.

    ceiling: the phase beyond which a person does not let it go. taught: the document of the model that is believed.
    """

    kind: Kind
    cases: Mapping[str, Case]
    closed: tuple[Closed, ...]
    standing: Standing
    ceiling: Phase = Phase.AUTONOMOUS
    taught: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a kind stands now, and the document of what it was taught ("" for nothing)."""

    standing: Standing
    document: str = ""
    seconds: float = 0.0


Believing = Callable[[float], Belief | None]
"""What was believed of a life at a use; None: nothing that money could move on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A life to be judged by: its end by use, and what the rule that needs no history believed of it."""

    life: Closed
    case: Case
    costs: Costs
    end: float
    rule: Believing

    def course(self, believing: Believing, patience: float, life: float, usual: float) -> Course:
        """Return what deciding by these beliefs would have cost; `life` is what they hold usual, by use."""
        pace = self.life.use_per_hour

        def believed(hours: float) -> Survival | None:
            belief = believing(hours * pace)
            known = belief is not None and belief.known
            return Survival(belief.use / pace, belief.survival) if known and belief is not None else None

        supply = Supply("", 0.0, self.case.delays)
        stakes = stakes_of(self.costs, life / pace, patience)
        if isinstance(self.case.settings.wear, UsageWear):  # what is due on a day never fails, and is not judged
            stakes = stakes_by_age(self.costs, life / pace, patience, self.case.shape, (supply,))
        step = max(self.case.step, usual / pace / STEPS)
        return replayed(believed, self.end / pace, stakes, supply, step)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A way of deciding with what it would have cost over each life."""

    patience: float
    courses: Sequence[Course]
    model: str = ""
    version: str = ""
    document: str = ""
    signals: tuple[str, ...] = ()
    bounds: tuple[Bounds, ...] = ()


def judge(task: Task, histories: Mapping[str, History]) -> Verdict:
    """Return where a kind stands; `histories` are those of its closed lives that have one, by life."""
    before = _examined(task, histories)
    found = _verdict(task, before, histories)
    standing = replace(found.standing, closed=len(task.closed), outside=_outside(before, found.standing))
    return replace(found, standing=standing)


def _outside(before: Standing, after: Standing) -> tuple[float, ...]:
    return before.outside if after.model and before.model else ()


def _verdict(task: Task, before: Standing, histories: Mapping[str, History]) -> Verdict:
    ended = list(_ended(task, histories))
    counted = replace(before, lives=len(ended), learned=tuple(life.life for life, _left in ended))
    want = {"have": str(len(ended)), "want": str(LIVES_LEAST)}
    if task.ceiling is Phase.BOUND:
        return Verdict(counted.bound("PINNED", {}))
    if len(ended) < LIVES_LEAST:
        return Verdict(counted.bound("TOO_FEW_LIVES", want))
    usual = float(np.median([life.ran + left for life, left in ended]))
    judged = _judged(task, ended, histories, usual)
    if len(judged) < LIVES_LEAST:
        code = "NO_COSTS" if not any(case.costs for case in task.cases.values()) else "TOO_FEW_LIVES"
        return Verdict(counted.bound(code, want | {"have": str(len(judged))}))
    way = [_by_rule(judged, patience, usual) for patience in PATIENCES[task.kind.by]]
    barred = task.ceiling is Phase.ADAPTABLE or len(ended) < before.barred_until
    if task.kind.by is Wearing.USAGE:
        way += _by_lifetimes(task, judged, usual)
    elif not barred:
        way += _by_models(task, ended, judged, histories, usual)
    planned = float(np.mean([each.costs.planned for each in judged]))
    chosen, comparison = gate(way, planned)
    currency = judged[0].costs.currency
    return _stands(task.kind.by, counted, chosen, comparison, len(judged), currency)


def gate(way: Sequence[Candidate], planned: float) -> tuple[Candidate, Comparison]:
    """Return who decides and what that saves against the first: the last in order that convinces."""
    first = incumbent = way[0]
    for challenger in way[1:]:
        if compare(incumbent.courses, challenger.courses, planned).convincing:
            incumbent = challenger
    comparison = compare(first.courses, incumbent.courses, planned)
    return (incumbent, comparison) if comparison.convincing else (first, compare(first.courses, first.courses, planned))


def _stands(
    by: Wearing, before: Standing, chosen: Candidate, comparison: Comparison, judged: int, currency: str
) -> Verdict:
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
        judged=judged,
        gain=round(comparison.gain, 4),
        error=round(comparison.error, 4),
        currency=currency,
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


def _judged(
    task: Task, ended: Sequence[tuple[Closed, float]], histories: Mapping[str, History], usual: float
) -> list[_Judged]:
    pool, found = Pool(), []
    for life, _left in ended:
        case = task.cases[life.component]
        if task.kind.by is Wearing.DEVIATION and isinstance(case.settings.wear, DeviationWear):
            pool.put(life.life, histories[life.life].frames[: case.settings.wear.baseline], np.zeros(0))
    for life, left in ended:
        case = task.cases[life.component]
        if case.costs is None or not outcomes.seen_to_its_end(life.ran, left):
            continue
        deviates = task.kind.by is Wearing.DEVIATION
        rule = _rule_by_deviation(life, case, pool, histories[life.life]) if deviates else _rule_by_usage(life, case)
        found.append(_Judged(life, case, case.costs, life.ran + left, cache(rule)))
    return found


def _by_rule(judged: Sequence[_Judged], patience: float, usual: float) -> Candidate:
    return Candidate(patience, [each.course(each.rule, patience, each.case.rated or usual, usual) for each in judged])


def _basis(life: Closed, case: Case) -> Basis:
    return Basis(case.unit, life.use_per_hour, EPOCH, Provenance.A, True, case.rated or None)


def _rule_by_deviation(life: Closed, case: Case, pool: Pool, history: History) -> Believing:
    """Walk a life through the tracker that a gateway has; its frames are told as if they came at their pace."""
    tracker, span = _tracker(life.life, case, pool)
    basis, states = _basis(life, case), []
    for at, (use, frame) in enumerate(zip(history.use.tolist(), history.frames.tolist(), strict=True)):
        for signal, value in enumerate(frame):
            tracker.take(signal, value, at * span)
        tracker.clock.used = use
        states.append(_as_it_was(tracker))

    def believed(use: float) -> Belief | None:
        at = int(np.searchsorted(history.use, use, "right")) - 1
        return states[at].assess(at * span, basis).belief if at >= 0 else None

    return believed


def _as_it_was(tracker: DeviationTracker) -> DeviationTracker:
    """Return a tracker that is assessed like this one now, whatever this one is told later."""
    same = copy(tracker)
    same.clock, same.trend, same.framer = copy(tracker.clock), copy(tracker.trend), copy(tracker.framer)
    same.framer.sums, same.framer.counts = list(tracker.framer.sums), list(tracker.framer.counts)
    same.framer.last, same.healthy = list(tracker.framer.last), list(tracker.healthy)
    return same


def _tracker(key: str, case: Case, pool: Pool) -> tuple[DeviationTracker, float]:
    """Return a tracker of a part that is new, clocked by what it is told, and the span of its frames."""
    wear = case.settings.wear
    assert isinstance(wear, DeviationWear)
    plain = case.settings.model_copy(update={"wear": wear.model_copy(update={"regime": {}, "clock": "use"})})
    tracker = DeviationTracker(key, plain, {"use": case.unit} | dict.fromkeys(wear.tags, ""), pool)
    tracker.clock.past_known, tracker.clock.reading, tracker.clock.at = True, 0.0, 0.0
    return tracker, tracker.framer.span_hours


def _rule_by_usage(life: Closed, case: Case) -> Believing:
    basis = _basis(life, case)
    return lambda use: prognosis.by_usage(use, use, case.rated, case.shape, basis)


def _by_lifetimes(task: Task, judged: Sequence[_Judged], usual: float) -> Iterator[Candidate]:
    """The rule over what lives taught of how long such parts last, told in shares of each component's own rating."""
    told = shares(task)
    believed = [_outlived(each, [life for name, life in told if name != each.life.life]) for each in judged]
    document = written({"format": 1, "kind": "lifetimes", "lives": [[life.use, life.failed] for _name, life in told]})
    for patience in (*PATIENCES[Wearing.USAGE], PATIENT):
        courses = [
            each.course(believing, patience, median, usual)
            for each, (believing, median) in zip(judged, believed, strict=True)
        ]
        yield Candidate(patience, courses, "lifetimes", digest(document), document)


def _outlived(each: _Judged, others: Sequence[FinishedLife]) -> tuple[Believing, float]:
    """Return what other lives make of one, and the life that they hold usual."""
    lives = lifetimes.learned(_scaled(others, each.case.rated), Prior(each.case.rated, each.case.shape))
    basis, rated, shape = _basis(each.life, each.case), each.case.rated, each.case.shape
    return cache(lambda use: prognosis.by_usage(use, use, rated, shape, basis, lives)), lives.median


def shares(task: Task) -> list[tuple[str, FinishedLife]]:
    """Return every closed life of wear by use, by its id, in shares of what its component is rated for."""
    found = []
    for life in task.closed:
        case = task.cases.get(life.component)
        if case is not None and case.rated > 0 and life.ran > 0:
            ended = outcomes.finished(life.found, life.ran, case.rated)
            found.append((life.life, FinishedLife(round(ended.use / case.rated, 6), ended.failed)))
    return found


def _scaled(told: Sequence[FinishedLife], rated: float) -> list[FinishedLife]:
    return [FinishedLife(life.use * rated, life.failed) for life in told]


def _by_models(
    task: Task,
    ended: Sequence[tuple[Closed, float]],
    judged: Sequence[_Judged],
    histories: Mapping[str, History],
    usual: float,
) -> Iterator[Candidate]:
    wear = next(iter(task.cases.values())).settings.wear
    assert isinstance(wear, DeviationWear)
    lives = [replace(histories[life.life], left=left) for life, left in ended]
    lives = [each for each in lives if len(each.frames) > wear.baseline]
    if len(lives) < LIVES_LEAST:
        return
    fits: list[Fit] = [ridge]
    if boosting.available() and len(lives) >= boosting.LIVES_MIN:
        fits.append(boosting.boosted)
    for fit in fits:
        lesson = learn(lives, wear.tags, wear.baseline, fit)
        beliefs = _unseen(lesson, judged)
        courses = [each.course(beliefs[each.life.life], WATCHED_PATIENCE, lesson.model.usual, usual) for each in judged]
        document = written(lesson.model.document())
        kind = lesson.model.regression.kind
        yield Candidate(WATCHED_PATIENCE, courses, kind, digest(document), document, wear.tags, bounds_of(lives))


def _unseen(lesson: Lesson, judged: Sequence[_Judged]) -> dict[str, Believing]:
    """Return what the model would have believed of each life, by tables and regressions that had not seen it."""
    place = {walk.unit: at for at, walk in enumerate(lesson.walks)}
    tables = _tables(lesson)
    return {each.life.life: _by_walk(lesson, place.get(each.life.life), tables, each) for each in judged}


def _by_walk(lesson: Lesson, at: int | None, tables: Callable[[int], Table], each: _Judged) -> Believing:
    if at is None:  # too short to have outlasted its healthy frames
        return lambda _use: None
    walk, said, known, basis = lesson.walks[at], lesson.predicted[at], tables(at), _basis(each.life, each.case)

    def believed(use: float) -> Belief | None:
        row = int(np.searchsorted(walk.use, use, "right")) - 1
        return basis.belief(known.use, known.at(float(said[row]))) if row >= 0 else None

    return believed


def _tables(lesson: Lesson) -> Callable[[int], Table]:
    """Return the table without a life; of many lives, without its group."""
    count = len(lesson.walks)
    groups = min(count, FOLDS) if count > 2 * FOLDS else count
    made: dict[int, Table] = {}

    def without(at: int) -> Table:
        group = at % groups
        if group not in made:
            others = [place for place in range(count) if place % groups != group]
            rests = [lesson.walks[place].rest for place in others]
            made[group] = table([lesson.predicted[place] for place in others], rests, lesson.model.usual)
        return made[group]

    return without


def bounds_of(lives: Sequence[History]) -> tuple[Bounds, ...]:
    """Return what each signal did in lives: what later frames are held against."""
    every = np.concatenate([each.frames for each in lives])
    still = np.max([[longest_still(column) for column in each.frames.T] for each in lives], axis=0)
    low, high = every.min(axis=0), every.max(axis=0)
    return tuple(
        Bounds(float(low[signal]), float(high[signal]), int(still[signal])) for signal in range(every.shape[1])
    )


def longest_still(values: Vector) -> int:
    """Return over how many values in a row the same one stood."""
    moved = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return int(np.diff(moved, prepend=-1).max())


def written(document: Mapping[str, Any]) -> str:
    """Return a document as the text whose SHA-256 is its version."""
    return json.dumps(document, sort_keys=True)


def digest(document: str) -> str:
    """Return the version of a document."""
    return hashlib.sha256(document.encode()).hexdigest()


def _examined(task: Task, histories: Mapping[str, History]) -> Standing:
    """Hold the model that is believed against the lives that have ended since; take it back where it went wrong."""
    before = task.standing
    if before.phase is not Phase.AUTONOMOUS or not task.taught:
        return before
    wear = next(iter(task.cases.values())).settings.wear
    if not isinstance(wear, DeviationWear) or wear.tags != before.signals:
        return before.bound("SIGNALS_CHANGED", {})
    model = checked(task.taught, before.version)
    ended = list(_ended(task, histories))
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


def checked(document: str, version: str) -> Learned:
    """Return the model of a document. Raises ValueError where it is not of that version, or of none that is known."""
    if digest(document) != version:
        raise ValueError("this model is not the one that was learned")
    model = learned_of(json.loads(document))
    model.__dict__["version"] = version  # what it would work out for itself, at length, where nobody may wait
    return model
