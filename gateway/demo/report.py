"""What a demo did, read from its databases: for the live view, for `--until`, and as the JSON of its last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway import views
from gateway.databases import Databases
from gateway.views import OrderView
from maintenance import history
from maintenance.store import load_needs
from marketplace.audit.verify import Verification, verify
from marketplace.ordering.states import OrderState
from marketplace.store import Owner

WAY = (
    OrderState.PROPOSED,
    OrderState.AWAITING_APPROVAL,
    OrderState.APPROVED,
    OrderState.SUBMITTING,
    OrderState.SUBMITTED,
    OrderState.CONFIRMED,
    OrderState.SHIPPED,
    OrderState.RECEIVED,
    OrderState.CLOSED,
)
"""The way of an order that goes well."""


def has_reached(order: OrderView, state: str) -> bool:
    """Return whether an order on its way has come as far as a state."""
    return order.state in WAY and WAY.index(OrderState(order.state)) >= WAY.index(OrderState(state))


def is_whole(orders: Sequence[OrderView], state: str) -> bool:
    """Return whether the main job is shown: one order by policy on encrypted evidence and one plain one by a person."""
    there = [order for order in orders if has_reached(order, state)]
    by_policy = any(order.authority == "policy" and order.provenance == "A" for order in there)
    return by_policy and any(order.authority == "person" and order.provenance == "B" for order in there)


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a demo's databases."""

    samples: int
    needs: int
    orders: tuple[OrderView, ...]
    audit: Verification

    def as_dict(self, seconds: float) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "seconds": round(seconds, 1),
            "samples": self.samples,
            "needs": self.needs,
            "orders": [_order(order) for order in self.orders],
            "received": sum(has_reached(order, OrderState.RECEIVED) for order in self.orders),
            "audit": {"entries": self.audit.entries, "verified": self.audit.verified},
        }


def _order(order: OrderView) -> dict[str, Any]:
    said = order.as_dict()
    keys = ("number", "supplier", "total", "currency", "state", "authority", "provenance")
    line_keys = ("component", "item", "quantity", "unit", "unit_price")
    return {
        **{key: said[key] for key in keys},
        "lines": [{key: line[key] for key in line_keys} for line in said["lines"]],
    }


async def report(databases: Databases, owner: Owner) -> Report:
    """Read everything, and verify the whole audit log."""
    async with databases.telemetry.read() as tx:
        samples = await history.count(tx)
        needs = len(await load_needs(tx))
    async with databases.spend.read() as tx:
        orders = await views.orders(tx, owner)
        audit = await verify(tx, owner)
    return Report(samples, needs, tuple(orders), audit)
