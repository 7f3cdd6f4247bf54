"""From what is known of components to what is wrong with them: needs, connections and tags become findings.

A doubted belief raises nothing about wear and clears nothing: it is judged as it was, and the alarm about the doubt
tells why. A tag is one alarm however many components read it, and a tag that cannot be read is not silent besides. What
only the marketplace knows, when to decide and how long a part takes, comes as plain times. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from maintenance.alarms.alarm import Finding
from maintenance.alarms.kinds import KINDS, AlarmKind, priority_of
from maintenance.alarms.rules import Own, Rules
from maintenance.needs import NEVER_HEARD, Need

HORIZON: Final = timedelta(days=14)
"""How long a part usually takes to come, where nobody has said."""
SILENT: Final = frozenset({"STALE", NEVER_HEARD})
JUMPED_AHEAD: Final = frozenset({"COUNTER_JUMPED_AHEAD", "CLOCK_JUMPED_AHEAD"})
JUMPED_BACK: Final = "COUNTER_JUMPED_BACK"
CONTRADICTED: Final = "CLOCK_JUMPED_BACK"
"""One of several clocks of a part jumped back and none of the others did; of all of them together a new part speaks."""
TELLING: Final = SILENT | JUMPED_AHEAD | {JUMPED_BACK, CONTRADICTED}

_HOUR: Final = timedelta(hours=1)
_K = AlarmKind


@dataclass(frozen=True, slots=True)
class Decision:
    """When a component's purchase must be decided, as timing says it.

    by: None where it lies beyond what is known. arrival: how long a part takes that is ordered now. is_person: whether
    the decision waits for a person; None where nobody can tell now.
    """

    by: datetime | None
    arrival: timedelta
    is_person: bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """A connection as it is: since when it is up or down, why, which tags cannot be read, and what hangs on it."""

    name: str
    connected: bool
    since: datetime
    reason: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    tags: int = 0
    components: int = 0


@dataclass(frozen=True, slots=True)
class Stuck:
    """A tag that stands still although its machine runs; active None: it has not been watched for long enough."""

    tag: str
    component: str
    value: float
    active: bool | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Plant:
    """What is asked about a look: connections by machine, decisions by component, and where a new part is proposed."""

    connections: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[Line] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    proposed: Collection[str] = ()
    stuck: Sequence[Stuck] = ()


def of_connections(plant: Plant, rules: Rules) -> Iterator[Finding]:
    """Yield what is wrong with connections, and with tags that cannot be read over those that stand."""
    yield from _of_lines(plant.lines, rules)
    yield from _of_tags(plant, rules)


def _of_lines(lines: Iterable[Line], rules: Rules) -> Iterator[Finding]:
    own = rules.of("")
    for line in lines:
        if line.connected or not own.terms[_K.CONNECTION_LOST].enabled:
            continue
        figures = {"connection": line.name, "tags": str(line.tags), "components": str(line.components)}
        figures["reason"] = line.reason
        urgency = priority_of(own.consequence, KINDS[_K.CONNECTION_LOST].respond_within)
        yield Finding(_K.CONNECTION_LOST, line.name, "", True, urgency, figures, since=line.since)


def of_site(needs: Iterable[Need], plant: Plant, rules: Rules, now: datetime) -> Iterator[Finding]:
    """Yield everything that is wrong, or cannot be judged, at `now`."""
    yield from of_connections(plant, rules)
    unreadable = {tag for line in plant.lines for tag in line.unreadable}
    yield from _of_stuck(plant, rules)
    for need in needs:
        own = rules.of(need.component)
        yield from _of_need(need, own, plant, unreadable, now)


def _of_tags(plant: Plant, rules: Rules) -> Iterator[Finding]:
    own = rules.of("")
    if not own.terms[_K.TAG_UNREADABLE].enabled:
        return
    urgency = priority_of(own.consequence, KINDS[_K.TAG_UNREADABLE].respond_within)
    for line in plant.lines:
        for tag, reason in line.unreadable.items():
            machine, figures = tag.partition("/")[0], {"tag": tag, "reason": reason}
            yield Finding(_K.TAG_UNREADABLE, tag, machine, True, urgency, figures, connection=line.name)


def _of_stuck(plant: Plant, rules: Rules) -> Iterator[Finding]:
    for each in plant.stuck:
        own = rules.of(each.component)
        if own.terms[_K.SENSOR_STUCK].enabled:
            machine, figures = each.tag.partition("/")[0], {"tag": each.tag, "value": f"{each.value:g}"}
            yield _found(_K.SENSOR_STUCK, each.tag, machine, each.active, each.component, own, plant, figures)


def _of_need(need: Need, own: Own, plant: Plant, unreadable: Collection[str], now: datetime) -> Iterator[Finding]:
    yield from _of_wear(need, own, plant, now)
    codes = {reason.code for reason in need.evidence}
    if codes & TELLING:
        yield from _of_evidence(need, codes, own, plant, unreadable)
    if need.component in plant.proposed:
        yield from _simple(_K.NEW_PART_PROPOSED, need, own, plant)


def _of_evidence(need: Need, codes: set[str], own: Own, plant: Plant, unreadable: Collection[str]) -> Iterator[Finding]:
    for reason in need.evidence:
        tag = f"{need.machine}/{reason.parameters.get('tag', '')}"
        if reason.code in SILENT and tag not in unreadable and own.terms[_K.SENSOR_SILENT].enabled:
            yield _found(_K.SENSOR_SILENT, tag, need.machine, True, need.component, own, plant, {"tag": tag})
    explained = need.component in plant.proposed
    if codes & JUMPED_AHEAD or (JUMPED_BACK in codes and not explained):
        yield from _simple(_K.COUNTER_DOUBTED, need, own, plant)
    if CONTRADICTED in codes and not explained:
        yield from _simple(_K.CONTRADICTION, need, own, plant)


def _simple(kind: AlarmKind, need: Need, own: Own, plant: Plant) -> Iterator[Finding]:
    """Yield a finding about a component that is there or not, whatever its figures."""
    if own.terms[kind].enabled:
        figures = {"component": need.component}
        yield _found(kind, need.component, need.machine, True, need.component, own, plant, figures)


def _found(
    kind: AlarmKind,
    subject: str,
    machine: str,
    active: bool | None,
    component: str,
    own: Own,
    plant: Plant,
    figures: Mapping[str, str],
) -> Finding:
    """Return a finding for which everybody has the time of its kind to respond."""
    urgency = priority_of(own.consequence, KINDS[kind].respond_within)
    connection = plant.connections.get(machine, "")
    return Finding(
        kind, subject, machine, active, urgency, figures,
        connection=connection, component=component, out_of_service=own.out_of_service,
    )  # fmt: skip


def _of_wear(need: Need, own: Own, plant: Plant, now: datetime) -> Iterator[Finding]:
    """Yield what the belief says; where it is doubted, that it cannot be judged."""
    decision, sure = plant.decisions.get(need.component), need.belief.known and need.told_enough
    health, likely, near = (own.terms[kind] for kind in (_K.HEALTH_LOW, _K.FAILURE_LIKELY, _K.DECIDE_BY_NEAR))
    if health.enabled:
        active = KINDS[_K.HEALTH_LOW].beyond(need.health, health.limit, health.band) if sure else None
        if active is not False:
            figures = {"value": _percent(need.health), "limit": _percent(health.limit)}
            yield _worn(_K.HEALTH_LOW, need, active, own, figures, now)
    if likely.enabled:
        within = now - need.belief.as_of + (HORIZON if decision is None else decision.arrival)
        probability = need.belief.failure_probability(within) if sure else 0.0
        active = KINDS[_K.FAILURE_LIKELY].beyond(probability, likely.limit, likely.band) if sure else None
        if active is not False:
            figures = {"value": _percent(probability), "limit": _percent(likely.limit)}
            yield _worn(_K.FAILURE_LIKELY, need, active, own, figures, now)
    if near.enabled and decision is not None and (decision.by is not None or decision.is_person is None):
        left = None if decision.by is None else (decision.by - now) / _HOUR
        active = None
        if sure and decision.is_person is not None and left is not None:
            active = decision.is_person and KINDS[_K.DECIDE_BY_NEAR].beyond(left, near.limit, near.band)
        if active is not False:
            yield _worn(_K.DECIDE_BY_NEAR, need, active, own, {}, now, due=decision.by)


def _worn(
    kind: AlarmKind,
    need: Need,
    active: bool | None,
    own: Own,
    figures: Mapping[str, str],
    now: datetime,
    *,
    due: datetime | None = None,
) -> Finding:
    """Return a finding about wear; the time to respond ends when failure is as likely as not, if that is known."""
    if active and due is None:
        due = _likely_end(need)
    left = KINDS[kind].respond_within if due is None else due - now
    return Finding(
        kind, need.component, need.machine, active, priority_of(own.consequence, left),
        {"component": need.component, **figures},
        due=due, component=need.component, out_of_service=own.out_of_service,
    )  # fmt: skip


def _likely_end(need: Need) -> datetime | None:
    try:
        length = need.belief.remaining_time()
        return None if length is None else need.belief.as_of + length
    except OverflowError:  # it outlasts the calendar
        return None


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
