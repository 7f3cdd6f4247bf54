"""A command that shows registers in every reading: which one is meant is always a guess until somebody has looked."""

from __future__ import annotations

from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.output import MISTAKE, Failure, JsonOption, say, say_json

if TYPE_CHECKING:
    from connectors.modbus.settings import ModbusTag

WATCH_SECONDS = 1.0
COLUMNS = ("register", "address", "uint16", "int16", "hex", "uint32", "int32", "float32", "swapped", "float64", "text")


def peek(
    host: Annotated[str, typer.Argument(help="The device: HOST or HOST:PORT.")],
    register: Annotated[str, typer.Option("--register", help="The first: 40001, or 30001 for input registers.")],
    count: Annotated[int, typer.Option("--count", min=1, max=123, help="How many registers.")] = 16,
    unit: Annotated[int, typer.Option("--unit", min=0, max=255, help="The device id.")] = 1,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a block of Modbus registers in every reading: one row for each, every width that begins there.

    `float32` reads the high word first, `swapped` the low word first. Nothing is ever written to a device.
    """
    import asyncio
    from contextlib import suppress

    from pydantic import ValidationError

    from connectors.modbus.settings import ModbusTag

    try:
        tag = ModbusTag.model_validate({"register": register, "unit": "1"})
    except ValidationError as error:
        raise Failure(_("{register} is no register").format(register=register), exit_code=MISTAKE) from error
    if tag.is_bit:
        raise Failure(_("coils and discrete inputs are bits and need no guessing"), exit_code=MISTAKE)
    with suppress(KeyboardInterrupt):
        asyncio.run(_peek(host, tag, count, unit, watch=watch, as_json=as_json))


async def _peek(host: str, tag: ModbusTag, count: int, unit: int, *, watch: bool, as_json: bool) -> None:
    import asyncio
    from pathlib import Path

    from connectors.connector import ConnectionLost
    from connectors.modbus.reader import open_line
    from connectors.modbus.settings import ModbusSettings
    from connectors.modbus.wire import Question

    name, _colon, port = host.partition(":")
    table, address = tag.place
    settings = ModbusSettings.model_validate({"host": name, **({"port": int(port)} if port.isdigit() else {})})
    try:
        reader = (await open_line(settings, Path())).reader
        try:
            while True:
                (answer,) = await reader.sweep([Question(unit, table, address, count)], 1.0, 1)
                if answer.error is not None:
                    raise Failure(_said(answer.error))
                rows = decodings(answer.data, tag.number, address)
                if as_json:
                    say_json(rows)
                else:
                    _show(rows)
                if not watch:
                    return
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            reader.close()
    except ConnectionLost as error:
        raise Failure(str(error)) from error


def _said(error: Exception) -> str:
    from connectors.modbus.reader import Silent

    if isinstance(error, Silent):
        return _("the device does not answer")
    return _("the device answers: {what}").format(what=error)


def decodings(data: bytes, register: str, address: int) -> list[dict[str, Any]]:
    """Return each register in every reading that begins at it; None where it would end behind the block."""
    import struct

    rows = []
    for place in range(len(data) // 2):
        word, double, quad = (data[2 * place : 2 * place + size] for size in (2, 4, 8))
        row: dict[str, Any] = {
            "register": f"{int(register) + place:0{len(register)}d}",
            "address": address + place,
            "uint16": int.from_bytes(word, "big"),
            "int16": int.from_bytes(word, "big", signed=True),
            "hex": word.hex(),
            "uint32": int.from_bytes(double, "big") if len(double) == 4 else None,
            "int32": int.from_bytes(double, "big", signed=True) if len(double) == 4 else None,
            "float32": _finite(*struct.unpack(">f", double)) if len(double) == 4 else None,
            "swapped": _finite(*struct.unpack(">f", double[2:] + double[:2])) if len(double) == 4 else None,
            "float64": _finite(*struct.unpack(">d", quad)) if len(quad) == 8 else None,
            "text": "".join(chr(byte) if 32 <= byte < 127 else "." for byte in word),
        }
        rows.append(row)
    return rows


def _finite(value: float) -> float | None:
    import math

    return float(f"{value:.6g}") if math.isfinite(value) else None


def _show(rows: list[dict[str, Any]]) -> None:
    texts = [list(COLUMNS), *[["-" if row[name] is None else str(row[name]) for name in COLUMNS] for row in rows]]
    widths = [max(len(line[place]) for line in texts) for place in range(len(COLUMNS))]
    for line in texts:
        say("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
