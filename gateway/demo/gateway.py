"""The demo's gateway process: the ordinary gateway on the demo's compressed clock.

An own entry, so that the command line of a real site has no switch that compresses time.
Usage: python -m gateway.demo.gateway CONFIG CLOCK
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.lean import heed_signals

if __name__ == "__main__":
    heed_signals()
    from gateway.build import run
    from gateway.clock import PlantClock

    _module, config, text = sys.argv
    clock = PlantClock.from_text(text)
    raise SystemExit(run(Path(config), clock=clock, speed=clock.speed))
