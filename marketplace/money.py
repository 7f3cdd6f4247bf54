"""Amounts, unit prices and quantities. Amounts are integers; nothing here is ever a float.

An amount is an integer of its currency's minor unit (ISO 4217: 0, 2 or 3 decimals). A unit price is a decimal with at
most six places per base quantity. A quantity is a decimal with a UN/ECE Recommendation 20 unit code. Rounding happens
in two places, `UnitPrice.times` (once per line) and `Rate.over`, half away from zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

DECIMALS = {
    "EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2, "HUF": 2, "RON": 2,
    "CAD": 2, "AUD": 2, "CNY": 2, "INR": 2, "BRL": 2, "MXN": 2, "SGD": 2, "ZAR": 2, "TRY": 2,
    "JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0, "VND": 0,
    "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3,
}  # fmt: skip
"""Decimals of the minor unit by ISO 4217 code; a currency that is not here is refused by name."""

PRICE_PLACES = 6
AMOUNT_MAX = 10**15
"""No order of a factory comes near it; it keeps every amount within 64 bits and every sum exact."""


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met; nothing was compared or added."""


class UnknownCurrency(ValueError):
    """The code is not a currency that we know the decimals of."""


def decimals_of(currency: str) -> int:
    """Return the decimals of a currency's minor unit. Raises `UnknownCurrency`."""
    try:
        return DECIMALS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not a currency known here") from None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `minor` units of `currency`."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        decimals_of(self.currency)
        if type(self.minor) is not int or abs(self.minor) > AMOUNT_MAX:
            raise ValueError(f"an amount is an integer of at most {AMOUNT_MAX} minor units")

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> Money:
        """Return an amount given in major units. Raises ValueError when it is not a whole number of minor units."""
        scaled = to_decimal(amount).scaleb(decimals_of(currency))
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{amount} {currency} is finer than the currency's minor unit")
        return cls(int(scaled), currency)

    @classmethod
    def parse(cls, text: str) -> Money:
        """Return the amount that a text such as `380 EUR` or `1500.50 EUR` says. Raises ValueError."""
        match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Z]{3})\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not an amount with its currency, such as '380 EUR'")
        return cls.of(match[1], match[2])

    @property
    def amount(self) -> Decimal:
        """The amount in major units, with the currency's decimals."""
        return Decimal(self.minor).scaleb(-decimals_of(self.currency))

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other} are in different currencies")
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other)


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much: a positive decimal and a UN/ECE Recommendation 20 code (C62 piece, HUR hour, LTR litre)."""

    amount: Decimal
    unit: str

    def __post_init__(self) -> None:
        if not (self.amount.is_finite() and self.amount > 0):
            raise ValueError("a quantity is above zero")
        if not re.fullmatch(r"[A-Z0-9]{2,3}", self.unit):
            raise ValueError(f"{self.unit!r} is not a UN/ECE unit code")

    def in_packs(self, pack: Decimal) -> Quantity:
        """Return the least quantity of whole packs that holds this one; `pack` is above zero."""
        packs, rest = divmod(self.amount, pack)
        return Quantity((packs + (rest > 0)) * pack, self.unit)

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.unit}"


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price in major units for `per` base units, at most six decimals."""

    amount: Decimal
    currency: str
    per: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        decimals_of(self.currency)
        if not (self.amount.is_finite() and self.amount >= 0 and self.per.is_finite() and self.per > 0):
            raise ValueError("a unit price is not below zero and its base quantity is above zero")
        if -int(self.amount.as_tuple().exponent) > PRICE_PLACES:
            raise ValueError(f"a unit price has at most {PRICE_PLACES} decimals")

    def times(self, quantity: Quantity) -> Money:
        """Return the line's amount, rounded once, half away from zero."""
        exact = self.amount * quantity.amount / self.per
        minor = exact.scaleb(decimals_of(self.currency)).to_integral_value(rounding=ROUND_HALF_UP)
        return Money(int(minor), self.currency)

    def __str__(self) -> str:
        per = "" if self.per == 1 else f" per {plain(self.per)}"
        return f"{self.amount:f} {self.currency}{per}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a span of time costs: `amount` for each `per`, such as 900 EUR an hour of standstill."""

    amount: Money
    per: timedelta

    def __post_init__(self) -> None:
        if self.per <= timedelta(0) or self.amount.minor < 0:
            raise ValueError("a rate is not below zero and is for a span of time above zero")

    def over(self, span: timedelta) -> Money:
        """Return what `span` costs, rounded once, half away from zero; a negative span costs nothing."""
        share = Decimal(max(span, timedelta(0)) // timedelta(microseconds=1)) / (self.per // timedelta(microseconds=1))
        minor = (self.amount.minor * share).to_integral_value(rounding=ROUND_HALF_UP)
        return Money(int(minor), self.amount.currency)

    def times(self, number: Decimal) -> Rate:
        """Return the rate of `number` of the same things, rounded half away from zero."""
        minor = (self.amount.minor * number).to_integral_value(rounding=ROUND_HALF_UP)
        return Rate(Money(int(minor), self.amount.currency), self.per)


def to_decimal(value: Decimal | str | int) -> Decimal:
    """Return an exact decimal from a text or an integer; a float is refused. Raises ValueError."""
    if isinstance(value, float):
        raise ValueError("an amount is never a float")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def plain(number: Decimal) -> str:
    """Return a decimal as people write it: no exponent, no trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
