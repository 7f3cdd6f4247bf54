"""Condition alarms on a running gateway: looked after at each decision step, kept in the telemetry database.

It gathers what is known of needs, connections and decisions, lets the book judge, and writes down what has changed. It
promises that a fault here stops nothing: it is logged, and looked after again at the next step. What a person did
counts only once it is written. It tells people and nothing else: no purchase ever asks it. Connections are looked at
each minute, because a decision step may be an hour away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import Final

import structlog

from gateway import views
from gateway.actions import Outcome
from gateway.config import Config
from gateway.live import Board
from gateway.views import components
from maintenance.alarms import alarm as single
from maintenance.alarms import store
from maintenance.alarms.alarm import Alarm, Moved, Refused
from maintenance.alarms.book import Book, Overview
from maintenance.alarms.conditions import Decision, Line, Plant, Stuck, of_connections, of_site
from maintenance.alarms.kinds import AlarmKind
from maintenance.alarms.rules import Rules
from maintenance.alarms.settings import rules_of
from maintenance.alarms.stillness import Sensor, Stillness
from maintenance.assets import machine_of
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import measured_tags
from marketplace.authority.policy import Mode, mode_of
from marketplace.ordering.states import OrderState
from marketplace.store import Database, Owner
from marketplace.timing import Advice

log = structlog.get_logger()

LOOK_EVERY: Final = timedelta(minutes=1)
"""Half the on-delay of a lost connection."""
STILL_EVERY: Final = timedelta(hours=1)
"""What stands still for days is not looked at more often."""
DECIDED: Final = frozenset(
    {
        OrderState.APPROVED, OrderState.SUBMITTING, OrderState.SUBMITTED, OrderState.CONFIRMED, OrderState.SHIPPED,
        OrderState.RECEIVED, OrderState.CLOSED, "to_be_fitted",
    }
)  # fmt: skip
"""States in which nobody has to decide any more."""
UNDECIDED: Final = frozenset({OrderState.AWAITING_APPROVAL, OrderState.NEEDS_PERSON})
"""States in which a person has to, whatever the component's mode."""
TOPIC: Final = "alarms"
"""What watchers of the board are told has changed."""

CONNECTION_KINDS: Final = frozenset({AlarmKind.CONNECTION_LOST, AlarmKind.TAG_UNREADABLE})


@dataclass(frozen=True, slots=True)
class AlarmPlan:
    """What alarms know of the config: their rules, connections by machine, and which tags are measured.

    tags, components: how many hang on each connection.
    """

    owner: Owner
    rules: Rules
    connections: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    components: Mapping[str, int] = field(default_factory=dict)
    sensors: Sequence[Sensor] = ()


def plan_of(config: Config) -> AlarmPlan:
    """Return what alarms know of a config."""
    machines = {key: each.connection for key, each in config.file.machines.items()}
    connections = {key: name for key, name in machines.items() if name is not None}
    said = {key: each.alarms for key, each in config.components.items() if each.alarms is not None}
    rules = rules_of(config.file.alarms, said)
    return AlarmPlan(
        config.owner,
        rules,
        connections,
        Counter(connections[machine_of(key)] for key in config.tags if machine_of(key) in connections),
        Counter(connections[machine_of(key)] for key in config.components if machine_of(key) in connections),
        tuple(_sensors(config, rules)),
    )


def _sensors(config: Config, rules: Rules) -> Iterator[Sensor]:
    """Yield the tags in which wear is measured: counters stand still with their machine, and are no such."""
    for key, component in config.components.items():
        after = timedelta(hours=rules.of(key).terms[AlarmKind.SENSOR_STUCK].limit)
        yield from (Sensor(f"{machine_of(key)}/{tag}", key, after) for tag in measured_tags(component.wear))


class AlarmWatch:
    """The alarms of one gateway.

    careful: whether every purchase needs a person now, whatever its mode, or none goes out by itself.
    """

    def __init__(
        self,
        plan: AlarmPlan,
        telemetry: Database,
        spend: Database,
        monitor: Monitor,
        board: Board,
        clock: Callable[[], datetime],
        *,
        careful: Callable[[], bool] = bool,
    ) -> None:
        self._plan = plan
        self._telemetry = telemetry
        self._spend = spend
        self._monitor = monitor
        self._board = board
        self._clock = clock
        self._careful = careful
        self._changing = asyncio.Lock()  # a person and a step may move the same alarm
        self._stillness = Stillness()
        self._still_at: datetime | None = None
        self._stuck: tuple[Stuck, ...] = ()
        self.book = Book(plan.rules)

    def reconfigure(self, plan: AlarmPlan) -> None:
        """Judge by another config from now on; what it does not name any more clears at the next step."""
        self._plan = plan
        self.book.rules = plan.rules

    async def begin(self) -> None:
        """Take up what was written down; what cannot be read begins anew and is said."""
        try:
            async with self._telemetry.read() as tx:
                alarms, rates = await store.load(tx)
        except Exception:
            log.exception("the alarms could not be read; they begin anew")
            return
        if broken := self.book.restore(alarms, rates):
            log.warning("some alarms could not be read and begin anew", alarms=broken)

    async def look(self, needs: Sequence[Need], advices: Mapping[str, Advice], now: datetime) -> None:
        """Look after every alarm; never raises. `advices` are those of the same step, by component."""
        try:
            decisions = await self._decisions(advices)
            self._look_for_stillness(now)
            plant = Plant(
                self._plan.connections,
                self._lines(),
                decisions,
                {fitting.component for fitting in self._monitor.notice()},
                self._stuck,
            )
            async with self._changing:
                self.book.observe(of_site(needs, plant, self._plan.rules, now), now)
                await self._keep()
        except Exception:
            log.exception("alarms could not be looked after; it is tried again at the next step")

    async def look_at_connections(self) -> None:
        """Look after connections and what cannot be read over them."""
        now = self._clock()
        plant = Plant(self._plan.connections, self._lines())
        async with self._changing:
            self.book.observe(of_connections(plant, self._plan.rules), now, CONNECTION_KINDS)
            await self._keep()

    async def _keep(self) -> None:
        """Write down what has changed and tell whoever watches."""
        changes = self.book.changes()
        if not (changes.alarms or changes.past or changes.moves):
            return
        async with self._telemetry.write() as tx:
            await store.save(tx, changes)
        self.book.kept()
        self._board.tell({TOPIC})

    def _lines(self) -> list[Line]:
        plan = self._plan
        return [
            Line(
                link.name,
                link.connected,
                link.since,
                link.reason,
                dict(link.faults),
                plan.tags.get(link.name, 0),
                plan.components.get(link.name, 0),
            )
            for link in self._board.links()
        ]

    async def _decisions(self, advices: Mapping[str, Advice]) -> dict[str, Decision]:
        """Return when each component's purchase must be decided, and whether a person has to."""
        try:
            async with self._spend.read() as tx:
                moving = await views.under_way(tx, self._plan.owner)
                here = {key for key, _life in await components.to_be_fitted(tx, self._plan.owner)}
                policy = await components.policy_in_force(tx, self._plan.owner)
        except Exception:
            log.exception("what is under way could not be read; who must decide is not judged at this step")
            return {key: _decision(advice, None) for key, advice in advices.items()}
        states = dict.fromkeys(here, "to_be_fitted") | {key: state for key, (state, _number) in moving.items()}
        careful = self._careful()
        return {
            key: _decision(advice, waits_for_person(states.get(key, ""), mode_of(policy, key), careful=careful))
            for key, advice in advices.items()
        }

    def _look_for_stillness(self, now: datetime) -> None:
        if self._still_at is not None and timedelta(0) <= now - self._still_at < STILL_EVERY:
            return
        self._still_at = now
        tags = [sensor.tag for sensor in self._plan.sensors]
        values = zip(tags, self._monitor.newest(tags).tolist(), strict=True)
        self._stillness.look({tag: value for tag, value in values if value == value}, now)
        self._stuck = tuple(self._stillness.stuck(self._plan.sensors))

    def knows(self, alarm: str) -> bool:
        """Return whether an id is that of a condition alarm."""
        return self.book.find(alarm) is not None

    async def acknowledge(self, alarm: str, note: str, person: str) -> Outcome:
        """A named person has seen an alarm; one that is latched and was seen already is reset."""
        now = self._clock()
        sentence = _("The alarm is acknowledged.")
        return await self._act(
            alarm, lambda one: single.acknowledged(one, person, note, now), "ALARM_ACKNOWLEDGED", sentence
        )

    async def shelve(self, alarm: str, span: timedelta, reason: str, person: str) -> Outcome:
        """A named person puts an alarm aside for a span, and says why."""
        now = self._clock()
        sentence = _("The alarm is shelved and comes back by itself.")
        return await self._act(
            alarm, lambda one: single.shelved(one, person, reason, now + span, now), "ALARM_SHELVED", sentence
        )

    async def unshelve(self, alarm: str, person: str) -> Outcome:
        """A named person takes an alarm from the shelf before its time."""
        now = self._clock()
        return await self._act(
            alarm, lambda one: single.unshelved(one, person, now), "ALARM_UNSHELVED", _("The alarm is back.")
        )

    async def _act(self, identity: str, act: Callable[[Alarm], Moved], code: str, done: str) -> Outcome:
        """Do what a person wants with an alarm, durably or not at all."""
        async with self._changing:
            alarm = self.book.find(identity)
            if alarm is None:
                return Outcome(False, "ALARM_UNKNOWN", _("No such alarm is open. Nothing changed."))
            try:
                moved = act(alarm)
            except Refused as error:
                return Outcome(False, "ALARM_REFUSED", str(error))
            async with self._telemetry.write() as tx:
                await store.save(tx, self.book.changes_with(moved))
            self.book.put(moved)
            self.book.kept()
        self._board.tell({TOPIC})
        return Outcome(True, code, done)

    def overview(self) -> Overview:
        """Return the alarms as people look at them now."""
        return self.book.overview(self._clock())


def waits_for_person(state: str, mode: Mode, *, careful: bool) -> bool:
    """Return whether a purchase waits for a person, by the state of what is under way and the component's mode."""
    if state in DECIDED:
        return False
    if state in UNDECIDED:
        return True
    return mode is not Mode.WATCH and (careful or mode is not Mode.BUY)


def _decision(advice: Advice, is_person: bool | None) -> Decision:
    """Return when money must be decided on; a part that is here or on its way needs nobody to decide."""
    is_person = is_person if advice.weighed.terms.held is None else False
    return Decision(advice.decide_by, advice.weighed.terms.arrival, is_person)
