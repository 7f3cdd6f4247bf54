"""An answer counts only for the question that it fits."""

from __future__ import annotations

import pytest
from pymodbus.pdu import ExceptionResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse

from connectors.connector import ConnectionLost
from connectors.modbus.connector import checked


def answer(registers: list[int], device: int = 1) -> ReadHoldingRegistersResponse:
    return ReadHoldingRegistersResponse(registers=registers, dev_id=device)


def test_an_answer_that_fits_is_taken():
    assert checked(answer([1, 2]), 3, 2, 1) == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        answer([1]),
        answer([1, 2, 3]),
        answer([]),
        answer([1, 2], device=2),
        ReadInputRegistersResponse(registers=[1, 2]),
    ],
)
def test_an_answer_to_another_question_ends_the_conversation(wrong):
    with pytest.raises(ConnectionLost, match="does not fit"):
        checked(wrong, 3, 2, 1)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_registers_that_are_not_there_are_no_end(code: int):
    assert checked(ExceptionResponse(3, code), 3, 2, 1) is None


@pytest.mark.parametrize("code", [4, 6, 10, 11])
def test_a_device_in_trouble_is_a_lost_connection(code: int):
    with pytest.raises(ConnectionLost, match=f"exception {code}"):
        checked(ExceptionResponse(3, code), 3, 2, 1)
