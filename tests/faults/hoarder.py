"""A process that takes in samples as fast as it may and stores them, to be killed; nothing here is a test.

`python -m tests.faults.hoarder DIRECTORY RUN [FOLD]` puts the samples 0, 1, 2, ... of tag `run/RUN` and says on stdout
how many are on disk, whenever it knows. Sources of RUN are seconds from the run's own year on. With `drain` for RUN it
stores what is there and ends.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from connectors import backlog as module
from connectors.backlog import Backlog
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, ticks_of
from gateway.historian import READER, Historian
from gateway.storage import NORMAL, Storage
from maintenance import history
from maintenance.store import telemetry

ROWS = 7
"""In a batch."""


def begins(run: int) -> datetime:
    """Return the time of a run's first sample."""
    return datetime(2000 + run, 1, 1, tzinfo=UTC)


async def hoard(directory: Path, run: str) -> None:
    """Put for ever, or store what is there and end."""
    storage = Storage(directory / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    historian, backlog = Historian(storage, 2**30), Backlog(directory / "backlog")
    reader = await backlog.reader(READER, await historian.mark())
    task = asyncio.create_task(reader.forward(historian.store, within=0.01))
    if run != "drain":
        await put_for_ever(backlog, int(run))
    while backlog.depth:
        await backlog.drain()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await backlog.close()
    await storage.close()


async def put_for_ever(backlog: Backlog, run: int) -> None:
    """Put batches, telling of those that are on disk."""
    keys, begin = Keys([f"run/{run}"]), ticks_of(begins(run))
    number = 0
    while True:
        values = np.arange(number, number + ROWS, dtype=np.float64)
        at = begin + values.astype(np.int64) * TICKS_PER_SECOND
        came = np.full(ROWS, ticks_of(begins(0)), np.int64)
        tags, quality = np.zeros(ROWS, np.int32), np.zeros(ROWS, np.uint8)
        await backlog.put(Batch("hoarder", keys, tags, values, quality, at, came, Provenance.A))
        number += ROWS
        if not backlog.waiting:
            continue
        await asyncio.sleep(0.001)
        if number % (20 * ROWS) == 0:
            await backlog._committed()
            if not backlog.waiting:
                print(number, flush=True)


if __name__ == "__main__":
    module.COMMIT_SECONDS = 0.005  # more kills in the middle of a write
    if len(sys.argv) > 3:
        history.FOLD_BLOCKS = int(sys.argv[3])  # type: ignore[misc]
    asyncio.run(hoard(Path(sys.argv[1]), sys.argv[2]))
