"""Modbus over other wires than plain TCP: TLS with a pinned certificate, serial frames, several requests under way."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate

from connectors.connector import ConnectionRefused
from connectors.contract import ABSENT, PRESENT, ConnectorContract, Listener, heard, listening
from connectors.modbus.connector import ModbusConnector
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Provenance
from connectors.simulator.identity import load_or_make
from connectors.simulator.modbus_line import Line, Unit, of_floats
from tests.servers import Relay


def connector(port: int, state: Path, tags: Mapping[str, ModbusTag], **told: Any) -> ModbusConnector:
    settings = ModbusSettings.model_validate({"host": "127.0.0.1", "port": port, "sampling": "20 ms"} | told)
    return ModbusConnector("plc", settings, tags, clock=lambda: datetime.now(UTC), state=state)


class Bench:
    def __init__(self, line: Line, relay: Relay, state: Path, provenance: Provenance, told: dict[str, Any]) -> None:
        self.line, self.relay, self.state, self.provenance, self.told = line, relay, state, provenance, told
        self.cut, self.freeze, self.restore = relay.cut, relay.freeze, relay.restore

    def connector(self) -> ModbusConnector:
        tags = {
            PRESENT: ModbusTag(register=40001, type="float32", unit="mm"),
            ABSENT: ModbusTag(address=60_000, unit="mm"),
        }
        return connector(self.relay.port, self.state, tags, timeout="500 ms", **self.told)

    async def show(self, value: float) -> None:
        self.line.units[1].registers[:2] = of_floats([value])


def secured(directory: Path) -> tuple[ssl.SSLContext, str]:
    """Return the TLS of a device, and the fingerprint to pin."""
    identity = load_or_make(directory, "urn:toolcrib:device")
    certificate = load_der_x509_certificate(identity.certificate)
    chain = directory / "chain.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + identity.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, identity.fingerprint


async def bench_of(tmp_path: Path, **told: Any) -> AsyncIterator[Bench]:
    tls, fingerprint = secured(tmp_path / "device") if told.get("transport") == "tls" else (None, None)
    told = told | ({"server_certificate": fingerprint} if fingerprint else {})
    async with Line({1: Unit()}, rtu=told.get("transport") == "rtu-over-tcp", tls=tls) as line:
        relay = Relay(line.port)
        await relay.restore()
        provenance = Provenance.A if tls else Provenance.B
        yield Bench(line, relay, tmp_path / "state", provenance, told)
        await relay.close()


class TestOverTls(ConnectorContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        async for made in bench_of(tmp_path, transport="tls"):
            yield made


class TestSerialFramesOverTcp(ConnectorContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        async for made in bench_of(tmp_path, transport="rtu-over-tcp"):
            yield made


class TestPipelined(ConnectorContract):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        async for made in bench_of(tmp_path, pipeline=4):
            yield made


async def test_another_certificate_than_the_pinned_one_is_refused(tmp_path: Path):
    tls, fingerprint = secured(tmp_path / "device")
    async with Line({1: Unit()}, tls=tls) as line:
        reader = connector(
            line.port,
            tmp_path,
            {"m/t": ModbusTag(address=0, unit="1")},
            transport="tls",
            server_certificate="sha256:" + "0" * 64,
        )
        with pytest.raises(ConnectionRefused, match=fingerprint):
            await reader.converse(Listener().deliver, Listener().report)


async def test_other_tags_are_read_from_the_next_poll_on(tmp_path: Path):
    unit = Unit(registers=list(range(100)))
    async with Line({1: unit}) as line:
        reader = connector(line.port, tmp_path, {"m/a": ModbusTag(address=1, unit="1")})
        async with listening(reader) as listener:
            await listener.until(heard(1.0))
            await reader.adjust({"m/b": ModbusTag(address=2, unit="1")})
            await listener.until(heard(2.0))
            count = len(listener.samples)
            await listener.until(lambda heard: len(heard.samples) > count + 5)
    assert {s.tag for s in listener.samples[count:]} == {"m/b"}


async def test_a_tag_is_read_as_often_as_it_says(tmp_path: Path):
    tags = {"m/a": ModbusTag(address=1, unit="1"), "m/b": ModbusTag(address=50, unit="1", every="200 ms")}
    async with Line({1: Unit()}) as line, listening(connector(line.port, tmp_path, tags)) as listener:
        await listener.until(lambda heard: sum(s.tag == "m/b" for s in heard.samples) == 3)
    counts = {tag: sum(s.tag == tag for s in listener.samples) for tag in tags}
    assert 20 <= counts["m/a"] <= 22
