"""What a site says about its connections and tags, checked when it is read.

Promises: every model is frozen and refuses keys that it does not know; every span of time carries its unit. The
settings of the built-in connectors stand beside their code and load none of it, so that a config can be checked without
loading a protocol stack (0.5 s); a connector from outside brings its own, found by entry point. Refuses to know
machines, components and files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from gettext import gettext as _
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from connectors.connector import Connector
from connectors.samples import Measure

ENTRY_POINTS: Final = "toolcrib.connectors"


def _span(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else Measure.parse(str(value)).duration


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError(_("must be longer than nothing"))
    return value


def at_most(longest: timedelta) -> Callable[[timedelta], timedelta]:
    """Return a check that refuses spans longer than this, for a model's field."""

    def check(value: timedelta) -> timedelta:
        if value > longest:
            raise ValueError(_("must be at most {longest}").format(longest=_written(longest)))
        return value

    return check


def _written(value: timedelta) -> str:
    return str(Measure(value.total_seconds(), "s"))


Duration = Annotated[
    timedelta,
    BeforeValidator(_span),
    AfterValidator(_positive),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["1 s", "5 min", "14 d"]}),
]
"""A span of calendar time, longer than nothing, written with its unit: `1 s`, `5 min`, `14 d`."""

Rhythm = Annotated[Duration, AfterValidator(at_most(timedelta(hours=1)))]
"""How often something is read; slower than an hour is no sign of life."""


class Settings(BaseModel):
    """Frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConnectionSettings(Settings):
    """What every connection says; a connector's own settings inherit it."""

    connector: str
    sampling: Rhythm = Field(default="1 s", validate_default=True)
    """How often the machine is asked to look at a value."""


@dataclass(frozen=True, slots=True)
class Deadband:
    """How far a value may move unreported: in its own unit, or in percent of the range that the machine names."""

    value: float
    percent: bool = False


class TagSettings(Settings):
    """What every tag says; a connector's own tags inherit it."""

    unit: str = Field(min_length=1, max_length=32)
    """As the values arrive; nothing is converted silently."""
    deadband: str | None = Field(default=None, max_length=64, examples=["0.1 mm/s", "2 %"])
    """How far the value may move unreported: in the tag's own unit, or in `%` of the range that the machine names."""

    @field_validator("deadband")
    @classmethod
    def _in_a_unit(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "unit" in info.data:  # what is wrong with the unit is said there
            _band(value, info.data["unit"])
        return value

    @property
    def band(self) -> Deadband | None:
        """The deadband as a number; None reports every value."""
        return None if self.deadband is None else _band(self.deadband, self.unit)


def _band(deadband: str, unit: str) -> Deadband:
    found = Measure.parse(deadband)
    if found.unit not in (unit, "%"):
        raise ValueError(_("write the deadband in the tag's unit, {unit}, or in %").format(unit=unit))
    if found.value <= 0 or (found.unit != unit and found.value > 100):
        raise ValueError(_("a deadband is above nothing, and at most 100 %"))
    return Deadband(found.value, percent=found.unit != unit)


class RetrySettings(Settings):
    """How patiently a lost connection is sought again."""

    first: Duration = Field(default="1 s", validate_default=True)
    longest: Duration = Field(default="1 s", validate_default=True)
    """A machine that is back is found at once; a call in a second that nobody answers disturbs nobody."""
    refused: Duration = Field(default="60 s", validate_default=True)
    """Between attempts after a refusal: a person has to act, and a server under attack shall not be hammered."""


class ConnectorType(Protocol):
    """A class whose instances keep `connectors.connector.Connector`'s promise."""

    Settings: type[ConnectionSettings]
    TagSettings: type[TagSettings]

    def __call__(
        self, name: str, settings: Any, tags: Mapping[str, Any], *, clock: Callable[[], datetime], state: Path
    ) -> Connector:
        """Make a fresh connector; it connects only when it converses."""


class _Installed(Mapping[str, ConnectorType]):
    """The connectors installed, each loaded when it is asked for."""

    def __init__(self, points: Mapping[str, EntryPoint]) -> None:
        self._points = points

    def __getitem__(self, name: str) -> ConnectorType:
        found: ConnectorType = self._points[name].load()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._points))

    def __len__(self) -> int:
        return len(self._points)


@cache
def connector_types() -> Mapping[str, ConnectorType]:
    """Return the installed connectors by name; looking one up loads it. Raises KeyError there for an unknown name."""
    return _Installed({point.name: point for point in entry_points(group=ENTRY_POINTS)})


def models(connector: str) -> tuple[type[ConnectionSettings], type[TagSettings]]:
    """Return the models of a connection and of its tags, loading only connectors from outside.

    Raises KeyError when no such connector is installed.
    """
    if connector == "opcua":
        from connectors.opcua.settings import OpcUaSettings, OpcUaTag

        return OpcUaSettings, OpcUaTag
    if connector == "modbus":
        from connectors.modbus.settings import ModbusSettings, ModbusTag

        return ModbusSettings, ModbusTag
    kind = connector_types()[connector]
    return kind.Settings, kind.TagSettings
