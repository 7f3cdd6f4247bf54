"""The way through the house: samples into the monitor, needs out of it, wants into purchasing.

Taking a sample never waits for a decision, and watching never stops because buying does: each step of `decide` is
guarded, and what fails in it is counted, logged, and done again at the next. Nothing here judges: the monitor
believes, timing says when, the gate says whether.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from connectors.backlog import Backlog
from connectors.samples import Batch
from connectors.supervisor import ConnectionStatus
from gateway.databases import Databases
from gateway.intake import Intake, Sieve
from gateway.learning.service import Learning
from gateway.live import Board, Link
from gateway.lives import Lives
from gateway.settings import ComponentConfig
from maintenance import store as telemetry_store
from maintenance.monitor import Monitor
from maintenance.needs import JobLine, Need
from marketplace.authority.gate import current_policy
from marketplace.authority.policy import Mode, Policy, mode_of
from marketplace.ordering.purchase import Purchasing
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.store import Owner
from marketplace.timing import Advice, advise

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Site:
    """What the pipeline knows of the config."""

    owner: Owner
    components: Mapping[str, ComponentConfig]
    tags: Mapping[str, Sequence[str]]
    timing: TimingSettings
    deadbands: Mapping[str, float] = field(default_factory=dict)


class Pipeline:
    """Carries samples and needs; `intake` is where samples come in.

    careful: whether every purchase asks a person now, whatever its mode.
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
        learning: Learning | None = None,
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
        self._learning = learning
        self._deciding = asyncio.Lock()
        self.intake = Intake(monitor, board, Sieve(site.deadbands), clock)
        self.decided_at: datetime | None = None

    def reconfigure(self, site: Site) -> None:
        """Carry for another site from now on: what the config says of tags and components has changed."""
        self._site = site
        self.intake.sieve = Sieve(site.deadbands)

    @property
    def samples(self) -> int:
        """Samples that arrived since it was made."""
        return self.intake.samples

    async def deliver(self, batch: Batch) -> None:
        """Take what a connection delivered."""
        kept = self.intake.take(batch)
        if len(kept):
            await self._backlog.put(kept)

    def notify(self, status: ConnectionStatus) -> None:
        """Take how a connection is now; the values of a lost one no longer stand for the present."""
        faults = tuple((fault.tag, fault.reason) for fault in status.faults)
        self._board.notify(Link(status.name, status.connected, status.since, status.reason, faults))
        if not status.connected:
            self._monitor.connection_lost(self._site.tags.get(status.name, ()))

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
        self._board.tell({"needs"})
        if self._purchasing.held():
            return
        policy = await self._policy()
        if policy is not None:  # without one there is no authority to ask a supplier for anything
            await asyncio.gather(*(self._want(need, policy, now) for need in needs))
        self.decided_at = now

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

    async def _want(self, need: Need, policy: Policy, now: datetime) -> None:
        """Want every line of a need that timing says to buy; one that fails stops no other."""
        if need.component not in self._site.components:  # taken out of the config while this step ran
            return
        economics = self._site.components[need.component].buying
        if economics is None or not need.heard:
            return
        patience = 1.0 if self._learning is None else self._learning.patience(need.component)
        advice = advise(need.belief, self._site.timing.terms(economics, patience), now)
        if not advice.buy:
            return
        try:
            for line in need.lines:
                await self._want_line(need, line, advice, policy, economics)
        except Exception:
            log.exception("a want could not be raised; it is tried again at the next step", component=need.component)

    async def _want_line(
        self, need: Need, line: JobLine, advice: Advice, policy: Policy, economics: BuyingSettings
    ) -> None:
        mode = mode_of(policy, need.component)
        if mode is Mode.BUY and self._careful():
            mode = Mode.ASK
        raised = await self._purchasing.want(need, line, advice, mode, economics)
        if raised is not None:
            self._board.tell({"orders"})

    async def keep_snapshots(self) -> None:
        """Write down what the monitor knows, so that a restart goes on from it."""
        async with self._databases.telemetry.write() as tx:
            await telemetry_store.save_snapshots(tx, self._monitor.snapshot(), self._clock())
