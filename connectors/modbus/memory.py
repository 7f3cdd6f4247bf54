"""What was learned of a device's holes, kept over restarts: a small file for each connection.

Promises: it is believed only for the tags and the limits that it was learned with; one that cannot be read is as if it
were not there, for it only saves questions. Bounded. Refuses to know sockets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from connectors.modbus.plan import Holes
from connectors.modbus.settings import ModbusSettings, ModbusTag

ENTRIES_MAX: Final = 20_000


def recall(state: Path, name: str, settings: ModbusSettings, tags: Mapping[str, ModbusTag]) -> Holes:
    """Return what is remembered of a connection's device, nothing if it was learned otherwise."""
    try:
        said = json.loads(_file(state, name).read_text())
        if said["of"] != _of(settings, tags):
            return Holes()
        breaks = frozenset((int(unit), str(table), int(address)) for unit, table, address in said["breaks"])
        return Holes(breaks, frozenset(map(str, said["missing"])))  # type: ignore[arg-type]  # tables are texts there
    except (OSError, ValueError, KeyError, TypeError):
        return Holes()


def remember(state: Path, name: str, settings: ModbusSettings, tags: Mapping[str, ModbusTag], holes: Holes) -> None:
    """Keep what was learned. Raises OSError."""
    if len(holes.breaks) + len(holes.missing) > ENTRIES_MAX:
        return
    file = _file(state, name)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = {"of": _of(settings, tags), "breaks": sorted(holes.breaks), "missing": sorted(holes.missing)}
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(said))
    draft.replace(file)


def _of(settings: ModbusSettings, tags: Mapping[str, ModbusTag]) -> str:
    told = [settings.model_dump_json(), *(f"{key}={tag.model_dump_json()}" for key, tag in sorted(tags.items()))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _file(state: Path, name: str) -> Path:
    return state / "modbus" / f"{quote(name, safe='')}.json"
