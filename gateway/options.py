"""What a person may choose about a demo: plain values, so that filling them in imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How `toolcrib demo` runs.

    until: end when an order reached this state (`received`), None runs until Ctrl-C; needs `headless`.
    replay: directory of recordings to be played instead of the simulated factory, with `units` such as `1-20`.
    port: of the web page, 0 lets the operating system choose.
    directory: where the demo keeps its config and databases; a second run goes on from there.
    """

    headless: bool
    until: str | None
    json: bool
    replay: Path | None
    units: str | None
    port: int
    directory: Path
    seed: int
