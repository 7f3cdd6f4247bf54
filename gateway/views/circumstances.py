"""What timing must know of a component beyond its config, as the store has it.

The config says what a part costs late and early; the store says the rest. `refined` puts both together for all needs of
one moment at once (`marketplace.situation`), so that no piece on the shelf counts for two of them, and whoever looks at
a need sees by the same figures when it will be bought as the pipeline that buys it. It only reads, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.jobs import job_lines
from maintenance.needs import Need
from marketplace.ordering.track_record import track_record
from marketplace.situation import needed_by, priced, situated, usual_of
from marketplace.store import Owner
from marketplace.timing import TimingTerms
from marketplace.windows import PlantWindows


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the config says of them: the suppliers by their keys, and when machines may be worked on."""

    suppliers: Collection[str] = ()
    windows: PlantWindows = field(default_factory=PlantWindows)


async def refined(
    spend: AsyncConnection,
    owner: Owner,
    needs: Sequence[Need],
    said: Mapping[str, TimingTerms],
    circumstances: Circumstances,
    now: datetime,
) -> dict[str, TimingTerms]:
    """Return the terms of every component of which the config says any, with what the store knows at `now`."""
    bought = priced(needs, said)
    if not bought:
        return dict(said)
    record = await track_record(spend, owner, usual_of(bought, said).keys(), circumstances.suppliers, now)
    lines = await job_lines(spend, owner, bought, {need.component: needed_by(need) for need in bought}, now)
    return situated(bought, said, record, lines, circumstances.windows, now)
