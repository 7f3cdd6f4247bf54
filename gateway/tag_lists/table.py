"""Tables from files and into files: the first row names the columns, every other row is one entry.

Promises: CSV with comma, semicolon or tab, in UTF-8 with or without its mark; XLSX, of which the first sheet counts; a
row's number is the one that a spreadsheet shows. What is too large, or no table at all, is refused in one sentence.
Cells are texts without space around them; an empty cell says nothing. Refuses to know what the columns mean.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

BYTES_MAX: Final = 64 * 1024 * 1024
ROWS_MAX: Final = 200_000
"""Four times the tags of the largest plant that we measure."""
COLUMNS_MAX: Final = 64
CELL_MAX: Final = 4096


class TableBroken(Exception):
    """A file is no table; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: its number in the file, the header being row 1, and what its cells say by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the name of its file, its columns in order, its rows."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]


def read_table(path: Path) -> Table:
    """Return the table in a file, by its ending `.xlsx` or else as CSV. Raises TableBroken, OSError."""
    if path.stat().st_size > BYTES_MAX:
        raise TableBroken(_("{file} is larger than {most} MB; split it").format(file=path.name, most=BYTES_MAX >> 20))
    lines = _sheet(path) if path.suffix.lower() == ".xlsx" else _lines(path)
    numbered = ((number, [_cell(value) for value in line]) for number, line in enumerate(lines, 1))
    filled = ((number, line) for number, line in numbered if any(line))
    header = next(filled, None)
    if header is None:
        raise TableBroken(_("{file} is empty; its first row names the columns").format(file=path.name))
    columns = _columns(path.name, header[1])
    return Table(path.name, columns, list(_rows(path.name, columns, filled)))


def _columns(name: str, header: Sequence[str]) -> list[str]:
    columns = [each.lower() for each in header]
    while columns and not columns[-1]:
        columns.pop()
    if len(columns) > COLUMNS_MAX or len(set(columns)) < len(columns) or not all(columns):
        text = _("{file}: the first row names each column once, at most {most} of them")
        raise TableBroken(text.format(file=name, most=COLUMNS_MAX))
    return columns


def _rows(name: str, columns: Sequence[str], lines: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Row]:
    for count, (number, line) in enumerate(lines):
        if count == ROWS_MAX:
            raise TableBroken(_("{file} has more than {most} rows; split it").format(file=name, most=ROWS_MAX))
        if any(line[len(columns) :]):
            raise TableBroken(_("{file}:{row}: has more cells than there are columns").format(file=name, row=number))
        yield Row(number, {column: cell for column, cell in zip(columns, line, strict=False) if cell})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a spreadsheet has no whole numbers
    return str(value).strip()[:CELL_MAX]


def _lines(path: Path) -> Iterator[Sequence[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        text_ = _("{file} is not in UTF-8; save it as 'CSV UTF-8'")
        raise TableBroken(text_.format(file=path.name)) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise TableBroken(_("{file} is no CSV: {reason}").format(file=path.name, reason=error)) from error


def _sheet(path: Path) -> Iterator[Sequence[Any]]:
    openpyxl = _spreadsheets()
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # whatever a foreign file makes it raise
        text = _("{file} is no XLSX that can be read ({reason}); save it anew, or as CSV")
        raise TableBroken(text.format(file=path.name, reason=type(error).__name__)) from error
    try:
        for number, line in enumerate(book.worksheets[0].iter_rows(values_only=True)):
            if number > ROWS_MAX:
                raise TableBroken(_("{file} has more than {most} rows; split it").format(file=path.name, most=ROWS_MAX))
            yield line
    finally:
        book.close()


def _spreadsheets() -> Any:
    try:
        import openpyxl
    except ImportError as error:
        text = _("XLSX needs the package 'openpyxl' (pip install 'toolcrib[xlsx]'); CSV needs nothing")
        raise TableBroken(text) from error
    return openpyxl


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a table, by the file's ending as XLSX or CSV. Raises TableBroken, OSError."""
    lines = ([row.get(column, "") for column in columns] for row in rows)
    if path.suffix.lower() == ".xlsx":
        book = _spreadsheets().Workbook(write_only=True)
        sheet = book.create_sheet("tags")
        sheet.append(list(columns))
        for line in lines:
            sheet.append(line)
        book.save(path)
        return
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(lines)
