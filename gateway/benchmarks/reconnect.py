"""How soon a gateway hears a machine again after its server was restarted, over and over, and whether it always does.

A real encrypted server in a process of its own is stopped and started anew, and the supervisor and the connector of a
gateway, pinned to it, seek it again by themselves. Outages last from a tenth of a second to twenty seconds; in every
tenth the gateway sleeps virtually and asks as often as it would within ten minutes, before the server starts. What
counts is the wall time from the moment at which the server accepts connections until the first good value of after it
is delivered.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch, Quality
from connectors.settings import RetrySettings
from connectors.simulator.identity import load_or_make
from connectors.simulator.machines import NAMESPACE
from connectors.simulator.opcua_server import APPLICATION_URI, OpcUaServer
from connectors.supervisor import ConnectionStatus, Supervisor

SHORT_SECONDS: Final = (0.1, 2.0)
LONG_SECONDS: Final = 20.0
VIRTUAL_SECONDS: Final = 600.0
WRITE_EVERY_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0
"""After which a restart counts as not recovered."""


@dataclass(frozen=True, slots=True)
class Outage:
    """How long a server is off: so many seconds, or as long as the gateway's virtual ones last."""

    seconds: float
    virtual: bool = False


def outage_of(number: int, rng: random.Random) -> Outage:
    """Return the outage of a restart: each fiftieth is long, each tenth virtual, the others short."""
    if number % 50 == 49:
        return Outage(LONG_SECONDS)
    if number % 10 == 5:
        return Outage(VIRTUAL_SECONDS, virtual=True)
    return Outage(rng.uniform(*SHORT_SECONDS))


def measure(restarts: int = 50, seed: int = 7) -> dict[str, Any]:
    """Return restarts, how many recovered by themselves, and percentiles of the time it took in seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="toolcrib-") as name:
        process = context.Process(target=_serve, args=(theirs, name), daemon=True)
        process.start()
        theirs.close()
        try:
            taken = asyncio.run(_restarted(ours, Path(name), restarts, seed))
        finally:
            ours.close()
            process.join(PATIENCE_SECONDS)
    recovered = sorted(each for each in taken if each < PATIENCE_SECONDS)
    return {
        "restarts": restarts,
        "recovered": len(recovered),
        "p50_s": round(_percentile(recovered, 0.50), 3),
        "p99_s": round(_percentile(recovered, 0.99), 3),
        "max_s": round(_percentile(recovered, 1.0), 3),
    }


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


# ---- the server's process


def _serve(pipe: Connection, directory: str) -> None:
    asyncio.run(_served(pipe, Path(directory) / "server"))


async def _served(pipe: Connection, directory: Path) -> None:
    from asyncua.ua.uatypes import VariantType

    identity = load_or_make(directory, APPLICATION_URI)
    server = OpcUaServer(identity, NAMESPACE, {"m": {"level": VariantType.Double}})
    await server.start()
    writing = asyncio.create_task(_write(server))
    pipe.send((server.port, identity.fingerprint))
    while True:
        told = await asyncio.to_thread(_told, pipe)
        if told is None:
            break
        if told == "stop":
            await server.stop()
        else:
            await server.start()
        pipe.send(time.monotonic())
    writing.cancel()
    await server.stop()


def _told(pipe: Connection) -> str | None:
    try:
        said: str = pipe.recv()
    except EOFError:
        return None
    return said


async def _write(server: OpcUaServer) -> None:
    value = 0.0
    while True:
        value += 1.0
        await server.write(datetime.now(UTC), {"m.level": value})
        await asyncio.sleep(WRITE_EVERY_SECONDS)


# ---- the gateway's side


class _Listening:
    """A supervisor at work; its sleeps are virtual while told so."""

    def __init__(self, port: int, fingerprint: str, state: Path) -> None:
        self.virtual = False
        self.slept = 0.0
        self.heard_at = -math.inf
        self._news = asyncio.Event()
        tags = {"m/level": OpcUaTag(node=f"nsu={NAMESPACE};s=m.level", unit="mm")}
        settings = OpcUaSettings.model_validate(
            {"url": f"opc.tcp://127.0.0.1:{port}", "server_certificate": fingerprint, "sampling": "100 ms"}
        )

        def connect() -> OpcUaConnector:
            return OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)

        self.supervisor = Supervisor(
            "hall",
            connect,
            self._deliver,
            self._notify,
            clock=lambda: datetime.now(UTC),
            rng=random.Random(1),
            settings=RetrySettings(),
            sleep=self._sleep,
        )

    async def _deliver(self, batch: Batch) -> None:
        if (batch.quality == Quality.GOOD).any():
            self.heard_at = time.monotonic()
            self._news.set()

    def _notify(self, _status: ConnectionStatus) -> None:
        self._news.set()

    async def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._news.set()
        await asyncio.sleep(0 if self.virtual else seconds)

    async def until(self, wish: Callable[[], bool]) -> bool:
        """Wait until something has come true; False when patience ended."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not wish():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True


async def _restarted(pipe: Connection, directory: Path, restarts: int, seed: int) -> list[float]:
    port, fingerprint = await asyncio.to_thread(pipe.recv)
    listening = _Listening(port, fingerprint, directory / "state")
    working = asyncio.create_task(listening.supervisor.run())
    rng = random.Random(seed)
    try:
        await listening.until(lambda: listening.heard_at > 0)
        return [await _once(pipe, listening, outage_of(number, rng)) for number in range(restarts)]
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _once(pipe: Connection, listening: _Listening, outage: Outage) -> float:
    """Stop the server, wait, start it; return the seconds until a value of after it was delivered."""
    await _tell(pipe, "stop")
    await listening.until(lambda: not listening.supervisor.status.connected)
    if outage.virtual:
        listening.virtual, began = True, listening.slept
        await listening.until(lambda: listening.slept - began >= outage.seconds)
        listening.virtual = False
    else:
        await asyncio.sleep(outage.seconds)
    accepts = await _tell(pipe, "start")
    if not await listening.until(lambda: listening.heard_at > accepts):
        return math.inf
    return listening.heard_at - accepts


async def _tell(pipe: Connection, what: str) -> float:
    pipe.send(what)
    done: float = await asyncio.to_thread(pipe.recv)
    return done
