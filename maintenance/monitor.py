"""Folds samples, component by component, and says at any time what each component needs.

Promises: a sample costs constant time and moves only the components that read its tag. A value that is bad, uncertain,
not a number, or older than what is already known never moves a health or a belief; it is counted. A belief is as
trustworthy as the weakest sample in it, and silence, a doubted counter, an unknown past or a proposed fitting make it
`known=False`, which asks a person. A new part is never assumed: it is proposed (`notice`) until `fitted` says so. The
same samples in the same order give the identical needs. No clock, no chance, no I/O: time is an argument.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from typing import TYPE_CHECKING, Any

import numpy as np

from connectors.samples import TICKS_PER_SECOND, Batch, Numbers, Provenance, Sample, Values, ticks_of
from maintenance.assets import Fitting, FittingState, Life
from maintenance.lifetimes import Lifetimes
from maintenance.needs import FAILURE_SAID, NEVER_HEARD, Evidence, JobLine, Need
from maintenance.packing import digest
from maintenance.picture import Picture, draw
from maintenance.points import NEVER, Points, Reading
from maintenance.prognosis import Basis, failed
from maintenance.settings import DeviationWear, clock_name, kind_of, wear_tags
from maintenance.slots import Slot, Typed, Watched
from maintenance.symptoms import Report, evidence_of, job_for
from maintenance.trackers import tracker_of
from maintenance.trackers.by_clocks import ClocksTracker
from maintenance.trackers.by_deviation import DeviationTracker
from maintenance.trackers.by_usage import UsageTracker
from maintenance.trackers.pool import Pool
from maintenance.trackers.tracker import CLOCK, Assessment

if TYPE_CHECKING:  # loaded only where something was learned
    from maintenance.learning import Learned

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
PICTURE_AHEAD = timedelta(days=90)
"""How far a forecast is drawn when the belief itself sees no end."""


TICKS_PER_HOUR = 3600 * TICKS_PER_SECOND


class Monitor:
    """Every component of a site; see the module."""

    def __init__(self, components: Mapping[str, Watched], lives: Mapping[str, Life] | None = None) -> None:
        """Watch components by key `machine/component`, each with the life now in it, where one is known."""
        self._points = Points()
        self._readers: list[list[tuple[Slot, int]]] = []
        self._read = np.zeros(0, bool)
        self._slots: dict[str, Slot] = {}
        self._pools: dict[str, Pool] = {}
        for key, watched in components.items():
            self._slots[key] = self._slot(key, watched)
        for key, life in (lives or {}).items():
            if key in self._slots:
                self._begin(self._slots[key], life)

    def change(self, components: Mapping[str, Watched], lives: Mapping[str, Life]) -> list[str]:
        """Watch these components from now on, each with the life in it; return those that begin anew.

        A component that is watched as before goes on as if nothing had happened, also where a symptom calls for another
        job now; one that is watched otherwise takes over what it knew where that still fits.
        """
        states = {key: slot.document(self._points) for key, slot in self._slots.items()}
        reports = {key: slot.reports for key, slot in self._slots.items()}
        for key, slot in self._slots.items():
            if key in components and components[key].is_worn_like(slot.watched):
                slot.watched = components[key]
        changed = [key for key, slot in self._slots.items() if components.get(key) != slot.watched]
        for key in changed:
            self._drop(self._slots.pop(key))
        new = [key for key in components if key not in self._slots]
        for key in new:
            self._slots[key] = self._slot(key, components[key])
            if key in lives:
                self._begin(self._slots[key], lives[key])
            self._slots[key].reports = reports.get(key, ())
        return [key for key in new if key in states and not self._slots[key].restore(states[key], self._points)]

    def _drop(self, slot: Slot) -> None:
        for readers in self._readers:
            readers[:] = [(reader, signal) for reader, signal in readers if reader is not slot]
        for number in slot.points:
            self._read[number] = bool(self._readers[number])

    def _slot(self, key: str, watched: Watched) -> Slot:
        wear = watched.settings.wear
        kind = kind_of(key, wear) if isinstance(wear, DeviationWear) else key
        pool = self._pools.setdefault(kind, Pool())
        names = wear_tags(wear)
        points = []
        for name in names:
            points.append(self._watched(f"{watched.machine}/{name}", watched.tags[name]))
        slot = Slot(key, watched, tracker_of(key, watched.settings, watched.tags, pool), tuple(points))
        for signal, point in enumerate(points):
            counter = slot.tracker.clock.counted and signal == len(points) - 1
            self._readers[point].append((slot, CLOCK if counter else signal))
            self._read[point] = True
        return slot

    def _watched(self, tag: str, unit: str) -> int:
        number = self._points.watch(tag, unit)
        while len(self._readers) <= number:
            self._readers.append([])
        self._read = np.append(self._read, np.zeros(len(self._readers) - len(self._read), bool))
        return number

    def watch(self, tag: str, unit: str) -> None:
        """Keep the newest value of a tag that no component reads, so that a page can show it."""
        self._watched(tag, unit)

    def take(self, sample: Sample) -> None:
        """Fold one sample; many are better folded together."""
        self.fold(Batch.of("", [sample]))

    def fold(self, batch: Batch) -> None:
        """Fold a batch: constant time for a value that a component reads, a few operations for all others."""
        news = self._points.take(batch)
        read = np.flatnonzero(self._read[news.tags])
        if not len(read):
            return
        hours = (news.source[read] // 10) / (TICKS_PER_HOUR // 10)  # by the microsecond, as times are written
        rows = zip(news.tags[read].tolist(), news.values[read].tolist(), hours.tolist(), strict=True)
        provenance = batch.provenance
        for tag, value, at in rows:
            for slot, signal in self._readers[tag]:
                if provenance is not slot.provenance:
                    slot.provenance = provenance.weakest(slot.provenance or provenance)
                slot.tracker.take(signal, value, at)

    def teach(self, kind: str, model: Learned | None) -> None:
        """Believe a model from now on for components of a kind (see `kind_of`); None: the rule without history."""
        self._pools.setdefault(kind, Pool()).model = model

    def believe_lives(self, component: str, lives: Mapping[str, Lifetimes], count: int, version: str) -> None:
        """Believe of a part that wears by use what `count` lives taught from now on; nothing: the rating alone.

        lives: by the name of each clock, "" where there is but one.
        """
        tracker = self._slots[component].tracker
        if isinstance(tracker, UsageTracker | ClocksTracker):
            tracker.believe(lives, count, version)

    def drain_frames(self) -> dict[str, list[tuple[float, list[float]]]]:
        """Return the frames that closed since the last call, by component: use at the end, and each signal's mean."""
        trackers = {key: slot.tracker for key, slot in self._slots.items()}
        drained = {key: each.drain() for key, each in trackers.items() if isinstance(each, DeviationTracker)}
        return {key: frames for key, frames in drained.items() if frames}

    def connection_lost(self, tags: Iterable[str]) -> None:
        """The wire to these tags is gone: their newest values no longer stand for now."""
        self._points.doubt(self._numbers(tags))

    def connection_alive(self, tags: Iterable[str], now: datetime) -> None:
        """The wire to these tags is open and silent: machines report changes only, so good values still stand."""
        self._points.stand(self._numbers(tags), now)

    def _numbers(self, tags: Iterable[str]) -> Numbers:
        found = (self._points.find(tag) for tag in tags)
        return np.array([number for number in found if number is not None], np.int32)

    def latest(self, tag: str) -> Reading | None:
        """Return the newest good value of a tag and how far it can be believed now, or None before the first."""
        number = self._points.find(tag)
        return None if number is None else self._points.latest(number)

    def newest(self, tags: Sequence[str]) -> Values:
        """Return the newest good value of each of these tags; not a number where there is none."""
        numbers = [self._points.find(tag) for tag in tags]
        known = np.array([each is not None for each in numbers], bool)
        values = np.full(len(tags), np.nan)
        values[known] = self._points.newest(np.array([each for each in numbers if each is not None], np.int32))
        return values

    def refused(self, tag: str) -> Mapping[str, int]:
        """Return how many samples of a tag moved nothing, by reason: bad, uncertain, not a number, late."""
        number = self._points.find(tag)
        return {} if number is None else self._points.refused(number)

    def assess(self, component: str, now: datetime) -> Need:
        """Return the need of a component as it stands. Raises KeyError for a component that is not watched."""
        slot = self._slots[component]
        assessment = self._assessed(slot, now)
        need = _need(slot, assessment, now)
        said = _gist(need)
        if said != slot.said:
            slot.revision, slot.said = slot.revision + 1, said
            need = _need(slot, assessment, now)
        return need

    def needs(self, now: datetime) -> list[Need]:
        """Return the need of every component, by key."""
        return [self.assess(component, now) for component in sorted(self._slots)]

    def _assessed(self, slot: Slot, now: datetime) -> Assessment:
        stale = self._silent(slot, now)
        has_tags = bool(slot.points)
        basis = Basis(
            slot.tracker.unit,
            slot.tracker.clock.rate.per_hour,
            now,
            slot.provenance or (Provenance.B if has_tags else Provenance.A),
            slot.life is not None and not stale,
            slot.tracker.rated or None,
        )
        found = slot.tracker.assess((now - _EPOCH) / _HOUR, basis)
        reasons = list(found.evidence)
        for typed in slot.typed.values():
            reasons.append(
                Evidence("READING", {"value": f"{typed.value:g}", "at": typed.at.isoformat(), "by": typed.by})
            )
        if slot.life is None:
            reasons.append(Evidence("NO_LIFE", {}))
        reasons += stale
        told = evidence_of(slot.watched.symptoms, slot.reports)
        if any(each.code == FAILURE_SAID for each in told):
            return Assessment(failed(found.belief), 0.0, (*told, *reasons))
        return Assessment(found.belief, found.health, (*reasons, *told))

    def _silent(self, slot: Slot, now: datetime) -> list[Evidence]:
        """The tags whose newest good value is too old to stand for now, or never came."""
        limit = slot.watched.settings.stale_after.duration
        oldest, wear = ticks_of(now - limit), slot.watched.settings.wear
        read, good_at = slot.read_since(now - limit), [int(self._points.good_at[point]) for point in slot.points]
        return [
            Evidence(NEVER_HEARD if at == NEVER else "STALE", {"tag": name})
            for name, at in zip(wear_tags(wear), good_at, strict=True)
            if at < oldest and clock_name(wear, name) not in read
        ]

    def picture(self, component: str, now: datetime) -> Picture:
        """Return a component's history and forecast for a chart. Raises KeyError for an unknown component."""
        slot = self._slots[component]
        hours = (now - _EPOCH) / _HOUR
        belief = self._assessed(slot, now).belief
        end = belief.remaining_time(0.9) or belief.remaining_time(0.5)
        ahead = end * 1.2 if end else PICTURE_AHEAD
        outlook = slot.tracker.outlook(hours)
        return draw(component, slot.tracker.past(hours), outlook, belief.use_per_hour, ahead, now)

    def notice(self) -> list[Fitting]:
        """Return the fittings that telemetry suggests and nobody has settled; an id stays the same while it stands."""
        found = []
        for key in sorted(self._slots):
            proposal = self._slots[key].tracker.proposal()
            if proposal is None:
                continue
            at = _EPOCH + timedelta(hours=proposal.hours)
            identity = hashlib.sha256(f"{key}|{at.isoformat()}|{proposal.code}".encode()).hexdigest()[:32]
            evidence = json.dumps({"code": proposal.code, **proposal.parameters}, sort_keys=True)
            found.append(Fitting(identity, key, at, FittingState.PROPOSED, "telemetry", evidence))
        return found

    def fitted(self, fitting: Fitting, life: Life) -> None:
        """A fitting is done: a new life begins. Raises ValueError when it is only proposed or planned."""
        if fitting.state is not FittingState.DONE or fitting.component != life.component:
            raise ValueError("a life begins with a fitting that was done in its own slot")
        self._begin(self._slots[life.component], life)

    def ran(self, component: str, at: datetime) -> dict[str, float]:
        """Return what the part in a slot had run that is taken out at a time, by the name of each clock that knows."""
        return self._slots[component].tracker.ran((at - _EPOCH) / _HOUR)

    def life(self, component: str) -> Life | None:
        """Return the life in a slot, None where nobody knows of one or the component is not watched."""
        slot = self._slots.get(component)
        return None if slot is None else slot.life

    def dismiss(self, component: str) -> None:
        """A person said that nothing was fitted: what telemetry proposed is settled and the old life goes on."""
        self._slots[component].tracker.dismiss()

    def reading(self, component: str, value: float, at: datetime, by: str, clock: str = "") -> None:
        """Fold a value that a named person typed in: a counter's reading, an hour meter's, or a level.

        clock: which one was read, by its name, where the component wears by several. Raises ValueError with a sentence
        when the value cannot be taken: not finite, before what is known, of no clock that was named, or of a component
        that wears by deviation or is foretold.
        """
        slot, hours = self._slots[component], (at - _EPOCH) / _HOUR
        if not math.isfinite(value):
            raise ValueError(_("a reading is a finite number"))
        slot.tracker.read(value, hours, clock)
        slot.typed[clock] = Typed(value, at, by)
        slot.provenance = slot.provenance or Provenance.A

    def reported(self, component: str, reports: Iterable[Report]) -> None:
        """Go by what people say of the part in a component, all of it, until another part is fitted."""
        self._slots[component].reports = tuple(reports)

    def _begin(self, slot: Slot, life: Life) -> None:
        hours = (life.fitted_at - _EPOCH) / _HOUR
        slot.tracker.begin(life.used_before, hours, life.counters)
        slot.life, slot.typed, slot.reports = life, {}, ()

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return the state of every component by key, JSON-able; numbers come back exactly."""
        return {key: slot.document(self._points) for key, slot in self._slots.items()}

    def restore(self, states: Mapping[str, dict[str, Any]]) -> list[str]:
        """Take up a snapshot; return the components that it did not fit, which begin anew.

        A state is taken only for the same life and the same kind of wear over the same tags; the newest values come
        back as uncertain, because nobody has said yet that they still stand.
        """
        return [
            key for key, slot in self._slots.items() if key in states and not slot.restore(states[key], self._points)
        ]


def _need(slot: Slot, found: Assessment, now: datetime) -> Need:
    watched = slot.watched
    job, evidence = job_for(watched.settings.job, watched.symptoms, watched.jobs, found.evidence)
    lines = tuple(JobLine(key, line.item, line.quantity, line.unit, line.kind) for key, line in job.lines.items())
    return Need(
        machine=slot.watched.machine,
        component=slot.key,
        life=slot.life.id if slot.life else "",
        revision=slot.revision,
        job=job.title,
        lines=lines,
        belief=found.belief,
        health=found.health,
        evidence=evidence,
        as_of=now,
        duration=None if job.duration is None else job.duration.duration,
        tools=job.tools,
        skills=job.skills,
    )


def _gist(need: Need) -> str:
    """Return the digest of what makes a need another revision: health by the hundredth, trust, reasons, the job."""
    codes = ",".join(reason.code for reason in need.evidence)
    return digest(f"{need.life}|{need.health:.2f}|{need.belief.known}|{need.belief.provenance}|{codes}|{need.job}")
