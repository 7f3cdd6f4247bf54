"""Devices that lie, die and dawdle: never a wrong number, never a wait beyond the timeout, and no neighbour suffers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import ConnectionLost
from connectors.contract import Listener, heard, listening
from connectors.counters import Loss
from connectors.modbus.connector import ModbusConnector
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Quality
from connectors.simulator.modbus_line import Lie, Line, Unit, of_floats

TRUTH = [1.5, 2.5, 3.5, 4.5]
PATHS: dict[str, dict[str, Any]] = {
    "one at a time": {},
    "pipelined": {"pipeline": 8},
    "serial frames": {"transport": "rtu-over-tcp"},
}
ONLY_TCP = {Lie.TRANSACTION, Lie.TRANSACTION_ZERO, Lie.PROTOCOL, Lie.SHORT, Lie.LONG}
HARMLESS = {
    "one at a time": {Lie.CHECKSUM},
    "pipelined": {Lie.CHECKSUM},
    "serial frames": {*ONLY_TCP, Lie.STALE},
}
"""What does not exist on a path: the frame has no such part, or (an answer of a poll ago) looks like the true one."""


def connector(line: Line, state: Path, tags: Mapping[str, ModbusTag], **changes: Any) -> ModbusConnector:
    told = {"host": "127.0.0.1", "port": line.port, "sampling": "20 ms", "timeout": "100 ms", "retries": 0, **changes}
    settings = ModbusSettings.model_validate(told)
    return ModbusConnector("plc", settings, tags, clock=lambda: datetime.now(UTC), state=state)


def floats(unit: int = 1, first: int = 0, count: int = 4) -> dict[str, ModbusTag]:
    return {
        f"u{unit}/t{n}": ModbusTag(address=first + 2 * n, type="float32", unit="mm", device_id=unit)
        for n in range(count)
    }


@pytest.mark.parametrize(("lie", "path"), [(lie, path) for path in PATHS for lie in Lie if lie not in HARMLESS[path]])
async def test_a_lie_is_never_a_number_and_never_a_hang(lie: Lie, path: str, tmp_path: Path):
    unit = Unit(registers=of_floats(TRUTH) + [0x4242] * 100, lie=lie)
    listener = Listener()
    async with Line({1: unit}, rtu=path == "serial frames") as line:
        reader = connector(line, tmp_path, floats(), **PATHS[path])
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(reader.converse(listener.deliver, listener.report), 5)
        assert asyncio.get_running_loop().time() - began < 3
    told = [s for s in listener.samples if not math.isnan(s.value)]
    assert all(s.value == TRUTH[int(s.tag[-1])] for s in told)
    if lie is not Lie.TWICE:
        assert told == []
        assert {s.quality for s in listener.samples} <= {Quality.BAD}


@pytest.mark.parametrize("cut", [Lie.TRUNCATED, Lie.ENDLESS])
@pytest.mark.parametrize("blocks", [2, 3, 4])
async def test_an_answer_cut_off_is_not_filled_up_with_the_next(cut: Lie, blocks: int, tmp_path: Path):
    """Blocks of one shape under way together: all that one frame lacks, the next one brings."""
    unit = Unit(registers=list(range(1, 1001)), lie=cut)
    tags = {f"m/{n}": ModbusTag(address=100 * (n // 3) + n % 3, unit="1") for n in range(3 * blocks)}
    truth = {f"m/{n}": 1 + 100 * (n // 3) + n % 3 for n in range(3 * blocks)}
    listener = Listener()
    async with Line({1: unit}) as line:
        reader = connector(line, tmp_path, tags, pipeline=8)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(reader.converse(listener.deliver, listener.report), 5)
    assert [s for s in listener.samples if s.quality is Quality.GOOD and s.value != truth[s.tag]] == []
    assert {s.quality for s in listener.samples} <= {Quality.BAD}


async def test_two_halves_that_make_a_whole_are_no_answer(tmp_path: Path):
    """The second answer ends just where the first one's missing bytes do, and nothing tells but its silence."""
    tags = {f"m/{n}": ModbusTag(address=100 * n, unit="1") for n in range(2)}

    async def halves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, second = await reader.readexactly(12), await reader.readexactly(12)
                frames = [asked[:4] + b"\0\5\1\3\2\x12\x34" for asked in (first, second)]
                writer.write(frames[0][:-2] + frames[1][:2])
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(halves, "127.0.0.1", 0)
    listener = Listener()
    settings = ModbusSettings(
        host="127.0.0.1", port=server.sockets[0].getsockname()[1], sampling="20 ms", timeout="100 ms", retries=0,
        pipeline=8, gap=0,
    )  # fmt: skip
    reader = ModbusConnector("plc", settings, tags, clock=lambda: datetime.now(UTC), state=tmp_path)
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(reader.converse(listener.deliver, listener.report), 5)
    server.close()
    assert [s for s in listener.samples if s.quality is Quality.GOOD] == []


@pytest.mark.long  # the same reader as over a port, where it is tested every time
async def test_a_late_answer_on_a_serial_line_is_not_the_next_ones(tmp_path: Path):
    """Every answer comes when its question was given up; blocks of one shape, so that it would fit."""
    unit = Unit(registers=list(range(1, 1001)), delay_s=0.48)
    tags = {f"m/{n}": ModbusTag(address=100 * n, unit="1") for n in range(3)}
    listener = Listener()
    async with Line({1: unit}, rtu=True) as line:
        reader = connector(line, tmp_path, tags, transport="rtu-over-tcp", timeout="300 ms", retries=3)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(reader.converse(listener.deliver, listener.report), 20)
    wrong = [s for s in listener.samples if s.quality is Quality.GOOD and s.value != 1 + 100 * int(s.tag[-1])]
    assert wrong == []


@pytest.mark.parametrize("path", ["one at a time", "pipelined"])
async def test_a_liar_among_honest_units_costs_only_its_own_tags(path: str, tmp_path: Path):
    units = {n: Unit(registers=of_floats(TRUTH)) for n in (1, 2, 3)}
    units[2].lie = Lie.BYTE_COUNT
    tags = floats(1) | floats(2) | floats(3)
    async with Line(units) as line:
        reader = connector(line, tmp_path, tags, **PATHS[path])
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) > 60)
    by_unit = {n: [s for s in listener.samples if s.tag.startswith(f"u{n}/")] for n in units}
    assert {s.quality for s in by_unit[2]} == {Quality.BAD}
    for n in (1, 3):
        assert {s.value for s in by_unit[n]} == set(TRUTH)
        assert {s.quality for s in by_unit[n]} == {Quality.GOOD}
    assert reader.counters.losses[Loss.ANSWER_REFUSED] == len(by_unit[2])


@pytest.mark.parametrize("path", ["one at a time", "pipelined"])
@pytest.mark.parametrize(
    "lie", [Lie.TRANSACTION, Lie.TRANSACTION_ZERO, Lie.PROTOCOL, Lie.SHORT, Lie.ENDLESS, Lie.NOISE]
)
async def test_a_lie_that_costs_the_line_costs_the_others_no_values(lie: Lie, path: str, tmp_path: Path):
    """The line is opened anew, the liar is tried over one of its own, and is heard again when it tells the truth."""
    units = {n: Unit(registers=of_floats(TRUTH)) for n in (1, 2, 3)}
    tags = floats(1) | floats(2) | floats(3)
    async with Line(units) as line:
        reader = connector(line, tmp_path, tags, **PATHS[path])
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) >= len(tags))
            units[2].lie = lie
            await listener.until(lambda heard: any("unit 2" in fault.reason for fault in heard.reports[-1]))
            listener.samples.clear()
            await listener.until(lambda heard: len(heard.samples) > 200)
            assert {s.tag.partition("/")[0] for s in listener.samples} == {"u1", "u3"}
            assert {s.quality for s in listener.samples} == {Quality.GOOD}
            units[2].lie = None
            reader._breakers[2].again_at = 0.0  # its time has come
            await listener.until(lambda heard: any(s.tag == "u2/t0" and s.value == 1.5 for s in heard.samples))
    assert reader.counters.losses[Loss.ANSWER_REFUSED] <= 2 * len(tags)


async def test_what_follows_an_answer_unasked_holds_nobody_up(tmp_path: Path):
    """The line ends between two questions, when none is under way."""
    tags = {f"m/{n}": ModbusTag(address=100 * n, unit="1") for n in range(3)}
    async with Line({1: Unit(lie=Lie.TWICE)}) as line:
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(5):
                await connector(line, tmp_path, tags).converse(Listener().deliver, Listener().report)


async def test_a_probe_finds_out_who_lies(tmp_path: Path):
    units = {n: Unit(registers=of_floats(TRUTH)) for n in (1, 2, 3)}
    units[1].lie = Lie.TRANSACTION
    async with Line(units) as line:
        faults = await connector(
            line, tmp_path, floats(1) | floats(2) | {"u3/x": ModbusTag(address=9999, unit="1", device_id=3)}
        ).probe()
    assert {fault.tag for fault in faults} == {*floats(1), "u3/x"}


@pytest.mark.parametrize("said", [{"dead": True}, {"refused": True}])
async def test_a_dead_unit_is_left_in_peace_and_found_again(said: dict[str, bool], tmp_path: Path):
    units = {n: Unit(registers=of_floats(TRUTH)) for n in range(1, 11)}
    tags = {key: tag for n in units for key, tag in floats(n).items()}
    async with Line(units) as line:
        reader = connector(line, tmp_path, tags)
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) >= len(tags))
            units[5].dead, units[5].refused = said.get("dead", False), said.get("refused", False)
            await listener.until(lambda heard: any(s.quality is Quality.BAD for s in heard.samples))
            assert {fault.tag for fault in listener.reports[-1]} <= set(floats(5))
            asked, polls = line.asked[5], line.asked[6]
            count = len(listener.samples)
            await listener.until(lambda heard: len(heard.samples) > count + 36 * 20)
            assert line.asked[5] - asked <= 2
            assert line.asked[6] - polls >= 19
            units[5].dead = units[5].refused = False
            reader._breakers[5].again_at = 0.0  # its time has come
            await listener.until(lambda heard: heard.samples[-1].tag.startswith("u10/") and heard.reports[-1] == ())
            count = len(listener.samples)
            await listener.until(lambda heard: any(s.tag == "u5/t0" for s in heard.samples[count:]))
    assert {s.tag.partition("/")[0] for s in listener.samples if s.quality is Quality.BAD} == {"u5"}


async def test_holes_are_looked_for_once_and_remembered(tmp_path: Path):
    unit = Unit(registers=list(range(200)), holes=frozenset({7, 50}))
    tags = {f"m/t{n}": ModbusTag(address=n, unit="1") for n in (0, 1, 2, 5, 8, 9, 49, 50, 51)}
    async with Line({1: unit}) as line:
        reader = connector(line, tmp_path, tags)
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) >= 8 * 5)
        assert [fault.tag for fault in listener.reports[-1]] == ["m/t50"]
        assert {s.value for s in listener.samples} == {0, 1, 2, 5, 8, 9, 49, 51}
        polls = sum(s.tag == "m/t0" for s in listener.samples)
        line.asked[1] = 0
        again = connector(line, tmp_path, tags)
        assert [fault.tag for fault in await again.probe()] == ["m/t50"]
        assert line.asked[1] <= len(again._reads) + 4  # what is missing is looked for again, the breaks are known
        assert polls >= 5


async def test_a_device_that_refuses_everything_while_it_boots_is_read_when_it_is_ready(tmp_path: Path):
    unit = Unit(registers=list(range(200)), holes=frozenset(range(200)))
    tags = {f"m/t{n}": ModbusTag(address=n, unit="1") for n in (0, 1, 100)}
    async with Line({1: unit}) as line:
        reader = connector(line, tmp_path, tags)
        with pytest.raises(ConnectionLost):
            await reader.probe()
        unit.holes = frozenset()
        assert await reader.probe() == ()
        unit.holes = frozenset(range(200))
        with pytest.raises(ConnectionLost):
            await connector(line, tmp_path, tags).probe()
        unit.holes = frozenset()
        assert await connector(line, tmp_path, tags).probe() == ()


async def test_a_register_that_was_missing_for_a_moment_is_found_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("connectors.modbus.connector.ASK_AGAIN_SECONDS", 0.05)
    unit = Unit(registers=list(range(200)), holes=frozenset({50, 51, 120}))
    tags = {f"m/t{n}": ModbusTag(address=n, unit="1") for n in (0, 50, 51, 120)}
    async with Line({1: unit}) as line, listening(connector(line, tmp_path, tags)) as listener:
        await listener.until(lambda heard: len(heard.reports) > 0 and len(heard.reports[-1]) == 3)
        unit.holes = frozenset({120})
        await listener.until(lambda heard: [fault.tag for fault in heard.reports[-1]] == ["m/t120"])
        await listener.until(lambda heard: {50, 51} <= {s.value for s in heard.samples})


async def test_counters_go_on_after_a_restart(tmp_path: Path):
    unit = Unit(registers=[65_530])
    tags = {"m/c": ModbusTag(address=0, unit="1", counter=True)}
    async with Line({1: unit}) as line:
        async with listening(connector(line, tmp_path, tags)) as listener:
            await listener.until(heard(65_530))
            unit.registers[0] = 4
            await listener.until(heard(65_540))
            unit.registers[0] = 65_535
            await listener.until(heard(131_071))
        unit.registers[0] = 9
        async with listening(connector(line, tmp_path, tags)) as listener:
            await listener.until(lambda said: len(said.samples) > 0)
            assert listener.samples[0].value == 131_081
        moved = {"m/c": ModbusTag(address=0, unit="1", counter=True, type="bcd16")}
        async with listening(connector(line, tmp_path, moved)) as listener:
            await listener.until(lambda said: len(said.samples) > 0)
            assert listener.samples[0].value == 9


async def test_polls_that_nobody_had_time_for_are_counted_by_their_samples(tmp_path: Path):
    unit = Unit(registers=list(range(200)), delay_s=0.09)
    tags = {f"m/t{n}": ModbusTag(address=n, unit="1") for n in range(10)}
    async with Line({1: unit}) as line:
        reader = connector(line, tmp_path, tags)
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) >= 50)
    lost = reader.counters.losses[Loss.POLL_LATE]
    assert lost % 10 == 0
    assert lost >= 4 * 10 * 3  # a poll takes 90 ms at least, and one is due every 20


async def test_an_answer_that_comes_too_late_reaches_nobody(tmp_path: Path):
    slow = Unit(registers=of_floats(TRUTH), delay_s=0.15)
    quick = Unit(registers=of_floats([9.0] * 4))
    async with Line({1: slow, 2: quick}) as line:
        reader = connector(line, tmp_path, floats(1) | floats(2))
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) > 80)
    assert {s.value for s in listener.samples if s.quality is Quality.GOOD} == {9.0}
    assert reader.counters.losses[Loss.ANSWER_REFUSED] == 0
