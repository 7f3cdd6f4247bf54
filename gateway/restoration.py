"""A restored gateway's way back: holds the note that the restore left, and walks the steps of `gateway.restored`.

Without a note it does nothing, for ever. It belongs to one gateway and is the only one that writes the note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any

from gateway import restored
from gateway.buying import BuyingState, Cause
from gateway.restored import Restored
from gateway.storage import StorageBroken
from marketplace.audit.actor import Actor
from marketplace.ordering.purchase import Act, Purchasing


class Restoration:
    """What a restore left to be done, until a named person has confirmed it and the careful time is over."""

    def __init__(
        self, directory: Path, buying: BuyingState, purchasing: Purchasing, clock: Callable[[], datetime]
    ) -> None:
        self._directory = directory
        self._buying = buying
        self._purchasing = purchasing
        self._clock = clock
        self.note: Restored | None = None

    @property
    def careful(self) -> bool:
        """Whether every order asks a person, as it may have been bought before."""
        until = self.note.careful_until if self.note is not None else None
        return until is not None and self._clock() < until

    @property
    def confirmed(self) -> bool:
        """Whether a person has let buying go on after a restore."""
        return self.note is not None and self.note.confirmed

    def lost_from(self) -> tuple[int | None, str]:
        """Return how many entries were restored, after which some may be lost; None and a code when it is no matter.

        That is before suppliers were asked, and once the careful time is over: what is missed then was lost otherwise.
        """
        note = self.note
        if note is None or (note.confirmed and not self.careful):
            return None, "NOTHING_TO_CONFIRM"
        return (note.size, "") if note.looked else (None, "STILL_LOOKING")

    async def begin(self) -> None:
        """Stop buying and say what is doubted, if there was a restore. Raises `StorageBroken`."""
        try:
            self.note = restored.load_note(self._directory)
        except (OSError, ValueError, TypeError, KeyError) as error:
            sentence = _("{path} cannot be read ({reason}); nothing was started, as it says what was restored")
            path = self._directory / restored.NOTE
            raise StorageBroken(sentence.format(path=path, reason=error)) from error
        if self.note is None or self.note.confirmed:
            return
        self._buying.stop(Cause.RESTORED, self.note.sentence())
        async with self._purchasing.database.write() as tx:
            await restored.settle(tx, self._purchasing.owner, self.note, self._clock())

    async def look(self) -> None:
        """Ask suppliers what is lost, again while one of them that can be asked could not."""
        note = self.note
        if note is None or note.confirmed or (note.looked and not self._unreached(note)):
            return
        await self._keep(await restored.look(self._purchasing, note))

    def _unreached(self, note: Restored) -> bool:
        suppliers = self._purchasing.suppliers
        return any(name in suppliers and suppliers[name].capabilities.lookup_window for name in note.unasked)

    async def confirm(self, person: Actor) -> Act:
        """A named person has read what is lost and lets buying go on."""
        note = self.note
        if note is None or note.confirmed:
            return Act(False, "NOTHING_TO_CONFIRM")
        if not note.looked:
            return Act(False, "STILL_LOOKING")
        purchasing = self._purchasing
        async with purchasing.database.write() as tx:
            confirmed = await restored.confirm(tx, purchasing.owner, note, person, self._clock())
        await self._keep(confirmed)
        return Act(True, "RESTORE_CONFIRMED")

    async def _keep(self, note: Restored) -> None:
        await asyncio.to_thread(restored.save_note, self._directory, note)
        self.note = note
        if note.confirmed:
            self._buying.resume(Cause.RESTORED)
        else:
            self._buying.stop(Cause.RESTORED, note.sentence())

    def told(self) -> dict[str, Any] | None:
        """Return what is known, ready for JSON; None without a restore."""
        note = self.note
        if note is None:
            return None
        return {
            "made_at": note.made_at.isoformat(),
            "restored_at": note.restored_at.isoformat(),
            "confirmed": note.confirmed,
            "looked": note.looked,
            "entries_lost": None if note.lost_size is None else note.lost_size - note.size,
            "last_order": note.last_order,
            "last_order_lost": note.lost_order,
            "lost": [asdict(each) for each in note.lost],
            "unasked": list(note.unasked),
        }
