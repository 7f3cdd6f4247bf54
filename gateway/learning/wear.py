"""Lives that wear is learned from: what was measured of parts, and what their machine said meanwhile.

Measurements are a table (CSV or XLSX) with the columns `part`, `time` and `wear`: a row for each time that somebody
looked at a part, the first of each part being its fitting. What the machine said comes from the gateway's own telemetry
or from files, read as a backtest reads them (`gateway.recordings`); here what cannot be understood is not left out, but
said with file and line, for a model is learned once and believed for long. Times are ISO 8601, without an offset in the
site's zone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from gettext import gettext as _
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from connectors.samples import Batch, Quality, moment_of, ticks_of
from gateway.recordings.tables import Read
from gateway.tag_lists.table import Row, TableBroken, read_table
from maintenance.estimates import Estimate
from maintenance.wear_lives import Measured, Said

BEFORE: Final = timedelta(days=1)
"""How long before a fitting it is looked where signals and counters stood."""
NEEDED: Final = ("part", "time", "wear")


class WearFileBroken(ValueError):
    """A file cannot be read as what it should be; `str()` says file, line and what is wrong."""


def read_measured(file: Path, zone: ZoneInfo) -> dict[str, list[Measured]]:
    """Return the measurements of each part, in the order of time. Raises `WearFileBroken`, OSError."""
    try:
        table = read_table(file)
    except TableBroken as error:
        raise WearFileBroken(str(error)) from error
    missing = ", ".join(name for name in NEEDED if name not in table.columns)
    if missing:
        text = _("the first row names the columns, and these are missing: {missing}").format(missing=missing)
        raise _broken(table.name, 1, text)
    found: dict[str, list[Measured]] = {}
    for row in table.rows:
        part, each = _measured(table.name, row, zone)
        before = found.setdefault(part, [])
        if before and (each.at <= before[-1].at or each.wear < before[-1].wear):
            text = _("the rows of a part are in the order of time, and wear does not fall")
            raise _broken(table.name, row.number, text)
        before.append(each)
    _require_apart(table.name, found)
    return found


def _measured(name: str, row: Row, zone: ZoneInfo) -> tuple[str, Measured]:
    part, told = row.cells.get("part", ""), row.cells.get("wear", "")
    try:
        wear = float(told)
    except ValueError as error:
        raise _broken(name, row.number, _("{text} is no number").format(text=repr(told[:60]))) from error
    if not part or not math.isfinite(wear) or wear < 0:
        raise _broken(name, row.number, _("a part has a name, and wear is a number of at least 0"))
    return part, Measured(ticks_of(_time(name, row.number, row.cells.get("time", ""), zone)), wear)


def _require_apart(name: str, parts: Mapping[str, Sequence[Measured]]) -> None:
    """Two parts are never in one slot at once."""
    spans = sorted((rows[0].at, rows[-1].at, part) for part, rows in parts.items())
    for (_fitted, end, part), (fitted, _end, other) in pairwise(spans):
        if fitted < end:
            sentence = _("{file}: {other} was fitted before {part} was last measured: one slot holds one part")
            raise WearFileBroken(sentence.format(file=name, part=part, other=other))


def listened(parts: Mapping[str, Sequence[Measured]]) -> tuple[datetime, datetime]:
    """Return between which times anything said matters. Raises ValueError without any part."""
    first, last = min(rows[0].at for rows in parts.values()), max(rows[-1].at for rows in parts.values())
    return moment_of(first) - BEFORE, moment_of(last) + timedelta(microseconds=1)


def said_of(
    batches: Iterable[Batch], use: Estimate, parts: Mapping[str, Sequence[Measured]], read: Read
) -> dict[str, list[Said]]:
    """Return what was said while each part worked, and shortly before, in the order of time.

    read: what the batches come from tells there what it left out. Raises `WearFileBroken` for the first of that.
    """
    ahead = int(BEFORE.total_seconds()) * 10_000_000
    spans = {part: (rows[0].at - ahead, rows[-1].at) for part, rows in parts.items()}
    found: dict[str, list[Said]] = {part: [] for part in parts}
    for batch in batches:
        said = _said(batch, use)
        for part, (since, until) in spans.items():
            found[part] += [each for each in said if since <= each[0] <= until]
        _require_whole(read)
    _require_whole(read)
    return found


def _require_whole(read: Read) -> None:
    if read.named:
        raise WearFileBroken(read.named[0])


def _said(batch: Batch, use: Estimate) -> list[Said]:
    """Return what a batch says of an estimate's tags; signals before clocks: a row is made of what was said with it."""
    places = {tag.key: place for place, tag in enumerate((*use.signals, *use.clocks))}
    place = np.array([places.get(key, -1) for key in batch.keys], np.int64)[batch.tags]
    values = np.where(batch.quality == Quality.GOOD, batch.values, math.nan)
    order = np.lexsort((place, batch.source))
    order = order[place[order] >= 0]
    return list(zip(batch.source[order].tolist(), place[order].tolist(), values[order].tolist(), strict=True))


def _time(name: str, line: int, text: str, zone: ZoneInfo) -> datetime:
    with suppress(ValueError):
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo else found.replace(tzinfo=zone)
    raise _broken(name, line, _("{text} is no time such as 2026-03-02T08:00:00").format(text=repr(text[:60])))


def _broken(name: str, line: int, what: str) -> WearFileBroken:
    return WearFileBroken(f"{name}:{line}: {what}")
