"""What reading Modbus costs: registers a second of processor time over pymodbus's own loop, and what a dead unit costs.

Both read the same 10,000 holding registers in 80 requests from a simulated line in another process, in turns; ours up
to batches of values, pymodbus's up to its lists of registers. The ratio is that of the medians; only the client's
processor time counts. `isolation_change`: by how much the 95th percentile of the time from the beginning of a poll to
a healthy unit's values changes when one of fifty units behind the same gateway dies, the polls of its death included.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from pymodbus.client import AsyncModbusTcpClient

from connectors.connector import TagFault
from connectors.modbus.connector import ModbusConnector
from connectors.modbus.plan import Limits, plan, points_of
from connectors.modbus.reader import Answer, Reader
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Batch
from connectors.simulator.modbus_line import Line, Unit

REGISTERS: Final = 10_000
REGISTERS_PER_READ: Final = 125
SWEEPS: Final = 150
"""A million and a half registers a run."""
PIPELINE: Final = 8
UNITS: Final = 50
WINDOW_SECONDS: Final = 5.0
"""A hundred polls; the death itself is two of them."""


def measure(runs: int = 5) -> dict[str, float]:
    """Return requests, single_ratio, pipelined_ratio, isolation_change, and the rates that the ratios are made of."""
    tags = {f"m/r{n}": ModbusTag(address=n, unit="1") for n in range(REGISTERS)}
    with _serving({1: REGISTERS}) as (port, _pipe):
        theirs, single, pipelined = [], [], []
        for _run in range(runs):
            theirs.append(asyncio.run(_library(port)))
            single.append(asyncio.run(_ours(port, tags, pipeline=1)))
            pipelined.append(asyncio.run(_ours(port, tags, pipeline=PIPELINE)))
    base = statistics.median(theirs)
    changes = [_isolated() for _run in range(runs)]
    return {
        "requests": len(plan(points_of(tags, 1), Limits())),
        "single_ratio": round(statistics.median(single) / base, 2),
        "pipelined_ratio": round(statistics.median(pipelined) / base, 2),
        "isolation_change": round(statistics.median(changes), 3),
        "library_registers_per_second": round(base),
        "single_registers_per_second": round(statistics.median(single)),
        "pipelined_registers_per_second": round(statistics.median(pipelined)),
    }


# ---- the line's process


@contextmanager
def _serving(units: dict[int, int]) -> Iterator[tuple[int, Connection]]:
    """Serve units with so many registers each; whatever is sent into the pipe is a unit that dies."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, units), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv(), ours
    finally:
        ours.close()
        process.join(10)


def _serve(pipe: Connection, units: dict[int, int]) -> None:
    asyncio.run(_served(pipe, units))


async def _served(pipe: Connection, units: dict[int, int]) -> None:
    made = {number: Unit(registers=[n % 65536 for n in range(count)]) for number, count in units.items()}
    async with Line(made) as line:
        pipe.send(line.port)
        with contextlib.suppress(EOFError):
            while True:
                line.units[await asyncio.to_thread(pipe.recv)].dead = True


# ---- the clients


async def _library(port: int) -> float:
    """Return registers per second of processor time of pymodbus's client in a loop."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    try:
        count = 0
        began = time.process_time()
        for _sweep in range(SWEEPS):
            for address in range(0, REGISTERS, REGISTERS_PER_READ):
                answer = await client.read_holding_registers(address, count=REGISTERS_PER_READ)
                count += len(answer.registers)
        return count / (time.process_time() - began)
    finally:
        client.close()


async def _ours(port: int, tags: dict[str, ModbusTag], *, pipeline: int) -> float:
    """Return registers per second of processor time of our connector, decoded into batches."""
    count, sweeps, began, rate = 0, 0, 0.0, 0.0
    enough = asyncio.Event()

    async def deliver(batch: Batch) -> None:
        nonlocal count, sweeps, began, rate
        sweeps += 1
        if sweeps == 1:  # the first one plans and connects
            began = time.process_time()
            return
        count += len(batch)
        if sweeps == SWEEPS + 1:
            rate = count / (time.process_time() - began)
            enough.set()

    await _talk(_connector(ModbusConnector, port, tags, pipeline=pipeline, sampling="1 ms"), deliver, enough)
    return rate


def _connector(kind: type[ModbusConnector], port: int, tags: dict[str, ModbusTag], **changes: Any) -> ModbusConnector:
    settings = ModbusSettings.model_validate({"host": "127.0.0.1", "port": port, **changes})
    return kind("load", settings, tags, clock=lambda: datetime.now(UTC), state=Path(tempfile.gettempdir()) / "unused")


async def _talk(connector: ModbusConnector, deliver: Any, enough: asyncio.Event) -> None:
    def report(_faults: Sequence[TagFault]) -> None:
        pass

    talking = asyncio.create_task(connector.converse(deliver, report))
    waiting = asyncio.create_task(enough.wait())
    done, _pending = await asyncio.wait({talking, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (talking, waiting):
        task.cancel()
    await asyncio.gather(talking, waiting, return_exceptions=True)
    if waiting not in done:
        talking.result()


class _Timed(ModbusConnector):
    """Notes how long after the beginning of its poll each healthy unit's values were there."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.latencies: list[float] = []

    async def _asked(self, reader: Reader, reads: Any) -> list[Answer]:
        begun = asyncio.get_running_loop().time()
        answers = await super()._asked(reader, reads)
        for read, answer in zip(reads, answers, strict=True):
            if read.block.unit != UNITS:
                self.latencies.append(answer.ended_at - begun)
        return answers


def _isolated() -> float:
    """Return by which share the 95th percentile changes when the last unit dies."""
    with _serving(dict.fromkeys(range(1, UNITS + 1), 10)) as (port, pipe):
        return asyncio.run(_dying(port, pipe))


async def _dying(port: int, pipe: Connection) -> float:
    tags = {
        f"u{unit}/r{n}": ModbusTag(address=n, unit="1", device_id=unit)
        for unit in range(1, UNITS + 1)
        for n in range(8)
    }
    connector = _connector(_Timed, port, tags, sampling="50 ms", timeout="200 ms")
    assert isinstance(connector, _Timed)
    enough = asyncio.Event()
    found: list[float] = []

    async def deliver(_batch: Batch) -> None:
        pass

    async def watch() -> None:
        await asyncio.sleep(1.0)
        for _phase in range(2):
            connector.latencies.clear()
            await asyncio.sleep(WINDOW_SECONDS)
            found.append(statistics.quantiles(connector.latencies, n=20)[-1])
            pipe.send(UNITS)
        enough.set()

    watching = asyncio.create_task(watch())
    await _talk(connector, deliver, enough)
    await watching
    before, after = found
    return after / before - 1
