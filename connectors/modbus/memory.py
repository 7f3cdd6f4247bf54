"""What was learned of a line, kept over restarts: where a device has holes, and how far counters have turned.

Promises: it is believed only for the address and the limits that it was learned with; a file that cannot be read is as
if it were not there: of holes it only saves questions, and a counter begins at what its register holds. Bounded.
Refuses to know sockets, and that a register is missing: a device that boots refuses what it has a minute later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from connectors.modbus.plan import Breaks, Point
from connectors.modbus.registers import Counter, modulus
from connectors.modbus.settings import ModbusSettings

ENTRIES_MAX: Final = 20_000
KEEP_SECONDS: Final = 60.0
"""How often the numbers of counters are written; that one has turned, at once."""
_LEARNED_WITH: Final = {"transport", "host", "port", "serial", "registers_per_read", "bits_per_read", "gap", "devices"}

_log = structlog.get_logger()


class LineMemory:
    """One line's. breaks: where blocks are not to be joined."""

    def __init__(self, state: Path, name: str, settings: ModbusSettings) -> None:
        """Recall what is known of the line, nothing if it was learned otherwise."""
        self._file = state / "modbus" / f"{quote(name, safe='')}.json"
        self._of = hashlib.sha256(settings.model_dump_json(include=_LEARNED_WITH).encode()).hexdigest()
        self.breaks, self._counted = _recalled(self._file, self._of)
        self._written = self.breaks, self._counted
        self._counters: dict[str, Counter] = {}
        self._turned = 0
        self._kept_at = 0.0

    def succeeds(self, other: LineMemory) -> bool:
        """Whether another is of the same line."""
        return self._file == other._file and self._of == other._of

    def counter(self, point: Point) -> Counter:
        """Return the counter of a tag, which goes on where it was as long as the tag lies there and counts so."""
        place = f"{point.key} {point.unit} {point.table} {point.address} {point.tag.type}"
        if place not in self._counters:
            self._counters[place] = Counter(modulus(point.tag.type), *self._counted.get(place, (None, 0)))
        return self._counters[place]

    def learn(self, breaks: Breaks) -> None:
        """Keep where blocks are not to be joined."""
        self.breaks |= breaks
        self.keep()

    def keep_counters(self, now: float) -> None:
        """Keep the numbers of counters where it is time to, or one has turned; `now` in seconds."""
        turned = sum(counter.turns for counter in self._counters.values())
        if turned != self._turned or (self._counters and now > self._kept_at + KEEP_SECONDS):
            self._turned, self._kept_at = turned, now
            self.keep()

    def keep(self) -> None:
        """Write what has changed; where that fails it is learned again after a restart."""
        now = {place: (each.last, each.turns) for place, each in self._counters.items() if each.last is not None}
        known = self.breaks, {**self._counted, **now}
        if known == self._written or len(known[0]) + len(known[1]) > ENTRIES_MAX:
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._file.with_suffix(".new")
            draft.write_text(json.dumps({"of": self._of, "breaks": sorted(known[0]), "counters": known[1]}))
            draft.replace(self._file)
            self._written = known
        except OSError as error:
            _log.warning("what was learned of a device is not kept", file=str(self._file), error=str(error))


def _recalled(file: Path, of: str) -> tuple[Breaks, Mapping[str, tuple[float, int]]]:
    try:
        said = json.loads(file.read_text())
        if said["of"] != of:
            return frozenset(), {}
        breaks = frozenset((int(unit), str(table), int(address)) for unit, table, address in said["breaks"])
        counted = {str(place): (float(last), int(turns)) for place, (last, turns) in said["counters"].items()}
        return breaks, counted  # type: ignore[return-value]  # tables are texts there
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset(), {}
