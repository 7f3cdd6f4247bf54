"""The file STOP: whoever may write into the data directory stops buying, without a page, a socket or an account.

It promises that the file is noticed within a second of its appearing or changing, and before anything may be sent at
start; that a line such as `machine mill` stops just that, and that a file which is empty, unreadable or speaks of what
nobody knows stops the whole plant. Taking the file away lifts nothing: a named person does. Lines that begin with `#`
are remarks. The gateway looks several times a second; whatever holds its event loop up longer holds up sending, too.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.scopes import BY_FILE, PLANT, Scope, ScopeKind

if TYPE_CHECKING:  # a command that writes the file shall not wait for the database library
    from marketplace.ordering.stopping import Stopping

log = structlog.get_logger()

NAME: Final = "STOP"
LOOK_EVERY_S: Final = 0.2
"""Wall time: a fifth of the second within which a stop counts; a look at nothing is one system call."""
BYTES_MAX: Final = 64 * 1024
"""Far more lines than a plant has machines; a larger file is none that a person wrote, and stops everything."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a stop file demands; `mark` changes with the file, `uid` is whose file it is."""

    mark: tuple[int, ...]
    scopes: frozenset[Scope]
    uid: int


def parse(text: str, known: Callable[[Scope], bool]) -> frozenset[Scope]:
    """Return what a stop file demands; the whole plant for no line, and for a line that cannot be understood."""
    lines = [line.strip() for line in text.splitlines()]
    scopes = frozenset(_scope(line, known) for line in lines if line and not line.startswith("#"))
    return scopes or frozenset({PLANT})


def _scope(line: str, known: Callable[[Scope], bool]) -> Scope:
    kind, _space, key = line.partition(" ")
    try:
        scope = Scope(ScopeKind(kind.lower()), key.strip())
    except ValueError:
        return PLANT
    return scope if known(scope) else PLANT


def look(directory: Path, known: Callable[[Scope], bool]) -> Found | None:
    """Return what the stop file of a data directory demands, None when there is none."""
    path = directory / NAME
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:  # nobody can say whether it is there: then it counts as there
        log.warning("stop_file_unreadable", path=str(path), error=error.strerror)
        return Found((), frozenset({PLANT}), -1)
    mark = (seen.st_ino, seen.st_mtime_ns, seen.st_size, seen.st_mode)
    return Found(mark, parse(_text(path, seen.st_mode), known), seen.st_uid)


def _text(path: Path, mode: int) -> str:
    """Return what stands in the file; nothing for what is no plain file of a sensible size, or cannot be read."""
    if not stat.S_ISREG(mode):
        return ""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        return content.decode("utf-8") if len(content) <= BYTES_MAX else ""
    except (OSError, UnicodeDecodeError):
        return ""


def demand(directory: Path, scope: Scope) -> Path:
    """Write a scope into the stop file, beside what stands there, and return its path. Raises OSError.

    The file is durable and whole before it appears: whoever looks in between sees the old one.
    """
    path = directory / NAME
    found = look(directory, lambda _scope: True)
    scopes = {scope} | (found.scopes if found else frozenset())
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=directory, prefix=f".{NAME}-", encoding="utf-8", delete=False) as file:
        file.write("".join(f"{each}\n" for each in sorted(map(str, scopes))))
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # the gateway may be another user's, and what is stopped is no secret
        os.fsync(file.fileno())
    try:
        os.replace(file.name, path)
    except OSError:
        with suppress(OSError):
            os.unlink(file.name)
        raise
    _sync(directory)
    return path


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StopFile:
    """Watches the stop file of one gateway; `told` is called when buying was stopped because of it."""

    def __init__(
        self, directory: Path, known: Callable[[Scope], bool], stopping: Stopping, told: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._known = known
        self._stopping = stopping
        self._told = told
        self._done: tuple[int, ...] | None = None
        self._failed = ""

    @property
    def path(self) -> Path:
        """Where the file is looked for."""
        return self._directory / NAME

    def demands(self, scope: Scope) -> bool:
        """Return whether the file, as it stands now, demands that a scope is stopped."""
        found = look(self._directory, self._known)
        return found is not None and scope in found.scopes

    async def look(self) -> None:
        """Stop what the file demands, once for each state of the file."""
        found = look(self._directory, self._known)
        if found is None:
            self._done = None
            return
        if found.mark == self._done and found.mark:
            return
        actor = Actor(ActorKind.GATEWAY, self._stopping.owner.gateway_id, "file")
        for scope in sorted(found.scopes, key=str):
            await self._stopping.stop(scope, BY_FILE, actor, facts={"uid": found.uid})
        self._done = found.mark
        log.warning("stopped_by_file", path=str(self.path), scopes=sorted(map(str, found.scopes)))
        self._told()

    async def run(self) -> None:
        """Look for ever; a look that fails is repeated at once and said once."""
        while True:
            try:
                await self.look()
                self._failed = ""
            except Exception as error:
                if self._failed != str(error):
                    log.exception("the stop file could not be heeded yet; it is tried again", path=str(self.path))
                self._failed = str(error)
            await asyncio.sleep(LOOK_EVERY_S)
