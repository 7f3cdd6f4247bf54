"""Whatever holds recorded telemetry, read by one function: a gateway's own store, or tables and folders of tables."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.samples import Batch
from gateway.recordings import store, tables
from gateway.recordings.tables import Read


def batches(
    paths: Sequence[Path],
    tags: Collection[str],
    zone: ZoneInfo,
    read: Read,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Generator[Batch, None, None]:
    """Yield what is recorded of these tags, in the order of time; `read` counts what was read and what was left out.

    paths: one of a store, or any of tables. since, until: what a store need not be asked beyond; tables tell all that
    they have. Raises `TelemetryBroken`, OSError.
    """
    file = store.store_in(paths[0]) if len(paths) == 1 else None
    if file is not None:
        return store.batches(file, sorted(tags), since, until, read)
    files = [file for path in paths for file in tables.csv_files(path)]
    return tables.batches(files, tables.resolver(tags), zone, read)
