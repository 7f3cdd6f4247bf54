"""A serial port as a transport, with nothing but the operating system: POSIX terminals under asyncio.

Promises: the port is ours alone while it is open, raw, and set to speed, parity and stop bits before the first byte;
closing gives it back at once; one that is pulled out ends the conversation. A character has 8 data bits (MODBUS over
Serial Line V1.02, 2.5.1). Refuses to know frames and devices; those are `reader`'s.
"""

from __future__ import annotations

import asyncio
import os
from gettext import gettext as _
from typing import Final

from connectors.connector import ConnectionLost
from connectors.modbus.reader import RtuReader
from connectors.modbus.settings import ModbusSettings

READ_BYTES: Final = 512
"""Two of the longest frames."""
BITS_OF_A_CHARACTER: Final = 11
FAST_BAUD: Final = 19_200
FAST_REST_S: Final = 0.00175
"""Above that speed the silence between frames grows no shorter (V1.02, 2.5.1.1)."""


def rest_s(baudrate: int) -> float:
    """Return how long a line has to be silent between two frames: 3.5 characters."""
    return FAST_REST_S if baudrate > FAST_BAUD else 3.5 * BITS_OF_A_CHARACTER / baudrate


class SerialTransport(asyncio.Transport):
    """An open port; what arrives goes to a protocol, as from any transport of asyncio."""

    def __init__(self, file: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._file = file
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(file, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one frame; a port that takes not even a frame is stuck, and counts as gone."""
        try:
            whole = os.write(self._file, data) == len(data)
        except OSError:
            whole = False
        if not whole:
            self._end()

    def abort(self) -> None:
        """Close at once; may be called twice."""
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._file, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._protocol.data_received(data)
        else:
            self._end()

    def _end(self) -> None:
        self.abort()
        self._protocol.connection_lost(None)


async def open_serial(settings: ModbusSettings) -> RtuReader:
    """Open the port of a site. Raises `ConnectionLost`."""
    path = settings.serial or ""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            _set(file, settings)
        except BaseException:
            os.close(file)
            raise
    except ImportError as error:
        raise ConnectionLost(_("this operating system has no POSIX terminals, so no serial port")) from error
    except (OSError, ValueError) as error:
        text = _("{port} cannot be opened: {reason}")
        raise ConnectionLost(text.format(port=path, reason=str(error)[:200])) from error
    reader = RtuReader(rest_s=rest_s(settings.baudrate))
    SerialTransport(file, reader)
    return reader


def _set(file: int, settings: ModbusSettings) -> None:
    """Take the port for us alone and set it. Raises OSError; ValueError for a speed that the computer has not."""
    import fcntl
    import termios

    speed = getattr(termios, f"B{settings.baudrate}", None)
    if not isinstance(speed, int):
        raise ValueError(_("this computer has no speed of {baudrate} baud").format(baudrate=settings.baudrate))
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    if settings.parity != "none":
        control |= termios.PARENB | (termios.PARODD if settings.parity == "odd" else 0)
    if settings.stop_bits == 2:
        control |= termios.CSTOPB
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.ioctl(file, termios.TIOCEXCL)
        characters = termios.tcgetattr(file)[6]
        characters[termios.VMIN], characters[termios.VTIME] = 0, 0
        termios.tcsetattr(file, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        termios.tcflush(file, termios.TCIOFLUSH)
    except termios.error as error:
        raise OSError(*error.args) from error
