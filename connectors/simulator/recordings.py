"""Recorded lives: run-to-failure data read from files, unit by unit.

A `Recording` is one unit's life, a row a cycle. Formats plug in through the `Format` protocol; the first is NASA
C-MAPSS (Saxena, Goebel, Simon, Eklund, "Damage Propagation Modeling for Aircraft Engine Run-to-Failure Simulation",
PHM08). Whatever is wrong with a file is said with its name and line. Knows no server and no clock.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from itertools import groupby
from pathlib import Path
from typing import IO, Protocol, cast

from connectors.simulator.errors import SimulatorError

ROWS_MAX = 2_000_000
"""More than ten times the largest published set; a file that goes on beyond is not one."""


class RecordingError(SimulatorError):
    """A recording cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One unit's life: `rows[0]` is cycle 1; every row has one finite value for each channel."""

    unit: int
    channels: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)


class Format(Protocol):
    """A format of recorded lives in a directory."""

    name: str

    def find(self, directory: Path) -> Path | None:
        """Return the file to read, or None when the directory does not hold this format."""

    def read(self, file: Path, units: frozenset[int] | None) -> tuple[Recording, ...]:
        """Return the lives of the chosen units, or of all, by unit. Raises RecordingError."""


class CMapss:
    """NASA C-MAPSS training files: unit, cycle, 3 settings, 21 sensors; plain or gzip."""

    name = "C-MAPSS"
    channels = (*(f"op{number}" for number in range(1, 4)), *(f"s{number}" for number in range(1, 22)))
    columns = 26

    def __init__(self, subset: str = "FD001", part: str = "train") -> None:
        """Choose the subset, FD001 to FD004, and its part: `train` to the failure, `test` cut off before it."""
        self._subset, self._part = subset, part

    def find(self, directory: Path) -> Path | None:
        """Return `<part>_<subset>.txt`, or its `.gz`, or None."""
        plain = directory / f"{self._part}_{self._subset}.txt"
        return next((file for file in (plain, plain.with_name(plain.name + ".gz")) if file.is_file()), None)

    def read(self, file: Path, units: frozenset[int] | None = None) -> tuple[Recording, ...]:
        """Return the lives of the chosen units, or of all. Raises RecordingError."""
        rows = (self.parse(file.name, number, text) for number, text in numbered_lines(file))
        chosen = (row for row in rows if units is None or row[1] in units)
        lives = tuple(self._life(file.name, unit, list(life)) for unit, life in groupby(chosen, key=lambda row: row[1]))
        if not lives:
            raise RecordingError(_("{file}: no row of the units asked for").format(file=file.name))
        return lives

    def parse(self, file: str, line: int, text: str) -> tuple[int, int, int, tuple[float, ...]]:
        """Return line, unit, cycle and channels of one line of the file. Raises RecordingError."""
        words = text.split()
        if len(words) != self.columns:
            message = _("{count} columns instead of {columns}")
            raise at_line(file, line, message.format(count=len(words), columns=self.columns))
        try:
            unit, cycle = int(words[0]), int(words[1])
            channels = tuple(float(word) for word in words[2:])
        except ValueError as error:
            raise at_line(file, line, _("not a number: {reason}").format(reason=error)) from error
        if unit < 1 or not all(math.isfinite(value) for value in channels):
            raise at_line(file, line, _("a unit below 1, or a value that is not finite"))
        return line, unit, cycle, channels

    def _life(self, file: str, unit: int, rows: Sequence[tuple[int, int, int, tuple[float, ...]]]) -> Recording:
        for expected, (line, _unit, cycle, _channels) in enumerate(rows, start=1):
            if cycle != expected:
                message = _("unit {unit} has cycle {cycle} where {expected} should follow")
                raise at_line(file, line, message.format(unit=unit, cycle=cycle, expected=expected))
        return Recording(unit, self.channels, tuple(channels for _line, _unit, _cycle, channels in rows))


FORMATS: tuple[Format, ...] = (CMapss(),)


def read_recordings(
    directory: Path, units: Iterable[int] | None = None, formats: Sequence[Format] = FORMATS
) -> tuple[Recording, ...]:
    """Return the recorded lives in a directory, of the chosen units or of all, in the order of their numbers.

    Raises RecordingError: nothing known in the directory, a bad row (file and line), or a unit that is not there.
    """
    wanted = None if units is None else frozenset(units)
    for form in formats:
        file = form.find(directory)
        if file is None:
            continue
        lives = sorted(form.read(file, wanted), key=lambda life: life.unit)
        _see_that_all_are_there(file.name, [life.unit for life in lives], wanted)
        return tuple(lives)
    names = ", ".join(form.name for form in formats)
    raise RecordingError(_("{directory} holds no recording ({names})").format(directory=directory, names=names))


def parse_units(text: str) -> tuple[int, ...]:
    """Return the numbers that `1-20,25` names, ascending. Raises ValueError."""
    chosen: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            low, high = 0, 0
        if not 1 <= low <= high <= 100_000:
            raise ValueError(_("{text!r} does not name units; write them as 1-20,25").format(text=text))
        chosen.update(range(low, high + 1))
    return tuple(sorted(chosen))


def _see_that_all_are_there(file: str, found: Sequence[int], wanted: frozenset[int] | None) -> None:
    if len(set(found)) != len(found):
        twice = sorted({unit for unit in found if found.count(unit) > 1})
        message = _("{file}: the rows of unit {units} do not stand together")
        raise RecordingError(message.format(file=file, units=", ".join(map(str, twice))))
    missing = sorted((wanted or frozenset()) - set(found))
    if missing:
        message = _("{file}: no unit {units}")
        raise RecordingError(message.format(file=file, units=", ".join(map(str, missing))))


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that are not blank. Raises RecordingError."""
    number = 0
    try:
        with _opened(file) as lines:
            for number, text in enumerate(lines, start=1):
                if number > ROWS_MAX:
                    raise at_line(file.name, number, _("more rows than any recording has"))
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise at_line(file.name, number + 1, _("not text")) from error
    except (OSError, EOFError, zlib.error) as error:
        raise at_line(file.name, number + 1, _("cannot be read: {reason}").format(reason=error)) from error


def _opened(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return cast("IO[str]", gzip.open(file, "rt", encoding="ascii"))
    return file.open(encoding="ascii")


def at_line(file: str, line: int, what: str) -> RecordingError:
    """Return the error that something is wrong with a line of a file."""
    return RecordingError(f"{file}:{line}: {what}")
