"""Learning at work: a life that closes has its kind judged anew, and what convinces is taught; what goes wrong is taken
back at once.

Promises: nothing is computed on the event loop that takes longer than a few milliseconds. A model is believed only
once it is stored and its change of phase is in the audit log, and only if its bytes are those that were judged. A lost
or stuck sensor, signals that go where no life has gone, a miss or a drift take a kind back to the rule at once; what
failed to be learned leaves what was believed. A restart goes on from what is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

import structlog

from gateway.config import Config
from gateway.databases import Databases
from gateway.learning.beliefs import HEALED, Beliefs, Lesson, taken_back
from gateway.learning.curriculum import Curriculum
from gateway.learning.documents import digest
from gateway.learning.keeping import FrameKeeper
from gateway.learning.kinds import Kind
from gateway.learning.ledger import keep, standings
from gateway.learning.phases import Phase
from gateway.learning.retraining import NotJudged
from gateway.learning.standing import Standing
from gateway.learning.task import Closed, Task, Verdict
from gateway.learning.watching import Trouble
from gateway.storage import FAILURES
from maintenance import store
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import DeviationWear
from marketplace.store import Owner

log = structlog.get_logger()

Retraining = Callable[[Task], Awaitable[Verdict]]
"""Has a kind judged. Raises `NotJudged`."""


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
        self._clock = clock
        self._retraining = retraining
        self.changed = changed
        self.frames = FrameKeeper(databases.telemetry, monitor, curriculum.components)
        self.seconds: dict[Kind, float] = {}
        self.failures = 0
        self._standings: dict[Kind, Standing] = {}
        self._due: set[Kind] = set()
        self._again: set[Kind] = set()
        self._asked = asyncio.Event()
        self._changing = asyncio.Lock()
        self._beliefs = Beliefs(monitor, curriculum)

    async def reconfigure(self, curriculum: Curriculum) -> None:
        """Learn of these components from now on."""
        self._beliefs.reconfigure(curriculum)
        self.frames.reconfigure(curriculum.components)
        await self.begin()

    def standings(self) -> dict[Kind, Standing]:
        """Return how far each kind of the config has come."""
        return {kind: self._standings.get(kind, Standing()) for kind in self._beliefs.kinds}

    def patience(self, component: str) -> float:
        """Return the patience of timing that a component's kind has learned; 1 where it has learned none."""
        kind = self._beliefs.kind_of.get(component)
        return 1.0 if kind is None else self._standings.get(kind, Standing()).patience

    async def begin(self) -> None:
        """Take up what was learned before; what cannot be trusted any more falls back to the rule."""
        async with self._databases.spend.read() as tx:
            known = await standings(tx, self._owner)
        for kind in self._beliefs.kinds:
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
        ceiling = self._beliefs.ceiling(kind)
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
        components = self._beliefs.curriculum.components
        wears = (components[each].wear for each in self._beliefs.kinds[kind])
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
        kind = self._beliefs.kind_of.get(component)
        if kind is not None:
            self._beliefs.forget(component)
            self.ask(kind)

    async def step(self, needs: Iterable[Need]) -> bool:
        """Keep the frames that closed, and take a kind back whose model is asked about what it does not know.

        Returns whether one was taken back.
        """
        while self._again:
            self.ask(self._again.pop())
        self._beliefs.take(await self.frames.keep(self._clock()))
        troubles = self._beliefs.troubles(needs)
        return any([await self._judge_troubles(kind, each) for kind, each in troubles.items()])

    async def _judge_troubles(self, kind: Kind, troubles: Sequence[Trouble]) -> bool:
        standing = self._standings[kind]
        back = taken_back(standing, troubles)
        if back is not None:
            await self._stand(kind, back)
        elif self._beliefs.healed(kind, standing, troubles):
            self.ask(kind)
        return back is not None

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
            if kind not in self._beliefs.kinds:
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
        document = await self._document(kind, before)
        task = self._beliefs.task(kind, await self._closed(kind), before, document)
        verdict = await self._retraining(task)
        self.seconds[kind] = verdict.seconds
        if self._standings.get(kind, Standing()) != before:  # taken back meanwhile: judged again by what holds
            self.ask(kind)
            return
        await self._stand(kind, verdict.standing, verdict.document)

    async def _closed(self, kind: Kind) -> list[Closed]:
        """Return the closed lives of a kind of which it is known what they ran, oldest first."""
        found = []
        for component in self._beliefs.kinds[kind]:
            async with self._databases.spend.read() as tx:
                lives = await store.lives(tx, self._owner, component)
            found += [closed for life in lives if (closed := Closed.of(life, kind.by)) is not None]
        return found

    async def _stand(self, kind: Kind, after: Standing, document: str = "") -> None:
        """Make a standing durable, and then believe it. Taken back is believed at once, even before it is durable."""
        async with self._changing:
            before, now = self._standings.get(kind, Standing()), self._clock()
            after = self._beliefs.allowed(kind, before, after)
            if not after.version:
                await self._teach(kind, after, "")
                self._standings[kind], document = after, ""
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
        lesson = await asyncio.to_thread(self._beliefs.lesson, kind, standing, document) if document else Lesson()
        self._beliefs.teach(kind, standing, lesson)
