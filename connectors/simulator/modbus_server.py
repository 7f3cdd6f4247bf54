"""A real Modbus TCP server for simulated devices: plain, as all Modbus is, and read-only.

Several device ids behind one port, as behind a gateway to a serial line. One request is answered from one image of the
registers, so a 32-bit value is never torn. Writing answers with an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from gettext import gettext as _
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.simulator.errors import SimulatorError, claim
from connectors.simulator.registers import DeviceMap

Image = list[int]


class ModbusServer:
    """One server and its devices; `write` changes what they answer."""

    def __init__(self, devices: Sequence[DeviceMap], *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Describe the server; it listens from `start`."""
        self._devices = {device.device_id: device for device in devices}
        self._images: dict[int, Image] = {device.device_id: [0] * device.size for device in devices}
        self._host = host
        self._port = port
        self._server: Any = None  # untyped in the library

    @property
    def up(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it listens on; after the first start always the same."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises PortInUse, SimulatorError."""
        claim(self._host, self._port)
        devices = [self._device(device) for device in self._devices.values()]
        server = ModbusTcpServer(devices, address=(self._host, self._port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            message = _("cannot listen on {host}:{port}: {reason}")
            raise SimulatorError(message.format(host=self._host, port=self._port, reason=error)) from error
        listening = cast(asyncio.Server, server.transport)  # what it really is while it listens
        self._port = listening.sockets[0].getsockname()[1]
        self._server = server

    async def stop(self) -> None:
        """Stop listening and end every conversation."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()

    def write(self, device_id: int, values: Mapping[str, float]) -> None:
        """Show the values of all tags of a device from now on."""
        self._images[device_id] = self._devices[device_id].image(values)

    def _device(self, device: DeviceMap) -> SimDevice:
        block = SimData(0, count=device.size, values=0, datatype=DataType.REGISTERS, readonly=True)
        return SimDevice(id=device.device_id, simdata=[block], action=self._answer_from(device.device_id))

    def _answer_from(
        self, device_id: int
    ) -> Callable[
        [int, int, int, int, list[int], list[int] | list[bool] | None], Coroutine[None, None, ExcCodes | None]
    ]:
        async def refresh(
            function: int, start: int, address: int, count: int, registers: list[int], written: object
        ) -> ExcCodes | None:
            image = self._images[device_id]
            registers[: len(image)] = image
            return None

        return refresh
