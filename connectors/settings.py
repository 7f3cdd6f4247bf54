"""What a site says about its connections and tags, checked when it is read.

Promises: every model is frozen and refuses keys that it does not know; every span of time carries its unit. The
settings of the built-in connectors live here and not beside their code, so that a config can be checked without
loading a protocol stack (0.5 s); a connector from outside brings its own, found by entry point. Refuses to know
machines, components and files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from gettext import gettext as _
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
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


def _at_most(longest: timedelta) -> Callable[[timedelta], timedelta]:
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

Rhythm = Annotated[Duration, AfterValidator(_at_most(timedelta(hours=1)))]
"""How often something is read; slower than an hour is no sign of life."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConnectionSettings(_Settings):
    """What every connection says; a connector's own settings inherit it."""

    connector: str
    sampling: Rhythm = Field(default="1 s", validate_default=True)
    """How often the machine is asked to look at a value."""


class TagSettings(_Settings):
    """What every tag says; a connector's own tags inherit it."""

    unit: str = Field(min_length=1, max_length=32)
    """As the values arrive; nothing is converted silently."""


class RetrySettings(_Settings):
    """How patiently a lost connection is sought again."""

    first: Duration = Field(default="1 s", validate_default=True)
    longest: Duration = Field(default="30 s", validate_default=True)
    refused: Duration = Field(default="60 s", validate_default=True)
    """Between attempts after a refusal: a person has to act, and a server under attack shall not be hammered."""


def _fingerprint(value: str) -> str:
    match = re.fullmatch(r"sha256:((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", value.strip().lower())
    if match is None:
        raise ValueError(_("write 'sha256:' and the 64 hexadecimal digits of the certificate's fingerprint"))
    return "sha256:" + match[1].replace(":", "")


class OpcUaSettings(ConnectionSettings):
    """A conversation with one OPC-UA server."""

    connector: Literal["opcua"] = "opcua"
    url: str = Field(pattern=r"^opc\.tcp://[^\s/@?#]+(/[^\s@]*)?$", examples=["opc.tcp://10.0.0.5:4840"])
    server_certificate: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """`sha256:` and the fingerprint of the server's certificate; without it the connection is refused and the
    refusal names the fingerprint found, for a person to compare and pin."""
    insecure: bool = False
    """True accepts a server without any security; what it says counts as class B."""
    publishing: Rhythm | None = None
    """How often the server sends what it collected; the sampling if left out."""
    queue: int = Field(default=1000, ge=1, le=100_000)
    """Values that the server keeps for one tag between two sendings; the oldest go first when it overflows."""
    clock_tolerance: Duration = Field(default="5 min", validate_default=True)
    """A value dated farther than this from when it arrived is uncertain: the clock is off, or the value is old."""

    @model_validator(mode="after")
    def _pinned_or_insecure(self) -> Self:
        if self.insecure and self.server_certificate is not None:
            raise ValueError(_("'insecure' and 'server_certificate' exclude each other"))
        return self


_NODE: Final = re.compile(r"(?P<space>nsu=[^;]+;|ns=\d+;)?(?P<kind>[isgb])=(?P<name>.+)")
_NAMES: Final[Mapping[str, Callable[[str], bool]]] = {
    "i": lambda name: name.isascii() and name.isdigit() and len(name) <= 10 and int(name) < 2**32,
    "s": lambda name: name.isprintable(),
    "g": lambda name: re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", name) is not None,
    "b": lambda name: re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", name) is not None,
}


def _node(value: str) -> str:
    match = _NODE.fullmatch(value)
    if match is None or not _NAMES[match["kind"]](match["name"]):
        raise ValueError(_("write a node as 'nsu=URI;s=NAME', or with i=, g= or b= in place of s="))
    if (match["space"] or "").startswith("ns="):
        # Servers renumber their namespaces at a restart; the wrong node would then be read without a word.
        raise ValueError(_("name the namespace by its URI (nsu=...): its number can change when the server restarts"))
    return value


class OpcUaTag(TagSettings):
    """One variable of an OPC-UA server."""

    node: Annotated[str, AfterValidator(_node)] = Field(max_length=4096, examples=["nsu=urn:maker:plant;s=mill.load"])


class ModbusSettings(ConnectionSettings):
    """A conversation with one Modbus TCP device."""

    connector: Literal["modbus"] = "modbus"
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=502, ge=1, le=65535)
    device_id: int = Field(default=1, ge=0, le=255)
    timeout: Annotated[Duration, AfterValidator(_at_most(timedelta(seconds=30)))] = Field(
        default="1 s", validate_default=True
    )
    retries: int = Field(default=1, ge=0, le=5)
    registers_per_read: int = Field(default=125, ge=2, le=125)
    """The protocol allows 125; some devices take fewer."""


Table = Literal["holding", "input"]
Kind = Literal["uint16", "int16", "uint32", "int32", "float32"]
_TABLES: Final[Mapping[str, Table]] = {"4": "holding", "3": "input"}


class ModbusTag(TagSettings):
    """One number in the registers of a device, found by register number (40001) or by address (0) and table."""

    register_: int | None = Field(default=None, alias="register", description="from 1, with its table: 40001, 30001")
    address: int | None = Field(default=None, ge=0, le=65535, description="from 0, as on the wire")
    table: Table | None = None
    type: Kind = "uint16"
    word_order: Literal["big", "little"] = "big"
    """Which word of a 32-bit number comes first: the high one (big) or the low one (little)."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """What one step of the register is worth in `unit`."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.register_ is None) == (self.address is None):
            raise ValueError(_("give either 'register' or 'address'"))
        if self.register_ is not None and self.table is not None:
            raise ValueError(_("'register' already names its table"))
        if self.place[1] + self.words > 65536:
            raise ValueError(_("the number does not fit before the end of the table"))
        return self

    @property
    def words(self) -> int:
        """Registers that the number fills."""
        return 2 if self.type.endswith("32") else 1

    @property
    def place(self) -> tuple[Table, int]:
        """Table and address from 0. Raises ValueError for a register number outside 3xxxx and 4xxxx."""
        if self.address is not None:
            return self.table or "holding", self.address
        digits = str(self.register_)
        number = int(digits[1:] or 0)
        if digits[0] not in _TABLES or len(digits) not in (5, 6) or not 1 <= number <= 65536:
            raise ValueError(_("a register is 40001 to 49999 (holding), 30001 to 39999 (input), or of six digits"))
        return _TABLES[digits[0]], number - 1


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


_BUILT_IN: Final[Mapping[str, tuple[type[ConnectionSettings], type[TagSettings]]]] = {
    "opcua": (OpcUaSettings, OpcUaTag),
    "modbus": (ModbusSettings, ModbusTag),
}


def models(connector: str) -> tuple[type[ConnectionSettings], type[TagSettings]]:
    """Return the models of a connection and of its tags, loading only connectors from outside.

    Raises KeyError when no such connector is installed.
    """
    if connector in _BUILT_IN:
        return _BUILT_IN[connector]
    kind = connector_types()[connector]
    return kind.Settings, kind.TagSettings
