"""A serial port without a wire: a pseudo-terminal whose far end is a simulated Modbus line.

Promises: what a gateway opens is a terminal of the operating system, at a path of its own, as with a real adapter; it
can be unplugged and plugged in again at the same path. POSIX only. Refuses to know how devices answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from pathlib import Path
from typing import Final

from connectors.simulator.modbus_line import Line, conversation

READ_BYTES: Final = 4096


class SerialPort(asyncio.Transport):
    """A port at `path`, plugged in from `plug` to `unplug`; `silent` lets everything that arrives vanish."""

    def __init__(self, line: Line, path: Path) -> None:
        """Take the line at the far end, which answers in serial frames, and where the port shall be found."""
        super().__init__()
        self.path = path
        self.silent = False
        self._conversation = conversation(line)
        self._near = self._far = -1

    def plug(self) -> None:
        """Let the port be there."""
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._near))
        self._conversation.connection_made(self)
        asyncio.get_running_loop().add_reader(self._far, self._readable)

    def unplug(self) -> None:
        """Let the port be gone, as an adapter that is pulled out; may be called twice."""
        if self._far < 0:
            return
        asyncio.get_running_loop().remove_reader(self._far)
        self._conversation.connection_lost(None)
        os.close(self._far)
        os.close(self._near)
        self._near = self._far = -1
        self.path.unlink(missing_ok=True)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send to whoever opened the port."""
        if self._far >= 0:
            os.write(self._far, data)

    def abort(self) -> None:
        """End the conversation; the port stays."""

    def _readable(self) -> None:
        with contextlib.suppress(OSError):  # whoever opened the port closed it
            data = os.read(self._far, READ_BYTES)
            if not self.silent:
                self._conversation.data_received(data)
