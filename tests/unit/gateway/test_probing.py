"""Asking the machines: a real OPC-UA server with one of two tags, a real Modbus server, and a port where nobody is."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import config, probing, starter
from tests.servers import NAMESPACE, ModbusBench, OpcUaBench

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpcUaBench]:
    server = OpcUaBench(tmp_path_factory.mktemp("server"), tags={"level": 1.0})
    await server.start()
    yield server
    await server.stop()


def site(directory: Path, connections: str) -> Path:
    path = directory / "toolcrib.yaml"
    starter.write(path, datetime(2026, 3, 2, tzinfo=UTC))
    text = path.read_text()
    start, end = text.index("connections:"), text.index("items: ")
    path.write_text(text[:start] + connections + text[end:])
    return path


SITE = """connections:
  hall: {{connector: opcua, url: "{url}", server_certificate: "{fingerprint}"}}
  plc: {{connector: modbus, host: 127.0.0.1, port: {modbus}}}
  gone: {{connector: modbus, host: 127.0.0.1, port: {dead}, timeout: 200 ms, retries: 0}}
machines:
  press:
    name: Press
    connection: hall
    tags:
      level: {{node: "nsu={space};s=level", unit: mm}}
      leval: {{node: "nsu={space};s=leval", unit: mm}}
  saw: {{name: Saw, connection: plc, tags: {{hours: {{register: 40001, unit: h}}, wild: {{register: 49000, unit: h}}}}}}
  lathe: {{name: Lathe, connection: gone, tags: {{hours: {{register: 40001, unit: h}}}}}}
"""


async def test_tags_that_do_not_exist_and_machines_that_do_not_answer_are_named_where_they_are_written(
    tmp_path: Path, bench: OpcUaBench
):
    modbus = ModbusBench()
    await modbus.start()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        text = SITE.format(
            url=bench.url,
            fingerprint=bench.fingerprint,
            modbus=modbus.port,
            dead=nobody.getsockname()[1],
            space=NAMESPACE,
        )
        loaded, file = config.load_with_places(site(tmp_path, text))
        found = await probing.probe(loaded, file, lambda: datetime.now(UTC))
    await modbus.stop()
    assert [mistake.path for mistake in found] == [
        "connections.gone",
        "machines.press.tags.leval",
        "machines.saw.tags.wild",
    ]


async def test_a_server_that_is_not_pinned_is_named_with_its_fingerprint(tmp_path: Path, bench: OpcUaBench):
    text = SITE.split("  plc:")[0] + "machines:\n  press: {{name: Press, connection: hall}}\n"
    text = text.replace(', server_certificate: "{fingerprint}"', "")
    loaded, file = config.load_with_places(site(tmp_path, text.format(url=bench.url)))
    (found,) = await probing.probe(loaded, file, lambda: datetime.now(UTC))
    assert found.path == "connections.hall"
    assert bench.fingerprint in found.message
