"""What is a duplicate, a loss, an unreserved order: the suppliers' books beside what the plant says of itself.

Pure: values in, a verdict with the order numbers out. It believes the suppliers' books, and of the plant its database
and its audit log, each against the other.

    duplicate    a supplier holds more than one live order of a number, or live orders of several numbers serve one want
    loss         the plant says that it ordered and no supplier holds it; a supplier holds what the plant does not know
                 of or takes for ended; a want, a signature or a fitted part that somebody was told of is not there
    unreserved   a supplier took an order for which no money was booked when it was sent, or is booked now
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ORDERED: Final = frozenset({"submitted", "confirmed", "shipped", "received", "disputed", "closed"})
"""States in which the plant says that a supplier has its order."""
OFF: Final = frozenset({"denied", "expired", "rejected", "not_placed", "cancelled"})
"""Ends in which it says that no supplier has it."""
OPEN: Final = frozenset({"needed", "quoting", "proposed", "ordered"})
BOOKED: Final = frozenset({"reserved", "committed", "elapsed"})


@dataclass(frozen=True, slots=True)
class Taken:
    """One order that a supplier took; `live` unless it was cancelled or forgotten."""

    supplier: str
    reference: str
    live: bool


@dataclass(frozen=True, slots=True)
class Purchase:
    """What the plant says of an order. bookings: the states of its bookings. wants: ids of what it serves."""

    number: str
    supplier: str
    state: str
    bookings: tuple[str, ...]
    wants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One audit entry: the only record of what was booked at the moment of a send."""

    kind: str
    subject: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What people were told had been done: numbers that they signed, serials of parts that they fitted."""

    signed: frozenset[str] = frozenset()
    fitted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plant:
    """The plant after everything has settled.

    wants: state by id. serials: of every life that ever began. idle: components whose worn life has no want.
    """

    purchases: Sequence[Purchase]
    wants: Mapping[str, str]
    leaves: Sequence[Leaf]
    serials: frozenset[str] = frozenset()
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """What was found wrong, each with what it is about."""

    duplicates: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unreserved: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.duplicates or self.lost or self.unreserved)


@dataclass(slots=True)
class _Books:
    """The suppliers' live orders, and every order that was ever taken, counted by (supplier, number)."""

    live: Counter[tuple[str, str]] = field(default_factory=Counter)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)


def count(taken: Iterable[Taken], plant: Plant, told: Told) -> Count:
    """Return everything that is wrong."""
    books = _Books()
    for each in taken:
        books.taken[each.supplier, each.reference] += 1
        books.live[each.supplier, each.reference] += each.live
    return Count(
        tuple(sorted(_duplicates(books, plant))),
        tuple(sorted(_lost(books, plant, told))),
        tuple(sorted(_unreserved(books, plant))),
    )


def too_many(wants: Iterable[str]) -> int:
    """Return how many orders there are beyond one for each want, given the want of each order."""
    return sum(number - 1 for number in Counter(wants).values())


def _duplicates(books: _Books, plant: Plant) -> Iterable[str]:
    for (supplier, number), live in books.live.items():
        if live > 1:
            yield f"{number}: {supplier} holds {live}"
    serving: dict[str, set[str]] = defaultdict(set)
    for purchase in plant.purchases:
        if books.live[purchase.supplier, purchase.number]:
            for want in purchase.wants:
                serving[want].add(purchase.number)
    for want, numbers in serving.items():
        if len(numbers) > 1:
            yield f"{', '.join(sorted(numbers))}: all for want {want}"


def _lost(books: _Books, plant: Plant, told: Told) -> Iterable[str]:
    yield from _lost_orders(books, plant)
    yield from _lost_wants(plant)
    signed = {leaf.subject for leaf in plant.leaves if leaf.kind == "approval.given"}
    for number in told.signed - signed:
        yield f"{number}: was signed, and no signature is kept"
    for serial in told.fitted - plant.serials:
        yield f"{serial}: was fitted, and no life began"


def _lost_orders(books: _Books, plant: Plant) -> Iterable[str]:
    known = {(purchase.supplier, purchase.number): purchase for purchase in plant.purchases}
    for place, purchase in known.items():
        if purchase.state in ORDERED and not books.live[place]:
            yield f"{purchase.number}: is {purchase.state}, and {purchase.supplier} does not hold it"
    for place, live in books.live.items():
        if not live:
            continue
        if place not in known:
            yield f"{place[1]}: {place[0]} holds it, and no purchase knows it"
        elif known[place].state in OFF:
            yield f"{place[1]}: {place[0]} holds it, and it is {known[place].state} here"


def _lost_wants(plant: Plant) -> Iterable[str]:
    served = {want for purchase in plant.purchases if purchase.state not in OFF for want in purchase.wants}
    raised = {leaf.subject for leaf in plant.leaves if leaf.kind == "requisition.raised"}
    for want in raised - set(plant.wants):
        yield f"want {want}: was raised, and is gone"
    for want, state in plant.wants.items():
        if state in OPEN and want not in served:
            yield f"want {want}: is {state}, and no order serves it"
    for component in plant.idle:
        yield f"{component}: is worn, and nothing is wanted for it"


def _unreserved(books: _Books, plant: Plant) -> Iterable[str]:
    sends, without = _sends(plant.leaves)
    for (supplier, number), times in books.taken.items():
        if times > sends[number]:
            yield f"{number}: {supplier} took it {times} times, and {sends[number]} sends were permitted"
    for number in without:
        yield f"{number}: was permitted while nothing was booked for it"
    for purchase in plant.purchases:
        if books.live[purchase.supplier, purchase.number] and not set(purchase.bookings) & BOOKED:
            yield f"{purchase.number}: {purchase.supplier} holds it, and nothing is booked for it"


def _sends(leaves: Iterable[Leaf]) -> tuple[Counter[str], set[str]]:
    """Return how many sends of each order were permitted, and the orders that had no booking at one of them."""
    booked: set[str] = set()
    sends: Counter[str] = Counter()
    without: set[str] = set()
    for leaf in leaves:
        if leaf.kind == "approval.given" or (leaf.kind == "decision.made" and _approves(leaf.facts)):
            booked.add(leaf.subject)
        elif leaf.kind == "budget.released":
            booked.discard(leaf.subject)
        elif leaf.kind == "permit.issued":
            sends[leaf.subject] += 1
            if leaf.subject not in booked:
                without.add(leaf.subject)
    return sends, without


def _approves(facts: Mapping[str, Any]) -> bool:
    verdict = facts.get("verdict", {})
    return isinstance(verdict, Mapping) and verdict.get("outcome") == "approve"
