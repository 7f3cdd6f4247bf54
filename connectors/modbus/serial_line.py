"""A serial port as a line: pymodbus opens and frames it, and every answer is checked here as on any other line.

Promises: one question at a time, and an answer counts only where unit, function and length fit. Needs the package
pyserial, which only sites with a serial port install. Refuses to know devices.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any, Final

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException

from connectors.connector import ConnectionLost
from connectors.modbus.reader import Answer, Silent, in_turn
from connectors.modbus.settings import ModbusSettings
from connectors.modbus.wire import Question, data_of

# Its warnings about a device that is off also reach us as exceptions, once a second.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

_PARITY: Final = {"even": "E", "odd": "O", "none": "N"}


class SerialReader:
    """Keeps `connectors.modbus.reader.Reader`'s promise over pymodbus."""

    def __init__(self, client: AsyncModbusSerialClient) -> None:
        self._client = client
        self._turn = asyncio.Lock()

    async def sweep(self, questions: Sequence[Question], timeout_s: float, depth: int) -> list[Answer]:
        """Ask one after the other; see `connectors.modbus.reader.Reader`. Raises `ConnectionLost`."""
        return await in_turn(self._ask, questions, timeout_s)

    async def _ask(self, question: Question, timeout_s: float) -> bytes:
        ask = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
        }[question.table]
        async with self._turn:
            try:
                # Never under a shorter wait from outside: the late answer would be taken for the next one's.
                answer: Any = await ask(question.address, count=question.count, device_id=question.unit)
            except ModbusException as error:
                if not self._client.connected:
                    raise ConnectionLost(_("the serial port is closed")) from error
                raise Silent from error
        return data_of(question, answer.dev_id, _pdu(answer))

    def close(self) -> None:
        """Close the port."""
        self._client.close()


def _pdu(answer: Any) -> bytes:
    """What pymodbus decoded, as it came, to be checked as any other answer."""
    if answer.isError():
        return bytes([answer.function_code | 0x80, answer.exception_code])
    if answer.registers:
        data = struct.pack(f">{len(answer.registers)}H", *answer.registers)
    else:
        packed = [
            sum(bit << place for place, bit in enumerate(answer.bits[at : at + 8]))
            for at in range(0, len(answer.bits), 8)
        ]
        data = bytes(packed)
    return bytes([answer.function_code, len(data) & 0xFF]) + data


async def open_serial(settings: ModbusSettings) -> SerialReader:
    """Open the port of a site. Raises `ConnectionLost`."""
    try:
        client = AsyncModbusSerialClient(
            settings.serial or "",
            baudrate=settings.baudrate,
            parity=_PARITY[settings.parity],
            stopbits=settings.stop_bits,
            timeout=settings.timeout.total_seconds(),
            retries=0,
            reconnect_delay=0,
        )
    except RuntimeError as error:
        text = _("a serial port needs the package 'pyserial' (pip install 'toolcrib[serial]')")
        raise ConnectionLost(text) from error
    if not await client.connect():
        raise ConnectionLost(_("{port} cannot be opened").format(port=settings.serial))
    return SerialReader(client)
