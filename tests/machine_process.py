"""A simulated machine in a process of its own, started by the command that integrators use."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 20


@dataclass(frozen=True)
class Served:
    url: str
    fingerprint: str
    state: Path


@contextmanager
def machine_process(state: Path, *words: str) -> Iterator[Served]:
    """Serve until left; the process says where it is as soon as it listens."""
    command = [sys.executable, "-m", "gateway", "simulate", "machine", "--state", str(state), "--port", "0", "--json"]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Served(told["url"], told["fingerprint"], state)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
