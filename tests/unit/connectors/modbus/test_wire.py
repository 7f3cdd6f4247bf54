"""An answer counts only for the question that it fits, as pymodbus would have framed it."""

from __future__ import annotations

import random
import struct

import pytest
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from connectors.modbus.units import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Breaker
from connectors.modbus.wire import DeviceException, Lie, Question, Reason, data_of, rtu_data_of

QUESTION = Question(5, "holding", 10, 2)
DATA = b"\x00\x01\x00\x02"


def test_what_pymodbus_frames_is_what_we_read():
    for seed in range(200):
        rng = random.Random(seed)
        words = [rng.randrange(65536) for _ in range(rng.randrange(1, 126))]
        unit = rng.randrange(1, 248)
        question = Question(unit, "holding", 0, len(words))
        answer = ReadHoldingRegistersResponse(registers=words, dev_id=unit, transaction_id=seed + 1)
        tcp = FramerSocket(DecodePDU(False)).buildFrame(answer)
        assert struct.unpack(">HHH", tcp[:6]) == (seed + 1, 0, len(tcp) - 6)
        assert list(struct.unpack(f">{len(words)}H", data_of(question, tcp[6], tcp[7:]))) == words
        rtu = FramerRTU(DecodePDU(False)).buildFrame(answer)
        assert list(struct.unpack(f">{len(words)}H", rtu_data_of(question, rtu))) == words


def test_what_we_ask_pymodbus_understands():
    asked = DecodePDU(True).decode(QUESTION.tcp(9)[7:])
    assert (asked.function_code, asked.address, asked.count) == (3, 10, 2)
    assert QUESTION.tcp(9)[:7] == b"\x00\x09\x00\x00\x00\x06\x05"
    assert QUESTION.rtu()[-2:] == struct.pack(">H", FramerRTU.compute_CRC(QUESTION.body()))


@pytest.mark.parametrize(
    ("unit", "pdu", "reason"),
    [
        (4, b"\x03\x04" + DATA, Reason.UNIT),
        (5, b"\x04\x04" + DATA, Reason.FUNCTION),
        (5, b"\x84\x02", Reason.FUNCTION),
        (5, b"", Reason.FUNCTION),
        (5, b"\x03", Reason.BYTE_COUNT),
        (5, b"\x03\x02" + DATA, Reason.BYTE_COUNT),
        (5, b"\x03\x06" + DATA + b"\0\0", Reason.BYTE_COUNT),
        (5, b"\x03\x04" + DATA[:-1], Reason.LENGTH),
        (5, b"\x03\x04" + DATA + b"\0", Reason.LENGTH),
        (5, b"\x83\x02\x00", Reason.LENGTH),
    ],
)
def test_what_does_not_fit_is_a_lie_with_its_reason(unit: int, pdu: bytes, reason: Reason):
    with pytest.raises(Lie) as caught:
        data_of(QUESTION, unit, pdu)
    assert caught.value.reason is reason


def test_an_exception_is_the_devices_own_word():
    with pytest.raises(DeviceException) as caught:
        data_of(QUESTION, 5, b"\x83\x02")
    assert caught.value.code == 2


def test_a_serial_frame_needs_its_checksum():
    with pytest.raises(Lie, match="checksum"):
        rtu_data_of(QUESTION, b"\x05\x03\x04" + DATA + b"\0\0")
    with pytest.raises(Lie, match="length"):
        rtu_data_of(QUESTION, b"\x05\x03")


class TestBreaker:
    def test_one_silence_is_chance_and_two_are_not(self):
        breaker = Breaker()
        assert not breaker.was_silent(0.0)
        assert not breaker.is_open
        assert breaker.was_silent(1.0)
        assert breaker.is_open
        assert not breaker.is_due(1.0 + FIRST_PAUSE_SECONDS - 0.1)
        assert breaker.is_due(1.0 + FIRST_PAUSE_SECONDS)

    def test_trials_grow_rarer_and_end_with_the_first_answer(self):
        breaker, now, pauses = Breaker(), 0.0, []
        for _ in range(12):
            breaker.was_silent(now)
            if breaker.again_at is not None:
                pauses.append(breaker.again_at - now)
                now = breaker.again_at
        assert pauses == sorted(pauses)
        assert pauses[-1] == LONGEST_PAUSE_SECONDS
        assert breaker.answered()
        assert not breaker.is_open
        assert not breaker.answered()
