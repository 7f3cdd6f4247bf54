"""The demo's children: started in order, told apart by name, stopped in the opposite order, never left behind.

A child runs in its own session, so that Ctrl-C reaches the demo alone and the demo ends its children in a good order;
where the system can, the kernel ends them too when the demo is killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

READY_S: Final = 30.0
"""A cold start on a small edge box; anything longer is a fault."""
STOP_S: Final = 8.0
"""A gateway stops within five seconds; then it is killed, which loses nothing."""
_PR_SET_PDEATHSIG: Final = 1


class ChildFailed(Exception):
    """A process of the demo did not start or ended by itself; `str()` says which and what it said last."""


@dataclass(frozen=True, slots=True)
class Child:
    """One running process and where its log is."""

    name: str
    process: asyncio.subprocess.Process
    log: Path


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def start(name: str, arguments: Sequence[str], directory: Path) -> Child:
    """Start a Python module as a child; what it says beyond its answers goes to `directory/NAME.log`."""
    log = directory / f"{name}.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=descriptor,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    finally:
        os.close(descriptor)
    return Child(name, process, log)


async def answer(child: Child) -> dict[str, Any]:
    """Return the JSON object of the first line that a child prints. Raises `ChildFailed`."""
    assert child.process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            line = await child.process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
    except (TimeoutError, ValueError) as error:
        raise failed(child) from error
    return found


def failed(child: Child) -> ChildFailed:
    """Return what went wrong with a child, with the last line that it left."""
    try:
        lines = [line for line in child.log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    last = lines[-1] if lines else _("it said nothing")
    return ChildFailed(
        _("the {name} did not run: {last} (see {log})").format(name=child.name, last=last, log=child.log)
    )


async def stop(child: Child) -> None:
    """Ask a child to end, and end it if it does not."""
    if child.process.returncode is None:
        child.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await child.process.wait()
        except TimeoutError:
            child.process.kill()
    await child.process.communicate()
