"""Whether buying goes on and, if not, why: one small object that the gateway owns and log, page and commands read.

Each cause stops buying by itself and says one sentence; buying goes on when none is left. What the disk refuses for a
while (no room, an I/O error, read-only) ends with the next durable write: the gateway tries one before each pass. What
cannot be trusted any more (a file that is malformed, or was taken away or exchanged under the running gateway) lasts
until a start has looked at the file. A restored backup lasts until a named person confirms, an audit log that cannot be
signed, or that a witness contradicts, until it can and the witness agrees; a shadow buys nothing for as long as it
runs. It knows no database and
no order; watching never asks it.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

_PRIMARY: Final = 0xFF
"""SQLite's extended result codes say more than we decide by."""


class Cause(StrEnum):
    """Why buying is stopped."""

    REFUSED = "STORAGE_REFUSED"
    BROKEN = "STORAGE_BROKEN"
    RESTORED = "RESTORED"
    AUDIT = "AUDIT_STOPPED"
    SHADOW = "SHADOW"


_PASSING: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
_LASTING: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def cause_of(error: BaseException | None) -> Cause | None:
    """Return what an error of SQLite means for buying; None for one that says nothing about the disk or the file."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in _LASTING:
        return Cause.BROKEN
    return Cause.REFUSED if code in _PASSING else None


class BuyingState:
    """Collects what stops buying; `stopped` is asked before anything is raised, quoted, proposed or sent."""

    def __init__(self) -> None:
        self._causes: dict[Cause, str] = {}

    @property
    def stopped(self) -> bool:
        """Whether anything stops buying."""
        return bool(self._causes)

    @property
    def sentence(self) -> str:
        """Why buying is stopped, for people; empty while it goes on."""
        return " ".join(self._causes[cause] for cause in Cause if cause in self._causes)

    def is_stopped_by(self, cause: Cause) -> bool:
        """Return whether this is one of the causes."""
        return cause in self._causes

    def stop(self, cause: Cause, sentence: str) -> None:
        """Stop buying; the newest sentence of a cause counts."""
        if self._causes.get(cause) != sentence:
            self._causes[cause] = sentence
            tell = log.info if cause is Cause.SHADOW else log.error
            tell("buying_stopped", cause=str(cause), sentence=sentence)

    def be_shadow(self) -> None:
        """Buy nothing for as long as this gateway runs."""
        sentence = _(
            "This gateway is a shadow: it keeps what it would buy ('toolcrib shadow') and buys nothing. To let it buy, "
            "take 'shadow' out of the config and start it again."
        )
        self.stop(Cause.SHADOW, sentence)

    def resume(self, cause: Cause) -> None:
        """Take a cause away."""
        if self._causes.pop(cause, None) is not None:
            log.info("buying_resumed" if not self._causes else "cause_gone", cause=str(cause))

    def storage_failed(self, path: Path, error: BaseException | None) -> None:
        """Take an error that a database gave; most say nothing about the disk and change nothing."""
        cause = cause_of(error)
        if cause is Cause.REFUSED:
            sentence = _(
                "Buying is stopped: {path} cannot be written ({reason}). Machines are still watched. Free space or "
                "mend the disk; buying goes on by itself."
            )
            self.stop(cause, sentence.format(path=path, reason=error))
        elif cause is Cause.BROKEN:
            self.stop(cause, broken(path, error))

    def storage_works(self) -> None:
        """Take that a write became durable."""
        self.resume(Cause.REFUSED)


def broken(path: Path, reason: object) -> str:
    """Return the sentence about a database that cannot be trusted any more while the gateway runs."""
    sentence = _(
        "Buying is stopped: {path} cannot be trusted any more ({reason}). Machines are still watched. Stop the "
        "gateway, mend the disk, and restore the file from a backup; do not delete it."
    )
    return sentence.format(path=path, reason=reason)
