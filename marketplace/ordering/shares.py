"""Who gets how much of what was ordered: pure sums over the shares that requisitions have in lines.

A line may serve several requisitions, and a requisition may be split over several lines and orders. What arrives of a
line goes to its shares in their order, each to its brim before the next; what is left over serves nobody. For one
requisition, what came and what still comes never exceed what is wanted, unless a person overrode it. It knows no
state, no price and no storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of one line serves one requisition, in the line's unit."""

    line: int
    requisition: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Cover:
    """How far one requisition is served: `came` is here, `coming` is on orders that still stand."""

    wanted: Decimal
    came: Decimal = NOTHING
    coming: Decimal = NOTHING

    @property
    def covered(self) -> Decimal:
        """What is here or on its way."""
        return self.came + self.coming

    @property
    def missing(self) -> Decimal:
        """What nobody has promised; never below zero."""
        return max(self.wanted - self.covered, NOTHING)

    @property
    def fulfilled(self) -> bool:
        """Whether all that is wanted is here."""
        return self.came >= self.wanted


def allot(amount: Decimal, shares: Sequence[Share]) -> tuple[Decimal, ...]:
    """Return how much of an amount of one line each of its shares gets, the first in line first."""
    given = []
    for share in shares:
        part = min(max(amount, NOTHING), share.quantity)
        given.append(part)
        amount -= part
    return tuple(given)


def cover(wanted: Decimal, shares: Sequence[tuple[Decimal, Decimal, bool]]) -> Cover:
    """Return how far a requisition is served by its shares, each (quantity, what of it came, whether more may come)."""
    came = sum((arrived for _quantity, arrived, _stands in shares), start=NOTHING)
    coming = sum((quantity - arrived for quantity, arrived, stands in shares if stands), start=NOTHING)
    return Cover(wanted, came, coming)
