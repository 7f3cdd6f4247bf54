"""What a site says about a Modbus device and its registers, checked when it is read; loads no protocol stack."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from gettext import gettext as _
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.settings import ConnectionSettings, Duration, TagSettings, at_most


class ModbusSettings(ConnectionSettings):
    """A conversation with one Modbus TCP device."""

    connector: Literal["modbus"] = "modbus"
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=502, ge=1, le=65535)
    device_id: int = Field(default=1, ge=0, le=255)
    timeout: Annotated[Duration, AfterValidator(at_most(timedelta(seconds=30)))] = Field(
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
