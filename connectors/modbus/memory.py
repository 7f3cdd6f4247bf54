"""What was learned of a line, kept over restarts: where a device has holes, and how far counters have turned.

Promises: it is believed only for the address and the limits that it was learned with; a file that cannot be read is as
if it were not there: of holes it only saves questions, and a counter begins at what its register holds. Bounded.
Refuses to know sockets, and that a register is missing: a device that boots refuses what it has a minute later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from connectors.modbus.plan import Breaks, Point
from connectors.modbus.settings import ModbusSettings

ENTRIES_MAX: Final = 20_000
_LEARNED_WITH: Final = {"transport", "host", "port", "serial", "registers_per_read", "bits_per_read", "gap", "devices"}


@dataclass(frozen=True, slots=True)
class Memory:
    """Where blocks are not to be joined; and by `place_of` each counter's last raw number and its turns."""

    breaks: Breaks = frozenset()
    counters: Mapping[str, tuple[float, int]] = field(default_factory=dict)


def place_of(point: Point) -> str:
    """Return the name of a counter: another one as soon as its tag lies elsewhere or counts otherwise."""
    return f"{point.key} {point.unit} {point.table} {point.address} {point.tag.type}"


def recall(state: Path, name: str, settings: ModbusSettings) -> Memory:
    """Return what is remembered of a connection's line, nothing if it was learned otherwise."""
    try:
        said = json.loads(_file(state, name).read_text())
        if said["of"] != _of(settings):
            return Memory()
        breaks = frozenset((int(unit), str(table), int(address)) for unit, table, address in said["breaks"])
        counters = {str(place): (float(last), int(turns)) for place, (last, turns) in said["counters"].items()}
        return Memory(breaks, counters)  # type: ignore[arg-type]  # tables are texts there
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Memory()


def remember(state: Path, name: str, settings: ModbusSettings, memory: Memory) -> None:
    """Keep what was learned. Raises OSError."""
    if len(memory.breaks) + len(memory.counters) > ENTRIES_MAX:
        return
    file = _file(state, name)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = {"of": _of(settings), "breaks": sorted(memory.breaks), "counters": dict(memory.counters)}
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(said))
    draft.replace(file)


def _of(settings: ModbusSettings) -> str:
    return hashlib.sha256(settings.model_dump_json(include=_LEARNED_WITH).encode()).hexdigest()


def _file(state: Path, name: str) -> Path:
    return state / "modbus" / f"{quote(name, safe='')}.json"
