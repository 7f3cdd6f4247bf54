"""What an amount in one currency takes of a limit in another: at rates that a person has pinned and dated.

It promises that no amount is compared across currencies without a rate of the policy's own, that a rate which is too
old, not dated yet or not there asks a person, and that every conversion is rounded up, never in our favour. It fetches
nothing: a rate is a line of the policy, applied by a named person.

    ask  RATE_MISSING       the policy pins no rates at all
    ask  CURRENCY_UNKNOWN   it pins some, but none for this currency
    ask  RATE_STALE         the rate is older than the policy lets a rate be
    ask  RATE_FUTURE        the rate is dated later than today
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from marketplace.authority.mandate import Decision, Outcome, Strict
from marketplace.money import AMOUNT_MAX, Money, decimals_of, plain, to_decimal

TOO_MUCH: Final = AMOUNT_MAX + 1
"""What an amount counts as that would be larger than any: it fits into no limit."""


def _currency(code: str) -> str:
    decimals_of(code)
    return code


def _rate(value: Any) -> Decimal:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        raise ValueError("a rate is a decimal in quotes, such as '0.92'")
    number = to_decimal(value)
    if not Decimal("0.000001") <= number <= 1_000_000:
        raise ValueError(f"{number} is no rate between two currencies")
    return number


def _date(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise ValueError("a rate is dated by a day, such as 2026-03-01")
    return value if isinstance(value, date) else date.fromisoformat(value)


Currency = Annotated[str, AfterValidator(_currency)]


class PinnedRate(Strict):
    """What one unit of a currency is worth in the base currency, as of a day."""

    rate: Annotated[
        Decimal,
        PlainValidator(_rate),
        PlainSerializer(plain, return_type=str),
        WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["0.92"]}),
    ]
    dated: Annotated[
        date,
        PlainValidator(_date),
        PlainSerializer(date.isoformat, return_type=str),
        WithJsonSchema({"type": "string", "format": "date"}),
    ]


class Rates(Strict):
    """Rates by currency, each against `base`; none counts for longer than `good_for_days` days."""

    base: Currency
    good_for_days: Annotated[int, Field(ge=1, le=366)]
    of: Mapping[Currency, PinnedRate]

    def document(self) -> dict[str, Any]:
        """Return the rates in their one canonical form."""
        pinned = {code: {"rate": plain(each.rate), "dated": each.dated.isoformat()} for code, each in self.of.items()}
        return {"base": self.base, "good_for_days": self.good_for_days, "of": pinned}


@dataclass(frozen=True, slots=True)
class Converted:
    """Minor units of the currency that was asked for, and the rates that this rests on, as texts with their dates."""

    minor: int
    rates: tuple[str, ...] = ()


def convert(
    amount: Money, currency: str, rates: Rates | None, now: datetime, *, of_any_day: bool = False
) -> Converted | Decision:
    """Return what an amount is in another currency, rounded up; a question where no usable rate says so.

    `of_any_day`: take a rate however it is dated, where something must be counted that a person has approved.
    """
    if amount.currency == currency:
        return Converted(amount.minor)
    found = [_usable(code, rates, now, of_any_day) for code in (amount.currency, currency)]
    values: list[Fraction] = []
    for each in found:
        if isinstance(each, Decision):
            return each
        values.append(each)
    shift = Fraction(10) ** (decimals_of(currency) - decimals_of(amount.currency))
    minor = ceil(amount.minor * values[0] / values[1] * shift)
    return Converted(min(minor, TOO_MUCH), _told((amount.currency, currency), rates))


def _usable(code: str, rates: Rates | None, now: datetime, of_any_day: bool) -> Fraction | Decision:
    if rates is None:
        return _ask("RATE_MISSING", currency=code)
    if code == rates.base:
        return Fraction(1)
    pinned = rates.of.get(code)
    if pinned is None:
        return _ask("CURRENCY_UNKNOWN", currency=code, base=rates.base)
    days = (now.astimezone(UTC).date() - pinned.dated).days
    figures = {"currency": code, "rate": plain(pinned.rate), "base": rates.base, "dated": pinned.dated.isoformat()}
    if of_any_day:
        return Fraction(pinned.rate)
    if days < 0:
        return _ask("RATE_FUTURE", **figures)
    if days > rates.good_for_days:
        return _ask("RATE_STALE", days=str(days), **figures)
    return Fraction(pinned.rate)


def _told(codes: tuple[str, str], rates: Rates | None) -> tuple[str, ...]:
    assert rates is not None  # else nothing was converted
    pinned = [(code, rates.of[code]) for code in codes if code != rates.base]
    return tuple(f"1 {code} = {plain(each.rate)} {rates.base} of {each.dated.isoformat()}" for code, each in pinned)


def _ask(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.ASK, rule, parameters)
