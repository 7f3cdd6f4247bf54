"""What the leaves of a log say about money, gathered while it is read once: what the tables must agree with.

It promises to believe leaves only, never a row, and to hold a few bytes for each order, permit and policy version.
It reads nothing itself and judges nothing: `verify` feeds it, `accounts` asks it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.audit.log import AuditEntry

FIRST_SEND = 1
"""The send that is meant by leaves of versions in which there was one reservation for an order."""
_BOOKED = {"budget.committed": "committed", "budget.reduced": "committed", "budget.released": "released"}


@dataclass(slots=True)
class OrderTestimony:
    """What leaves say about one order; hashes are those of its canonical form.

    booked: by send, state, amount and whether for a person, as of the last leaf that moved its money.
    """

    stated: set[str] = field(default_factory=set)
    allowed: set[str] = field(default_factory=set)
    signed: set[tuple[str, str, str]] = field(default_factory=set)
    booked: dict[int, tuple[str, str, bool]] = field(default_factory=dict)
    last_index: int = 0


@dataclass(slots=True)
class Testimony:
    """What a whole log says: by order number, by permit id, by policy version."""

    orders: defaultdict[str, OrderTestimony] = field(default_factory=lambda: defaultdict(OrderTestimony))
    permits: dict[str, tuple[str, str]] = field(default_factory=dict)
    policies: dict[int, str] = field(default_factory=dict)

    def hear(self, entry: AuditEntry) -> None:
        """Take in one leaf. Raises KeyError or TypeError when it lacks what its kind must say."""
        facts = entry.facts
        match entry.kind:
            case "policy.applied":
                self.policies[facts["version"]] = facts["hash"]
            case "permit.issued":
                self.permits[facts["permit"]] = (entry.subject, facts["order_hash"])
                if facts.get("reserved"):  # a second send that may buy a second time has money of its own
                    booked = ("reserved", facts["total"], facts["by_person"])
                    self.orders[entry.subject].booked[facts["send"]] = booked
            case "decision.made":
                self._decided(entry, facts)
            case "approval.given":
                self._signed(entry, facts, "approve")
                self._allowed(entry, facts, by_person=True)
            case "approval.refused":
                self._signed(entry, facts, "deny")
            case "budget.committed" | "budget.reduced" | "budget.released":
                self._settled(entry, facts)
            case kind if kind.startswith("order.") and "order_hash" in facts:
                self._stated(entry, facts)

    def _stated(self, entry: AuditEntry, facts: Mapping[str, Any]) -> OrderTestimony:
        order = self.orders[entry.subject]
        order.stated.add(facts["order_hash"])
        order.last_index = entry.index
        return order

    def _decided(self, entry: AuditEntry, facts: Mapping[str, Any]) -> None:
        self._stated(entry, facts)
        if facts["verdict"]["outcome"] == "approve":
            self._allowed(entry, facts, by_person=False)

    def _allowed(self, entry: AuditEntry, facts: Mapping[str, Any], *, by_person: bool) -> None:
        order = self.orders[entry.subject]
        order.allowed.add(facts["order_hash"])
        order.booked[facts.get("send", FIRST_SEND)] = ("reserved", facts["total"], by_person)

    def _settled(self, entry: AuditEntry, facts: Mapping[str, Any]) -> None:
        booked = self.orders[entry.subject].booked
        of = (facts["amount"], facts["by_person"])
        booked[facts.get("send", FIRST_SEND)] = (_BOOKED[entry.kind], *of)
        for send in facts.get("released", ()):
            booked[send] = ("released", *of)

    def _signed(self, entry: AuditEntry, facts: Mapping[str, Any], verdict: str) -> None:
        self.orders[entry.subject].signed.add((facts["order_hash"], entry.actor.id, verdict))
