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
    deny  VALUE_CEILING             the order is worth more than any mistake should cost (`checks`)
    ask   CLOCK_JUMPED              plant time is not where it was left, and no person has said that it is right
    ask   MODE_ASK                  a person wants to see every order for the component
    ask   PROVENANCE_B              the evidence came over the wire in the clear
    ask   HISTORY_UNKNOWN           the part's past is unknown
    ask   FIRST_ORDER_AT_SUPPLIER   and nobody vouches for the supplier
    ask   FIRST_PURCHASE_OF_ITEM    and nobody vouches for the item from this supplier
    ask   QUOTATION_EXPIRED         the price no longer binds the supplier
    ask   QUANTITY_ABSURD           many times what is wanted (`checks`)
    ask   QUANTITY_DIFFERS          the order is not for what is wanted: a pack, a minimum, another unit
    ask   CURRENCY_DIFFERS          a price or the quotation is in another currency than the order
    ask   AMOUNT_NEGATIVE           freight or fees below zero would hide a price
    ask   TAX_UNKNOWN               limits are gross, and no quotation says the tax
    ask   RATE_MISSING              a limit is in another currency, and the policy pins no rates; so, too, wherever
    ask   CURRENCY_UNKNOWN          the policy pins rates, but not this one           a check compares amounts of two
    ask   RATE_STALE, RATE_FUTURE   its day is too long ago, or has not come yet      currencies (`rates`)
    ask   ORDER_LIMIT_EXCEEDED      the total is above the mandate's limit, or the policy's, for one order
    ask   QUOTE_MISSING             nobody knows what the supplier quoted (`checks`)
    ask   PRICE_ABOVE_QUOTE         a unit price is above the quoted one (`checks`)
    ask   LAST_PRICE_UNKNOWN        the item was bought before, but nobody knows for how much
    ask   PRICE_COLLAR              a unit price is far above the last (`checks`)
    ask   OWN_PRICE_UNKNOWN         the plant has no price of its own to compare with (`checks`)
    ask   OWN_PRICE_DIFFERS         a price is far from the plant's own (`checks`)
    ask   DUPLICATE_ORDER           the same for the same component is open or was just ordered (`checks`)
    ask   ORDER_PACE                orders follow each other too fast (`checks`)
    ask   EXPOSURE_EXCEEDED         too much would be open at once (`checks`)
    ask   MISSING_LIMIT             no amount is set for the machine or the plant (`limits`)
    ask   LIMIT_OVERDRAWN           more stands against a limit than it allows since it was lowered (`limits`)
    ask   PERIOD_LIMIT_EXCEEDED     the machine's rolling window has no room (`limits`)
    ask   LIMIT_EXCEEDED            another limit has no room (`limits`)
    ask   ORDER_COUNT_EXCEEDED      it would be one order too many (`limits`)
    yes   WITHIN_LIMITS

Missing data asks a person; nothing defaults to approval. Codes are stable: audits and translations rest on them.
What stands against the limits is an argument: the ledger must come to the same by its own arithmetic. The module knows
no ledger, no clock, no supplier and no sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from maintenance.needs import Provenance
from marketplace.authority import checks
from marketplace.authority.checks import Checks
from marketplace.authority.limits import CALENDAR, LimitRule, Scope, Subject, Terms, Used, claims_of, objection
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
from marketplace.authority.rates import Rates, convert
from marketplace.authority.scopes import STOPPED, Halt
from marketplace.documents import OrderLine, PurchaseOrder, canonical, timestamp
from marketplace.money import Money, Quantity, UnitPrice

__all__ = [
    "CAUTION", "Case", "Checks", "Circumstances", "Decision", "FREEDOM", "LimitRule", "Mandate", "Mode", "Outcome",
    "Policy", "Rates", "Similar", "Standing", "Window", "clock_jumped", "decide", "ledger_time", "mode_of",
    "stopped_by",
]  # fmt: skip

BACK_MAX: Final = timedelta(hours=1)
"""A clock that is set right goes back by seconds, one that was never right by more."""
AHEAD_MAX: Final = timedelta(days=32)
"""A gateway that was off for longer than a month asks whether it is really so late: a month's limits would be new."""
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


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # which of them depends on what the name looks like
        raise ValueError(f"{name!r} is no time zone of the IANA data base, such as Europe/Berlin") from None
    return name


class Policy(Strict):
    """The plant's rules, as one document. Whatever is left out asks a person or denies.

    window: the short form of one limit, for each machine over a rolling window. time_zone: whose days and months
    limits per day or month mean; required with them.
    """

    schema_: Annotated[Literal[1], Field(alias="schema")]
    mandate: Mandate | None = None
    window: Window | None = None
    limits: tuple[LimitRule, ...] = ()
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    rates: Rates | None = None
    checks: Checks = Checks()
    amounts: Literal["net", "gross"] = "net"
    modes: Mapping[Key, Mode] = Field(default_factory=dict)
    known: Mapping[Key, tuple[Key, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _calendar_has_a_zone(self) -> Policy:
        if self.time_zone is None and any(rule.per in CALENDAR for rule in self.limits):
            raise ValueError("limits per day or month need the site's time_zone")
        return self

    @property
    def terms(self) -> Terms:
        """Every limit, the window's included, with rates and calendar."""
        rules, window = self.limits, self.window
        if window is not None and window.per_machine is not None:
            per = f"{window.days} d"
            rules = (*rules, LimitRule(scope=Scope.MACHINE, each=True, per=per, amount=window.per_machine))
        return Terms(rules, self.rates, ZoneInfo(self.time_zone or "UTC"))

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
            **self._said_more(),
        }

    def _said_more(self) -> dict[str, Any]:
        """Return sections that came later; one that says nothing is left out, so that older hashes still hold."""
        said: dict[str, Any] = {}
        if self.limits:
            said["limits"] = sorted((rule.document() for rule in self.limits), key=canonical)
        if self.time_zone is not None:
            said["time_zone"] = self.time_zone
        if self.rates is not None:
            said["rates"] = self.rates.document()
        if self.checks != Checks():
            said["checks"] = self.checks.document()
        return said

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


@dataclass(frozen=True, slots=True)
class Similar:
    """Another order of the same item for the same component; open: its goods are still to come."""

    number: str
    item: str
    ordered_at: datetime
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known about an order besides its own text. Nothing here has a default: who does not know must say so.

    mode: what the requisition was raised under; the policy's own mode counts too, and the stricter of both rules.
    component: `machine/component`.
    stopped: the stop that covers the order, None when nothing stops it.
    wanted: by order line, what the needs behind it want; a line that is missing here asks.
    last_prices: by item, the unit price of its last purchase; an item bought before and missing here asks.
    quoted: by order line, what the supplier quoted; a line that is missing here asks.
    own_prices: by item, what the plant itself expects one to cost; an item that is missing here asks.
    similar: other orders of the same items for the component, open ones and those of the last year.
    plant_orders, supplier_orders: orders for which money was reserved in the last minute, hour and day.
    exposure: by currency, minor units that are reserved or committed and for which goods are still to come.
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
    quoted: Mapping[int, UnitPrice]
    own_prices: Mapping[str, UnitPrice]
    similar: tuple[Similar, ...]
    plant_orders: Mapping[str, int]
    supplier_orders: Mapping[str, int]
    exposure: Mapping[str, int]

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
            "quoted": {str(number): str(price) for number, price in self.quoted.items()},
            "own_prices": {item: str(price) for item, price in self.own_prices.items()},
            "similar": [[each.number, each.item, timestamp(each.ordered_at), each.open] for each in self.similar],
            "plant_orders": dict(self.plant_orders),
            "supplier_orders": dict(self.supplier_orders),
            "exposure": dict(self.exposure),
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hash_of(self.facts())


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gate's own books say: the highest plant time seen (None: none yet), and what stands against limits."""

    mark: datetime | None
    used: Mapping[str, Used]


def clock_jumped(mark: datetime | None, now: datetime) -> bool:
    """Return whether plant time is where it cannot be, given the highest that was seen."""
    return mark is not None and not -BACK_MAX <= now - mark <= AHEAD_MAX


def ledger_time(mark: datetime | None, now: datetime) -> datetime:
    """Return the time by which windows elapse: nothing does on the strength of a clock that jumped."""
    return mark if mark is not None and clock_jumped(mark, now) else now


@dataclass(frozen=True, slots=True)
class Case:
    """One order before the rules."""

    order: PurchaseOrder
    told: Circumstances
    policy: Policy
    mandate: Mandate
    standing: Standing
    now: datetime


def decide(
    order: PurchaseOrder,
    circumstances: Circumstances,
    policy: Policy | None,
    mandate: Mandate | None,
    *,
    standing: Standing,
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
    case = Case(order, circumstances, policy, mandate, standing, now)
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


def _suspended(case: Case) -> Decision | None:
    return _deny("SUPPLIER_SUSPENDED", supplier=case.order.supplier) if case.told.supplier_suspended else None


def _mode(case: Case) -> Mode:
    return min(case.told.mode, mode_of(case.policy, case.told.component), key=FREEDOM.index)


def _may_not_buy(case: Case) -> Decision | None:
    mode = _mode(case)
    return _deny(f"MODE_{mode.upper()}", component=case.told.component) if mode in (Mode.WATCH, Mode.ADVISE) else None


def _nothing_ordered(case: Case) -> Decision | None:
    return None if case.order.lines else _deny("ORDER_EMPTY")


def _clock(case: Case) -> Decision | None:
    if not clock_jumped(case.standing.mark, case.now):
        return None
    assert case.standing.mark is not None  # without a mark nothing has jumped
    return _ask("CLOCK_JUMPED", now=timestamp(case.now), mark=timestamp(case.standing.mark))


def _must_ask(case: Case) -> Decision | None:
    return None if _mode(case) is Mode.BUY else _ask("MODE_ASK", component=case.told.component)


def _provenance(case: Case) -> Decision | None:
    return None if case.told.provenance is Provenance.A else _ask("PROVENANCE_B", machine=case.told.machine)


def _history(case: Case) -> Decision | None:
    return None if case.told.known_history else _ask("HISTORY_UNKNOWN", component=case.told.component)


def _first_order(case: Case) -> Decision | None:
    if not case.told.first_order_at_supplier or case.policy.vouches(case.order.supplier):
        return None
    return _ask("FIRST_ORDER_AT_SUPPLIER", supplier=case.order.supplier)


def _first_purchase(case: Case) -> Decision | None:
    if not case.told.first_purchase_of_item:
        return None
    strangers = [line for line in case.order.lines if not case.policy.vouches(case.order.supplier, line.item.key)]
    if not strangers:
        return None
    return _ask("FIRST_PURCHASE_OF_ITEM", supplier=case.order.supplier, item=strangers[0].item.key)


def _expired(case: Case) -> Decision | None:
    if case.now < case.order.quoted_until:
        return None
    return _ask("QUOTATION_EXPIRED", quoted_until=timestamp(case.order.quoted_until))


def _quantity(case: Case) -> Decision | None:
    for line in case.order.lines:
        wanted = case.told.wanted.get(line.number)
        if wanted is None or wanted.unit != line.quantity.unit or wanted.amount != line.quantity.amount:
            said = "?" if wanted is None else str(wanted)
            return _ask("QUANTITY_DIFFERS", item=line.item.key, ordered=str(line.quantity), wanted=said)
    return None


def _currency(case: Case) -> Decision | None:
    order = case.order
    last = [price for price in (_last(case, line) for line in order.lines) if price is not None]
    amounts: list[Money | UnitPrice] = [order.fees, *(line.unit_price for line in order.lines), *last]
    amounts += case.told.quoted.values()
    other = next((amount.currency for amount in amounts if amount.currency != order.currency), None)
    return None if other is None else _ask("CURRENCY_DIFFERS", currency=order.currency, other=other)


def _negative(case: Case) -> Decision | None:
    if case.order.freight.minor >= 0 and case.order.fees.minor >= 0:
        return None
    return _ask("AMOUNT_NEGATIVE", freight=str(case.order.freight), fees=str(case.order.fees))


def _tax(case: Case) -> Decision | None:
    return None if case.policy.amounts == "net" else _ask("TAX_UNKNOWN", total=str(case.order.total))


def _order_limit(case: Case) -> Decision | None:
    most = case.mandate.per_order
    found = convert(case.order.total, most.currency, case.policy.rates, case.now)
    if isinstance(found, Decision):
        return found
    if found.minor <= most.minor:
        return None
    rates = {"rates": "; ".join(found.rates)} if found.rates else {}
    return _ask("ORDER_LIMIT_EXCEEDED", total=str(case.order.total), limit=str(most), **rates)


def _last(case: Case, line: OrderLine) -> UnitPrice | None:
    return case.told.last_prices.get(line.item.key)


def _last_price(case: Case) -> Decision | None:
    if case.told.first_purchase_of_item:  # there is no last price, and somebody vouches for the item
        return None
    unknown = next((line for line in case.order.lines if _last(case, line) is None), None)
    return None if unknown is None else _ask("LAST_PRICE_UNKNOWN", item=unknown.item.key)


def _limits(case: Case) -> Decision | None:
    subject = Subject.of(case.order, case.told.machine, case.told.component)
    at = ledger_time(case.standing.mark, case.now)
    claims = claims_of(case.policy.terms, subject, at)
    return objection(claims, case.standing.used, case.told.machine)


_RULES: Final[tuple[Callable[[Case], Decision | None], ...]] = (
    _suspended,
    _may_not_buy,
    _nothing_ordered,
    checks.value_ceiling,
    _clock,
    _must_ask,
    _provenance,
    _history,
    _first_order,
    _first_purchase,
    _expired,
    checks.quantity_absurd,
    _quantity,
    _currency,
    _negative,
    _tax,
    _order_limit,
    checks.above_quote,
    _last_price,
    checks.collar,
    checks.own_price,
    checks.duplicate,
    checks.pace,
    checks.exposure,
    _limits,
)
"""Denials first, then questions; each rule but `own_price` only ever objects more when a price rises."""
