"""Every kind of value that a real OPC-UA server may show, read by the connector."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

from connectors.contract import listening
from connectors.counters import Loss
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import WINDOW_MAX, Batch, Quality
from gateway.intake import Intake, Sieve
from gateway.live import Board
from maintenance.derivation import Derivation
from maintenance.monitor import Monitor
from maintenance.vibration import kurtosis
from maintenance.windows import FeatureSettings, feature
from tests.servers import NAMESPACE, OpcUaBench
from tests.unit.maintenance import bearing_signal

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCALARS: dict[str, tuple[Any, ua.VariantType, float]] = {
    "boolean": (True, ua.VariantType.Boolean, 1.0),
    "sbyte": (-7, ua.VariantType.SByte, -7.0),
    "byte": (200, ua.VariantType.Byte, 200.0),
    "int16": (-300, ua.VariantType.Int16, -300.0),
    "uint16": (60_000, ua.VariantType.UInt16, 60_000.0),
    "int32": (-70_000, ua.VariantType.Int32, -70_000.0),
    "uint32": (4_000_000_000, ua.VariantType.UInt32, 4e9),
    "int64": (-(2**50), ua.VariantType.Int64, -float(2**50)),
    "uint64": (2**63, ua.VariantType.UInt64, float(2**63)),
    "float": (1.5, ua.VariantType.Float, 1.5),
    "double": (math.pi, ua.VariantType.Double, math.pi),
}

WINDOWS: dict[str, tuple[list[Any], ua.VariantType]] = {
    "raw": ([float(sample) for sample in bearing_signal.window(8.0)], ua.VariantType.Double),
    "counts": ([round(1000 * sample) for sample in bearing_signal.window(8.0, points=1024)], ua.VariantType.Int16),
    "single": ([0.5 * number for number in range(300)], ua.VariantType.Float),
    "overlong": ([1.0] * (WINDOW_MAX + 1), ua.VariantType.Double),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpcUaBench]:
    tags = {name: ua.Variant(value, kind) for name, (value, kind, _read) in SCALARS.items()}
    tags |= {"words": ua.Variant("on"), "list": ua.Variant([1.0, 2.0]), "range": ua.Variant(ua.Range(1.0, 2.0))}
    tags |= {name: ua.Variant(values, kind) for name, (values, kind) in WINDOWS.items()}
    bench = OpcUaBench(tmp_path_factory.mktemp("server"), tags=tags)
    await bench.start()
    await _teach(bench)
    yield bench
    await bench.stop()


async def _teach(bench: OpcUaBench) -> None:
    """Give the server an enumeration and structures of its own, and a node of each."""
    server, index = bench.server, await bench.server.get_namespace_index(NAMESPACE)
    state = await new_enum(server, index, "MachineState", ["Idle", "Running", "Failed"])
    axis, _encodings = await new_struct(
        server,
        index,
        "Axis",
        [new_struct_field("load", ua.VariantType.Float), new_struct_field("name", ua.VariantType.String)],
    )
    spindle, _encodings = await new_struct(
        server,
        index,
        "Spindle",
        [
            new_struct_field("speed", ua.VariantType.Double),
            new_struct_field("state", state),
            new_struct_field("temperatures", ua.VariantType.Int16, array=True),
            new_struct_field("axis", axis),
            new_struct_field("note", ua.VariantType.String, optional=True),
        ],
    )
    await server.load_data_type_definitions()
    shown = ua.Spindle(
        speed=1200.5,
        state=ua.MachineState.Running,
        temperatures=[41, 42],
        axis=ua.Axis(load=0.5, name="X"),
    )
    objects = server.nodes.objects
    await objects.add_variable(ua.NodeId("spindle", index), f"{index}:spindle", shown, datatype=spindle.nodeid)
    await objects.add_variable(
        ua.NodeId("state", index), f"{index}:state", ua.Variant(1, ua.VariantType.Int32), datatype=state.nodeid
    )


async def read(server: OpcUaBench, state: Path, *names: str) -> dict[str, tuple[float, str | None, Quality]]:
    settings = OpcUaSettings.model_validate(
        {"url": server.url, "server_certificate": server.fingerprint, "sampling": "50 ms"}
    )
    tags = {f"m/{name}": OpcUaTag(node=f"nsu={NAMESPACE};s={name}", unit="1") for name in names}
    connector = OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)
    async with listening(connector) as listener:
        await listener.until(lambda heard: {s.tag.partition(".")[0] for s in heard.samples} == set(tags))
    assert listener.reports[-1] == ()
    return {s.tag.removeprefix("m/"): (s.value, s.text, s.quality) for s in listener.samples}


async def test_every_number_is_read_as_it_is(server: OpcUaBench, tmp_path: Path):
    found = await read(server, tmp_path, *SCALARS)
    assert found == {name: (value, None, Quality.GOOD) for name, (_shown, _kind, value) in SCALARS.items()}


async def test_an_enumeration_has_the_name_of_its_value(server: OpcUaBench, tmp_path: Path):
    assert await read(server, tmp_path, "state") == {"state": (1.0, "Running", Quality.GOOD)}


async def test_a_structure_is_flattened_as_the_server_describes_it(server: OpcUaBench, tmp_path: Path):
    found = await read(server, tmp_path, "spindle", "range")
    assert {name: text if text is not None else value for name, (value, text, _quality) in found.items()} == {
        "spindle.speed": 1200.5,
        "spindle.state": 1.0,
        "spindle.temperatures.0": 41.0,
        "spindle.temperatures.1": 42.0,
        "spindle.axis.load": 0.5,
        "spindle.axis.name": "X",
        "range.Low": 1.0,
        "range.High": 2.0,
    }


# ---- windows


async def whole(server: OpcUaBench, state: Path, *names: str) -> tuple[OpcUaConnector, list[Batch], Any]:
    """Return what comes of tags that are windows, and what was reported of them."""
    settings = OpcUaSettings.model_validate(
        {"url": server.url, "server_certificate": server.fingerprint, "sampling": "50 ms"}
    )
    tags = {f"m/{name}": OpcUaTag(node=f"nsu={NAMESPACE};s={name}", unit="g", window=True) for name in names}
    connector = OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)
    async with listening(connector) as listener:
        await listener.until(lambda heard: {sample.tag for sample in heard.samples} == set(tags))
    return connector, listener.batches, listener.reports[-1]


async def test_an_array_that_is_a_window_arrives_whole_to_the_last_bit(server: OpcUaBench, tmp_path: Path):
    _connector, batches, faults = await whole(server, tmp_path, "raw", "counts", "single")
    found = {
        batch.keys[int(batch.tags[row])].removeprefix("m/"): window.tolist()
        for batch in batches
        for row, window in batch.windows.items()
    }
    assert faults == ()
    assert found == {name: WINDOWS[name][0] for name in ("raw", "counts", "single")}


async def test_what_is_too_long_or_no_window_is_refused_named_and_counted(server: OpcUaBench, tmp_path: Path):
    connector, batches, faults = await whole(server, tmp_path, "overlong", "words")
    assert {fault.tag: fault.reason.partition(": ")[2].split()[0] for fault in faults} == {
        "m/overlong": "holds",
        "m/words": "is",
    }
    assert connector.counters.losses[Loss.ANSWER_REFUSED] >= 2
    assert all(not len(window) for batch in batches for window in batch.windows.values())


async def test_a_window_becomes_the_value_of_a_feature(server: OpcUaBench, tmp_path: Path):
    _connector, batches, _faults = await whole(server, tmp_path, "raw")
    said = FeatureSettings.model_validate({"from": "raw", "kind": "kurtosis", "sampling_rate": "25600 Hz"})
    derivation = Derivation({"m/knock": feature(said, {"raw": "g"})})
    intake = Intake(Monitor({}), Board(), Sieve({}), lambda: datetime.now(UTC), derivation)
    (sample,) = intake.take(await intake.derived(batches[0]))
    assert (sample.tag, sample.quality) == ("m/knock", Quality.GOOD)
    assert sample.value == pytest.approx(kurtosis(bearing_signal.window(8.0)))
