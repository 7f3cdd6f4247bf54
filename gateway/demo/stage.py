"""The other side of a replay as one process: recorded machines and a market, both on the player's lock-step clock.

Plant time stands still between two cycles; it goes on when the reader says that it has taken the last one.
Usage: python -m gateway.demo.stage RECORDINGS UNITS STATE
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connectors.simulator.errors import SimulatorError
from connectors.simulator.player import Player
from connectors.simulator.recordings import parse_units, read_recordings
from gateway.logs import quiet
from marketplace.suppliers.simulator.market import Market

ORIGIN: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Plant time of cycle 0."""


async def main(recordings: Path, units: str, state: Path) -> None:
    """Serve until SIGTERM. Raises SimulatorError, ValueError."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    lives = await asyncio.to_thread(read_recordings, recordings, parse_units(units) if units else None)
    async with (
        Player(lives, origin=ORIGIN, state=state / "player") as player,
        Market(state / "market", clock=lambda: player.position.at) as market,
    ):
        ready = {
            "factory": asdict(player.addresses()),
            "addresses": dict(market.ready.addresses),
            "tokens": {name: str(path) for name, path in market.ready.tokens.items()},
            "lengths": {f"unit-{life.unit}": len(life) for life in lives},
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    quiet()
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
    except (SimulatorError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
