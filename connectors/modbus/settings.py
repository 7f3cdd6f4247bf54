"""What a site says about a Modbus line and the registers on it, checked when it is read; loads no protocol stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from connectors.settings import ConnectionSettings, Duration, Rhythm, Settings, TagSettings, at_most

Transport = Literal["tcp", "tls", "rtu-over-tcp", "rtu"]
Table = Literal["holding", "input", "coil", "discrete"]
Kind = Literal[
    "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bcd16", "bcd32", "string", "bit"
]
TLS_PORT: Final = 802
"""Of Modbus/TCP Security (MB-TCP-Security-v21, 8.1)."""
_WORDS: Final[Mapping[Kind, int]] = {
    "uint16": 1,
    "int16": 1,
    "bcd16": 1,
    "bit": 1,
    "uint32": 2,
    "int32": 2,
    "float32": 2,
    "bcd32": 2,
    "uint64": 4,
    "int64": 4,
    "float64": 4,
}
_TABLES: Final[Mapping[str, Table]] = {"4": "holding", "3": "input", "1": "discrete", "0": "coil"}
_BITS: Final = frozenset({"coil", "discrete"})
_COUNTS: Final = frozenset({"uint16", "uint32", "uint64", "bcd16", "bcd32"})


def _fingerprint(value: str) -> str:
    match = re.fullmatch(r"sha256:((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", value.strip().lower())
    if match is None:
        raise ValueError(_("write 'sha256:' and the 64 hexadecimal digits of the certificate's fingerprint"))
    return "sha256:" + match[1].replace(":", "")


class DeviceLimits(Settings):
    """What one device takes, where that is other than what the others on its line take."""

    registers_per_read: int | None = Field(default=None, ge=2, le=125)
    bits_per_read: int | None = Field(default=None, ge=1, le=2000)
    gap: int | None = Field(default=None, ge=0, le=100)


class ModbusSettings(ConnectionSettings):
    """A conversation with one Modbus line: a device, or a gateway with many units behind it."""

    connector: Literal["modbus"] = "modbus"
    transport: Transport = "tcp"
    host: str | None = Field(default=None, min_length=1, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)
    """502 if left out, and 802 for TLS."""
    serial: str | None = Field(default=None, min_length=1, max_length=255, examples=["/dev/ttyUSB0"])
    baudrate: int = Field(default=19_200, ge=300, le=4_000_000)
    parity: Literal["even", "odd", "none"] = "even"
    """Even is what the protocol asks every device to have (MODBUS over Serial Line V1.02, 2.5.1)."""
    stop_bits: Literal[1, 2] = 1
    server_certificate: Annotated[str, AfterValidator(_fingerprint)] | None = None
    """`sha256:` and the fingerprint of the device's certificate, for TLS; what comes over it counts as class A."""
    certificate: Path | None = None
    key: Path | None = None
    """Our own certificate and its key, for devices that ask for one."""
    device_id: int = Field(default=1, ge=0, le=255)
    """The unit of tags that name none of their own."""
    timeout: Annotated[Duration, AfterValidator(at_most(timedelta(seconds=30)))] = Field(
        default="1 s", validate_default=True
    )
    retries: int = Field(default=1, ge=0, le=5)
    registers_per_read: int = Field(default=125, ge=2, le=125)
    """The protocol allows 125; some devices take fewer."""
    bits_per_read: int = Field(default=2000, ge=1, le=2000)
    gap: int = Field(default=10, ge=0, le=100)
    """Registers that nobody asked for and that are read to save a request; devices with holes are learned."""
    devices: Mapping[Annotated[int, Field(ge=0, le=255)], DeviceLimits] = Field(default_factory=dict)
    """By `device_id`, limits of devices that take less than the rest of the line."""
    pipeline: int = Field(default=1, ge=1, le=16)
    """Requests under way at once; many devices take one only, so more has to be asked for."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.transport == "rtu") != (self.serial is not None):
            raise ValueError(_("'serial' belongs to the transport rtu, and to no other"))
        if (self.transport == "rtu") == (self.host is not None):
            raise ValueError(_("give 'host', or 'serial' for the transport rtu"))
        if (self.transport == "tls") != (self.server_certificate is not None):
            raise ValueError(_("'server_certificate' belongs to the transport tls, which needs it"))
        if self.pipeline > 1 and self.transport not in ("tcp", "tls"):
            raise ValueError(_("only tcp and tls can have several requests under way"))
        if (self.certificate is None) != (self.key is None):
            raise ValueError(_("'certificate' and 'key' belong together"))
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host or "", self.port or (TLS_PORT if self.transport == "tls" else 502)


class ModbusTag(TagSettings):
    """One value on a device, found by register number (40001) or by address (0) and table."""

    register_: int | str | None = Field(
        default=None, alias="register", description="from 1, with its table: 40001, 30001, 10001, 00001"
    )
    address: int | None = Field(default=None, ge=0, le=65535, description="from 0, as on the wire")
    table: Table | None = None
    device_id: int | None = Field(default=None, ge=0, le=255)
    type: Kind = "uint16"
    bit: int | None = Field(default=None, ge=0, le=15)
    """Which bit of the register, the lowest is 0; the value is then 0 or 1."""
    length: int | None = Field(default=None, ge=1, le=100)
    """Registers of a text."""
    word_order: Literal["big", "little"] = "big"
    """Which word of a longer number comes first: the highest (big) or the lowest (little)."""
    byte_order: Literal["big", "little"] = "big"
    """Which byte of a word comes first; the protocol says the high one, and some devices differ."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """What one step of the register is worth in `unit`."""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """In `unit`, added after scaling."""
    counter: bool = False
    """Whether the number only grows and begins again at its end; it is then counted on beyond it."""
    every: Rhythm | None = None
    """How often it is read, in multiples of the connection's sampling; as often as that if left out."""

    @field_validator("register_")
    @classmethod
    def _numbered(cls, value: int | str | None) -> int | str | None:
        if value is not None:
            _place(value)
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.register_ is None) == (self.address is None):
            raise ValueError(_("give either 'register' or 'address'"))
        if self.register_ is not None and self.table is not None:
            raise ValueError(_("'register' already names its table"))
        if (self.type == "string") != (self.length is not None):
            raise ValueError(_("'length' belongs to the type string, which needs it"))
        if self.bit is not None and (self.type not in ("uint16", "bit") or self.is_bit):
            raise ValueError(_("'bit' belongs to one register of the tables holding and input"))
        if self.type == "bit" and self.bit is None and not self.is_bit:
            raise ValueError(_("name the 'bit' of the register"))
        if self.is_bit and self.type not in ("uint16", "bit"):
            raise ValueError(_("coils and discrete inputs are single bits"))
        if self.counter and self.type not in _COUNTS:
            raise ValueError(_("a counter is a whole number without a sign"))
        if self.place[1] + self.words > 65536:
            raise ValueError(_("the number does not fit before the end of the table"))
        return self

    @property
    def is_bit(self) -> bool:
        """Whether it lies in a table of single bits."""
        return self.place[0] in _BITS

    @property
    def words(self) -> int:
        """Registers that the value fills; one for a bit of the tables of bits."""
        return self.length if self.length is not None else _WORDS[self.type]

    @property
    def place(self) -> tuple[Table, int]:
        """Table and address from 0."""
        if self.address is not None:
            return self.table or "holding", self.address
        return _place(self.register_ if self.register_ is not None else "")

    @property
    def number(self) -> str:
        """The register as people number it: its table's digit, and the address from 1 in five digits or six."""
        table, address = self.place
        digit = next(digit for digit, known in _TABLES.items() if known == table)
        return f"{digit}{address + 1:04d}" if address < 9999 else f"{digit}{address + 1:05d}"


def _place(register: int | str) -> tuple[Table, int]:
    """Table and address from 0. Raises ValueError for what is no register number."""
    digits = str(register).strip()
    number = int(digits[1:]) if digits.isdigit() and len(digits) in (5, 6) else 0
    if number not in range(1, 65537) or digits[0] not in _TABLES:
        raise ValueError(
            _("a register is 40001 (holding), 30001 (input), 10001 (discrete input) or 00001 (coil), or of six digits")
        )
    return _TABLES[digits[0]], number - 1
