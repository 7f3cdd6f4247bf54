"""What is wanted against what there is: the shelf first, then what is on its way anyway, and the rest is missing.

Promises: no piece counts twice, however many ask for it; of each item never more is covered than lies free and is on
its way to nobody; for every want the parts covered and missing add up to what is wanted. Whoever needs it sooner is
served first, those who name no day last, of those alike who has waited longer, and then the first by name, so that the
order in which they are told changes nothing. What is on its way counts only for whom it reaches in time, the soonest
first. It knows no price, no storage and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from marketplace.money import Quantity

NOTHING: Final = Decimal(0)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """One want: by which name, what, how much, and the day after which it comes too late (aware; None: any day).

    since: since when it waits (aware).
    shelf: whether what lies on the shelf may serve it; it may not where the shelf itself is to be filled.
    """

    name: str
    item: str
    quantity: Quantity
    needed_by: datetime | None = None
    since: datetime = _FIRST
    shelf: bool = True


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """What an order brings beyond those whom it serves: how much of which item, and when it shall be here (aware)."""

    order: str
    item: str
    quantity: Quantity
    expected_at: datetime


@dataclass(frozen=True, slots=True)
class Coming:
    """How much of an order covers a want, and when that shall be here; None: nobody has said."""

    order: str
    amount: Decimal
    expected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Netted:
    """How a want is covered; all amounts in the unit of what is asked."""

    asked: Asked
    on_shelf: Decimal
    on_its_way: tuple[Coming, ...]

    @property
    def coming(self) -> Decimal:
        """What is on its way for it."""
        return sum((each.amount for each in self.on_its_way), start=NOTHING)

    @property
    def missing(self) -> Decimal:
        """What has to be bought."""
        return self.asked.quantity.amount - self.on_shelf - self.coming


def net(wants: Iterable[Asked], shelf: Mapping[str, Quantity], on_its_way: Iterable[OnItsWay]) -> tuple[Netted, ...]:
    """Return every want with what covers it, the most urgent first.

    shelf: by item, what is on hand and promised to nobody. What is counted in another unit covers nothing.
    """
    free = {(item, each.unit): each.amount for item, each in shelf.items()}
    surplus = sorted(on_its_way, key=lambda each: (each.expected_at, each.order))
    left = [each.quantity.amount for each in surplus]
    return tuple(_served(asked, free, surplus, left) for asked in sorted(wants, key=_urgency))


def _urgency(asked: Asked) -> tuple[datetime, datetime, str]:
    return asked.needed_by or _LAST, asked.since, asked.name


def _served(asked: Asked, free: dict[tuple[str, str], Decimal], surplus: list[OnItsWay], left: list[Decimal]) -> Netted:
    """Serve one want, and take from what is left for the next."""
    place = asked.item, asked.quantity.unit
    here = min(free.get(place, NOTHING), asked.quantity.amount) if asked.shelf else NOTHING
    if here > NOTHING:
        free[place] -= here
    open_amount, coming = asked.quantity.amount - here, []
    for index, each in enumerate(surplus):
        part = min(left[index], open_amount)
        if part > NOTHING and _serves(each, asked):
            left[index] -= part
            open_amount -= part
            coming.append(Coming(each.order, part, each.expected_at))
    return Netted(asked, here, tuple(coming))


def _serves(each: OnItsWay, asked: Asked) -> bool:
    in_time = asked.needed_by is None or each.expected_at <= asked.needed_by
    return in_time and (each.item, each.quantity.unit) == (asked.item, asked.quantity.unit)
