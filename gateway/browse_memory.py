"""Which data type each node had when somebody looked last, so that a change of it can be told later.

One small file for each machine beside what connectors remember; without it nothing is known of before, and nothing
breaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.durable import write_durably

_BYTES_MAX: Final = 64 * 1024 * 1024
"""Two hundred thousand nodes with long names."""


def recall(directory: Path, machine: str) -> dict[str, str]:
    """Return what is remembered of a machine: by node, the name of its data type; nothing if the file is no use."""
    path = _file(directory, machine)
    try:
        if path.stat().st_size > _BYTES_MAX:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(node): str(kind) for node, kind in found.items()} if isinstance(found, dict) else {}


def remember(directory: Path, machine: str, kinds: Mapping[str, str]) -> None:
    """Remember this of a machine, in place of what was. Raises OSError."""
    path = _file(directory, machine)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(path, json.dumps(dict(kinds)).encode())


def _file(directory: Path, machine: str) -> Path:
    return directory / "browsed" / f"{machine}.json"
