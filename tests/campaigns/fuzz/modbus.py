"""`python -m tests.campaigns.fuzz.modbus --count 1000000`: answers out of chance against the Modbus reader.

Each sample is what a device might send for one question: the true answer, or one with bytes changed, cut off, added,
swapped or of another question; now and then to several questions under way. Whatever comes in, in whatever pieces,
the only number that may come out is the one of an answer that fits its question to the byte; everything else is a
lie, an exception or silence, and nothing hangs. The last line is one JSON object; exit 0 if nothing was silently
wrong, nothing escaped and nothing hung.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import struct
import sys
import time

from connectors.connector import ConnectionLost
from connectors.modbus.reader import Answer, TcpReader
from connectors.modbus.wire import DeviceException, Lie, Question, checksum, rtu_data_of
from connectors.simulator.modbus_line import Unit, answer
from tests.campaigns.fuzz.modbus_streams import Wire, stream

TIMEOUT_SECONDS = 0.001
STREAMS = 0.05
"""Of all samples, those with several questions under way besides: they cost as much as ten others."""


def mangled(rng: random.Random, frame: bytes) -> bytes:
    """Return a frame as a sick device might send it, or the frame itself."""
    changed = bytearray(frame)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
        changed[rng.randrange(len(changed))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    chance = rng.random()
    if chance < 0.1:
        del changed[rng.randrange(len(changed)) :]
    elif chance < 0.2:
        changed += rng.randbytes(rng.randrange(1, 12))
    elif chance < 0.25:
        changed = bytearray(rng.randbytes(rng.randrange(1, 300)))
    return bytes(changed)


def question_of(rng: random.Random) -> Question:
    """Return a question."""
    table = rng.choice(["holding", "input", "coil", "discrete"])
    return Question(rng.randrange(1, 248), table, rng.randrange(500), rng.randrange(1, 60))  # type: ignore[arg-type]


def device(rng: random.Random) -> Unit:
    """Return a device with something in it."""
    return Unit(registers=[rng.randrange(65536) for _ in range(600)], bits=[rng.random() < 0.5 for _ in range(600)])


def wrong(question: Question, truth: bytes, sent: bytes, data: bytes) -> bool:
    """Whether data were taken that the frame does not say for this question, header included."""
    number, protocol, length, unit = struct.unpack_from(">HHHB", sent)
    fits = (number, protocol, length, unit) == (1, 0, 3 + question.data_bytes, question.unit)
    body = sent[7 : 6 + length]
    return not (fits and body[:2] == bytes([question.function, question.data_bytes]) and body[2:] == data)


async def one(rng: random.Random, unit: Unit) -> str | None:
    """Ask once; return what went wrong, or None."""
    question = question_of(rng)
    truth = answer(unit, question.body()[1:])
    reader, wire = TcpReader(), Wire()
    reader.connection_made(wire)
    asking = asyncio.ensure_future(reader.sweep([question], TIMEOUT_SECONDS, 1))
    await asyncio.sleep(0)
    body = bytes([question.unit]) + truth
    sent = mangled(rng, struct.pack(">HHH", 1, 0, len(body)) + body)
    cut = rng.randrange(len(sent) + 1)
    try:
        for piece in (sent[:cut], sent[cut:]):
            if piece and not wire.gone:
                reader.data_received(piece)
        (found,) = await asyncio.wait_for(asking, 1.0)
    except ConnectionLost:
        return None
    except TimeoutError:
        return f"{question} hung on {sent.hex()}"
    except Exception as error:
        return f"{question} escaped on {sent.hex()}: {error!r}"
    finally:
        reader.close()
    return judged(question, truth, sent, found)


def judged(question: Question, truth: bytes, sent: bytes, found: Answer) -> str | None:
    """Return what is wrong with an answer that was taken."""
    if found.error is None and wrong(question, truth, sent, found.data):
        return f"{question} took {found.data.hex()} from {sent.hex()}"
    return None


def serial(rng: random.Random, unit: Unit) -> str | None:
    """The same for a frame of a serial line, whose checksum has to be right."""
    question = question_of(rng)
    body = bytes([question.unit]) + answer(unit, question.body()[1:])
    sent = mangled(rng, body + checksum(body))
    try:
        data = rtu_data_of(question, sent)
    except (Lie, DeviceException):
        return None
    except Exception as error:
        return f"serial {question} escaped on {sent.hex()}: {error!r}"
    head = bytes([question.unit, question.function, question.data_bytes])
    right = sent[:3] == head and sent[3:-2] == data and sent[-2:] == checksum(sent[:-2])
    return None if right else f"serial {question} took {data.hex()} from {sent.hex()}"


async def samples(seed: int, count: int) -> list[str]:
    """Return what went wrong in so many samples."""
    rng, found = random.Random(seed), []
    unit = device(rng)
    for _ in range(count):
        for said in (await one(rng, unit), serial(rng, unit)) if rng.random() < 0.5 else (serial(rng, unit),):
            if said is not None:
                found.append(said)
        if rng.random() < STREAMS and (said := await stream(rng, unit)) is not None:
            found.append(said)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    began = time.monotonic()
    found = asyncio.run(samples(given.seed, given.count))
    for each in found[:20]:
        print(each, file=sys.stderr)
    seconds = round(time.monotonic() - began, 1)
    said = {"frames": given.count, "wrong": len(found), "seed": given.seed, "seconds": seconds}
    print(json.dumps(said))
    return 0 if not found else 1


if __name__ == "__main__":
    sys.exit(main())
