"""What a plant really ordered, got, fitted and lost, read from a table.

The first row names the columns. `time`, `component` and `event` are needed, `cost` and `supplier` may be there:

    time                    ISO 8601; without an offset it is the site's time
    component               as the config calls it, `machine/component`
    event                   ordered | received | fitted | failed
    cost                    of the part, such as `380 EUR`; on any of the part's rows, the last one counts
    supplier                a name, for the reader

Rows may stand in any order. `failed` ends a life; `fitted` ends one that had not failed, and begins the next. Where a
failure is followed by no fitting before the next event of a life, the next part counts from when it was received, or
else from the failure. All mistakes are said at once, each with file and row: of what was bought nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gateway.tag_lists.table import Row, TableBroken, read_table
from marketplace.money import Money

COLUMNS: Final = ("time", "component", "event", "cost", "supplier")
NEEDED: Final = COLUMNS[:3]
SAID_MAX: Final = 20
"""Mistakes that are said one by one; whoever sees so many looks at the whole file."""


class What(StrEnum):
    """What happened."""

    ORDERED = "ordered"
    RECEIVED = "received"
    FITTED = "fitted"
    FAILED = "failed"


_ORDER: Final = {What.FAILED: 0, What.ORDERED: 1, What.RECEIVED: 2, What.FITTED: 3}
"""What comes first of things that happened at the same time."""


class OrdersBroken(ValueError):
    """The file of a plant's orders cannot be used; `str()` says every mistake, with file and row."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row. cost: of the part, None where the row says none."""

    at: datetime
    component: str
    what: What
    cost: Money | None = None
    supplier: str = ""


def read_orders(path: Path, zone: ZoneInfo, components: Mapping[str, str]) -> list[Event]:
    """Return what a file says, in the order of time. components: by key, the currency in which each is bought.

    Raises `OrdersBroken`, OSError.
    """
    try:
        table = read_table(path)
    except TableBroken as error:
        raise OrdersBroken(str(error)) from error
    missing = [name for name in NEEDED if name not in table.columns]
    strange = [name for name in table.columns if name not in COLUMNS]
    if missing or strange:
        text = _("{file}:1: the columns are {columns}; missing: {missing}; not understood: {strange}")
        columns, none = ", ".join(COLUMNS), _("none")
        absent, more = ", ".join(missing) or none, ", ".join(strange) or none
        raise OrdersBroken(text.format(file=table.name, columns=columns, missing=absent, strange=more))
    events, mistakes = [], []
    for row in table.rows:
        try:
            events.append(_event(row, zone, components))
        except ValueError as error:
            mistakes.append(f"{table.name}:{row.number}: {error}")
    if mistakes:
        left = len(mistakes) - SAID_MAX
        said = [*mistakes[:SAID_MAX], *([_("and {count} more").format(count=left)] if left > 0 else [])]
        raise OrdersBroken("\n".join(said))
    return sorted(events, key=lambda each: (each.at, _ORDER[each.what], each.component))


def _event(row: Row, zone: ZoneInfo, components: Mapping[str, str]) -> Event:
    component, cost = row.cells.get("component", ""), row.cells.get("cost")
    if component not in components:
        raise ValueError(_("{component!r} is no component of the config").format(component=component[:100]))
    said = row.cells.get("event", "").lower()
    if said not in tuple(What):
        raise ValueError(_("{event!r} is no event; there are {known}").format(event=said[:40], known=", ".join(What)))
    paid = None if cost is None else Money.parse(cost)
    if paid is not None and paid.minor < 0:
        raise ValueError(_("{cost} is below zero").format(cost=paid))
    if paid is not None and components[component] and paid.currency != components[component]:
        text = _("{cost} is not in {currency}, in which the config says what this component costs")
        raise ValueError(text.format(cost=paid, currency=components[component]))
    return Event(moment(row.cells.get("time", ""), zone), component, What(said), paid, row.cells.get("supplier", ""))


def moment(text: str, zone: ZoneInfo) -> datetime:
    """Return the time that a text says, in the site's zone where it names none. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        text = text[:40]
        raise ValueError(_("{text!r} is no time; write 2026-03-02T08:00:00+01:00").format(text=text)) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class Ending:
    """One life's end as the plant tells it.

    failed: None where it began at the beginning of what is told. arrival: when the part that followed was received,
    None where nobody says. begins: when the next life began. cost: of the part that followed.
    """

    component: str
    at: datetime
    failed: bool
    begins: datetime
    arrival: datetime | None
    ordered: datetime | None
    cost: Money | None


def endings(events: Iterable[Event]) -> list[Ending]:
    """Return the ends of lives that events tell, in the order of time. `events` are in the order of theirs."""
    by_component: dict[str, list[Event]] = {}
    for each in events:
        by_component.setdefault(each.component, []).append(each)
    found = [ending for each in by_component.values() for ending in _endings(each)]
    return sorted(found, key=lambda each: (each.at, each.component))


def _endings(events: list[Event]) -> Iterator[Ending]:
    """One component's: rows gather until a life ends by them."""
    gathered: list[Event] = []
    for event in events:
        if event.what is What.FAILED and any(each.what is What.FAILED for each in gathered):
            yield _ending(gathered, None)
            gathered = []
        gathered.append(event)
        if event.what is What.FITTED:
            yield _ending(gathered, event.at)
            gathered = []
    if any(each.what is What.FAILED for each in gathered):
        yield _ending(gathered, None)


def _ending(gathered: list[Event], fitted: datetime | None) -> Ending:
    def last(what: What) -> datetime | None:
        return next((each.at for each in reversed(gathered) if each.what is what), None)

    failed, received = last(What.FAILED), last(What.RECEIVED)
    at = failed or fitted
    assert at is not None  # whoever gathers ends by one of the two
    cost = next((each.cost for each in reversed(gathered) if each.cost is not None), None)
    begins = fitted or max(at, received or at)
    arrival = received or (fitted if failed else None)
    return Ending(gathered[0].component, at, failed is not None, begins, arrival, last(What.ORDERED), cost)


def ends_told(events: Iterable[Event]) -> Set[str]:
    """Return the components whose ends of lives the plant tells; counters that fall say nothing more of them."""
    return {each.component for each in events if each.what in (What.FITTED, What.FAILED)}
