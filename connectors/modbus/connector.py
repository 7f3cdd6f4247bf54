"""One conversation with one Modbus TCP device, by polling.

Promises: few and large reads; an answer that does not fit its question ends the conversation, for what follows it
could belong to another; registers that the device does not have cost their own tags only; a silent device is
`ConnectionLost` after bounded tries. Everything read is class B: the protocol neither authenticates nor encrypts.
It carries no time either, so a value is dated when it arrives. Refuses to reconnect and to write.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from connectors.connector import ConnectionLost, Deliver, TagFault
from connectors.modbus.plan import Block, halves, plan
from connectors.modbus.registers import figure
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Batch, Provenance, Quality, Sample

FUNCTIONS: Final = {"holding": 3, "input": 4}
NOT_THERE: Final = frozenset({1, 2, 3})
"""Exception codes by which a device says that it has no such function, address or number of registers."""

# Its warnings about a device that is off also reach us as exceptions, once a second.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusConnector:
    """Keeps `connectors.connector.Connector`'s promise for Modbus TCP; use a fresh one for every attempt.

    `received` (values), `reads` (requests) and `late` (polls that began after their time) count since it was made.
    """

    Settings = ModbusSettings
    TagSettings = ModbusTag

    def __init__(
        self,
        name: str,
        settings: ModbusSettings,
        tags: Mapping[str, ModbusTag],
        *,
        clock: Callable[[], datetime],
        state: Path,
    ) -> None:
        self.name = name
        self.received = self.reads = self.late = 0
        self._settings = settings
        self._tags = tags
        self._clock = clock
        self._blocks = plan(tags, settings.registers_per_read)
        self._faults: dict[str, TagFault] = {}

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Connect, report unreadable tags, deliver one batch for each poll. Raises `ConnectionLost`."""
        client = self._client()
        known = -1
        try:
            await self._connect(client)
            due = asyncio.get_running_loop().time()
            while True:
                samples = await self._sweep(client)
                if len(self._faults) != known:
                    known = len(self._faults)
                    report(tuple(self._faults.values()))
                if not samples:
                    raise ConnectionLost(_("the device has none of the registers asked for"))
                await deliver(Batch.of(self.name, samples))
                due = await self._rest(due)
        finally:
            client.close()

    async def probe(self) -> Sequence[TagFault]:
        """Connect, read every tag once, leave; returns the tags that cannot be read. Raises `ConnectionLost`."""
        client = self._client()
        try:
            await self._connect(client)
            await self._sweep(client)
        finally:
            client.close()
        return tuple(self._faults.values())

    def _client(self) -> AsyncModbusTcpClient:
        return AsyncModbusTcpClient(
            self._settings.host,
            port=self._settings.port,
            name=self.name,
            timeout=self._settings.timeout.total_seconds(),
            retries=self._settings.retries,
            reconnect_delay=0,
        )

    async def _connect(self, client: AsyncModbusTcpClient) -> None:
        if not await client.connect():
            text = _("{host}:{port} cannot be reached")
            raise ConnectionLost(text.format(host=self._settings.host, port=self._settings.port))

    async def _rest(self, due: float) -> float:
        """Sleep until the next poll is due and return that time; a poll that is late moves the rhythm along."""
        now = asyncio.get_running_loop().time()
        due += self._settings.sampling.total_seconds()
        if due <= now:
            self.late += 1
            due = now
        await asyncio.sleep(due - now)
        return due

    async def _sweep(self, client: AsyncModbusTcpClient) -> tuple[Sample, ...]:
        """Read every block once, splitting those that the device refuses; what still answers is the next plan."""
        samples: list[Sample] = []
        answering: list[Block] = []
        waiting = list(reversed(self._blocks))
        while waiting:
            block = waiting.pop()
            registers = await self._read(client, block)
            if registers is not None:
                answering.append(block)
                samples += self._samples(block, registers)
            elif len(block.points) > 1:
                waiting += reversed(halves(block))
            else:
                self._fault(block)
        self._blocks = tuple(answering)
        self.received += len(samples)
        return tuple(samples)

    async def _read(self, client: AsyncModbusTcpClient, block: Block) -> list[int] | None:
        """Return the registers of a block, or None when the device has them not. Raises `ConnectionLost`."""
        ask = client.read_holding_registers if block.table == "holding" else client.read_input_registers
        self.reads += 1
        try:
            # Never under a shorter wait from outside: the late answer would be taken for the next one's.
            answer = await ask(block.address, count=block.count, device_id=self._settings.device_id)
        except (ModbusException, OSError) as error:
            text = _("the device stopped answering: {error}")
            raise ConnectionLost(text.format(error=str(error).replace("\n", " ")[:200])) from error
        return checked(answer, FUNCTIONS[block.table], block.count, self._settings.device_id)

    def _samples(self, block: Block, registers: list[int]) -> list[Sample]:
        now = self._clock()
        return [_sample(point.key, figure(block.words(registers, point), point.tag), now) for point in block.points]

    def _fault(self, block: Block) -> None:
        (point,) = block.points
        text = _("the device has no {table} register {address} (counted from 0) for it")
        self._faults[point.key] = TagFault(point.key, text.format(table=block.table, address=point.address))


def checked(answer: ModbusPDU, function: int, count: int, device_id: int) -> list[int] | None:
    """Return the registers of an answer that fits its question, or None when the device has no such registers.

    The library passes on whatever arrives. Raises ConnectionLost for an answer to another question and for a device
    in trouble.
    """
    if answer.isError():
        if answer.exception_code in NOT_THERE:
            return None
        raise ConnectionLost(_("the device answers with exception {code}").format(code=answer.exception_code))
    fits = answer.function_code == function and len(answer.registers) == count and answer.dev_id == device_id
    if not fits:
        raise ConnectionLost(_("the device gave an answer that does not fit the question"))
    return list(answer.registers)


def _sample(key: str, value: float, now: datetime) -> Sample:
    quality = Quality.BAD if math.isnan(value) else Quality.GOOD
    return Sample(key, value, quality, now, now, Provenance.B)
