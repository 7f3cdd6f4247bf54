"""Recorded cutting tools: what a lathe's controller said, second by second, and how worn the tool was.

The format is that of Vicomtech's machine tool wear data set (github.com/Vicomtech/dataset-machine-tool-wear; "Tool
remaining useful life prediction using bidirectional recurrent neural networks", Int. J. Adv. Manuf. Technol. 125,
2023): a table with commas whose first line names the columns. Only what a controller knows by itself is read, and the
wear; sensors that a factory would have to add are not. Whatever is wrong with a file is said with its name and line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from connectors.simulator.recordings import Recording, RecordingError, at_line, numbered_lines

FEED_CURRENT: Final = "CV3.Z_RMS"
"""Drive current of the feed axis."""
SPINDLE_TORQUE: Final = "TV2.S_MEAN"
SPINDLE_POWER: Final = "TV50.S_MEAN"
"""Mechanical power of the spindle."""
CROSS_TORQUE: Final = "TV2.X_MEAN"
"""Torque of the axis that sets the diameter; it stands still during a cut and holds elsewhere in the next."""
WEAR: Final = "Vb"
"""Flank wear, in micrometres."""
TOOL: Final = "tool"
CHANNELS: Final = (FEED_CURRENT, SPINDLE_TORQUE, SPINDLE_POWER, CROSS_TORQUE, WEAR)


@dataclass(frozen=True, slots=True)
class _Columns:
    """How many columns a line has, and where in it are the tool and the channels."""

    names: tuple[str, ...]
    tool: int
    channels: tuple[int, ...]


class ToolWear:
    """Tools with a row a second: the channels of `CHANNELS`, plain or gzip."""

    name = "Vicomtech tool wear"
    file = "Dataset_Machine_tool_wear.csv"

    def find(self, directory: Path) -> Path | None:
        """Return the table, or its `.gz`, or None."""
        plain = directory / self.file
        return next((file for file in (plain, plain.with_name(plain.name + ".gz")) if file.is_file()), None)

    def read(self, file: Path, units: frozenset[int] | None = None) -> tuple[Recording, ...]:
        """Return the chosen tools, or all, in the order of the file. Raises RecordingError."""
        lines = numbered_lines(file)
        columns = self._header(file.name, lines)
        rows = (self.parse(file.name, number, text, columns) for number, text in lines)
        chosen = (row for row in rows if units is None or row[0] in units)
        lives = tuple(
            Recording(tool, CHANNELS, tuple(channels for _tool, channels in life))
            for tool, life in groupby(chosen, key=itemgetter(0))
        )
        if not lives:
            raise RecordingError(_("{file}: no row of the units asked for").format(file=file.name))
        return lives

    def _header(self, file: str, lines: Iterator[tuple[int, str]]) -> _Columns:
        number, text = next(lines, (1, ""))
        names = tuple(name.strip() for name in text.split(","))
        for name in (TOOL, *CHANNELS):
            if names.count(name) != 1:
                message = _("{count} columns are named {name} where there should be one")
                raise at_line(file, number, message.format(count=names.count(name), name=name))
        return _Columns(names, names.index(TOOL), tuple(names.index(name) for name in CHANNELS))

    def parse(self, file: str, line: int, text: str, columns: _Columns) -> tuple[int, tuple[float, ...]]:
        """Return tool and channels of one line. Columns that are not read may be empty. Raises RecordingError."""
        cells = text.split(",")
        if len(cells) != len(columns.names):
            message = _("{count} columns instead of {columns}")
            raise at_line(file, line, message.format(count=len(cells), columns=len(columns.names)))
        values = _numbers(file, line, cells, columns.names)
        tool, channels = values[columns.tool], tuple(values[column] for column in columns.channels)
        if not (tool >= 1 and tool.is_integer()) or not all(map(math.isfinite, channels)) or channels[-1] < 0:
            raise at_line(file, line, _("a tool below 1, a wear below 0, or a value that is not finite"))
        return int(tool), channels


def _numbers(file: str, line: int, cells: Sequence[str], names: Sequence[str]) -> list[float]:
    values = []
    for cell, name in zip(cells, names, strict=True):
        try:
            values.append(float(cell) if cell.strip() else math.nan)
        except ValueError as error:
            message = _("{name} is not a number: {reason}")
            raise at_line(file, line, message.format(name=name, reason=error)) from error
    return values
