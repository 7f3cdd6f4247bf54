"""The rules by which a buyer keeps one slot in parts, and what that costs.

A machine runs with one part. Once a day, until the part fails, the buyer sees the wear as read and the price, and may
order from any supplier, and fit a part that is on the shelf: an early replacement costs nothing but the rest of the old
part's life. A part that fails is found on its day; if one is on the shelf it is fitted at once and no time is lost,
otherwise the machine stands until the first part is in, and the buyer may then order one more. Standing still wears
nothing. What is counted: the price of the day of each order, a share of the usual price for each day on the shelf, and
standstill. The first part of a slot is given; each life is charged with its successor, and a part too many at the end
goes back at the usual price. Days, EUR. No chance and no clock: all that happens was drawn before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from gateway.benchmarks.wearing_plant import SOURCES, YEAR_DAYS, Part, Plant, Slot


@dataclass(frozen=True, slots=True)
class Order:
    """One that is under way: to whom it went and when, and when it will be in, which the buyer does not know."""

    source: int
    placed: float
    arrives: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What a buyer sees on a day, all days since the slot's beginning.

    age: days since the part was fitted. worn: its wear as last read. price: over the usual. shelf: parts on it.
    """

    now: float
    age: int
    worn: float
    price: float
    shelf: int
    under_way: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """What a buyer does: order from a supplier, or from nobody; fit what is on the shelf."""

    order: int | None = None
    fit: bool = False


WAIT = Move()


class Buyer(Protocol):
    """Keeps one slot."""

    def fitted(self) -> None:
        """A new part is in."""

    def look(self, scene: Scene) -> Move:
        """Return what to do on a day on which the part works."""

    def stands(self, scene: Scene) -> int | None:
        """The part failed and none is here: return from whom to order one more, None for waiting. It must not be
        None where nothing is under way."""


@dataclass(slots=True)
class Books:
    """What keeping a slot has cost, EUR, over `used` days of use and `lives` parts worn out or replaced."""

    parts: float = 0.0
    holding: float = 0.0
    standstill: float = 0.0
    used: float = 0.0
    lives: int = 0
    failures: int = 0
    orders: Counter[str] = field(default_factory=Counter)

    @property
    def cost(self) -> float:
        """All of it."""
        return self.parts + self.holding + self.standstill


def keep(plant: Plant, part: Part, slot: Slot, buyer: Buyer) -> Books:
    """Return what it costs when a buyer keeps a slot through all its lives."""
    return _Keeping(plant, part, slot, buyer).run()


class _Keeping:
    """One slot on its way through its lives."""

    def __init__(self, plant: Plant, part: Part, slot: Slot, buyer: Buyer) -> None:
        self.slot, self.buyer, self.part = slot, buyer, part
        self.per_shelf_day = part.price * plant.holding / YEAR_DAYS
        self.books, self.now = Books(), 0.0
        self.under_way: list[Order] = []
        self.shelf: list[float] = []
        self.placed = 0

    def run(self) -> Books:
        for life, days in enumerate(self.slot.days):
            self.buyer.fitted()
            self._live(life, days, self.now)
        for since in self.shelf:
            self.books.holding += self.per_shelf_day * (self.now - since)
        self.books.parts -= self.part.price * (len(self.shelf) + len(self.under_way))
        return self.books

    def _live(self, life: int, days: int, fitted: float) -> None:
        for age in range(1, days):
            self.now = fitted + age
            self._receive()
            move = self.buyer.look(self._scene(life, age))
            if move.order is not None:
                self._order(move.order)
            if move.fit and self.shelf:
                return self._fit(age)
        self.now = fitted + days
        self._receive()
        if not self.shelf:
            self._stand(life, days)
        return self._fit(days)

    def _stand(self, life: int, days: int) -> None:
        self.books.failures += 1
        rescue = self.buyer.stands(self._scene(life, days))
        if rescue is not None:
            self._order(rescue)
        arrives = min(order.arrives for order in self.under_way)
        self.books.standstill += self.part.standstill * (arrives - self.now)
        self.now = arrives
        self._receive()

    def _scene(self, life: int, age: int) -> Scene:
        worn, price = float(self.slot.seen[life][age - 1]), self.slot.price(self.now)
        return Scene(self.now, age, worn, price, len(self.shelf), tuple(self.under_way))

    def _order(self, source: int) -> None:
        self.books.parts += self.part.price * SOURCES[source].factor * self.slot.price(self.now)
        self.books.orders[SOURCES[source].name] += 1
        self.under_way.append(Order(source, self.now, self.now + float(self.slot.leads[self.placed, source])))
        self.placed += 1

    def _receive(self) -> None:
        if self.under_way:
            self.shelf += [order.arrives for order in self.under_way if order.arrives <= self.now]
            self.under_way = [order for order in self.under_way if order.arrives > self.now]

    def _fit(self, age: int) -> None:
        self.books.holding += self.per_shelf_day * (self.now - self.shelf.pop(0))
        self.books.used += age
        self.books.lives += 1
