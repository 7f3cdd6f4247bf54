"""One tag to look at: its value now, and what it was over an hour, a day, a week or a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from aiohttp import web
from markupsafe import Markup

from connectors.samples import moment_of, wholes
from gateway.live import Link, Reading
from gateway.web import charts
from gateway.web.context import CONTEXT, MachineInfo, TagInfo, WebContext
from gateway.web.render import page
from maintenance.history import Series, series

RANGES: Final[Mapping[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
PARTS_MAX: Final = 64
"""More elements of an array than this are read in the store, not on a page."""


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag with its last reading, if any; `fault` says why it cannot be read."""

    tag: TagInfo
    reading: Reading | None
    stale: bool
    fault: str

    @property
    def name(self) -> str:
        """The tag's own part of its key."""
        return self.tag.key.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Extent:
    """The least, the greatest and the last value of a tag within what is shown."""

    lowest: float
    highest: float
    last: float


def rows_of(context: WebContext, machine: MachineInfo, link: Link | None) -> list[TagRow]:
    """Return a machine's tags; in place of a structure or an array, what it is made of."""
    readings, faults = context.live.readings(), {} if link is None else dict(link.faults)
    parts, now = _parts(readings, machine), context.clock()
    return [
        TagRow(
            shown,
            reading := readings.get(shown.key),
            reading is not None and context.live.is_stale(reading, now),
            faults.get(tag.key, ""),
        )
        for tag in machine.tags
        for shown in parts.get(tag.key) or [tag]
    ]


def _parts(keys: Iterable[str], machine: MachineInfo) -> dict[str, list[TagInfo]]:
    """Return what tags that hold several values are made of, by the tag's key."""
    known, prefix = {tag.key: tag for tag in machine.tags}, machine.key + "/"
    found: dict[str, list[TagInfo]] = {}
    for key in keys:
        if not key.startswith(prefix) or key in known:
            continue
        whole = next((known[each] for each in wholes(key) if each in known), None)
        if whole is not None and len(found.setdefault(whole.key, [])) < PARTS_MAX:
            found[whole.key].append(TagInfo(key, whole.unit))
    return found


async def tag(request: web.Request) -> web.Response:
    """Show one tag with its chart."""
    context = request.app[CONTEXT]
    machine = context.machines.get(request.match_info["machine"])
    if machine is None:
        raise web.HTTPNotFound
    link = next((each for each in context.live.links() if each.name == machine.connection), None)
    key = f"{machine.key}/{request.match_info['tag']}"
    row = next((each for each in rows_of(context, machine, link) if each.tag.key == key), None)
    if row is None:
        raise web.HTTPNotFound
    span = request.query.get("range", "")
    span = span if span in RANGES else "day"
    now = context.clock()
    async with context.telemetry.read() as telemetry:
        found = await series(telemetry, key, now - RANGES[span], now, charts.POINTS_MAX)
    chart, extent = _chart(context, row, found, now - RANGES[span], now), extent_of(found)
    return page(
        request, "tag.html", machine=machine, link=link, row=row, chart=chart, extent=extent, range=span, ranges=RANGES
    )


def extent_of(found: Series) -> Extent | None:
    """Return what the values of a series lie between, None where it has none."""
    real = np.flatnonzero(np.isfinite(found.last))
    if not len(real):
        return None
    return Extent(float(np.nanmin(found.lowest)), float(np.nanmax(found.highest)), float(found.last[real[-1]]))


def _chart(context: WebContext, row: TagRow, found: Series, begin: datetime, now: datetime) -> Markup:
    real = np.flatnonzero(np.isfinite(found.last)).tolist()
    moments = {place: moment_of(int(found.at[place])) for place in real}
    chart = charts.Chart(
        title=row.name,
        unit=row.tag.unit,
        history=[(moments[place], float(found.last[place])) for place in real],
        now=now,
        begin=begin,
        spread=[(moments[place], float(found.lowest[place]), float(found.highest[place])) for place in real],
        gaps=[moment_of(int(at)) for at in found.at[found.gap].tolist()],
    )
    return charts.draw(chart, context.time_zone)
