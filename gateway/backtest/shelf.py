"""What of a plant's own orders lay here or was on its way when playing began, and what is left of it.

Parts that had been received and not fitted by then are free, for whichever component needs them sooner; an order under
way then is for its component, and is here from when the file says that it came. Of one that the file never says came,
nothing is hoped. Whatever the plant ordered later counts for nothing: it is what is decided anew. Who takes a part from
here takes it once. Pure: moments are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from gateway.backtest.plant_orders import Ending, Event, What
from maintenance.needs import JobKind, JobLine, Need
from marketplace.money import Quantity
from marketplace.netting import Asked, Coming, Netted, net
from marketplace.situation import goods_of, needed_by
from marketplace.sources import Sent, TrackRecord

NOTHING: Final = Decimal(0)

Goods = Mapping[str, Sequence[JobLine]]
"""What of each component's job is goods."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An order of the plant that had not come yet when playing began: sent when, by whom, and here from when."""

    number: str
    sent: datetime
    supplier: str
    here: datetime


@dataclass(frozen=True, slots=True)
class Cover:
    """How a line is covered; see `marketplace.situation.Covered`."""

    key: str
    item: str
    quantity: Decimal
    missing: Decimal
    promised: Decimal
    on_its_way: tuple[Coming, ...] = ()
    in_hand: Decimal = NOTHING


def no_cover(need: Need) -> list[Cover]:
    """Return the lines of a need for which there is nothing."""
    return [Cover(line.key, line.item, line.quantity, line.quantity, NOTHING) for line in need.lines]


@dataclass(slots=True)
class Shelf:
    """What is left. free: by item; ordered: by component, the oldest first."""

    free: dict[str, Quantity] = field(default_factory=dict)
    ordered: dict[str, list[UnderWay]] = field(default_factory=dict)

    @classmethod
    def at(cls, begin: datetime, events: Iterable[Event], ended: Iterable[Ending], goods: Goods) -> Shelf:
        """Return what there was when playing began. events, ended: of the plant, in the order of time."""
        shelf, told = cls(), [*events]
        used: dict[str, list[datetime]] = {}
        for ending in ended:
            used.setdefault(ending.component, []).append(ending.begins)
        for component, lines in goods.items():
            mine = [each for each in told if each.component == component]
            spare, ordered = _left(begin, mine, used.get(component, ()))
            for line in lines:
                shelf._put(line, spare)
            if ordered:
                shelf.ordered[component] = ordered
        return shelf

    def _put(self, line: JobLine, jobs: int) -> None:
        before = self.free.get(line.item)
        if jobs and (before is None or before.unit == line.unit):
            held = NOTHING if before is None else before.amount
            self.free[line.item] = Quantity(held + jobs * line.quantity, line.unit)

    def record(self) -> TrackRecord:
        """Return what is known of orders under way; what suppliers offer nobody tells a backtest."""
        return TrackRecord(
            open={each.number: Sent(each.supplier, each.sent) for some in self.ordered.values() for each in some}
        )

    def covering(self, needs: Sequence[Need], now: datetime) -> dict[str, list[Cover]]:
        """Return how each line of these needs is covered at a moment, by component; no piece counts twice."""
        asked = [
            Asked(f"{need.component}|{line.key}", line.item, Quantity(line.quantity, line.unit), needed_by(need))
            for need in needs
            if self.free and not self.ordered.get(need.component)
            for line in goods_of(need)
        ]
        netted = {each.asked.name: each for each in net(asked, self.free, ())}
        return {need.component: [self._cover(need, line, netted, now) for line in need.lines] for need in needs}

    def _cover(self, need: Need, line: JobLine, netted: Mapping[str, Netted], now: datetime) -> Cover:
        mine, goods = self.ordered.get(need.component), line.kind is not JobKind.SERVICE
        if mine and goods:
            coming = () if mine[0].here <= now else (Coming(mine[0].number, line.quantity, None),)
            return Cover(line.key, line.item, line.quantity, NOTHING, line.quantity, coming)
        found = netted.get(f"{need.component}|{line.key}")
        missing = line.quantity if found is None else found.missing
        return Cover(line.key, line.item, line.quantity, missing, NOTHING)

    def take(self, component: str, lines: Sequence[JobLine], at: datetime) -> float | None:
        """Take the goods of one job away; return in how many hours they are all here, None where they are not."""
        mine = self.ordered.get(component)
        if mine:
            return max((mine.pop(0).here - at).total_seconds() / 3600, 0.0)
        wanted = _together(lines)
        if not wanted or not all(_enough(self.free.get(item), each) for item, each in wanted):
            return None
        for item, each in wanted:
            left = self.free.pop(item).amount - each.amount
            if left > 0:
                self.free[item] = Quantity(left, each.unit)
        return 0.0


def _together(lines: Iterable[JobLine]) -> list[tuple[str, Quantity]]:
    """Return how much of each item lines want; several may want the same one."""
    amounts: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        amounts[line.item, line.unit] = amounts.get((line.item, line.unit), NOTHING) + line.quantity
    return [(item, Quantity(amount, unit)) for (item, unit), amount in amounts.items()]


def _enough(held: Quantity | None, wanted: Quantity) -> bool:
    return held is not None and held.unit == wanted.unit and held.amount >= wanted.amount


def _left(begin: datetime, events: Sequence[Event], used: Iterable[datetime]) -> tuple[int, list[UnderWay]]:
    """Return how many jobs' goods of a component lay here at the beginning, and what was on its way to it."""
    came = [each.at for each in events if each.what is What.RECEIVED and each.at > begin]
    moves: list[tuple[datetime, int, Event | None]] = [
        (each.at, _MOVES.index(each.what), each) for each in events if each.what in _MOVES
    ]
    moves += [(at, len(_MOVES), None) for at in used]
    spare, sent = 0, deque[Event]()
    for _at, _place, event in sorted((each for each in moves if each[0] <= begin), key=lambda each: each[:2]):
        if event is not None and event.what is What.ORDERED:
            sent.append(event)
        elif event is None and spare:
            spare -= 1
        else:  # it came; what was used without having been received did so, too
            spare += event is not None
            if sent:
                sent.popleft()
    ways = zip(sent, came, strict=False)
    return spare, [UnderWay(f"{each.component} {each.at.isoformat()}", each.at, each.supplier, at) for each, at in ways]


_MOVES: Final = (What.ORDERED, What.RECEIVED)
"""What brings parts, in the order in which it comes where it is all told of one moment; then they are used."""
