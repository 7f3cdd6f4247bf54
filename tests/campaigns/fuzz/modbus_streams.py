"""Several questions of one shape under way, and a device that spoils its answers in one way: cut, doubled, dropped,
turned.

What is spoilt is where frames begin and end and whose they are, never a byte of data, for over TCP a wrong byte in a
right frame cannot be told by anybody. So whatever is taken has to be the very data of its own question.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from typing import Any, Final

from connectors.connector import ConnectionLost
from connectors.modbus.reader import TcpReader
from connectors.modbus.wire import Question
from connectors.simulator.modbus_line import Unit, answer

TIMEOUT_SECONDS: Final = 0.001
PATIENCE_SECONDS: Final = 2.0
"""A hang is what never ends; a busy machine is late."""
QUESTION_BYTES: Final = 12


class Wire(asyncio.Transport):
    """A transport whose other end is the campaign."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.gone = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.gone = True


def _cut(rng: random.Random, frame: bytes) -> bytes:
    return frame[: rng.randrange(len(frame))]


def _headed(place: int) -> Callable[[random.Random, bytes], bytes]:
    def change(rng: random.Random, frame: bytes) -> bytes:
        return frame[:place] + bytes([frame[place] ^ rng.randrange(1, 256)]) + frame[place + 1 :]

    return change


SPOILT: Final[dict[str, Callable[[random.Random, bytes], bytes]]] = {
    "true": lambda rng, frame: frame,
    "cut": _cut,
    "cut by a little": lambda rng, frame: frame[: -rng.randrange(1, 8)],
    "halved": lambda rng, frame: frame[: (len(frame) + 1) // 2],
    "dropped": lambda rng, frame: b"",
    "doubled": lambda rng, frame: frame + frame,
    "followed by noise": lambda rng, frame: frame + rng.randbytes(rng.randrange(1, 20)),
    **{f"byte {place} changed": _headed(place) for place in range(9)},
}


async def stream(rng: random.Random, unit: Unit) -> str | None:
    """Ask several at once of a device that spoils some of its answers; return what went wrong, or None."""
    count, many = rng.randrange(1, 20), rng.randrange(2, 9)
    questions = [Question(1, "holding", at, count) for at in rng.sample(range(500), many)]
    how, share = rng.choice(sorted(SPOILT)), rng.choice([0.2, 0.5, 1.0])
    reader, wire = TcpReader(), Wire()
    reader.connection_made(wire)
    asking = asyncio.ensure_future(reader.sweep(questions, TIMEOUT_SECONDS, rng.randrange(1, 9)))
    heard = b""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not asking.done():
                await asyncio.sleep(0)
                said, wire.sent = wire.sent, b""
                frames = _answers(rng, unit, said, how, share)
                heard += frames
                _feed(rng, reader, wire, frames)
            answers = asking.result()
    except ConnectionLost:
        return None
    except TimeoutError:
        return f"{many} questions, {how}: hung on {heard.hex()}"
    except Exception as error:
        return f"{many} questions, {how}: escaped on {heard.hex()}: {error!r}"
    finally:
        asking.cancel()
        reader.close()
    for question, found in zip(questions, answers, strict=True):
        if found.error is None and found.data != answer(unit, question.body()[1:])[2:]:
            return f"{question}, {how}: took {found.data.hex()} from {heard.hex()}"
    return None


def _answers(rng: random.Random, unit: Unit, said: bytes, how: str, share: float) -> bytes:
    """Return what the device says to all that it was asked since it spoke last."""
    frames = []
    for at in range(0, len(said), QUESTION_BYTES):
        number, question = said[at : at + 2], said[at + 6 : at + QUESTION_BYTES]
        body = question[:1] + answer(unit, question[1:])
        frame = number + struct.pack(">HH", 0, len(body)) + body
        frames.append(SPOILT[how](rng, frame) if rng.random() < share else frame)
    return b"".join(frames)


def _feed(rng: random.Random, reader: TcpReader, wire: Wire, frames: bytes) -> None:
    """Hand over bytes in pieces of any size, as networks do."""
    while frames and not wire.gone:
        size = rng.choice([rng.randrange(1, 12), len(frames)])
        reader.data_received(frames[:size])
        frames = frames[size:]
