"""Asking a line: one question or several under way, each answered, refused or given up within its time.

Promises: an answer reaches only the question that it belongs to; a late one reaches nobody; what cannot belong to any
question makes the line untrusted, which fails every question under way and hangs up; nothing waits longer than its
timeout. Refuses to judge devices: who does not answer is `Silent`, and the connector decides what follows.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final, Protocol

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.modbus.settings import ModbusSettings
from connectors.modbus.wire import HEADER, PDU_MAX, Lie, Question, Reason, data_of, rtu_data_of, rtu_length

CONNECT_SECONDS: Final = 1.0
"""A device that is off does not answer a call, and is called again."""
LATE_MAX: Final = 256
"""Transactions that were given up and whose answers may still come."""
BUFFER_MAX: Final = 64 * 1024
"""Bytes that no frame could be made of: more than every answer under way together."""


class Silent(Exception):
    """No answer within the time."""


class Reader(Protocol):
    """A line that can be asked."""

    async def ask(self, question: Question, timeout_s: float) -> bytes:
        """Return the data of the answer. Raises `Silent`, `DeviceException`, `Lie`, `ConnectionLost`."""

    def close(self) -> None:
        """Hang up."""


class _Line(asyncio.Protocol):
    """What every line has in common: a transport, and that it ends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.fail(ConnectionLost(_("the device closed the connection")))

    def fail(self, error: Exception) -> None:
        """End every question under way with an error."""

    def distrust(self, lie: Lie) -> None:
        """Nothing that comes after this can be told apart any more."""
        self.fail(lie)
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def send(self, frame: bytes) -> None:
        """Send. Raises `ConnectionLost`."""
        if self.transport is None:
            raise ConnectionLost(_("the device closed the connection"))
        self.transport.write(frame)


class TcpReader(_Line):
    """A line over TCP, where each question has a number that its answer bears: several may be under way."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._waiting: dict[int, tuple[Question, asyncio.Future[bytes]]] = {}
        self._late: OrderedDict[int, None] = OrderedDict()

    async def ask(self, question: Question, timeout_s: float) -> bytes:
        """Return the data of the answer. Raises `Silent`, `DeviceException`, `Lie`, `ConnectionLost`."""
        loop = asyncio.get_running_loop()
        number = self._number = self._number % 0xFFFF + 1  # never 0, which sloppy devices answer with
        answer: asyncio.Future[bytes] = loop.create_future()
        self.send(question.tcp(number))
        self._waiting[number] = question, answer
        timer = loop.call_later(timeout_s, self._give_up, number)
        try:
            return await answer
        finally:
            timer.cancel()
            if self._waiting.pop(number, None) is not None:  # whoever asked does not wait any more
                self._expect_late(number)

    def _give_up(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self._expect_late(number)
            if not waiting[1].done():
                waiting[1].set_exception(Silent())

    def _expect_late(self, number: int) -> None:
        self._late[number] = None
        if len(self._late) > LATE_MAX:
            self._late.popitem(last=False)

    def fail(self, error: Exception) -> None:
        """End every question under way with an error."""
        waiting, self._waiting = self._waiting, {}
        for _question, answer in waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            number, protocol, length, unit = HEADER.unpack_from(self.buffer)
            if protocol != 0:
                return self.distrust(Lie(Reason.PROTOCOL))
            if not 2 <= length <= PDU_MAX + 1:
                return self.distrust(Lie(Reason.LENGTH))
            end = HEADER.size - 1 + length
            if len(self.buffer) < end:
                return None
            pdu = bytes(self.buffer[HEADER.size : end])
            del self.buffer[:end]
            if not self._answered(number, unit, pdu):
                return self.distrust(Lie(Reason.TRANSACTION))
        return None

    def _answered(self, number: int, unit: int, pdu: bytes) -> bool:
        """Hand an answer to its question; False when there is none that it could belong to."""
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            return self._late.pop(number, self) is None
        question, answer = waiting
        if answer.done():
            return True
        try:
            answer.set_result(data_of(question, unit, pdu))
        except Exception as error:
            answer.set_exception(error)
        return True


class RtuReader(_Line):
    """A line of serial frames, over TCP or a serial port: one question at a time, told apart by silence alone."""

    def __init__(self, quiet_s: float = 0.05) -> None:
        """Take how long a line has to be quiet after a question that was given up, in seconds."""
        super().__init__()
        self._quiet_s = quiet_s
        self._turn = asyncio.Lock()
        self._question: Question | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._heard = asyncio.Event()
        self._noisy = False

    async def ask(self, question: Question, timeout_s: float) -> bytes:
        """Return the data of the answer. Raises `Silent`, `DeviceException`, `Lie`, `ConnectionLost`."""
        async with self._turn:
            if self._noisy:
                await self._silence(timeout_s)
            self.buffer.clear()
            self._question, self._answer = question, asyncio.get_running_loop().create_future()
            try:
                self.send(question.rtu())
                async with asyncio.timeout(timeout_s):
                    return await self._answer
            except TimeoutError:
                self._noisy = True  # its answer may still come, and looks like anybody's
                raise Silent from None
            except Lie:
                self._noisy = True
                raise
            finally:
                self._question = self._answer = None

    async def _silence(self, timeout_s: float) -> None:
        """Wait until the line is quiet, for twice the timeout at most. Raises `ConnectionLost` when it never is."""
        try:
            async with asyncio.timeout(2 * timeout_s + self._quiet_s):
                while True:
                    self._heard.clear()
                    try:
                        async with asyncio.timeout(self._quiet_s):
                            await self._heard.wait()
                    except TimeoutError:
                        self._noisy = False
                        return
        except TimeoutError:
            raise ConnectionLost(_("the line is never quiet")) from None

    def fail(self, error: Exception) -> None:
        """End the question under way with an error."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def data_received(self, data: bytes) -> None:
        self._heard.set()
        self.buffer += data
        if self._question is None or self._answer is None or self._answer.done():
            if len(self.buffer) > BUFFER_MAX:
                self.buffer.clear()
            return
        length = rtu_length(self._question, bytes(self.buffer[:2]))
        if length is None or len(self.buffer) < length:
            return
        frame = bytes(self.buffer)
        self.buffer.clear()
        try:
            self._answer.set_result(rtu_data_of(self._question, frame))
        except Exception as error:
            self._answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class Opened:
    """A line that is open, and whether it is encrypted and its other end is who it should be."""

    reader: Reader
    secured: bool


async def open_line(settings: ModbusSettings, base: Path) -> Opened:
    """Open a line as the site says. Raises `ConnectionLost`, `ConnectionRefused`."""
    if settings.transport == "rtu":
        from connectors.modbus.serial_line import open_serial

        return Opened(await open_serial(settings), secured=False)
    make: Callable[[], _Line] = RtuReader if settings.transport == "rtu-over-tcp" else TcpReader
    host, port = settings.address
    context = _context(settings, base) if settings.transport == "tls" else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS if context is None else 5 * CONNECT_SECONDS):
            loop = asyncio.get_running_loop()
            transport, line = await loop.create_connection(
                make, host, port, ssl=context, server_hostname=host if context else None
            )
    except (OSError, TimeoutError) as error:
        text = _("{host}:{port} cannot be reached: {error}")
        raise ConnectionLost(text.format(host=host, port=port, error=error or type(error).__name__)) from error
    assert isinstance(line, TcpReader | RtuReader)
    if context is not None:
        _require_pinned(transport, settings)
    return Opened(line, secured=context is not None)


def _context(settings: ModbusSettings, base: Path) -> ssl.SSLContext:
    """TLS 1.2 at least (MB-TCP-Security-v21, 5); the device is known by its pinned certificate, not by an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None and settings.key is not None:
        try:
            context.load_cert_chain(base / settings.certificate, base / settings.key)
        except (OSError, ssl.SSLError) as error:
            text = _("our certificate for the device cannot be read: {reason}")
            raise ConnectionRefused(text.format(reason=error)) from error
    return context


def _require_pinned(transport: asyncio.Transport, settings: ModbusSettings) -> None:
    tls = transport.get_extra_info("ssl_object")
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    found = "sha256:" + hashlib.sha256(shown or b"").hexdigest()
    if found != settings.server_certificate:
        transport.abort()
        text = _("the device's certificate is {found}, pinned is {pinned}: it was replaced, or this is another device")
        raise ConnectionRefused(text.format(found=found, pinned=settings.server_certificate))
