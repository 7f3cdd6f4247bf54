"""Lives of the plant: which part is in which slot since when, kept together with the audit entry of who says so.

A person's word fits a part at once. What telemetry proposes counts only where a part was received or is on stock;
otherwise it stands as proposed, money waits for a person, and nothing is forgotten. The monitor learns of a new life
only after it is durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from gettext import gettext as _

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.settings import ComponentConfig
from maintenance.assets import Fitting, FittingState, Found, Life, machine_of
from maintenance.fittings import counters_now, counters_told
from maintenance.monitor import Monitor
from maintenance.settings import counter_tags
from maintenance.store import (
    close_life,
    drop_reports,
    keep_report,
    open_life,
    open_lives,
    record_reading,
    reports,
    save_fitting,
)
from maintenance.symptoms import REPORTS_MAX, Report
from marketplace import fulfilment
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor, ActorKind
from marketplace.store import Database, Owner

log = structlog.get_logger()


async def first_lives(
    database: Database, owner: Owner, components: Mapping[str, ComponentConfig], now: datetime
) -> dict[str, Life]:
    """Return the life in every slot; a slot seen for the first time gets one of unknown past."""
    async with database.read() as tx:
        found = await open_lives(tx, owner)
    missing = [key for key in components if key not in found]
    if missing:
        actor = Actor(ActorKind.GATEWAY, owner.gateway_id, "config")
        async with database.write() as tx:
            for key in missing:
                found[key] = Life(secrets.token_hex(8), key, now, used_before=None)
                await open_life(tx, owner, found[key])
                await audit.append(tx, owner, "life.watched", key, actor, {"life": found[key].id}, now)
    return found


class Lives:
    """Ends one life and begins the next, in the databases and then in the monitor.

    ending, ended: who is told of a component before its part's life is closed, and once the next has begun.
    """

    def reconfigure(self, components: Mapping[str, ComponentConfig]) -> None:
        """Mind these components from now on."""
        self._components = components

    def __init__(
        self,
        database: Database,
        owner: Owner,
        monitor: Monitor,
        components: Mapping[str, ComponentConfig],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._owner = owner
        self._monitor = monitor
        self._components = components
        self._clock = clock
        self._proposed: set[str] = set()
        self.ending: Callable[[str], Awaitable[None]] | None = None
        self.ended: Callable[[str], None] | None = None
        self._changing = asyncio.Lock()  # a person and telemetry may tell of the same fitting at the same moment

    async def settle(self) -> list[str]:
        """Take up the fittings that telemetry proposes; returns the components whose next life began."""
        async with self._changing:
            return [fitting.component for fitting in self._monitor.notice() if await self._accept(fitting)]

    async def _accept(self, fitting: Fitting) -> bool:
        """Accept a proposed fitting if a part was there to be fitted; else keep it as proposed, once."""
        owner, component = self._owner, fitting.component
        items = [line.item for line in self._components[component].job.lines.values()]
        actor = Actor(ActorKind.MACHINE, machine_of(component), "telemetry")
        async with self._database.read() as tx:
            current = (await open_lives(tx, owner)).get(component)
            life = current.id if current else ""
            accepted = await fulfilment.may_accept_fitting(tx, owner, component, life, items)
        if accepted:
            counters = counters_told(fitting, self._counters(component))
            await self._begin(fitting, actor, used_before=0.0, counters=counters)
        elif fitting.id not in self._proposed:
            self._proposed.add(fitting.id)
            async with self._database.write() as tx:
                await save_fitting(tx, owner, fitting)
                facts = {"life": life, "evidence": fitting.evidence}
                await audit.append(tx, owner, "fitting.proposed", component, actor, facts, self._clock())
        return accepted

    def _counters(self, component: str) -> tuple[str, ...]:
        return counter_tags(self._components[component].wear)

    async def fitted_by(
        self,
        component: str,
        person: Actor,
        serial: str,
        used: float | None,
        note: str,
        found: Found | None = None,
    ) -> None:
        """A named person says that a part was fitted just now.

        used: what it had run, None if nobody knows. found: how the part before was, None if nothing is said of it.
        """
        async with self._changing:
            fitting = Fitting(
                secrets.token_hex(8), component, self._clock(), FittingState.DONE, person.id, "said", serial
            )
            counters = counters_now(self._monitor, component, self._counters(component))
            await self._begin(fitting, person, used_before=used, counters=counters, note=note, found=found)

    async def _begin(
        self,
        fitting: Fitting,
        actor: Actor,
        *,
        used_before: float | None,
        counters: Mapping[str, float],
        note: str = "",
        found: Found | None = None,
    ) -> None:
        owner, component, now = self._owner, fitting.component, self._clock()
        done = Fitting(fitting.id, component, fitting.at, FittingState.DONE, actor.id, fitting.evidence, fitting.serial)
        life = Life(secrets.token_hex(8), component, fitting.at, used_before, fitting.serial, dict(counters))
        ran = self._monitor.ran(component, fitting.at)
        await self._ending(component)
        async with self._database.write() as tx:
            ended = await close_life(tx, owner, component, fitting.at, found, ran)
            await open_life(tx, owner, life)
            await drop_reports(tx, owner, component)
            await save_fitting(tx, owner, done)
            await fulfilment.fitted(tx, owner, component, ended or "", actor, now)
            facts = {
                "life": life.id,
                "ended": ended or "",
                "fitting": done.id,
                "note": await audit.note(tx, owner, note),
                "found": "" if found is None else found.value,
                "ran": {clock: f"{use:g}" for clock, use in ran.items()},
            }
            await audit.append(tx, owner, "life.began", component, actor, facts, now)
        self._monitor.fitted(done, life)
        if self.ended is not None:
            self.ended(component)
        log.info("a part was fitted", component=component, by=actor.id, method=actor.method)

    async def _ending(self, component: str) -> None:
        if self.ending is not None:
            await self.ending(component)

    async def reading_by(self, component: str, value: float, person: Actor, clock: str = "") -> None:
        """Keep a reading that a named person typed in, of a named clock where there are several.

        Raises ValueError when the monitor cannot take it.
        """
        now = self._clock()
        async with self._database.write() as tx:
            await record_reading(tx, self._owner, component, value, now, person.id)
            facts = {"value": f"{value:g}"} | ({"clock": clock} if clock else {})
            await audit.append(tx, self._owner, "reading.entered", component, person, facts, now)
            self._monitor.reading(component, value, now, person.id, clock)  # refused: nothing of it is kept

    async def recall(self) -> None:
        """Tell the monitor what people report, as it is kept."""
        async with self._changing:
            async with self._database.read() as tx:
                kept = await reports(tx, self._owner)
            for component in self._components:
                self._monitor.reported(component, kept.get(component, ()))

    async def report_by(self, component: str, said: str, person: Actor, *, own_words: bool) -> bool:
        """Keep a symptom that a named person reports of the part that is in a component now.

        own_words: the table does not know it. False, and nothing is kept: it is reported already. Raises ValueError
        where there are `REPORTS_MAX` of them.
        """
        async with self._changing:
            now = self._clock()
            async with self._database.write() as tx:
                before = (await reports(tx, self._owner)).get(component, ())
                if said.casefold() in {each.said.casefold() for each in before}:
                    return False
                if len(before) >= REPORTS_MAX:
                    sentence = _("{component} has {count} symptoms already; take back those that are over")
                    raise ValueError(sentence.format(component=component, count=len(before)))
                report = Report(said, now, person.id)
                await keep_report(tx, self._owner, component, report)
                await self._audit_report(tx, "symptom.reported", component, said, person, own_words)
            self._monitor.reported(component, (*before, report))
        return True

    async def take_back(self, component: str, said: str, person: Actor, *, own_words: bool) -> bool:
        """A named person says that a symptom is over, or never was; False where nobody reports it."""
        async with self._changing:
            async with self._database.write() as tx:
                if not await drop_reports(tx, self._owner, component, said):
                    return False
                await self._audit_report(tx, "symptom.taken_back", component, said, person, own_words)
                left = (await reports(tx, self._owner)).get(component, ())
            self._monitor.reported(component, left)
        return True

    async def _audit_report(
        self, tx: AsyncConnection, kind: str, component: str, said: str, person: Actor, own_words: bool
    ) -> None:
        """A person's own words go to the erasable table; the log names those of the config's table."""
        note = await audit.note(tx, self._owner, said) if own_words else ""
        facts = {"symptom": "" if own_words else said, "note": note}
        await audit.append(tx, self._owner, kind, component, person, facts, self._clock())
