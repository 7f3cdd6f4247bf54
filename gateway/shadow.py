"""What a gateway that is a shadow would have bought: kept, line by line, and completed by what really became of it.

Promises: whatever is said here is durable before the next decision, and a restart goes on from it. A torn or foreign
line costs itself. Nothing is bought and nobody is asked: a shadow is made without suppliers, and this knows none. How a
life ended is not kept here; it is read from the lives of the plant when somebody asks what was saved.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from gateway.backtest.plant_orders import Ending
from gateway.backtest.playing import Ended, Plant
from gateway.backtest.report import Case, Findings, findings
from gateway.backtest.wouldbe import HOUR, WatchedLife, rated_share
from gateway.durable import sync_directory, write_durably
from gateway.plants import cases_of
from maintenance.assets import Found, Life
from maintenance.monitor import Monitor
from maintenance.needs import Need
from marketplace.retrospect import Lived
from marketplace.timing import Advice

log = structlog.get_logger()

FILE: Final = "shadow.jsonl"
LIVES_MAX: Final = 10_000
"""Kept; ten years of a plant with 500 parts that last half a year each. The oldest go first."""
LINES_MAX: Final = 4
"""Lines a life, until the file is written anew: of each the newest counts."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a shadow has kept, and what is known of each component that is bought for."""

    lives: Sequence[WatchedLife]
    cases: Mapping[str, Case]

    def found(self, closed: Iterable[Life], seed: int = 0) -> Findings:
        """Return what buying so would have saved. closed: lives of the plant, any of them. Takes a while."""
        ended, going = completed(self.lives, closed)
        return findings(ended, going, self.cases, told=True, seed=seed)


class Shadow:
    """Takes every decision of a gateway, and keeps what would have come of it."""

    def __init__(self, directory: Path, plant: Plant, monitor: Monitor) -> None:
        """Go on from what is kept in a data directory. Raises OSError."""
        self._file = directory / FILE
        self._monitor = monitor
        self.reconfigure(plant)
        self._lives, lines = read(self._file)
        if lines > LINES_MAX * len(self._lives) or len(self._lives) > LIVES_MAX:
            self._write_anew()

    def reconfigure(self, plant: Plant) -> None:
        """Decide for these components from now on."""
        self._plant = plant
        self._rated = {key: plant.rated(key) for key in plant.components}

    def seen(self) -> Seen:
        """Return what was kept so far, as it stands now, for whoever looks while it goes on."""
        lives = (replace(each, deliveries=list(each.deliveries)) for each in self._lives.values())
        return Seen(tuple(lives), cases_of(self._plant))

    @property
    def purchases(self) -> int:
        """How many purchases there would have been."""
        return sum(each.bought is not None for each in self._lives.values())

    async def step(
        self, needs: Iterable[Need], advised: Callable[[Need, datetime], Advice | None], now: datetime
    ) -> None:
        """Take one decision step. advised: what timing says of a need, None where nothing is bought for it.

        Raises OSError where the file takes nothing: then the same is tried again at the next step.
        """
        moved = []
        for need in needs:
            if need.component in self._plant.components and need.life:
                watched = self._lives.get(need.life) or self._begun(need)
                if watched is not None and self._decide(watched, need, advised, now):
                    moved.append(watched)
        if moved:
            try:
                await asyncio.to_thread(self._append, moved)
            except OSError:
                for each in moved:  # as if it had not been decided: what is not kept was not said
                    self._lives.pop(each.life, None)
                self._lives.update(read(self._file)[0])
                raise
        for each in moved:
            self._lives[each.life] = each

    def _begun(self, need: Need) -> WatchedLife | None:
        life = self._monitor.life(need.component)
        if life is None or life.id != need.life:
            return None
        return WatchedLife(need.component, life.id, life.fitted_at, life.used_before == 0.0)

    def _decide(
        self, watched: WatchedLife, need: Need, advised: Callable[[Need, datetime], Advice | None], now: datetime
    ) -> bool:
        """Return whether something is new of a life."""
        if watched.settled and watched.rated_order is not None:
            return False
        advice = advised(need, now)
        if advice is None:
            return False
        terms, rated = advice.weighed.terms, watched.rated_order
        if rated is None:
            watched.wear(rated_share(self._monitor.ran(need.component, now), self._rated[need.component]), terms, now)
        if watched.bought is not None:
            moved = watched.fit(need.belief, terms, now)
        else:
            moved = need.told_enough and watched.want(need, advice, now)
        return moved or watched.rated_order != rated

    def _append(self, moved: Sequence[WatchedLife]) -> None:
        fresh = not self._file.exists()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(b"".join(b"\n" + _line(each) for each in moved) + b"\n")  # a torn line before ends here
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_directory(self._file.parent)

    def _write_anew(self) -> None:
        newest = sorted(self._lives.values(), key=lambda each: each.began)[-LIVES_MAX:]
        self._lives = {each.life: each for each in newest}
        write_durably(self._file, b"".join(_line(each) + b"\n" for each in newest))


def _line(watched: WatchedLife) -> bytes:
    return json.dumps(watched.document(), ensure_ascii=False).encode()


def read(file: Path) -> tuple[dict[str, WatchedLife], int]:
    """Return the lives that a file keeps, by id, and its lines; none where there is no file. Raises OSError."""
    lives: dict[str, WatchedLife] = {}
    lines = torn = 0
    if not file.exists():
        return lives, 0
    with file.open("rb") as opened:
        for line in opened:
            if not line.strip():
                continue
            lines += 1
            try:
                watched = WatchedLife.of(json.loads(line))
            except (ValueError, TypeError, KeyError):
                torn += 1
            else:
                lives[watched.life] = watched
    if torn:
        log.warning("lines of the shadow's file could not be read", lines=torn, path=str(file))
    return lives, lines


def completed(kept: Iterable[WatchedLife], closed: Iterable[Life]) -> tuple[list[Ended], list[WatchedLife]]:
    """Return what was kept with what became of it, and what goes on. closed: lives of the plant, any of them.

    When the next part came is not known here, so nothing is counted for the wait in what really happened.
    """
    ends = {life.id: life for life in closed if life.removed_at is not None}
    ended, going = [], []
    for watched in kept:
        life = ends.get(watched.life)
        if life is None or life.removed_at is None:
            going.append(watched)
        elif life.removed_at > watched.began:
            failed, at = life.found is Found.FAILED, life.removed_at
            told = Ending(watched.component, at, failed, at, None, None, None)
            ended.append(Ended(watched, at, Lived((at - watched.began) / HOUR, failed), told))
    return ended, going
