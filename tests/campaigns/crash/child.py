"""The gateway as a child: the whole of it, put together by `gateway.build`, with fault points around its two ports.

Forked, it comes from a parent that has imported everything; as a program of its own it is a cold start.
Usage: python -m tests.campaigns.crash.child ORDERS (the JSON of `GatewayOrders`)
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from gateway.build import run_until_stopped
from gateway.clock import PlantClock
from gateway.config import Config, load
from gateway.logs import configure
from marketplace.settings import supplier_type
from tests.campaigns.crash.points import Strike, around

PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class GatewayOrders:
    """How a gateway lives: where, in what time, and at which fault points it dies (see `Strike`).

    fell: the file into which it writes where it died. log: what it says, appended. parent: who starts it if it is a
    program of its own, and with whom it ends.
    """

    config: str
    clock: str
    wanted: tuple[str, ...]
    skip: int
    fell: str
    log: str
    parent: int

    def to_text(self) -> str:
        """Return the orders as one argument of a command line."""
        return json.dumps(asdict(self))


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, so that no harness leaves a gateway behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@cache
def config_of(path: str) -> Config:
    """Return a config; a parent that has read it hands it to every child."""
    return load(Path(path))


def preload() -> None:
    """Import what a gateway imports only once it runs: the adapters that its config names, and what they need."""
    for name in ("http", "by_hand"):
        supplier_type(name)


def run(orders: GatewayOrders) -> None:
    """Run the gateway until it is stopped or dies."""
    with open(orders.log, "ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    configure()
    clock = PlantClock.from_text(orders.clock)
    strike = Strike(orders.wanted, orders.skip, Path(orders.fell))
    asyncio.run(run_until_stopped(config_of(orders.config), clock=clock, speed=clock.speed, around=around(strike)))


if __name__ == "__main__":
    orders = GatewayOrders(**json.loads(sys.argv[1]))
    die_with(orders.parent)
    run(orders)
