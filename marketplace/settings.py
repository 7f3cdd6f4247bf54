"""What a plant says about items, suppliers, costs and timing, and how those texts become values.

Every value carries its unit: `14 d`, `380 EUR`, `900 EUR/h`, `5 %`. Models are frozen and refuse unknown keys. A
secret is named, never written: a file, or a systemd credential. Nothing here opens a connection; only
`SecretReference.read` opens a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from maintenance.needs import Measure
from marketplace.catalogue import Item
from marketplace.lead_times import LeadTime
from marketplace.money import Money, Rate
from marketplace.sources import delays
from marketplace.stakes import Supply
from marketplace.timing import Costs, TimingTerms

if TYPE_CHECKING:
    from marketplace.suppliers.supplier import SupplierType

SUPPLIERS = "toolcrib.suppliers"
"""The entry point group in which adapters are found, ours and others'."""
SECRET_BYTES_MAX = 4096
"""Longer than any token; a reference that points at a large file by mistake is refused, not read."""
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts credentials (systemd.exec(5), LoadCredential=)."""
HOLDING_SHARE = Decimal("0.20")
"""Keeping a part costs a fifth of its price a year where the plant says nothing else (capital, space, loss)."""
YEAR = timedelta(hours=8766)
HOUR = timedelta(hours=1)
UNPLANNED_HOURS = 8.0
"""A failure stops the machine for a shift even where the part lies on the shelf: to be noticed, found and repaired."""


def duration(value: object) -> timedelta:
    """Return the time that a text such as `14 d` says. Raises ValueError when it is below zero or no time."""
    span = value if isinstance(value, timedelta) else Measure.parse(str(value)).duration
    if span < timedelta(0):
        raise ValueError(f"{value!r} is below zero")
    return span


def money(value: object) -> Money:
    """Return the amount that a text such as `380 EUR` says. Raises ValueError when it is below zero or no amount."""
    amount = value if isinstance(value, Money) else Money.parse(str(value))
    if amount.minor < 0:
        raise ValueError(f"{value!r} is below zero")
    return amount


def rate(value: object) -> Rate:
    """Return the cost of time that a text such as `900 EUR/h` says. Raises ValueError."""
    if isinstance(value, Rate):
        return value
    amount, slash, unit = str(value).partition("/")
    if not slash:
        raise ValueError(f"{value!r} needs an amount and a unit of time, such as '900 EUR/h'")
    return Rate(money(amount), rate_unit(unit.strip()))


def rate_unit(unit: str) -> timedelta:
    """Return the span of time that a unit such as `h` or `year` names. Raises ValueError."""
    return Measure.parse(f"1 {unit}").duration


def share(value: object) -> float:
    """Return the share that a text such as `5 %` says, above 0 and below 1. Raises ValueError."""
    if not isinstance(value, float):
        measure = Measure.parse(str(value))
        if measure.unit != "%":
            raise ValueError(f"{value!r} needs a percentage, such as '5 %'")
        value = measure.value / 100
    if not 0.0 < value < 1.0:
        raise ValueError(f"{value!r} lies not between 0 % and 100 %")
    return value


def spread(value: object) -> float:
    """Return the spread that a text such as `20 %` says, from 0 to 1. Raises ValueError."""
    if not isinstance(value, float):
        measure = Measure.parse(str(value))
        if measure.unit != "%":
            raise ValueError(f"{value!r} needs a percentage, such as '20 %'")
        value = measure.value / 100
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{value!r} lies not within 0 % and 100 %")
    return value


def _hourly(rate: Rate) -> float:
    """Return a cost of time in major units an hour."""
    return float(rate.amount.amount) * (HOUR / rate.per)


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


def _write_duration(span: timedelta) -> str:
    return f"{span.total_seconds():.15g} s"


def _write_rate(value: Rate) -> str:
    unit = next((unit for unit in ("h", "d", "week", "year", "min", "s") if rate_unit(unit) == value.per), None)
    if unit is None:
        raise ValueError(f"a cost for each {value.per} has no unit to be written in")
    return f"{value.amount}/{unit}"


Duration = Annotated[
    timedelta,
    PlainValidator(duration),
    PlainSerializer(_write_duration),
    _text(r"^\s*\d+(\.\d+)?\s*(ms|s|min|h|d|week|year)\s*$", "14 d"),
]
"""A span of time, written with its unit."""
Amount = Annotated[
    Money, PlainValidator(money), PlainSerializer(str), _text(r"^\s*\d+(\.\d+)?\s*[A-Z]{3}\s*$", "380 EUR")
]
"""An amount of money, written with its currency."""
CostOfTime = Annotated[
    Rate,
    PlainValidator(rate),
    PlainSerializer(_write_rate),
    _text(r"^\s*\d+(\.\d+)?\s*[A-Z]{3}\s*/\s*(s|min|h|d|week|year)\s*$", "900 EUR/h"),
]
"""What time costs, written as an amount per unit of time."""
Share = Annotated[
    float,
    PlainValidator(share),
    PlainSerializer(lambda value: f"{value * 100:.12g} %"),
    _text(r"^\s*\d+(\.\d+)?\s*%\s*$", "5 %"),
]
"""A share of one, written in per cent."""


Spread = Annotated[
    float,
    PlainValidator(spread),
    PlainSerializer(lambda value: f"{value * 100:.12g} %"),
    _text(r"^\s*\d+(\.\d+)?\s*%\s*$", "20 %"),
]
"""How far values lie from their median, relatively, written in per cent; 0 % when they are all alike."""


class Settings(BaseModel):
    """Frozen, no unknown keys, and no value is repeated in a complaint: it might be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SecretMissing(Exception):
    """A secret is not where its reference says; `str()` says where, never what."""


class SecretReference(Settings):
    """Where a secret is kept: `{file: path}`, or `{credential: name}` of systemd."""

    file: Path | None = None
    credential: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")

    @model_validator(mode="before")
    @classmethod
    def _named_never_written(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("a secret is named, never written here: {file: path} or {credential: name}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretReference:
        if (self.file is None) == (self.credential is None):
            raise ValueError("name either a file or a credential")
        return self

    def read(self, base: Path) -> str:
        """Return the secret, trimmed; a relative file is looked for under `base`. Raises `SecretMissing`."""
        place = self._place(base)
        try:
            with place.open("rb") as file:
                content = file.read(SECRET_BYTES_MAX + 1)
            secret = content.decode("ascii").strip()
        except OSError as error:
            raise SecretMissing(f"the secret in {place} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretMissing(f"the secret in {place} is not plain ASCII text") from None
        if not secret or len(content) > SECRET_BYTES_MAX or not secret.isprintable():
            raise SecretMissing(f"the secret in {place} is empty, longer than a secret, or more than one line")
        return secret

    def _place(self, base: Path) -> Path:
        if self.file is not None:
            return base / self.file
        assert self.credential is not None
        directory = os.environ.get(CREDENTIALS)
        if not directory:
            raise SecretMissing(f"the credential {self.credential} needs systemd: {CREDENTIALS} is not set")
        return Path(directory) / self.credential


class ItemSettings(Settings):
    """A thing or a service that the plant buys: manufacturer and MPN are its identity; `category` is for limits."""

    manufacturer: str = Field(min_length=1, max_length=100)
    mpn: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=200)
    unit: str = Field(default="C62", pattern=r"^[A-Z0-9]{2,3}$")
    category: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$")

    def item(self, key: str) -> Item:
        """Return the item under its permanent key."""
        return Item(key, self.manufacturer, self.mpn, self.description, self.unit, self.category)


class SupplierSettings(Settings):
    """What every supplier has; each adapter adds its own in its `Settings`. `account` is our number with them."""

    adapter: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=100)
    account: str = Field(default="", max_length=64)


class BuyingSettings(Settings):
    """The five numbers of a component, less its rated life: what a late part and an early part cost.

    lead_time: what half of all orders take at most; `lead_time_spread` how far others are from it, relatively (the
    standard deviation of its logarithm). failure: what a failure costs beyond the part and the waiting for it.
    """

    lead_time: Duration
    price: Amount
    standstill: CostOfTime
    holding: CostOfTime | None = None
    failure: Amount | None = None
    lead_time_spread: Spread = 0.2

    @model_validator(mode="after")
    def _one_currency(self) -> BuyingSettings:
        amounts = (self.price, self.standstill.amount, self.holding_rate.amount, self.failure or self.price)
        currencies = {each.currency for each in amounts}
        if len(currencies) > 1:
            found = ", ".join(sorted(currencies))
            raise ValueError(f"price, standstill, holding and failure are in different currencies: {found}")
        return self

    @property
    def holding_rate(self) -> Rate:
        """The cost of keeping one on the shelf; a fifth of the price a year by default."""
        return self.holding if self.holding is not None else Rate(self.price, YEAR).times(HOLDING_SHARE)

    @property
    def costs(self) -> Costs:
        """What timing weighs, in major units: an unplanned stop costs a shift of standstill where nobody says else."""
        price, standstill = float(self.price.amount), _hourly(self.standstill)
        failure = UNPLANNED_HOURS * standstill if self.failure is None else float(self.failure.amount)
        return Costs(self.price.currency, price, price + failure, standstill, _hourly(self.holding_rate))


class TimingSettings(Settings):
    """When money moves (`marketplace.timing`), and how long suppliers have for a quotation (wall time).

    failure_probability: a ceiling beside the costs; see there.
    """

    failure_probability: Share | None = None
    approval: Duration = timedelta(hours=8)
    step: Duration = timedelta(hours=1)
    quote_deadline: Duration = timedelta(seconds=5)

    def terms(self, buying: BuyingSettings, patience: float = 1.0, life_shape: float | None = None) -> TimingTerms:
        """Return the terms of a component that is bought so, where nothing is known but what the plant says."""
        law = LeadTime(buying.lead_time / HOUR, buying.lead_time_spread)
        return TimingTerms(
            buying.lead_time,
            self.approval,
            self.step,
            self.failure_probability,
            buying.costs,
            (Supply("", 0.0, delays(law, self.approval)),),
            patience,
            buying.lead_time_spread,
            life_shape=life_shape,
        )


class UnknownAdapter(ValueError):
    """No installed package brings the adapter that a supplier names."""


@cache
def _adapters() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=SUPPLIERS)}


def supplier_type(adapter: str) -> SupplierType:
    """Return the class of an adapter, loading only that one. Raises `UnknownAdapter`."""
    try:
        entry = _adapters()[adapter]
    except KeyError:
        known = ", ".join(sorted(_adapters()))
        raise UnknownAdapter(f"{adapter!r} is no supplier adapter that is installed; there are {known}") from None
    loaded: SupplierType = entry.load()
    return loaded


def supplier_types() -> dict[str, SupplierType]:
    """Return every installed adapter's class by the name that a config uses."""
    return {name: supplier_type(name) for name in sorted(_adapters())}
