"""May the gateway commit this exact order by itself? A pure function of the order, what is known, and the rules.

The rules are asked in this order; the first that objects is the verdict, and only if none does the order is approved.

    deny  STOPPED                   buying is stopped for the plant, the machine, the supplier or the component
    deny  NO_POLICY                 nobody has applied a policy
    deny  NO_MANDATE                the policy delegates no spending authority
    deny  MANDATE_ENDED             the mandate's time is over
    deny  MACHINE_NOT_COVERED       the mandate is for other machines
    deny  SUPPLIER_SUSPENDED        a person has suspended the supplier
    deny  MODE_WATCH, MODE_ADVISE   the component may not buy
    deny  ORDER_EMPTY               nothing is ordered
    ask   MODE_ASK                  a person wants to see every order for the component
    ask   PROVENANCE_B              the evidence came over the wire in the clear
    ask   HISTORY_UNKNOWN           the part's past is unknown
    ask   FIRST_ORDER_AT_SUPPLIER   and nobody vouches for the supplier
    ask   FIRST_PURCHASE_OF_ITEM    and nobody vouches for the item from this supplier
    ask   QUOTATION_EXPIRED         the price no longer binds the supplier
    ask   QUANTITY_DIFFERS          the order is not for what is wanted: a pack, a minimum, another unit
    ask   CURRENCY_DIFFERS          a limit or the last price is in another currency than the order
    ask   AMOUNT_NEGATIVE           freight or fees below zero would hide a price
    ask   TAX_UNKNOWN               limits are gross, and no quotation says the tax
    ask   ORDER_LIMIT_EXCEEDED      the total is above the mandate's limit for one order
    ask   LAST_PRICE_UNKNOWN        the item was bought before, but nobody knows for how much
    ask   PRICE_COLLAR              a unit price is above 1.5 times the last
    ask   MISSING_LIMIT             there is no limit for the window
    ask   PERIOD_LIMIT_EXCEEDED     the total alone is above the window's limit; the ledger says the same of the sum
    yes   WITHIN_LIMITS

Missing data asks a person; nothing defaults to approval. Codes are stable: audits and translations rest on them.
The module knows no ledger, no clock, no supplier and no sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from maintenance.needs import Provenance
from marketplace.authority.mandate import (
    CAUTION,
    Decision,
    Key,
    Limit,
    Mandate,
    Outcome,
    Strict,
    hash_of,
    objection_of,
)
from marketplace.authority.scopes import STOPPED, Halt
from marketplace.documents import OrderLine, PurchaseOrder, timestamp
from marketplace.money import Money, Quantity, UnitPrice, plain

__all__ = [
    "CAUTION", "Circumstances", "Decision", "FREEDOM", "Mandate", "Mode", "Outcome", "Policy", "Window",
    "decide", "mode_of", "period_exceeded", "stopped_by",
]  # fmt: skip

PRICE_COLLAR: Final = Decimal("1.5")
"""Above this multiple of the last unit price a person looks: ordinary rises stay below it, slipped decimals do not."""
DEFAULT_MODE: Final = "default"


class Mode(StrEnum):
    """What the gateway may do for a component."""

    WATCH = "watch"
    ADVISE = "advise"
    ASK = "ask"
    BUY = "buy"


FREEDOM: Final = (Mode.WATCH, Mode.ADVISE, Mode.ASK, Mode.BUY)
"""Modes, the least free first."""


class Window(Strict):
    """A rolling window: how much the gateway may commit for one machine within the last `days` days."""

    days: Annotated[int, Field(ge=1, le=366)]
    per_machine: Limit | None = None


class Policy(Strict):
    """The plant's rules, as one document. Whatever is left out asks a person or denies."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    mandate: Mandate | None = None
    window: Window | None = None
    amounts: Literal["net", "gross"] = "net"
    modes: Mapping[Key, Mode] = Field(default_factory=dict)
    known: Mapping[Key, tuple[Key, ...]] = Field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the policy in its one canonical form: what is stored, hashed and compared."""
        window = self.window
        return {
            "schema": self.schema_,
            "mandate": self.mandate.document() if self.mandate else None,
            "window": {"days": window.days, "per_machine": str(window.per_machine) if window.per_machine else None}
            if window
            else None,
            "amounts": self.amounts,
            "modes": {key: mode.value for key, mode in self.modes.items()},
            "known": {supplier: sorted(set(items)) for supplier, items in self.known.items()},
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hash_of(self.document())

    def vouches(self, supplier: str, item: str | None = None) -> bool:
        """Return whether a person vouches for a supplier, or for an item from it."""
        if item is None:
            return supplier in self.known
        return item in self.known.get(supplier, ())


def mode_of(policy: Policy | None, component: str) -> Mode:
    """Return the mode of a component `machine/component`: its own, its machine's, the default, else ask."""
    modes = policy.modes if policy else {}
    for key in (component, component.partition("/")[0], DEFAULT_MODE):
        if key in modes:
            return modes[key]
    return Mode.ASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known about an order besides its own text. Nothing here has a default: who does not know must say so.

    mode: what the requisition was raised under; the policy's own mode counts too, and the stricter of both rules.
    component: `machine/component`.
    stopped: the stop that covers the order, None when nothing stops it.
    wanted: by order line, what the needs behind it want; a line that is missing here asks.
    last_prices: by item, the unit price of its last purchase; an item bought before and missing here asks.
    """

    stopped: Halt | None
    mode: Mode
    provenance: Provenance
    known_history: bool
    machine: str
    component: str
    asked_by: str
    first_order_at_supplier: bool
    first_purchase_of_item: bool
    supplier_suspended: bool
    wanted: Mapping[int, Quantity]
    last_prices: Mapping[str, UnitPrice]

    def facts(self) -> dict[str, Any]:
        """Return the circumstances as an audit leaf holds them."""
        return {
            "stopped": self.stopped.parameters if self.stopped else None,
            "mode": self.mode.value,
            "provenance": self.provenance.value,
            "known_history": self.known_history,
            "machine": self.machine,
            "component": self.component,
            "asked_by": self.asked_by,
            "first_order_at_supplier": self.first_order_at_supplier,
            "first_purchase_of_item": self.first_purchase_of_item,
            "supplier_suspended": self.supplier_suspended,
            "wanted": {str(number): str(quantity) for number, quantity in self.wanted.items()},
            "last_prices": {item: str(price) for item, price in self.last_prices.items()},
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hash_of(self.facts())


@dataclass(frozen=True, slots=True)
class _Case:
    """One order before the rules."""

    order: PurchaseOrder
    told: Circumstances
    policy: Policy
    mandate: Mandate
    now: datetime


def decide(
    order: PurchaseOrder,
    circumstances: Circumstances,
    policy: Policy | None,
    mandate: Mandate | None,
    *,
    now: datetime,
) -> Decision:
    """Return the verdict of the first rule that objects, or approval if none does."""
    if circumstances.stopped is not None:
        return stopped_by(circumstances.stopped)
    if policy is None:
        return _deny("NO_POLICY")
    objection = objection_of(mandate, circumstances.machine, now)
    if objection is not None:
        return objection
    assert mandate is not None
    case = _Case(order, circumstances, policy, mandate, now)
    for rule in _RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return Decision(Outcome.APPROVE, "WITHIN_LIMITS", {"total": str(order.total), "limit": str(mandate.per_order)})


def stopped_by(halt: Halt) -> Decision:
    """Return the verdict on whatever a stop covers."""
    return _deny(STOPPED, **halt.parameters)


def _deny(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.DENY, rule, parameters)


def _ask(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.ASK, rule, parameters)


def _suspended(case: _Case) -> Decision | None:
    return _deny("SUPPLIER_SUSPENDED", supplier=case.order.supplier) if case.told.supplier_suspended else None


def _mode(case: _Case) -> Mode:
    return min(case.told.mode, mode_of(case.policy, case.told.component), key=FREEDOM.index)


def _may_not_buy(case: _Case) -> Decision | None:
    mode = _mode(case)
    return _deny(f"MODE_{mode.upper()}", component=case.told.component) if mode in (Mode.WATCH, Mode.ADVISE) else None


def _nothing_ordered(case: _Case) -> Decision | None:
    return None if case.order.lines else _deny("ORDER_EMPTY")


def _must_ask(case: _Case) -> Decision | None:
    return None if _mode(case) is Mode.BUY else _ask("MODE_ASK", component=case.told.component)


def _provenance(case: _Case) -> Decision | None:
    return None if case.told.provenance is Provenance.A else _ask("PROVENANCE_B", machine=case.told.machine)


def _history(case: _Case) -> Decision | None:
    return None if case.told.known_history else _ask("HISTORY_UNKNOWN", component=case.told.component)


def _first_order(case: _Case) -> Decision | None:
    if not case.told.first_order_at_supplier or case.policy.vouches(case.order.supplier):
        return None
    return _ask("FIRST_ORDER_AT_SUPPLIER", supplier=case.order.supplier)


def _first_purchase(case: _Case) -> Decision | None:
    if not case.told.first_purchase_of_item:
        return None
    strangers = [line for line in case.order.lines if not case.policy.vouches(case.order.supplier, line.item.key)]
    if not strangers:
        return None
    return _ask("FIRST_PURCHASE_OF_ITEM", supplier=case.order.supplier, item=strangers[0].item.key)


def _expired(case: _Case) -> Decision | None:
    if case.now < case.order.quoted_until:
        return None
    return _ask("QUOTATION_EXPIRED", quoted_until=timestamp(case.order.quoted_until))


def _quantity(case: _Case) -> Decision | None:
    for line in case.order.lines:
        wanted = case.told.wanted.get(line.number)
        if wanted is None or wanted.unit != line.quantity.unit or wanted.amount != line.quantity.amount:
            said = "?" if wanted is None else str(wanted)
            return _ask("QUANTITY_DIFFERS", item=line.item.key, ordered=str(line.quantity), wanted=said)
    return None


def _currency(case: _Case) -> Decision | None:
    order, window = case.order, case.policy.window
    limits = [case.mandate.per_order] + ([window.per_machine] if window and window.per_machine else [])
    last = [price for price in (_last(case, line) for line in order.lines) if price is not None]
    amounts: list[Money | UnitPrice] = [order.fees, *(line.unit_price for line in order.lines), *limits, *last]
    other = next((amount.currency for amount in amounts if amount.currency != order.currency), None)
    return None if other is None else _ask("CURRENCY_DIFFERS", currency=order.currency, other=other)


def _negative(case: _Case) -> Decision | None:
    if case.order.freight.minor >= 0 and case.order.fees.minor >= 0:
        return None
    return _ask("AMOUNT_NEGATIVE", freight=str(case.order.freight), fees=str(case.order.fees))


def _tax(case: _Case) -> Decision | None:
    return None if case.policy.amounts == "net" else _ask("TAX_UNKNOWN", total=str(case.order.total))


def _order_limit(case: _Case) -> Decision | None:
    if case.order.total <= case.mandate.per_order:
        return None
    return _ask("ORDER_LIMIT_EXCEEDED", total=str(case.order.total), limit=str(case.mandate.per_order))


def _last(case: _Case, line: OrderLine) -> UnitPrice | None:
    return case.told.last_prices.get(line.item.key)


def _last_price(case: _Case) -> Decision | None:
    if case.told.first_purchase_of_item:  # there is no last price, and somebody vouches for the item
        return None
    unknown = next((line for line in case.order.lines if _last(case, line) is None), None)
    return None if unknown is None else _ask("LAST_PRICE_UNKNOWN", item=unknown.item.key)


def _collar(case: _Case) -> Decision | None:
    for line in case.order.lines:
        last = _last(case, line)
        price = line.unit_price
        # cross-multiplied, so that nothing is divided and hence nothing rounded
        if last is not None and price.amount * last.per > PRICE_COLLAR * last.amount * price.per:
            return _ask(
                "PRICE_COLLAR", item=line.item.key, price=str(price), last=str(last), factor=plain(PRICE_COLLAR)
            )
    return None


def _period(case: _Case) -> Decision | None:
    window, total = case.policy.window, case.order.total
    if window is None or window.per_machine is None:
        return _ask("MISSING_LIMIT", machine=case.told.machine)
    return None if total <= window.per_machine else period_exceeded(case.told.machine, total, window)


def period_exceeded(machine: str, total: Money, window: Window) -> Decision:
    """Return the verdict that the window's limit has no room for the total."""
    return _ask(
        "PERIOD_LIMIT_EXCEEDED",
        machine=machine,
        total=str(total),
        limit=str(window.per_machine),
        days=str(window.days),
    )


_RULES: Final[tuple[Callable[[_Case], Decision | None], ...]] = (
    _suspended,
    _may_not_buy,
    _nothing_ordered,
    _must_ask,
    _provenance,
    _history,
    _first_order,
    _first_purchase,
    _expired,
    _quantity,
    _currency,
    _negative,
    _tax,
    _order_limit,
    _last_price,
    _collar,
    _period,
)
"""Denials first, then questions; each rule only ever objects more when a price rises."""
