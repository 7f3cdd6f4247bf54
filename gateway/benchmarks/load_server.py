"""A server of load in a process of its own, so that what is measured is the client alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from connectors.simulator.load import Load, serve

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it is, and how many values it has sent."""

    url: str
    pipe: Connection

    @property
    def sent(self) -> int:
        """Values that the server has published so far."""
        self.pipe.send(None)
        sent: int = self.pipe.recv()
        return sent


@contextmanager
def serving(load: Load) -> Iterator[Served]:
    """Serve a load while entered."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(load, time.time_ns, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Served(f"opc.tcp://127.0.0.1:{ours.recv()}", ours)
    finally:
        ours.close()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
