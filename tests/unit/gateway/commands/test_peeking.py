"""Registers in every reading, from a real line; and both ways of counting them."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.simulator.modbus_line import Line, Unit, of_floats
from gateway.commands.application import application
from gateway.commands.peeking import decodings
from tests.journeys.test_reload import SITE
from tests.unit.gateway.tag_lists.test_tag_list import DOCUMENT


def run(*words: Any) -> tuple[int, str]:
    result = CliRunner().invoke(application(), [str(word) for word in words])
    return result.exit_code, result.output or str(result.exception)


@pytest.fixture
def port() -> Iterator[int]:
    """A line in a thread of its own: the command has its own event loop."""
    ready, stop, found = threading.Event(), asyncio.Event(), list[int]()

    async def serve() -> None:
        nonlocal stop
        stop = asyncio.Event()
        async with Line({1: Unit(registers=[*of_floats([1.5, -2.25]), 0x4142, 65535, *[0] * 20])}) as line:
            found.append(line.port)
            loops.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


def test_a_block_is_shown_in_every_reading(port: int):
    code, said = run("peek", f"127.0.0.1:{port}", "--register", "40001", "--count", 6, "--json")
    assert code == 0
    rows = json.loads(said)
    assert [row["register"] for row in rows] == ["40001", "40002", "40003", "40004", "40005", "40006"]
    assert (rows[0]["float32"], rows[2]["float32"], rows[4]["text"], rows[5]["int16"]) == (1.5, -2.25, "AB", -1)
    assert rows[5]["uint32"] is None
    lines = run("peek", f"127.0.0.1:{port}", "--register", "40001", "--count", 2)[1].splitlines()
    assert lines[0].split()[:2] == ["register", "address"]
    assert lines[1].split()[:3] == ["40001", "0", "16320"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--register", "99999"), "no register"),
        (("--register", "00001"), "bits"),
        (("--register", "40500"), "exception 2"),
        (("--register", "40001", "--unit", "9"), "does not answer"),
    ],
)
def test_what_cannot_be_shown_is_said(port: int, words: tuple[str, ...], says: str):
    code, said = run("peek", f"127.0.0.1:{port}", *words)
    assert code != 0
    assert says in said


def test_words_in_the_other_order_are_in_a_column_of_their_own():
    data = struct.pack(">f", 1.5)
    assert decodings(data[2:] + data[:2], "40001", 0)[0]["swapped"] == 1.5


def test_check_says_where_a_register_lies_in_both_ways_of_counting(tmp_path: Path):
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in SITE.items())
    file = tmp_path / "toolcrib.yaml"
    tags = "    tags: {p: {register: 40011, unit: bar}, q: {address: 10, table: input, unit: bar}}\n"
    file.write_text(DOCUMENT.format(head=head) + tags)
    said = run("check", file)[1]
    assert "pump/p: register 40011 is address 10 of holding" in said
    assert "pump/q: register 30011 is address 10 of input" in said
    assert json.loads(run("check", file, "--json")[1])["registers"][1]["register"] == "30011"
