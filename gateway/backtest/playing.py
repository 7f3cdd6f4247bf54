"""Telemetry played through what a live gateway decides with, on a clock that is the telemetry's own time.

The same monitor folds the samples, behind the same deadbands; the same needs come out of it, and the same timing says
when to buy, knowing what lay on the shelf and was on its way when playing began (`shelf`), and the maintenance windows.
Wear is estimated from the signals as it is live. A decision falls every `timing.step`. A connection counts as open
while any of its tags speaks. Which part is in a slot follows what the plant tells; where it tells nothing of a
component, a counter reset or a level as new counts as a fitting. What lives that ended while it is played teach is
believed from then on (`schooling`).

Every life is decided upon by itself: what was bought and fitted for it in truth changes nothing before its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from connectors.samples import Batch, moment_of, ticks_of
from gateway.backtest.plant_orders import Ending, Event, endings, ends_told
from gateway.backtest.schooling import Schooling
from gateway.backtest.shelf import Shelf, no_cover
from gateway.backtest.wouldbe import HOUR, ORDERS, WatchedLife, rated_share
from gateway.intake import Sieve
from gateway.learning.curriculum import Curriculum
from gateway.settings import ComponentConfig
from maintenance.assets import Fitting, FittingState, Life, machine_of
from maintenance.estimates import Estimate
from maintenance.estimation import Estimation
from maintenance.fittings import counters_now, counters_told
from maintenance.monitor import Monitor
from maintenance.needs import JobKind, JobLine, Need
from maintenance.settings import CounterSettings, UsageWear, counter_tags, counter_unit, in_unit, median_life
from maintenance.slots import Watched
from marketplace.retrospect import Lived
from marketplace.settings import TimingSettings
from marketplace.situation import goods_of, priced, situated
from marketplace.timing import TimingTerms, advise
from marketplace.windows import PlantWindows

STEP_MIN: Final = timedelta(minutes=1)
"""Nothing that is bought is decided more often; a year of decisions a second would take a year."""

SILENCE_MAX: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Plant:
    """What the config says. connections: which tags are heard together; deadbands: by tag, in its unit; windows: when
    machines may be worked on; estimates: of wear, by `machine/estimate`; curriculum: what learning knows of it."""

    components: Mapping[str, ComponentConfig]
    watched: Mapping[str, Watched]
    connections: Mapping[str, Sequence[str]]
    timing: TimingSettings
    curriculum: Curriculum
    deadbands: Mapping[str, float] = field(default_factory=dict)
    windows: PlantWindows = field(default_factory=PlantWindows)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    def terms(self, component: str, learned: float = 1.0) -> TimingTerms | None:
        """Return the terms of a component, None where nothing is bought for it. learned: the patience of its kind."""
        config = self.components[component]
        if config.buying is None:
            return None
        return self.timing.terms(config.buying, max(config.patience, learned), config.life_shape)

    def goods(self, component: str) -> list[JobLine]:
        """Return what of a component's job is goods."""
        lines = self.components[component].job.lines.items()
        every = (JobLine(key, line.item, line.quantity, line.unit, line.kind) for key, line in lines)
        return [line for line in every if line.kind is not JobKind.SERVICE]

    def rated(self, component: str) -> dict[str, float]:
        """Return the stated life on each clock of a component, in the clock's unit, by its name."""
        config, units = self.components[component], self.watched[component].tags
        wear = config.wear
        if isinstance(wear, UsageWear) and wear.clocks:
            lives = {name: (median_life(clock), counter_unit(clock, units)) for name, clock in wear.clocks.items()}
        else:
            lives = {"": (median_life(config), _unit(wear, units))}
        return {name: in_unit(life, unit) for name, (life, unit) in lives.items() if life is not None}


def _unit(wear: object, units: Mapping[str, str]) -> str:
    if isinstance(wear, CounterSettings):
        return counter_unit(wear, units)
    clock = getattr(wear, "clock", None)
    return "h" if clock is None else units[clock]


@dataclass(frozen=True, slots=True)
class Ended:
    """A life whose end is known: as it was watched, how it ended, and what the plant tells of that.

    told: the plant's own rows; None where only a counter said it. spare: in how many hours after the end a part is here
    that there was anyway, where none was bought for this life; None: there was none.
    """

    watched: WatchedLife
    at: datetime
    lived: Lived
    told: Ending | None
    spare: float | None = None


@dataclass(slots=True)
class Played:
    """What came out. open: lives of which no end is known."""

    ended: list[Ended] = field(default_factory=list)
    open: dict[str, WatchedLife] = field(default_factory=dict)
    begin: datetime | None = None
    end: datetime | None = None
    values: int = 0
    decisions: int = 0
    whole: bool = False
    """Whether it was played to its end."""


class Playing:
    """One run. new: the parts were new when the telemetry begins. resets_fail: a counter reset tells of a failure."""

    def __init__(self, plant: Plant, events: Sequence[Event], *, new: bool = False, resets_fail: bool = False) -> None:
        self._plant = plant
        self._events = tuple(endings(events))
        self._rows = tuple(events)
        self._told = ends_told(events)
        self._new, self._resets_fail = new, resets_fail
        self._step = max(plant.timing.step, STEP_MIN)
        self._sieve, self._estimation = Sieve(plant.deadbands), Estimation(plant.estimates)
        self._shelf = Shelf()
        self._school: Schooling | None = None
        self._terms = {key: terms for key in plant.components if (terms := plant.terms(key)) is not None}
        self._rated = {key: plant.rated(key) for key in self._terms}
        self._spoke: set[str] = set()
        self._heard: dict[str, datetime] = {}
        self._down: dict[str, datetime] = {}
        self._count = 0
        self.played = Played()

    def play(
        self,
        batches: Iterable[Batch],
        since: datetime | None = None,
        until: datetime | None = None,
        show: Callable[[], None] = lambda: None,
    ) -> Played:
        """Play from one time to before another, or all; `show` is called now and then. May be cut off by an exception:
        then `played` holds what was found so far."""
        due = list(self._events)
        monitor: Monitor | None = None
        now = decision = None
        for batch in _within(batches, since, until):
            if monitor is None or now is None or decision is None:
                now = moment_of(int(batch.source[0]))
                monitor, due = self._begin(now, due)
                decision = now + self._step
            at = 0
            while at < len(batch):
                decision = _awake(decision, moment_of(int(batch.source[at])))
                cut = min(decision, due[0].at) if due else decision
                stop = int(np.searchsorted(batch.source, ticks_of(cut), "right"))
                self._fold(monitor, batch, at, stop)
                at = max(at, stop)
                if at == len(batch):
                    break
                now, decision, due = self._act(monitor, cut, decision, due)
            now = max(now, moment_of(int(batch.source[-1])))
            self.played.end = now
            show()
        if monitor is not None and now is not None and decision is not None:
            self._finish(monitor, now, decision, due, until)
        self.played.whole = True
        return self.played

    def _act(
        self, monitor: Monitor, cut: datetime, decision: datetime, due: list[Ending]
    ) -> tuple[datetime, datetime, list[Ending]]:
        """Do what falls at a time: ends of lives first, then a decision."""
        while due and due[0].at <= cut:
            self._end(monitor, due[0])
            due = due[1:]
        if decision <= cut:
            self._decide(monitor, cut)
            decision = cut + self._step
        return cut, decision, due

    def _finish(
        self, monitor: Monitor, now: datetime, decision: datetime, due: list[Ending], until: datetime | None
    ) -> None:
        """The last decision, and ends that came within a step of the last sample: they ended what it tells of."""
        last = now + self._step
        if decision <= now or due:
            self._decide(monitor, now)
        for ending in due:
            if ending.at <= last and (until is None or ending.at <= until):
                self._end(monitor, ending)
        for component, watched in list(self.played.open.items()):
            silent = self._heard.get(machine_of(component), watched.began) <= watched.began
            if silent and self._plant.components[component].tags():  # of what followed nothing was recorded
                del self.played.open[component]

    def _begin(self, now: datetime, due: list[Ending]) -> tuple[Monitor, list[Ending]]:
        """Watch every component; what the plant tells of earlier lives says which part is in a slot."""
        lives, whole = {}, {}
        for component, config in self._plant.components.items():
            earlier = [each for each in due if each.component == component and each.begins <= now]
            fitted = earlier[-1].begins if earlier else None
            known = self._new or (fitted is not None and (now - fitted <= self._step or not counter_tags(config.wear)))
            began = fitted if known and fitted is not None else now
            lives[component] = Life(self._identity(component), component, began, 0.0 if known else None)
            whole[component] = known
        monitor = Monitor(self._plant.watched, lives)
        self._school = Schooling(self._plant.curriculum, monitor)
        for component in self._terms:
            life = lives[component]
            self.played.open[component] = WatchedLife(component, life.id, life.fitted_at, whole[component])
        self.played.begin = now
        self._estimation.heard_since(ticks_of(now))
        goods = {component: self._plant.goods(component) for component in self._terms}
        self._shelf = Shelf.at(now, self._rows, self._events, goods)
        return monitor, [each for each in due if each.begins > now]

    def _identity(self, component: str) -> str:
        self._count += 1
        return f"{component}#{self._count}"

    def _fold(self, monitor: Monitor, batch: Batch, start: int, stop: int) -> None:
        if stop <= start:
            return
        rows = slice(start, stop)
        self.played.values += stop - start
        part = replace(
            batch,
            tags=batch.tags[rows],
            values=batch.values[rows],
            quality=batch.quality[rows],
            source=batch.source[rows],
            received=batch.received[rows],
        )
        self._spoke.update(batch.keys[number] for number in np.unique(part.tags).tolist())
        monitor.fold(self._sieve.sift(self._estimation.joined(part, monitor.life)))

    def _decide(self, monitor: Monitor, now: datetime) -> None:
        """One decision step, in the order of `gateway.pipeline`: connections, fittings, needs, timing."""
        for tags in self._plant.connections.values():
            if not self._spoke.isdisjoint(tags):
                monitor.connection_alive(tags, now)
        self._heard.update(dict.fromkeys({machine_of(tag) for tag in self._spoke}, now))
        self._spoke.clear()
        self._settle_down(monitor, now)
        for fitting in monitor.notice():
            if fitting.component not in self._told:
                self._reset(monitor, fitting)
        self.played.decisions += 1
        for component, watched in self.played.open.items():
            terms = self._terms[component]
            if watched.rated_order is None:
                watched.wear(rated_share(monitor.ran(component, now), self._rated[component]), terms, now)
        needs = self._needs(monitor, now)
        situation = self._situated(list(needs.values()), now)
        for component, need in needs.items():
            self._decide_on(self.played.open[component], need, situation[component], now)

    def _needs(self, monitor: Monitor, now: datetime) -> dict[str, Need]:
        """Return what is needed where something is left to be decided, and let learning see it."""
        undecided = [key for key, watched in self.played.open.items() if not watched.settled]
        seen = {key: monitor.assess(key, now) for key in undecided}
        asked = [key for key in self._plant.components if key not in seen and self.school.watched(key)]
        if self.school.step([*seen.values(), *(monitor.assess(key, now) for key in asked)], now):
            return {key: monitor.assess(key, now) for key in undecided}  # a model was taken back
        return seen

    @property
    def school(self) -> Schooling:
        """What was learned so far. Raises ValueError before anything was played."""
        if self._school is None:
            raise ValueError("nothing was played yet")
        return self._school

    def _said(self, component: str) -> TimingTerms:
        """Return the terms of a component as the config says them, with the patience that its kind has learned."""
        learned = self.school.patience(component)
        terms = self._terms[component] if learned == 1.0 else self._plant.terms(component, learned)
        assert terms is not None  # what is decided upon is bought
        return terms

    def _situated(self, needs: Sequence[Need], now: datetime) -> dict[str, TimingTerms]:
        """Return the terms of each need by what is here and on its way, and by the windows."""
        said = {need.component: self._said(need.component) for need in needs}
        known = priced(needs, said)
        free = [need for need in known if self.played.open[need.component].bought is None]
        covered = {need.component: no_cover(need) for need in known} | self._shelf.covering(free, now)
        return situated(known, said, self._shelf.record(), covered, self._plant.windows, now)

    def _decide_on(self, watched: WatchedLife, need: Need, terms: TimingTerms, now: datetime) -> None:
        if watched.bought is not None:
            watched.fit(need.belief, terms, now)
            return
        advice = advise(need.belief, terms, now)
        if need.told_enough and watched.want(need, advice, now) and advice.code not in ORDERS:
            self._shelf.take(need.component, goods_of(need), now)

    def _settle_down(self, monitor: Monitor, now: datetime) -> None:
        for component, begins in list(self._down.items()):
            if begins <= now:
                del self._down[component]
                self._fit(monitor, component, begins, None)

    def _reset(self, monitor: Monitor, fitting: Fitting) -> None:
        """A counter says that a part was fitted."""
        component = fitting.component
        counters = counters_told(fitting, counter_tags(self._plant.components[component].wear))
        self._close(monitor, component, fitting.at, self._resets_fail, None)
        self._fit(monitor, component, fitting.at, counters)

    def _end(self, monitor: Monitor, ending: Ending) -> None:
        """The plant says that a life ended."""
        component = ending.component
        if component in self._down:  # nothing was fitted since the last failure
            del self._down[component]
            self._fit(monitor, component, ending.at, None)
        self._close(monitor, component, ending.at, ending.failed, ending)
        if ending.begins <= ending.at:
            self._fit(monitor, component, ending.begins, None)
        else:
            self._down[component] = ending.begins

    def _close(self, monitor: Monitor, component: str, at: datetime, failed: bool, told: Ending | None) -> None:
        life = monitor.life(component)
        if life is not None and at > life.fitted_at:
            self.school.ended(life, at, failed=failed)
        watched = self.played.open.pop(component, None)
        if watched is None:
            return
        bought = watched.bought is not None
        spare = None if bought else self._shelf.take(component, self._plant.goods(component), at)
        if at > watched.began:
            hours = (at - watched.began) / HOUR
            self.played.ended.append(Ended(watched, at, Lived(hours, failed), told, spare))

    def _fit(self, monitor: Monitor, component: str, at: datetime, counters: Mapping[str, float] | None) -> None:
        """A new part is in."""
        names = counter_tags(self._plant.components[component].wear)
        read = counters_now(monitor, component, names) if counters is None else dict(counters)
        life = Life(self._identity(component), component, at, 0.0, counters=read)
        self.school.keep()
        monitor.fitted(Fitting(life.id, component, at, FittingState.DONE, "plant", "{}"), life)
        self.school.begun(component, at)
        if component in self._terms:
            self.played.open[component] = WatchedLife(component, life.id, at, True)


def _awake(decision: datetime, sample: datetime) -> datetime:
    """Return the next decision; a recording that is silent for longer than a year was not watched meanwhile."""
    return sample if sample - decision > SILENCE_MAX else decision


def _within(batches: Iterable[Batch], since: datetime | None, until: datetime | None) -> Iterator[Batch]:
    """Yield what lies from one time to before another, and stop there."""
    for batch in batches:
        begin = 0 if since is None else int(np.searchsorted(batch.source, ticks_of(since), "left"))
        end = len(batch) if until is None else int(np.searchsorted(batch.source, ticks_of(until), "left"))
        if end > begin:
            rows = slice(begin, end)
            yield replace(
                batch,
                tags=batch.tags[rows],
                values=batch.values[rows],
                quality=batch.quality[rows],
                source=batch.source[rows],
                received=batch.received[rows],
            )
        if end < len(batch):
            return
