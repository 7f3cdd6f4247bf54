"""Learning at work: a life that closes has its kind judged anew, and what convinces is taught; what goes wrong is taken
back at once.

Promises: nothing is computed on the event loop that takes longer than a few milliseconds. A model is believed only
once it is stored and its change of phase is in the audit log, and only if its bytes are those that were judged. A lost
or stuck sensor, signals that go where no life has gone, a miss or a drift take a kind back to the rule at once; what
failed to be learned leaves what was believed. A restart goes on from what is durable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

import structlog

from gateway.config import Config
from gateway.databases import Databases
from gateway.learning.documents import checked, digest
from gateway.learning.keeping import FrameKeeper
from gateway.learning.kinds import Kind, Wearing, kinds_of
from gateway.learning.ledger import keep, standings
from gateway.learning.phases import Phase
from gateway.learning.retraining import NotJudged
from gateway.learning.standing import Standing
from gateway.learning.task import RETRIAL_LIVES, Case, Closed, Task, Verdict
from gateway.learning.watching import Trouble, Watch
from gateway.settings import ComponentConfig
from gateway.storage import FAILURES
from maintenance import store
from maintenance.frames import Told
from maintenance.lifetimes import FinishedLife, Lifetimes, Prior, learned
from maintenance.monitor import Monitor
from maintenance.needs import NEVER_HEARD, Need
from maintenance.settings import ComponentSettings, DeviationWear, clock_unit
from marketplace.settings import TimingSettings
from marketplace.store import Owner

log = structlog.get_logger()

Retraining = Callable[[Task], Awaitable[Verdict]]
"""Has a kind judged. Raises `NotJudged`."""
HEALED = frozenset({"SENSOR_STUCK", "SENSOR_LOST"})
"""Reasons that end by themselves; then the kind is judged again by what is known already."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Curriculum:
    """What learning knows of the config: components, the units of each one's tags, timing, and what a person pinned."""

    components: Mapping[str, ComponentConfig]
    units: Mapping[str, Mapping[str, str]]
    timing: TimingSettings
    ceilings: Mapping[str, Phase] = field(default_factory=dict)

    def case(self, component: str) -> Case:
        """Return a component as it is judged."""
        config = self.components[component]
        settings = ComponentSettings(**{name: getattr(config, name) for name in ComponentSettings.model_fields})
        unit = clock_unit(settings.wear, self.units[component])
        if config.buying is None:
            return Case(settings, unit, step=self.timing.step / HOUR)
        terms = self.timing.terms(config.buying)
        return Case(settings, unit, terms.costs, terms.supplies[0].delays, max(terms.step / HOUR, 1e-3))


def curriculum(config: Config) -> Curriculum:
    """Return what a config says to learning."""
    units = {key: config.units_of(key.partition("/")[0]) for key in config.components}
    return Curriculum(config.components, units, config.file.timing, config.file.learning)


class Learning:
    """Kinds, how far each has come, and who is told.

    frames: the keeper of frames. seconds: what the last judgement of each kind took. failures: judgements that failed.
    changed: called when money follows something else.
    """

    def __init__(
        self,
        databases: Databases,
        owner: Owner,
        monitor: Monitor,
        curriculum: Curriculum,
        clock: Callable[[], datetime],
        retraining: Retraining,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._databases = databases
        self._owner = owner
        self._monitor = monitor
        self._clock = clock
        self._retraining = retraining
        self.changed = changed
        self.frames = FrameKeeper(databases.telemetry, monitor, curriculum.components)
        self.seconds: dict[Kind, float] = {}
        self.failures = 0
        self._standings: dict[Kind, Standing] = {}
        self._watches: dict[Kind, Watch] = {}
        self._due: set[Kind] = set()
        self._again: set[Kind] = set()
        self._asked = asyncio.Event()
        self._changing = asyncio.Lock()
        self._set(curriculum)

    def _set(self, curriculum: Curriculum) -> None:
        self._curriculum = curriculum
        self._kinds = kinds_of(curriculum.components)
        self._kind_of = {component: kind for kind, each in self._kinds.items() for component in each}

    async def reconfigure(self, curriculum: Curriculum) -> None:
        """Learn of these components from now on."""
        self._set(curriculum)
        self.frames.reconfigure(curriculum.components)
        await self.begin()

    def standings(self) -> dict[Kind, Standing]:
        """Return how far each kind of the config has come."""
        return {kind: self._standings.get(kind, Standing()) for kind in self._kinds}

    def patience(self, component: str) -> float:
        """Return the patience of timing that a component's kind has learned; 1 where it has learned none."""
        kind = self._kind_of.get(component)
        return 1.0 if kind is None else self._standings.get(kind, Standing()).patience

    async def begin(self) -> None:
        """Take up what was learned before; what cannot be trusted any more falls back to the rule."""
        async with self._databases.spend.read() as tx:
            known = await standings(tx, self._owner)
        for kind in self._kinds:
            before = known.get(kind, Standing())
            self._standings[kind] = before
            try:
                await self._take_up(kind, before)
                if len(await self._closed(kind)) != before.closed or before.code in HEALED:
                    self.ask(kind)
            except FAILURES as error:  # watching begins all the same; the kind stands as it was taken back
                log.error("what was learned could not be taken up", kind=str(kind), error=repr(error)[:200])
                self._again.add(kind)
        self.changed()

    async def _take_up(self, kind: Kind, before: Standing) -> None:
        """Teach what a standing says, or fall back."""
        ceiling = self._curriculum.ceilings.get(kind.name, Phase.AUTONOMOUS)
        try:
            await self._teach(kind, before, await self._document(kind, before))
        except (ValueError, TypeError, KeyError, LookupError, ArithmeticError):
            log.error(
                "what was learned cannot be trusted; the rule goes on",
                kind=str(kind),
            )
            await self._stand(kind, before.bound("MODEL_BROKEN", {}))
            self.ask(kind)
            return
        wears = (self._curriculum.components[each].wear for each in self._kinds[kind])
        tags = {each.tags for each in wears if isinstance(each, DeviationWear)}
        if before.signals and before.signals not in tags:
            await self._stand(kind, before.bound("SIGNALS_CHANGED", {}))
        elif ceiling is Phase.BOUND and before.phase is not Phase.BOUND:
            await self._stand(kind, before.bound("PINNED", {}))
        elif ceiling is Phase.ADAPTABLE and before.phase is Phase.AUTONOMOUS:
            await self._stand(kind, before.bound("PINNED", {}))
            self.ask(kind)
        elif before.code == "PINNED" and ceiling is not Phase.BOUND:
            self.ask(kind)

    async def _document(self, kind: Kind, standing: Standing) -> str:
        """Return the document of what a kind was taught. Raises ValueError where it is gone or was altered."""
        if not standing.version:
            return ""
        async with self._databases.telemetry.read() as tx:
            document = await store.load_model(tx, str(kind), standing.version)
        if document is None or digest(document) != standing.version:
            raise ValueError("what was learned is gone or was altered")
        return document

    def ask(self, kind: Kind) -> None:
        """Have a kind judged as soon as may be."""
        self._due.add(kind)
        self._asked.set()

    async def ending(self, component: str) -> None:
        """A part is about to be taken out: keep its last frames."""
        await self.frames.keep(self._clock())

    def ended(self, component: str) -> None:
        """A life was closed and the next has begun."""
        kind = self._kind_of.get(component)
        if kind is not None:
            if kind in self._watches:
                self._watches[kind].forget(component)
            self.ask(kind)

    async def step(self, needs: Iterable[Need]) -> bool:
        """Keep the frames that closed, and take a kind back whose model is asked about what it does not know.

        Returns whether one was taken back.
        """
        while self._again:
            self.ask(self._again.pop())
        self._watch(await self.frames.keep(self._clock()))
        lost: dict[Kind, list[Trouble]] = {}
        for need in needs:
            for trouble in self._lost(need):
                lost.setdefault(self._kind_of[need.component], []).append(trouble)
        taken_back = [
            await self._judge_troubles(kind, [*lost.get(kind, ()), *watch.troubles()])
            for kind, watch in list(self._watches.items())
        ]
        return any(taken_back)

    def _watch(self, told: Mapping[str, Told]) -> None:
        for component, frames in told.items():
            kind = self._kind_of.get(component)
            if kind in self._watches:
                self._watches[kind].take(component, frames)

    def _lost(self, need: Need) -> list[Trouble]:
        """Return signals that are silent while others of the same component speak."""
        kind = self._kind_of.get(need.component)
        if kind not in self._watches:
            return []
        silent = [each.parameters["tag"] for each in need.evidence if each.code in ("STALE", NEVER_HEARD)]
        signals = self._curriculum.components[need.component].tags()
        lost = [tag for tag in silent if tag in signals]
        return [Trouble("SENSOR_LOST", need.component, tag) for tag in lost] if len(lost) < len(signals) else []

    async def _judge_troubles(self, kind: Kind, troubles: Sequence[Trouble]) -> bool:
        standing = self._standings[kind]
        if standing.phase is Phase.AUTONOMOUS and troubles:
            first = troubles[0]
            barred = standing.lives + RETRIAL_LIVES if first.code not in HEALED else 0
            await self._stand(kind, standing.bound(first.code, first.parameters, barred_until=barred))
            return True
        if standing.code in HEALED and not troubles:
            del self._watches[kind]
            self.ask(kind)
        return False

    async def run(self) -> None:
        """Judge kinds as they are asked for, one at a time, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.judge_due()

    async def judge_due(self) -> None:
        """Judge every kind that was asked for; one that fails stops no other and leaves what was believed."""
        while self._due:
            kind = self._due.pop()
            if kind not in self._kinds:
                continue
            try:
                await self._judge(kind)
            except (NotJudged, *FAILURES) as error:
                self.failures += 1
                self._again.add(kind)
                log.warning("a kind was not judged; what was believed goes on", kind=str(kind), reason=str(error)[:200])
            except Exception:
                self.failures += 1
                log.exception("a kind was not judged; what was believed goes on", kind=str(kind))

    async def _judge(self, kind: Kind) -> None:
        before = self._standings.get(kind, Standing())
        cases = {component: self._curriculum.case(component) for component in self._kinds[kind]}
        ceiling = self._curriculum.ceilings.get(kind.name, Phase.AUTONOMOUS)
        document = await self._document(kind, before)
        task = Task(kind, cases, tuple(await self._closed(kind)), before, ceiling, document)
        verdict = await self._retraining(task)
        self.seconds[kind] = verdict.seconds
        if self._standings.get(kind, Standing()) != before:  # taken back meanwhile: judged again by what holds
            self.ask(kind)
            return
        await self._stand(kind, verdict.standing, verdict.document)

    async def _closed(self, kind: Kind) -> list[Closed]:
        """Return the closed lives of a kind of which it is known what they ran, oldest first."""
        found = []
        for component in self._kinds[kind]:
            async with self._databases.spend.read() as tx:
                lives = await store.lives(tx, self._owner, component)
            for life in lives:
                if life.removed_at is not None and life.ran.get("", 0.0) > 0:
                    hours = (life.removed_at - life.fitted_at) / HOUR
                    found.append(Closed(life.id, component, life.ran[""], hours, life.found, life.used_before or 0.0))
        return found

    async def _stand(self, kind: Kind, after: Standing, document: str = "") -> None:
        """Make a standing durable, and then believe it. Taken back is believed at once, even before it is durable."""
        async with self._changing:
            before, now = self._standings.get(kind, Standing()), self._clock()
            watch = self._watches.get(kind)
            troubles = watch.troubles() if watch is not None and before.code in HEALED else []
            if troubles and after.phase is Phase.AUTONOMOUS:
                after, document = after.bound(troubles[0].code, troubles[0].parameters), ""
            if not after.version:
                await self._teach(kind, after, "")
                self._standings[kind] = after
            if document:
                async with self._databases.telemetry.write() as tx:
                    await store.save_model(tx, str(kind), after.version, document, now)
            async with self._databases.spend.write() as tx:
                kept = await keep(tx, self._owner, kind, before, after, now)
            if document:
                await self._teach(kind, kept, document)
                async with self._databases.telemetry.write() as tx:
                    await store.drop_models(tx, str(kind), kept.version)
            self._standings[kind] = kept
            if not kept.same_as(before):
                log.info("a kind has changed", kind=str(kind), phase=kept.phase.value, code=kept.code)
                self.changed()

    async def _teach(self, kind: Kind, standing: Standing, document: str) -> None:
        """Believe what a standing says from now on. Raises ValueError where it cannot be read."""
        if kind.by is Wearing.USAGE:
            await self._teach_lifetimes(kind, standing, document)
            return
        model = await asyncio.to_thread(checked, document, standing.version) if document else None
        self._monitor.teach(kind.name, model)
        if model is not None:
            self._watches[kind] = Watch(standing.signals, standing.bounds)
        elif standing.code not in HEALED:
            self._watches.pop(kind, None)

    async def _teach_lifetimes(self, kind: Kind, standing: Standing, document: str) -> None:
        told = [FinishedLife(*each) for each in json.loads(document)["lives"]] if document else []
        for component in self._kinds[kind]:
            case, lives = self._curriculum.case(component), None
            if told and case.rated > 0:
                lives = _scaled(await asyncio.to_thread(_lifetimes, tuple(told), case.shape), case.rated)
            self._monitor.believe_lives(component, lives, len(told), standing.version)


@cache
def _lifetimes(told: tuple[FinishedLife, ...], shape: float) -> Lifetimes:
    return learned(told, Prior(1.0, shape))


def _scaled(lives: Lifetimes, rated: float) -> Lifetimes:
    return replace(lives, medians=lives.medians * rated, median=lives.median * rated)
