"""The way through the house: samples into the monitor, needs out of it, wants into purchasing.

Taking a sample never waits for a decision, and watching never stops because buying does: each step of `decide` is
guarded, and what fails in it is counted, logged, and done again at the next. Nothing here judges: the monitor
believes, timing says when, the gate says whether.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from connectors.backlog import Backlog
from connectors.samples import Batch
from connectors.supervisor import ConnectionStatus
from gateway.advising import Advising
from gateway.alarm_watch import AlarmWatch
from gateway.databases import Databases
from gateway.intake import Intake, Sieve
from gateway.learning.service import Learning
from gateway.live import Board, Link
from gateway.lives import Lives
from gateway.settings import ComponentConfig
from gateway.views.circumstances import Circumstances
from maintenance import store as telemetry_store
from maintenance.derivation import Derivation
from maintenance.estimates import Estimate
from maintenance.estimation import Estimation
from maintenance.monitor import Monitor
from maintenance.needs import JobLine, Need
from maintenance.windows import Feature
from marketplace.authority.gate import current_policy
from marketplace.authority.policy import Mode, Policy, mode_of
from marketplace.ordering.purchase import Purchasing
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.store import Owner
from marketplace.timing import Advice, TimingTerms

if TYPE_CHECKING:  # loaded only where a gateway is a shadow
    from gateway.shadow import Shadow

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Site:
    """What the pipeline knows of the config."""

    owner: Owner
    components: Mapping[str, ComponentConfig]
    tags: Mapping[str, Sequence[str]]
    timing: TimingSettings
    deadbands: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, Feature] = field(default_factory=dict)
    circumstances: Circumstances = field(default_factory=Circumstances)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """A line of a job that timing says to buy now."""

    need: Need
    line: JobLine
    advice: Advice
    economics: BuyingSettings


def _urgency(wish: Wish) -> tuple[datetime, float, str]:
    """By when it must be decided, and of those that should have been already, what is likeliest to fail."""
    return wish.advice.decide_by or _LAST, -wish.advice.probability, wish.need.component


_LAST = datetime.max.replace(tzinfo=UTC)


class Pipeline:
    """Carries samples and needs; `intake` is where samples come in.

    careful: whether every purchase asks a person now, whatever its mode. alarms: look after what people must know.
    shadow: keeps what would be bought, where nothing is.
    """

    def __init__(
        self,
        site: Site,
        databases: Databases,
        monitor: Monitor,
        board: Board,
        backlog: Backlog,
        lives: Lives,
        purchasing: Purchasing,
        clock: Callable[[], datetime],
        *,
        careful: Callable[[], bool] = bool,
        alarms: AlarmWatch | None = None,
        learning: Learning | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self._site = site
        self._databases = databases
        self._monitor = monitor
        self._board = board
        self._backlog = backlog
        self.lives = lives
        self._purchasing = purchasing
        self._clock = clock
        self._careful = careful
        self._alarms = alarms
        self._advising = Advising(databases.spend, site.owner)
        self._learning = learning
        self._shadow = shadow
        self._deciding = asyncio.Lock()
        derivation, estimation = Derivation(site.features), Estimation(site.estimates)
        self.intake = Intake(monitor, board, Sieve(site.deadbands), clock, derivation, estimation)

    def reconfigure(self, site: Site) -> None:
        """Carry for another site from now on: what the config says of tags and components has changed."""
        self._site = site
        self.intake.sieve = Sieve(site.deadbands)
        self.intake.derive_by(Derivation(site.features))
        self.intake.estimate_by(Estimation(site.estimates))

    @property
    def samples(self) -> int:
        """Samples that arrived since it was made."""
        return self.intake.samples

    @property
    def advised(self) -> Mapping[str, Advice]:
        """What timing said at the last step, by component."""
        return self._advising.newest

    async def deliver(self, batch: Batch) -> None:
        """Take what a connection delivered."""
        kept = self.intake.take(await self.intake.derived(batch) if batch.windows else batch)
        if len(kept):
            await self._backlog.put(kept)

    def notify(self, status: ConnectionStatus) -> None:
        """Take how a connection is now; the values of a lost one no longer stand for the present."""
        faults = tuple((fault.tag, fault.reason) for fault in status.faults)
        self._board.notify(Link(status.name, status.connected, status.since, status.reason, faults))
        if not status.connected:
            self._monitor.connection_lost(self._site.tags.get(status.name, ()))
            self.intake.lost(self._site.tags.get(status.name, ()))

    async def decide(self) -> None:
        """Take one decision step: settle fittings, revise every need, and want what timing says to buy."""
        async with self._deciding:
            await self._decide(self._clock())

    async def _decide(self, now: datetime) -> None:
        for link in self._board.links():
            if link.connected and link.name in self._site.tags:
                self._monitor.connection_alive(self._site.tags[link.name], now)
        await self._settle_fittings()
        needs = self._monitor.needs(now)
        if await self._learn(needs):
            needs = self._monitor.needs(now)  # a model was taken back: money does not move on what it said
        async with self._databases.telemetry.write() as tx:
            pictures = [(need, self._monitor.picture(need.component, now)) for need in needs]
            await telemetry_store.save_needs(tx, pictures)
        known = [need for need in needs if need.component in self._site.components]
        advised = await self._advising.step(known, self._said(known), self._site.circumstances, now)
        self._board.tell({"needs"})
        if self._alarms is not None:  # what people are told moves no money
            await self._alarms.look(known, advised, now)
        if self._shadow is not None:
            await self._keep_shadow(self._shadow, known, advised, now)
        if self._purchasing.held():
            return
        policy = await self._policy()
        if policy is not None:  # without one there is no authority to ask a supplier for anything
            await asyncio.gather(*(self._want(each, policy) for each in self._urgent(known, advised)))

    async def _keep_shadow(
        self, shadow: Shadow, needs: Sequence[Need], advised: Mapping[str, Advice], now: datetime
    ) -> None:
        """Keep what would be bought; what fails in it is tried again at the next step."""
        try:
            await shadow.step(needs, lambda need, _now: advised.get(need.component), now)
        except Exception:
            log.exception("what would be bought could not be kept; it is tried again at the next step")

    def _said(self, needs: Sequence[Need]) -> dict[str, TimingTerms]:
        """Return the terms of what is bought for as the config says them, with the patience that kinds have learned."""
        found = {}
        for key in (need.component for need in needs):
            learned = 1.0 if self._learning is None else self._learning.patience(key)
            terms = self._site.components[key].terms(self._site.timing, learned)
            if terms is not None:
                found[key] = terms
        return found

    async def _settle_fittings(self) -> None:
        try:
            if await self.lives.settle():
                self._board.tell({"orders"})
        except Exception:
            log.exception("a fitting could not be settled; it stays proposed")

    async def _learn(self, needs: Sequence[Need]) -> bool:
        """Let learning see this step; return whether what is believed has changed by it."""
        if self._learning is None:
            return False
        try:
            return await self._learning.step(needs)
        except Exception:
            log.exception("learning could not take this step; what was believed goes on")
            return True

    async def _policy(self) -> Policy | None:
        async with self._databases.spend.read() as tx:
            applied = await current_policy(tx, self._site.owner)
        return None if applied is None else applied.policy

    def _urgent(self, needs: Sequence[Need], advised: Mapping[str, Advice]) -> list[Wish]:
        """Return every line that timing says to buy; who must decide sooner asks sooner, hence is served first."""
        wishes = []
        for need in needs:
            known = self._site.components.get(need.component)  # one may have left the config while this step ran
            advice = advised.get(need.component)
            if known is None or known.buying is None or advice is None or not need.told_enough:
                continue
            wishes += [Wish(need, line, advice, known.buying) for line in advice.wants(need.lines)]
        return sorted(wishes, key=_urgency)

    async def _want(self, wish: Wish, policy: Policy) -> None:
        """Want a line; one that fails stops no other."""
        mode = mode_of(policy, wish.need.component)
        if mode is Mode.BUY and self._careful():
            mode = Mode.ASK
        try:
            raised = await self._purchasing.want(wish.need, wish.line, wish.advice, mode, wish.economics)
        except Exception:
            name = wish.need.component
            log.exception("a want could not be raised; it is tried again at the next step", component=name)
            return
        if raised is not None:
            self._board.tell({"orders"})

    async def keep_snapshots(self) -> None:
        """Write down what the monitor knows, so that a restart goes on from it."""
        async with self._databases.telemetry.write() as tx:
            states = self._monitor.snapshot() | self.intake.snapshot()
            await telemetry_store.save_snapshots(tx, states, self._clock())

    async def resume(self) -> None:
        """Go on from what was written down of estimates; the monitor has what is its own."""
        async with self._databases.telemetry.read() as tx:
            self.intake.restore(await telemetry_store.load_snapshots(tx))
