"""How much may be spent on what, in which time: limits as a person writes them, and what one order takes of each.

It promises that every limit that fits an order applies (the narrowest binds), that each has one name for ever, and
that whether there is room is arithmetic on what the name stands at. A limit is for an order, a component, a machine, a
supplier, a category of items or the plant; per day or month of the site's calendar, over a rolling window of days, or
in total; an amount or a number of orders. It knows no database: `ledger` keeps what is used.

    ask  MISSING_LIMIT           no amount is set for the machine or the plant at all
    ask  LIMIT_OVERDRAWN         more is reserved and spent than the limit allows since it was lowered
    ask  ORDER_LIMIT_EXCEEDED    the order's total is above a limit for one order
    ask  PERIOD_LIMIT_EXCEEDED   the machine's rolling window has no room for it
    ask  LIMIT_EXCEEDED          another limit has no room for it
    ask  ORDER_COUNT_EXCEEDED    it would be one order too many
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from marketplace.authority.mandate import Decision, Key, Limit, Outcome, Strict
from marketplace.authority.rates import Rates, convert
from marketplace.documents import PurchaseOrder
from marketplace.money import Money

ORDERS: Final = "orders"
"""The measure of a limit that counts orders; every other measure is a currency."""
ROLLING_DAYS_MAX: Final = 366


class Scope(StrEnum):
    """What a limit is for, the narrowest first: in this order room is looked for."""

    ORDER = "order"
    COMPONENT = "component"
    MACHINE = "machine"
    SUPPLIER = "supplier"
    CATEGORY = "category"
    PLANT = "plant"


_PLACES: Final = {scope: place for place, scope in enumerate(Scope)}
_KEYLESS: Final = (Scope.ORDER, Scope.PLANT)
DAY, MONTH, TOTAL = "day", "month", "total"
CALENDAR: Final = (DAY, MONTH)


class LimitRule(Strict):
    """One limit of a policy: what it is for, in which time, how much.

    key: for this one; each: for every one by itself. category: an order's limit that only counts for such items.
    per: `day` and `month` of the site's calendar, a rolling window such as `30 d`, or `total`, for ever.
    """

    scope: Scope
    key: Key | None = None
    each: bool = False
    category: Key | None = None
    per: Annotated[str, StringConstraints(pattern=r"^(day|month|total|[1-9][0-9]{0,2} d)$")] = TOTAL
    amount: Limit | None = None
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _one_meaning(self) -> LimitRule:
        if (self.amount is None) == (self.count is None):
            raise ValueError("a limit is either an amount or a count of orders")
        if self.scope in _KEYLESS and (self.key is not None or self.each):
            raise ValueError(f"a limit for the {self.scope} names no key")
        if self.scope not in _KEYLESS and (self.key is None) != self.each:
            raise ValueError(f"a limit for a {self.scope} names one key, or says each: true")
        if self.scope is not Scope.ORDER and (self.category is not None or "per" not in self.model_fields_set):
            raise ValueError(f"a limit for a {self.scope} says per which time, and no category")
        if self.scope is Scope.ORDER and (self.per != TOTAL or self.count is not None):
            raise ValueError("a limit for one order is an amount and has no time")
        if (self.rolling_days or 1) > ROLLING_DAYS_MAX:
            raise ValueError(f"a rolling window has at most {ROLLING_DAYS_MAX} days")
        return self

    @property
    def rolling_days(self) -> int | None:
        """The days of a rolling window, None for any other time."""
        return rolling_days(self.per)

    @property
    def measure(self) -> str:
        """The currency, or `orders`."""
        return self.amount.currency if self.amount else ORDERS

    @property
    def value(self) -> int:
        """The limit in its measure: minor units or a number of orders."""
        return self.amount.minor if self.amount else self.count or 0

    def document(self) -> dict[str, Any]:
        """Return the limit in its one canonical form: what is not said is left out."""
        said: dict[str, Any] = {"scope": self.scope.value, "key": self.key, "category": self.category}
        said |= {"each": self.each or None, "per": None if self.scope is Scope.ORDER else self.per}
        said |= {"amount": str(self.amount) if self.amount else None, "count": self.count}
        return {name: value for name, value in said.items() if value is not None}

    def binds(self, scope: Scope, key: str, per: str, measure: str) -> bool:
        """Return whether it is a limit for this."""
        return (self.scope, self.per, self.measure) == (scope, per, measure) and self.key in (None, key)


def rolling_days(per: str) -> int | None:
    """Return the days of a rolling window such as `30 d`, None for any other time."""
    days, _space, unit = per.partition(" ")
    return int(days) if unit == "d" else None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a sum of money is for, as limits look at it."""

    order: str
    machine: str
    component: str
    supplier: str
    categories: tuple[str, ...]
    total: Money

    @classmethod
    def of(cls, order: PurchaseOrder, machine: str, component: str) -> Subject:
        """Return what an order is for."""
        categories = sorted({line.item.category for line in order.lines} - {""})
        return cls(order.number, machine, component, order.supplier, tuple(categories), order.total)

    def keys(self, scope: Scope) -> tuple[str, ...]:
        """Return what it is called within a scope; nothing where it has no name there."""
        if scope is Scope.CATEGORY:
            return self.categories
        name = {
            Scope.ORDER: self.order,
            Scope.COMPONENT: self.component,
            Scope.MACHINE: self.machine,
            Scope.SUPPLIER: self.supplier,
            Scope.PLANT: "*",
        }[scope]
        return (name,) if name else ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a policy says how much may be spent: the limits, the rates, and the zone of the calendar."""

    rules: tuple[LimitRule, ...]
    rates: Rates | None
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Claim:
    """What an order takes of one limit.

    trouble: why the policy's rates do not say how much; the amount is then by a rate of another day, or None.
    """

    scope: Scope
    key: str
    per: str
    period: str
    measure: str
    limit: int
    amount: int | None
    rates: tuple[str, ...] = ()
    trouble: Decision | None = None

    @property
    def name(self) -> str:
        """The limit's name, one for each period of a calendar."""
        return name_of(self.scope, self.key, self.per, self.measure, self.period)


@dataclass(frozen=True, slots=True)
class Used:
    """What stands against a limit: the gateway's own orders, and what persons approved."""

    machine: int
    person: int


def name_of(scope: str, key: str, per: str, measure: str, period: str) -> str:
    """Return the name of a limit such as `machine:mill:30 d:EUR`."""
    return ":".join(part for part in (scope, key, per, measure, period) if part)


def period_of(per: str, at: datetime, zone: ZoneInfo) -> str:
    """Return which day or month of the site's calendar a time lies in, empty where a limit has no calendar."""
    day = at.astimezone(zone).date().isoformat()
    return {DAY: day, MONTH: day[:7]}.get(per, "")


def claims_of(terms: Terms, subject: Subject, at: datetime) -> tuple[Claim, ...]:
    """Return what an order takes of every limit that fits it; of several with one name the lowest counts.

    `at` says which day and month it is, and by which day rates must hold.
    """
    lowest: dict[str, Claim] = {}
    for rule in terms.rules:
        if rule.category is not None and rule.category not in subject.categories:
            continue
        for key in subject.keys(rule.scope):
            if rule.key in (None, key):
                period = period_of(rule.per, at, terms.zone)
                claim = _claim(rule, key, period, subject.total, terms.rates, at)
                name = claim.name
                there = lowest.get(name)
                lowest[name] = claim if there is None or claim.limit < there.limit else there
    return tuple(lowest[name] for name in sorted(lowest, key=lambda name: (_PLACES[lowest[name].scope], name)))


def _claim(rule: LimitRule, key: str, period: str, total: Money, rates: Rates | None, at: datetime) -> Claim:
    place = (rule.scope, key, rule.per, period, rule.measure, rule.value)
    if rule.measure == ORDERS:
        return Claim(*place, amount=1)
    taken = convert(total, rule.measure, rates, at)
    if not isinstance(taken, Decision):
        return Claim(*place, amount=max(taken.minor, 0), rates=taken.rates)
    known = convert(total, rule.measure, rates, at, of_any_day=True)
    amount = None if isinstance(known, Decision) else max(known.minor, 0)
    return Claim(*place, amount=amount, trouble=taken)


def limit_for(rules: Iterable[LimitRule], scope: Scope, key: str, per: str, measure: str) -> int:
    """Return what the rules set for a limit, 0 where none does: no room at all."""
    return min((rule.value for rule in rules if rule.binds(scope, key, per, measure)), default=0)


def objection(claims: Iterable[Claim], standing: Mapping[str, Used], machine: str) -> Decision | None:
    """Return why an order has no room: the first limit that cannot take it; None if all can."""
    asked = tuple(claims)
    if not any(claim.scope in (Scope.MACHINE, Scope.PLANT) and claim.measure != ORDERS for claim in asked):
        return _ask("MISSING_LIMIT", machine=machine)
    for claim in asked:
        if claim.trouble is not None or claim.amount is None:
            return claim.trouble or _ask("MISSING_LIMIT", machine=machine, limit=claim.name)
        used = standing.get(claim.name)
        if used is None:  # whoever counted has missed a limit: nobody can say that there is room
            return _ask("MISSING_LIMIT", machine=machine, limit=claim.name)
        if used.machine + used.person > claim.limit:
            return _full(claim, claim.amount, used, "LIMIT_OVERDRAWN")
        if used.machine + used.person + claim.amount > claim.limit:
            return _full(claim, claim.amount, used, _code(claim))
    return None


def _code(claim: Claim) -> str:
    if claim.scope is Scope.ORDER:
        return "ORDER_LIMIT_EXCEEDED"
    if claim.measure == ORDERS:
        return "ORDER_COUNT_EXCEEDED"
    machines_window = claim.scope is Scope.MACHINE and rolling_days(claim.per) is not None
    return "PERIOD_LIMIT_EXCEEDED" if machines_window else "LIMIT_EXCEEDED"


def _full(claim: Claim, amount: int, used: Used, code: str) -> Decision:
    said = {"total": _said(claim, amount), "limit": _said(claim, claim.limit)}
    if code == "PERIOD_LIMIT_EXCEEDED":
        said |= {"machine": claim.key, "days": str(rolling_days(claim.per))}
    elif code != "ORDER_LIMIT_EXCEEDED":
        used_up = _said(claim, used.machine + used.person)
        said |= {"scope": claim.scope.value, "key": claim.key, "per": claim.period or claim.per, "used": used_up}
    if claim.rates:
        said["rates"] = "; ".join(claim.rates)
    return _ask(code, **said)


def _said(claim: Claim, value: int) -> str:
    return str(value) if claim.measure == ORDERS else _money(value, claim.measure)


def _money(minor: int, currency: str) -> str:
    """Return an amount as people read it; a sum may be larger than any one amount."""
    try:
        return str(Money(minor, currency))
    except ValueError:
        return f"{minor} {currency}"


def _ask(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.ASK, rule, parameters)
