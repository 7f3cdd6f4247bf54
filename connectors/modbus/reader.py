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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final, Protocol

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.modbus.settings import ModbusSettings
from connectors.modbus.wire import (
    HEADER,
    PDU_MAX,
    DeviceException,
    Lie,
    Question,
    Reason,
    data_of,
    rtu_data_of,
    rtu_length,
)

CONNECT_SECONDS: Final = 1.0
"""A device that is off does not answer a call, and is called again."""
LATE_MAX: Final = 256
"""Transactions that were given up and whose answers may still come."""
BUFFER_MAX: Final = 64 * 1024
"""Bytes that no frame could be made of: more than every answer under way together."""


class Silent(Exception):
    """No answer within the time."""


class Unasked(Exception):
    """The line ended before it was asked, or what came cannot be vouched for: that says nothing of its unit."""


@dataclass(slots=True)
class Answer:
    """What became of a question: its data, or why there are none; and when, in seconds of the running loop's clock."""

    asked_at: float = 0.0
    ended_at: float = 0.0
    data: bytes = b""
    error: Exception | None = None


class Reader(Protocol):
    """A line that can be asked."""

    async def sweep(self, questions: Sequence[Question], timeout_s: float, depth: int) -> list[Answer]:
        """Ask all of them, `depth` at once where the line can; return their answers in the same order.

        An error is `Silent`, `DeviceException`, `Lie`, or `Unasked` behind a lie that ended the line. A unit that was
        silent once is not asked again within a sweep.
        Raises `ConnectionLost`.
        """

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


class _Sweep:
    """Questions on their way over TCP: what is asked next, what is under way, what has come."""

    def __init__(self, questions: Sequence[Question], timeout_s: float, depth: int, done: asyncio.Future[None]) -> None:
        self.questions = questions
        self.timeout_s = timeout_s
        self.depth = depth
        self.open = 0
        self.answers = [Answer() for _question in questions]
        self.done = done
        self.next = 0
        self.silent: set[int] = set()

    def end(self, place: int, now: float, data: bytes = b"", error: Exception | None = None) -> None:
        """Note what became of a question that was under way."""
        answer = self.answers[place]
        answer.ended_at, answer.data, answer.error = now, data, error

    def end_unasked(self, now: float) -> None:
        """The line ends: what was not asked yet never will be."""
        while self.next < len(self.questions):
            self.end(self.next, now, error=Unasked())
            self.next += 1
        self.done.set_result(None)


class TcpReader(_Line):
    """A line over TCP, where each question has a number that its answer bears: several may be under way.

    A device that cuts an answer off and goes on with another has its frame filled up with the beginning of that, and
    everything in it fits. So with several under way an answer stands only when the next frame begins where it ends; and
    where that belongs to a later question than was to be expected, only when the ones left out are answered, too.
    The next question leaves in the very call that takes an answer: a poll of eighty requests wakes its task once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._waiting: dict[int, tuple[_Sweep, int]] = {}
        self._late: OrderedDict[int, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._unconfirmed: tuple[_Sweep, int] | None = None
        self._doubtful: dict[int, list[tuple[_Sweep, int]]] = {}

    async def sweep(self, questions: Sequence[Question], timeout_s: float, depth: int) -> list[Answer]:
        """Ask all of them, `depth` at once; see `Reader`. Raises `ConnectionLost`."""
        sweep = _Sweep(questions, timeout_s, depth, self._loop.create_future())
        try:
            self.send(b"".join(frame for _ in range(depth) if (frame := self._next(sweep))))
            self._settle(sweep)
            await sweep.done
        finally:
            if self._unconfirmed is not None and self._unconfirmed[0] is sweep:
                self._unconfirmed = None
            for number, pairs in list(self._doubtful.items()):
                self._doubtful[number] = [pair for pair in pairs if pair[0] is not sweep]
            for number in [number for number, (each, _place) in self._waiting.items() if each is sweep]:
                self._expect_late(number)
        return sweep.answers

    def _next(self, sweep: _Sweep) -> bytes:
        """Return the frame of a sweep's next question, empty when there is none."""
        while sweep.next < len(sweep.questions):
            place, sweep.next = sweep.next, sweep.next + 1
            question, now = sweep.questions[place], self._loop.time()
            if question.unit in sweep.silent:
                sweep.end(place, now, error=Silent())
                continue
            number = self._number = self._number % 0xFFFF + 1  # never 0, which sloppy devices answer with
            sweep.answers[place].asked_at = now
            self._waiting[number] = sweep, place
            sweep.open += 1
            if self._timer is None:
                self._timer = self._loop.call_at(now + sweep.timeout_s, self._give_up)
            return question.tcp(number)
        return b""

    def _settle(self, sweep: _Sweep) -> None:
        """End a sweep of which nothing is to be asked and nothing under way."""
        if sweep.open == 0 and sweep.next == len(sweep.questions) and not sweep.done.done():
            sweep.done.set_result(None)

    def _give_up(self) -> None:
        """Whoever has waited for their time waits no more; their places are taken by the next."""
        self._timer, now = None, self._loop.time()
        ended: set[_Sweep] = set()
        for number, (sweep, place) in list(self._waiting.items()):
            due = sweep.answers[place].asked_at + sweep.timeout_s
            if due > now + 1e-4:
                self._timer = self._timer or self._loop.call_at(due, self._give_up)
                continue
            if self._is_half(number):
                return self._distrusted(Lie(Reason.LENGTH), sweep)
            self._expect_late(number)
            sweep.open -= 1
            sweep.end(place, now, error=Silent())
            for each, answered in self._doubtful.pop(number, ()):  # it may have been filled up with this one's answer
                _take_back(each, answered, now)
            sweep.silent.add(sweep.questions[place].unit)
            ended.add(sweep)
        if self._unconfirmed is not None and self._unconfirmed[0] in ended:
            self._revoke(Unasked(), now)  # what ended it may have been what the silent one said
        for sweep in ended:
            self._go_on(sweep)
        return None

    def _doubt(self, number: int) -> None:
        """Let the last answer hang on the questions, asked before this one, that this one's answer leaves out."""
        if self._unconfirmed is None or number not in self._waiting:
            return
        for left_out in self._waiting:
            if left_out == number:
                return
            self._doubtful.setdefault(left_out, []).append(self._unconfirmed)

    def _is_half(self, number: int) -> bool:
        """Whether what has come of a frame is all that came in answer to a question whose time is over."""
        return bool(self.buffer) and (self.buffer[:2] == number.to_bytes(2, "big") or len(self._waiting) == 1)

    def _revoke(self, error: Exception, now: float) -> None:
        """Take back the answer behind which no frame begins, while its sweep lasts."""
        if self._unconfirmed is not None:
            (sweep, place), self._unconfirmed = self._unconfirmed, None
            if not sweep.done.done():
                sweep.end(place, now, error=error)

    def _expect_late(self, number: int) -> None:
        self._waiting.pop(number, None)
        self._late[number] = None
        if len(self._late) > LATE_MAX:
            self._late.popitem(last=False)

    def fail(self, error: Exception) -> None:
        """End every sweep under way: a lie ends its questions with it, anything else the sweep itself."""
        waiting, self._waiting = self._waiting, {}
        now = self._loop.time()
        for sweep, place in waiting.values():
            sweep.open -= 1
            sweep.end(place, now, error=error)
        for sweep in {each for each, _place in waiting.values()}:
            if sweep.done.done():
                continue
            if isinstance(error, Lie):
                sweep.end_unasked(now)
            else:
                sweep.done.set_exception(error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = bytes(self.buffer) + data
            self.buffer.clear()
        at, whole, now = 0, len(data), self._loop.time()
        touched: _Sweep | None = None
        while whole - at >= HEADER.size:
            number, protocol, length, unit = HEADER.unpack_from(data, at)
            end = at + HEADER.size - 1 + length
            if protocol != 0 or not 2 <= length <= PDU_MAX + 1:
                return self._distrusted(Lie(Reason.PROTOCOL if protocol else Reason.LENGTH), touched)
            if whole < end:
                break
            if self._unconfirmed is not None and number != next(iter(self._waiting), number):
                self._doubt(number)
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                if self._doubtful:
                    self._doubtful.pop(number, None)
                touched, place = waiting
                self._take(touched, place, unit, data[at + HEADER.size : end], now)
                self._unconfirmed = waiting if touched.open or end < whole else None
            elif self._late.pop(number, self) is self:
                return self._distrusted(Lie(Reason.TRANSACTION), touched)
            else:
                self._unconfirmed = None
            at = end
        self.buffer += data[at:]
        if self.buffer and not self._waiting and not self._late:
            return self._distrusted(Lie(Reason.LENGTH), touched)  # what follows an answer is none that is waited for
        if touched is not None:
            self._go_on(touched)
        return None

    def _distrusted(self, lie: Lie, touched: _Sweep | None) -> None:
        """End every sweep under way, and the one whose answer was the last: it may have nothing under way."""
        now = self._loop.time()
        self._revoke(lie, now)
        for each, answered in [pair for pairs in self._doubtful.values() for pair in pairs]:
            _take_back(each, answered, now)
        self.distrust(lie)
        if touched is not None and not touched.done.done():
            touched.end_unasked(now)

    def _go_on(self, sweep: _Sweep) -> None:
        """Ask what comes next, once half of what may be under way is answered: one call for several questions."""
        if sweep.open <= sweep.depth // 2:
            self._send_on([self._next(sweep) for _ in range(sweep.depth - sweep.open)])
            self._settle(sweep)

    def _send_on(self, frames: list[bytes]) -> None:
        if self.transport is not None and any(frames):
            self.transport.write(b"".join(frames))

    def _take(self, sweep: _Sweep, place: int, unit: int, pdu: bytes, now: float) -> None:
        sweep.open -= 1
        try:
            sweep.end(place, now, data_of(sweep.questions[place], unit, pdu))
        except Exception as error:
            sweep.end(place, now, error=error)


def _take_back(sweep: _Sweep, place: int, now: float) -> None:
    """Let an answer that cannot be vouched for be none, while its sweep lasts."""
    if not sweep.done.done():
        sweep.end(place, now, error=Unasked())


class RtuReader(_Line):
    """A line of serial frames, over TCP or a serial port: one question at a time, told apart by silence alone.

    A late answer bears no number and looks like the next question's. So after a silence or a lie the line is left alone
    for another timeout, and whatever comes then is thrown away; a device that takes longer than two timeouts cannot be
    told from one that answers in time, by no master.
    """

    def __init__(self, quiet_s: float = 0.05, *, rest_s: float = 0.0) -> None:
        """Take how long a line has to be quiet after a question that was given up, and between frames, in seconds."""
        super().__init__()
        self._quiet_s = quiet_s
        self._rest_s = rest_s
        self._heard_at = 0.0
        self._turn = asyncio.Lock()
        self._question: Question | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._heard = asyncio.Event()
        self._noisy = False
        self._trusted_at = 0.0

    async def sweep(self, questions: Sequence[Question], timeout_s: float, depth: int) -> list[Answer]:
        """Ask one after the other; see `Reader`. Raises `ConnectionLost`."""
        return await in_turn(self._ask, questions, timeout_s)

    async def _ask(self, question: Question, timeout_s: float) -> bytes:
        async with self._turn:
            if self._noisy:
                await self._silence(timeout_s)
            await self._rest()
            self.buffer.clear()
            self._question, self._answer = question, asyncio.get_running_loop().create_future()
            try:
                self.send(question.rtu())
                async with asyncio.timeout(timeout_s):
                    return await self._answer
            except TimeoutError:
                self._mistrust(timeout_s)  # its answer may still come, and looks like anybody's
                raise Silent from None
            except Lie:
                self._mistrust(timeout_s)
                raise
            finally:
                self._question = self._answer = None

    async def _rest(self) -> None:
        """Let the line be silent for as long as it tells frames apart by."""
        left = self._heard_at + self._rest_s - asyncio.get_running_loop().time()
        if self._rest_s and left > 0:
            await asyncio.sleep(left)

    def _mistrust(self, timeout_s: float) -> None:
        self._noisy, self._trusted_at = True, asyncio.get_running_loop().time() + timeout_s

    async def _silence(self, timeout_s: float) -> None:
        """Wait until a late answer has had its time and the line is quiet, for twice the timeout more at most.

        Raises `ConnectionLost` when it never is.
        """
        await asyncio.sleep(self._trusted_at - asyncio.get_running_loop().time())
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
        self._heard_at = asyncio.get_running_loop().time()
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


async def in_turn(
    ask: Callable[[Question, float], Awaitable[bytes]], questions: Sequence[Question], timeout_s: float
) -> list[Answer]:
    """Ask one after the other on a line that can do no better. Raises `ConnectionLost`."""
    loop, answers = asyncio.get_running_loop(), []
    silent: set[int] = set()
    for question in questions:
        answer = Answer(asked_at=loop.time())
        try:
            if question.unit in silent:
                raise Silent
            answer.data = await ask(question, timeout_s)
        except (Silent, DeviceException, Lie) as error:
            answer.error = error
            if isinstance(error, Silent):
                silent.add(question.unit)
        answer.ended_at = loop.time()
        answers.append(answer)
    return answers


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
