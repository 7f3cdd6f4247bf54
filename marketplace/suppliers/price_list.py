"""Price lists of suppliers who are asked by hand: CSV text to rows, or to mistakes with line and column.

The first line names the columns, in any order: `item` (the config's key), `price`, `currency`, `lead_time_days` and
`valid_until` (a day, included) must be there; `sku` (the item's MPN if left out), `per`, `unit`, `pack` and `freight`
may. Comma, semicolon or tab separate; between semicolons and tabs a price may have a decimal comma. A number that
could be read in two ways is a mistake, never a guess. A list with one mistake enters nothing. Pure: no file is opened.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from gettext import gettext as _
from itertools import islice
from typing import Final, TypeVar

from marketplace.catalogue import Catalogue, Item
from marketplace.money import Money, UnitPrice, decimals_of

REQUIRED: Final = ("item", "price", "currency", "lead_time_days", "valid_until")
OPTIONAL: Final = ("sku", "per", "unit", "pack", "freight")
ROWS_MAX: Final = 10_000
"""A plant's whole catalogue; more is another file that was named by mistake."""
FAULTS_MAX: Final = 100
LEAD_TIME_DAYS_MAX: Final = Decimal(1000)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What a supplier wants for one item, and until when (plant time)."""

    item: str
    sku: str
    unit_price: UnitPrice
    unit: str
    pack: Decimal
    freight: Money
    lead_time_days: Decimal
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class PriceFault:
    """A mistake in a list; line and column count from 1, the column is the cell's."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class PriceList:
    """What a text holds; rows are to be used only when there are no faults."""

    rows: tuple[PriceRow, ...]
    faults: tuple[PriceFault, ...]


class _Mistake(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def read_price_list(text: str, catalogue: Catalogue, *, zone: tzinfo = UTC) -> PriceList:
    """Return the rows of a price list, or what is wrong with it; `zone` is the site's, for the last valid day."""
    text = text.removeprefix("\ufeff")
    separator = _separator(text.partition("\n")[0])
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in islice(reader, ROWS_MAX + 2)]
    except csv.Error as error:
        return PriceList((), (PriceFault(reader.line_num, 1, _("no CSV: {error}").format(error=error)),))
    header = [name.lower() for name in lines[0][1]] if lines else []
    fault = _fault_of_header(header)
    if fault is None and len(lines) > ROWS_MAX + 1:
        fault = PriceFault(lines[-1][0], 1, _("more than {max} rows").format(max=ROWS_MAX))
    if fault is not None:
        return PriceList((), (fault,))
    filled = [(line, cells) for line, cells in lines[1:] if any(cells)]
    return _read_rows(filled, header, _Reader(catalogue, zone, decimal_comma=separator != ","))


def _separator(first: str) -> str:
    return max((",", ";", "\t"), key=first.count)


def _fault_of_header(header: Sequence[str]) -> PriceFault | None:
    known = {*REQUIRED, *OPTIONAL}
    for column, name in enumerate(header, start=1):
        if name not in known:
            message = _("{name!r} is no column; there are {known}").format(name=name, known=", ".join(sorted(known)))
            return PriceFault(1, column, message)
        if name in header[: column - 1]:
            return PriceFault(1, column, _("{name!r} stands twice").format(name=name))
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        return PriceFault(1, len(header) + 1, _("the column {name!r} is missing").format(name=missing[0]))
    return None


def _read_rows(lines: Sequence[tuple[int, list[str]]], header: Sequence[str], reader: _Reader) -> PriceList:
    rows: dict[str, PriceRow] = {}
    faults: list[PriceFault] = []
    for line, cells in lines:
        if len(faults) == FAULTS_MAX:
            break
        if len(cells) != len(header):
            message = _("{found} cells instead of {wanted}").format(found=len(cells), wanted=len(header))
            faults.append(PriceFault(line, min(len(cells), len(header)) + 1, message))
            continue
        try:
            row = reader.row(dict(zip(header, cells, strict=True)))
            if row.item in rows:
                raise _Mistake("item", _("{item} stands twice").format(item=row.item))
            rows[row.item] = row
        except _Mistake as mistake:
            column = header.index(mistake.column) + 1 if mistake.column in header else 1
            faults.append(PriceFault(line, column, str(mistake)))
    if not lines:
        faults.append(PriceFault(2, 1, _("the list is empty")))
    return PriceList(tuple(rows.values()), tuple(faults))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the cells of one row; every complaint names its column."""

    catalogue: Catalogue
    zone: tzinfo
    decimal_comma: bool

    def row(self, cells: Mapping[str, str]) -> PriceRow:
        item = self._item(cells["item"])
        currency = cells["currency"].upper()
        _checked("currency", lambda: decimals_of(currency))
        per = self._positive("per", cells.get("per") or "1")
        freight = cells.get("freight") or "0"
        return PriceRow(
            item=item.key,
            sku=_checked("sku", lambda: _short(cells.get("sku") or item.mpn)),
            unit_price=_checked("price", lambda: UnitPrice(self._positive("price", cells["price"]), currency, per)),
            unit=self._unit(item, cells.get("unit") or item.unit),
            pack=self._positive("pack", cells.get("pack") or "1"),
            freight=_checked("freight", lambda: Money.of(self._number("freight", freight), currency)),
            lead_time_days=self._lead_time(cells["lead_time_days"]),
            valid_until=self._valid_until(cells["valid_until"]),
        )

    def _item(self, key: str) -> Item:
        try:
            return self.catalogue[key]
        except KeyError:
            raise _Mistake("item", _("{key!r} is no item of the config").format(key=key)) from None

    def _unit(self, item: Item, unit: str) -> str:
        if unit.upper() != item.unit:
            message = _("{item} is bought by {wanted}, not by {found}")
            raise _Mistake("unit", message.format(item=item.key, wanted=item.unit, found=unit))
        return item.unit

    def _number(self, column: str, text: str) -> Decimal:
        tidy = text
        if self.decimal_comma and "," in text:
            if "." in text or re.fullmatch(r"\d{1,3}(,\d{3})+", text):
                raise _Mistake(column, _("{text!r} can be read in two ways").format(text=text))
            tidy = text.replace(",", ".")
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", tidy) is None:
            raise _Mistake(column, _("{text!r} is no number from 0 with at most six decimals").format(text=text))
        return Decimal(tidy)

    def _positive(self, column: str, text: str) -> Decimal:
        number = self._number(column, text)
        if number == 0:
            raise _Mistake(column, _("it cannot be 0"))
        return number

    def _lead_time(self, text: str) -> Decimal:
        days = self._number("lead_time_days", text)
        if days > LEAD_TIME_DAYS_MAX:
            raise _Mistake("lead_time_days", _("more than {max} days").format(max=LEAD_TIME_DAYS_MAX))
        return days

    def _valid_until(self, text: str) -> datetime:
        day = _checked("valid_until", lambda: date.fromisoformat(text))
        if not 2000 <= day.year < 2200:
            raise _Mistake("valid_until", _("{text!r} is no year of this business").format(text=text))
        return datetime.combine(day + timedelta(days=1), time(), self.zone).astimezone(UTC)


def _short(text: str) -> str:
    if len(text) > 100 or not text.isprintable():
        raise ValueError(_("longer than 100 characters, or not printable"))
    return text


def _checked(column: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except ValueError as error:
        raise _Mistake(column, str(error)) from None
