"""Opening a data directory: one gateway at a time, both databases sound and at their schema, never made anew."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from gateway.durable import sync_directory, sync_file
from gateway.migrations import HEADS, NewerSchema, current, prepare
from gateway.storage import FULL, NORMAL, Storage, StorageBroken, Watch
from marketplace.store import Owner, audit_tree

UNREAD: Final[Mapping[str, frozenset[str]]] = {"spend": frozenset(), "telemetry": frozenset({"block", "segment"})}
"""Tables that no start reads through: gigabytes of samples, of which each row is known by itself to be whole or not."""


@dataclass(frozen=True, slots=True)
class Databases:
    """The two stores of one data directory."""

    spend: Storage
    telemetry: Storage


def spend_file(directory: Path) -> Path:
    """Return where the spend database of a data directory is."""
    return directory / "spend.db"


def telemetry_file(directory: Path) -> Path:
    """Return where the telemetry database of a data directory is."""
    return directory / "telemetry.db"


@asynccontextmanager
async def open_databases(directory: Path, watch: Watch | None = None) -> AsyncIterator[Databases]:
    """Open, check and upgrade both databases, alone. Raises `StorageBroken` with one sentence.

    `watch` is told of every fault of the spend database while it is open.
    """
    make_directory(directory)
    with alone(directory):
        born = (directory / BORN).exists()
        if born:
            _refuse_a_lost_file(directory)
        spend = Storage(spend_file(directory), FULL, watch=watch)
        telemetry = Storage(telemetry_file(directory), NORMAL)
        try:
            for name, storage in (("spend", spend), ("telemetry", telemetry)):
                await storage.check(UNREAD[name])
                await _keep_the_older(name, storage)
                await _prepare(name, storage, born=born)
            _remember_the_birth(directory)
            yield Databases(spend, telemetry)
        finally:
            await asyncio.gather(spend.close(), telemetry.close())


async def require_owner(spend: Storage, owner: Owner) -> None:
    """Refuse a data directory that another gateway has written in, or that was copied from one. Raises `StorageBroken`.

    Two gateways that draw the same order numbers would take each other's orders for their own.
    """
    async with spend.read() as connection:
        rows = (await connection.execute(select(audit_tree.c.plant, audit_tree.c.gateway_id))).all()
    others = [row for row in rows if (row.plant, row.gateway_id) != (owner.plant, owner.gateway_id)]
    if others:
        sentence = _(
            "{path} belongs to gateway {theirs} of plant {their_plant}, and the config says {ours} of {our_plant}; "
            "nothing was started. Put the names back, or choose another storage.directory"
        )
        theirs = others[0]
        raise StorageBroken(
            sentence.format(
                path=spend.path,
                theirs=theirs.gateway_id,
                their_plant=theirs.plant,
                ours=owner.gateway_id,
                our_plant=owner.plant,
            )
        )


@asynccontextmanager
async def read_databases(directory: Path) -> AsyncIterator[Databases]:
    """Open both databases for reading only, beside a running gateway. Raises `StorageBroken` when there are none."""
    if not spend_file(directory).exists() or not telemetry_file(directory).exists():
        raise StorageBroken(
            _("there is no data in {directory} yet; start the gateway first").format(directory=directory)
        )
    spend = Storage(spend_file(directory), FULL, read_only=True)
    telemetry = Storage(telemetry_file(directory), NORMAL, read_only=True)
    try:
        yield Databases(spend, telemetry)
    finally:
        await asyncio.gather(spend.close(), telemetry.close())


BORN = "databases-exist"
"""Written once both files exist; from then on a missing or an empty file is a loss, not a beginning."""


def make_directory(directory: Path) -> None:
    """Make a data directory for its owner alone. Raises `StorageBroken`."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        sentence = _("{directory} cannot be made ({reason}); nothing was started")
        raise StorageBroken(sentence.format(directory=directory, reason=error.strerror)) from error


def _remember_the_birth(directory: Path) -> None:
    try:
        (directory / BORN).touch()
    except OSError as error:
        sentence = _("{directory} cannot be written ({reason}); nothing was started. Mend the disk or its permissions")
        raise StorageBroken(sentence.format(directory=directory, reason=error.strerror)) from error


def _refuse_a_lost_file(directory: Path) -> None:
    for path in (spend_file(directory), telemetry_file(directory)):
        if not path.exists() or path.stat().st_size == 0:
            raise StorageBroken(_lost(path))


def _lost(path: Path) -> str:
    sentence = _(
        "{path} was here and is gone; buying is stopped, because a new file would forget open orders. "
        "Restore it from a backup"
    )
    return sentence.format(path=path)


async def _keep_the_older(name: str, storage: Storage) -> None:
    """Copy a file of an older schema before it is upgraded, so that the older version can be gone back to."""
    async with storage.read() as connection:
        found = await connection.run_sync(current)
    if found is None or found >= HEADS[name]:
        return
    kept = storage.path.with_name(f"{storage.path.name}.schema-{found}")
    try:
        await asyncio.to_thread(_copy, storage.path, kept)
    except (OSError, sqlite3.Error) as error:
        sentence = _("{path} cannot be copied before its upgrade ({reason}); nothing was changed. Free space")
        raise StorageBroken(sentence.format(path=storage.path, reason=error)) from error


def _copy(path: Path, to: Path) -> None:
    """Copy a database as SQLite does, durably; a copy that has its name is whole, and is not made twice."""
    if to.exists():
        return
    beside = to.with_name(f"{to.name}.new")
    beside.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(beside)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    sync_file(beside)
    beside.replace(to)
    sync_directory(to.parent)


async def _prepare(name: str, storage: Storage, *, born: bool) -> None:
    try:
        async with storage.write() as connection:
            if born and await connection.run_sync(current) is None:
                raise StorageBroken(_lost(storage.path))
            await connection.run_sync(prepare, name)
    except NewerSchema as error:
        raise StorageBroken(str(error)) from error
    except DBAPIError as error:
        sentence = _(
            "{path} cannot be written ({reason}); buying is stopped. Free space or mend the disk, then start again"
        )
        raise StorageBroken(sentence.format(path=storage.path, reason=error.orig)) from error


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep every other gateway out of a data directory. Raises `StorageBroken` when one is in it."""
    path = directory / "gateway.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        sentence = _("{path} cannot be opened ({reason}); nothing was started. Mend the disk or its permissions")
        raise StorageBroken(sentence.format(path=path, reason=error.strerror)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sentence = _(
                "another gateway is running on {directory}; two would buy twice. Stop it, or choose another directory"
            )
            raise StorageBroken(sentence.format(directory=directory)) from None
        yield
    finally:
        os.close(descriptor)
