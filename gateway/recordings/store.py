"""Recorded telemetry from a gateway's own store, as batches in the order of time.

The file is opened for reading only, beside a running gateway or without one, and no other file of its directory is
touched: what the plant spent and whom it knows stays closed. What a machine recalled from its own history after a gap
is left out, as the gateway itself judges nothing by it. Memory is bounded by what the tags of the config said in a day.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from connectors.samples import Batch, Keys, Provenance, moment_of
from gateway.recordings.tables import Read, TelemetryBroken
from gateway.storage import NORMAL, Storage, StorageBroken
from maintenance import curves, history
from maintenance.curves import Stretch

MAGIC: Final = b"SQLite format 3\x00"
FILE: Final = "telemetry.db"
SPAN: Final = timedelta(days=1)
"""Read at once."""


def store_in(path: Path) -> Path | None:
    """Return the telemetry store that a path names or holds, by what is in the file; None where there is none."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return file if opened.read(len(MAGIC)) == MAGIC else None


def batches(
    file: Path, tags: Sequence[str], since: datetime | None, until: datetime | None, read: Read
) -> Generator[Batch, None, None]:
    """Yield what a store says of these tags, in the order of time. Raises `TelemetryBroken`."""
    storage, keys = Storage(file, NORMAL, read_only=True), Keys(tags)
    with asyncio.Runner() as runner:
        try:
            begin, end = runner.run(_range(storage))
            at = max(begin, since or begin)
            last = min(end, until or end) + timedelta(microseconds=1)
            read.bytes_all = max(int((last - at) / SPAN), 1)
            while at < last:
                batch = runner.run(_batch(storage, keys, at, min(at + SPAN, last)))
                read.values += len(batch)
                if len(batch):
                    yield batch
                at += SPAN
                read.bytes_read += 1
        except (DBAPIError, StorageBroken, sqlite3.Error) as error:
            raise TelemetryBroken(_("{file} cannot be read: {reason}").format(file=file, reason=error)) from error
        finally:
            runner.run(storage.close())


async def _range(storage: Storage) -> tuple[datetime, datetime]:
    """Return between which times there are samples. Raises `TelemetryBroken` where there are none."""
    firsts, lasts = [], []
    async with storage.read() as connection:
        for table in (history.segment, history.block):
            first, last = (await connection.execute(select(func.min(table.c.first), func.max(table.c.last)))).one()
            if first is not None:
                firsts.append(first)
                lasts.append(last)
    if not firsts:
        raise TelemetryBroken(_("{file} holds no samples yet").format(file=storage.path))
    return moment_of(min(firsts)), moment_of(max(lasts))


async def _batch(storage: Storage, keys: Keys, since: datetime, until: datetime) -> Batch:
    found: list[Stretch] = []
    numbers = []
    async with storage.read() as connection:
        for number, key in enumerate(keys):
            stretch = await history.read(connection, key, since, until)
            stretch = stretch.rows(np.flatnonzero((stretch.flags & np.uint8(curves.RECALLED)) == 0))
            found.append(stretch)
            numbers.append(np.full(len(stretch), number, np.int32))
    whole = Stretch.joined(found) if found else curves.EMPTY
    order = np.argsort(whole.source, kind="stable")
    tags = np.concatenate(numbers)[order] if numbers else whole.tags
    chosen = whole.rows(order)
    weakest = max(chosen.provenances, default=Provenance.B)
    return Batch("", keys, tags, chosen.values, chosen.quality, chosen.source, chosen.received, weakest)
