"""What is looked at before each order goes out, whatever its limits: prices, quantities, values, haste, repetition.

It promises that an order which looks like a mistake stops: a slipped decimal, forty instead of four, a loop that buys
again and again, more open at once than the plant meant to risk. Each check is a pure rule with a code of its own; the
thresholds stand in the policy's `checks`, and what is left out there has the safe default of here. Each only ever
objects more when a price rises, but for the one that finds a price too low to be true.

    deny  VALUE_CEILING       a line or the order is worth more than a slipped decimal explains
    ask   QUANTITY_ABSURD     many times what is wanted
    ask   QUOTE_MISSING       nobody knows what the supplier quoted for a line
    ask   PRICE_ABOVE_QUOTE   a unit price is above the quoted one
    ask   PRICE_COLLAR        a unit price is far above the last
    ask   OWN_PRICE_UNKNOWN   the component has no price of the plant's own to compare with
    ask   OWN_PRICE_DIFFERS   a price is far above the plant's own, or too far below it to be the same thing
    ask   DUPLICATE_ORDER     the same item for the same component is open, or was ordered a short while ago
    ask   ORDER_PACE          too many orders in a minute, an hour or a day
    ask   EXPOSURE_EXCEEDED   too much is ordered and not yet received, over the whole plant
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from marketplace.authority.mandate import Decision, Limit, Outcome, Strict
from marketplace.authority.rates import convert
from marketplace.documents import timestamp
from marketplace.money import AMOUNT_MAX, Money, plain, to_decimal

if TYPE_CHECKING:
    from marketplace.authority.policy import Case

VALUE_CEILING_ORDERS: Final = 100
"""So many times the mandate's limit for one order is a mistake, not an order, unless the policy says a ceiling."""
EXPOSURE_ORDERS: Final = 20
"""So many of the largest orders may be open at once unless the policy says an amount."""


def _factor(value: Any) -> Decimal:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ValueError("write the factor in quotes, such as '1.5'")
    number = to_decimal(value)
    if not 0 <= number <= 1_000:
        raise ValueError(f"{number} lies not between 0 and 1000")
    return number


Factor = Annotated[
    Decimal,
    PlainValidator(_factor),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["1.5"]}),
]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Pace(Strict):
    """So many orders at most in each of these spans, the one in hand included."""

    minute: Count
    hour: Count
    day: Count


class Checks(Strict):
    """The thresholds. An amount that is left out follows from the mandate's limit for one order.

    price_collar: times the last unit price. own_price_most, own_price_least: times the plant's own price; 0 for the
    second looks for no price that is too low. quantity_most: times what is wanted. duplicate_days: 0 finds open
    orders only, and duplicates: false none. order_value, line_value: above it an order is denied, not asked about.
    """

    price_collar: Factor = Decimal("1.5")
    own_price_most: Factor = Decimal(3)
    own_price_least: Factor = Decimal("0.1")
    quantity_most: Factor = Decimal(5)
    duplicates: bool = True
    duplicate_days: Annotated[int, Field(ge=0, le=366)] = 1
    plant_orders: Pace = Pace(minute=10, hour=40, day=120)
    supplier_orders: Pace = Pace(minute=5, hour=20, day=60)
    order_value: Limit | None = None
    line_value: Limit | None = None
    exposure: Limit | None = None

    def document(self) -> dict[str, Any]:
        """Return the thresholds in their one canonical form, defaults included: they may be others in years to come."""
        return self.model_dump()


SPANS: Final[Mapping[str, timedelta]] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
"""The spans in which orders are counted."""


def value_ceiling(case: Case) -> Decision | None:
    """Deny what is worth more than any mistake should cost; what cannot be converted is asked about elsewhere."""
    checks, usual = case.policy.checks, _times(case.mandate.per_order, VALUE_CEILING_ORDERS)
    parts = [(case.order.total, checks.order_value or usual)]
    parts += [(line.amount, checks.line_value or usual) for line in case.order.lines]
    for value, ceiling in parts:
        found = convert(value, ceiling.currency, case.policy.rates, case.now)
        if not isinstance(found, Decision) and found.minor > ceiling.minor:
            return Decision(Outcome.DENY, "VALUE_CEILING", {"value": str(value), "ceiling": str(ceiling)})
    return None


def _times(amount: Money, number: int) -> Money:
    return Money(min(amount.minor * number, AMOUNT_MAX), amount.currency)


def quantity_absurd(case: Case) -> Decision | None:
    """Ask about many times what is wanted, before the rule that asks about any difference."""
    most = case.policy.checks.quantity_most
    for line in case.order.lines:
        wanted = case.told.wanted.get(line.number)
        same = wanted is not None and wanted.unit == line.quantity.unit
        if wanted is not None and same and line.quantity.amount > most * wanted.amount:
            said = {"item": line.item.key, "ordered": str(line.quantity), "wanted": str(wanted)}
            return _ask("QUANTITY_ABSURD", **said)
    return None


def above_quote(case: Case) -> Decision | None:
    """Ask where an order's price is above the supplier's own offer; below it is in our favour."""
    for line in case.order.lines:
        quoted, price = case.told.quoted.get(line.number), line.unit_price
        if quoted is None:
            return _ask("QUOTE_MISSING", item=line.item.key)
        if price.amount * quoted.per > quoted.amount * price.per:
            return _ask("PRICE_ABOVE_QUOTE", item=line.item.key, price=str(price), quoted=str(quoted))
    return None


def collar(case: Case) -> Decision | None:
    """Ask where a price is far above the last: ordinary rises stay below it, slipped decimals do not."""
    factor = case.policy.checks.price_collar
    for line in case.order.lines:
        last, price = case.told.last_prices.get(line.item.key), line.unit_price
        # cross-multiplied, so that nothing is divided and hence nothing rounded
        if last is not None and price.amount * last.per > factor * last.amount * price.per:
            said = {"price": str(price), "last": str(last), "factor": plain(factor)}
            return _ask("PRICE_COLLAR", item=line.item.key, **said)
    return None


def own_price(case: Case) -> Decision | None:
    """Ask where a price is another one than the plant itself expects for the component."""
    checks = case.policy.checks
    for line in case.order.lines:
        own = case.told.own_prices.get(line.item.key)
        if own is None:
            return _ask("OWN_PRICE_UNKNOWN", item=line.item.key)
        found = convert(line.amount, own.currency, case.policy.rates, case.now)
        if isinstance(found, Decision):
            return found
        expected = own.times(line.quantity).minor
        if found.minor > checks.own_price_most * expected or found.minor < checks.own_price_least * expected:
            return _ask("OWN_PRICE_DIFFERS", item=line.item.key, price=str(line.unit_price), own=str(own))
    return None


def duplicate(case: Case) -> Decision | None:
    """Ask where the same thing for the same place is on its way, or was ordered a short while ago."""
    checks = case.policy.checks
    since = case.now - timedelta(days=checks.duplicate_days)
    for other in case.told.similar if checks.duplicates else ():
        if other.open or other.ordered_at > since:
            said = {"item": other.item, "component": case.told.component, "order": other.number}
            return _ask("DUPLICATE_ORDER", ordered_at=timestamp(other.ordered_at), **said)
    return None


def pace(case: Case) -> Decision | None:
    """Ask where orders follow each other faster than a plant buys."""
    checks = case.policy.checks
    for whose, allowed, counts in (
        ("plant", checks.plant_orders, case.told.plant_orders),
        (case.order.supplier, checks.supplier_orders, case.told.supplier_orders),
    ):
        for span in SPANS:
            most, count = getattr(allowed, span), counts.get(span)
            if count is None or count + 1 > most:
                return _ask("ORDER_PACE", whose=whose, span=span, count=str(count), limit=str(most))
    return None


def exposure(case: Case) -> Decision | None:
    """Ask where with this order more would be open than the plant means to risk at once."""
    most = case.policy.checks.exposure or _times(case.mandate.per_order, EXPOSURE_ORDERS)
    minor = 0
    for amount in (case.order.total, *_open(case)):
        found = convert(amount, most.currency, case.policy.rates, case.now)
        if isinstance(found, Decision):
            return found
        minor += found.minor
    if minor <= most.minor:
        return None
    return _ask("EXPOSURE_EXCEEDED", total=str(case.order.total), limit=str(most))


def _open(case: Case) -> Iterator[Money]:
    for currency, minor in sorted(case.told.exposure.items()):
        yield Money(min(minor, AMOUNT_MAX), currency)


def _ask(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.ASK, rule, parameters)
