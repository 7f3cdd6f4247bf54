"""Keeps the frames of every life that is under way: what the monitor closed, a row for some frames, bounded.

Promises: a frame belongs to the life that was in its slot when it was drained; what is known already is not written
again; what cannot be written waits, and what waits for too long is dropped, the oldest first, and counted. A restart
goes on where the file ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage import FAILURES
from maintenance.frames import CHUNK, FRAMES_MAX, Frames, Told
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings, DeviationWear
from maintenance.store import FrameRow, drop_frames, forget_frames, load_frames, save_frames
from marketplace.store import Database

WAITING_MAX: Final = 512
"""Frames of a component that may wait for the disk: a rated life's worth."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Slot:
    """The end of one life's record, `row`, and the frames that wait to be added to it."""

    life: str
    waiting: list[tuple[float, list[float]]]
    row: FrameRow | None = None


class FrameKeeper:
    """Writes frames down; kept: frames since it was made, lost: those that no store took."""

    def __init__(self, telemetry: Database, monitor: Monitor, components: Mapping[str, ComponentSettings]) -> None:
        self.kept = self.lost = 0
        self._telemetry = telemetry
        self._monitor = monitor
        self._components = components
        self._slots: dict[str, _Slot] = {}

    def reconfigure(self, components: Mapping[str, ComponentSettings]) -> None:
        """Keep frames of these components from now on."""
        self._components = components
        self._slots.clear()

    async def keep(self, now: datetime) -> dict[str, Told]:
        """Write what the monitor has closed since the last time, and return it. A failing disk is tried again."""
        drained = self._monitor.drain_frames()
        for component, told in drained.items():
            self._wait(component, told)
        due = {component: slot for component, slot in self._slots.items() if slot.waiting}
        if due:
            try:
                async with self._telemetry.write() as tx:
                    rows = {component: await self._added(tx, component, slot, now) for component, slot in due.items()}
            except FAILURES as error:
                log.warning("frames could not be kept; they wait", error=repr(error)[:200])
                for slot in due.values():
                    slot.row = None  # whatever was begun is read again
            else:
                for component, slot in due.items():
                    self.kept += len(slot.waiting)
                    slot.waiting, slot.row = [], rows[component]
        return dict(drained)

    async def forget(self, before: datetime) -> int:
        """Drop what lives looked like of which nothing was written since a time; returns how many rows."""
        async with self._telemetry.write() as tx:
            dropped = await forget_frames(tx, before)
        if dropped:
            log.info("old lives were dropped", rows=dropped)
        return dropped

    def _wait(self, component: str, told: Told) -> None:
        life = self._monitor.life(component)
        if life is None or not isinstance(self._wear(component), DeviationWear):
            return
        slot = self._slots.get(component)
        if slot is None or slot.life != life.id:
            self.lost += len(slot.waiting) if slot is not None else 0
            slot = self._slots[component] = _Slot(life.id, [])
        slot.waiting += [(use, list(values)) for use, values in told]
        beyond = max(len(slot.waiting) - WAITING_MAX, 0)
        self.lost += beyond
        del slot.waiting[:beyond]

    def _wear(self, component: str) -> object:
        settings = self._components.get(component)
        return None if settings is None else settings.wear

    async def _added(self, tx: AsyncConnection, component: str, slot: _Slot, now: datetime) -> FrameRow:
        """Add what waits to the end of a life's record and return the new end."""
        wear = self._wear(component)
        assert isinstance(wear, DeviationWear)
        end = slot.row or await self._end(tx, component, slot.life, wear)
        before = end.place * CHUNK
        grown = end.frames.taking(slot.waiting, end.stride, max(wear.baseline - before, 0))
        rows = _rows(end, grown)
        if before + len(grown) > FRAMES_MAX:
            rows = await _halved(tx, rows, wear.baseline)
        await save_frames(tx, rows, now)
        return rows[-1]

    async def _end(self, tx: AsyncConnection, component: str, life: str, wear: DeviationWear) -> FrameRow:
        """Return the newest row of a life, or an empty first one; frames of other signals are of no more use."""
        try:
            found = await load_frames(tx, life, newest=True)
        except ValueError:
            log.error("frames of a life were broken; it is recorded anew and teaches nothing", component=component)
            found = []
        if found and found[0].signals == wear.tags:
            return found[0]
        await drop_frames(tx, life)
        return FrameRow(life, 0, component, wear.tags, 1, Frames.none(len(wear.tags)))


def _rows(end: FrameRow, grown: Frames) -> list[FrameRow]:
    """Return frames that begin where a row does, in rows."""
    return [
        FrameRow(end.life, end.place + at // CHUNK, end.component, end.signals, end.stride, grown[at : at + CHUNK])
        for at in range(0, max(len(grown), 1), CHUNK)
    ]


async def _halved(tx: AsyncConnection, rows: list[FrameRow], whole: int) -> list[FrameRow]:
    """Return all rows of a life, these at its end, with half of the frames; those in the file are dropped."""
    first = rows[0]
    before = [row for row in await load_frames(tx, first.life) if row.place < first.place]
    frames = Frames.joined(row.frames for row in (*before, *rows)).halved(whole)
    await drop_frames(tx, first.life)
    return _rows(FrameRow(first.life, 0, first.component, first.signals, 2 * first.stride, frames), frames)
