"""The OPC-UA connector keeps the promise of a connector, and those of a protocol with security."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.contract import ABSENT, PRESENT, ConnectorContract, Listener, heard, listening
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Provenance, Quality
from tests.servers import NAMESPACE, OpcUaBench, Relay, babbling

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAGS = {"level": 0.0, "words": "running", "list": [1.0, 2.0], "running": True, "pieces": 5}


def utc_now() -> datetime:
    return datetime.now(UTC)


def tag(name: str) -> OpcUaTag:
    return OpcUaTag(node=f"nsu={NAMESPACE};s={name}", unit="mm")


def connector(server: OpcUaBench, state: Path, tags: Mapping[str, OpcUaTag] | None = None, **changes: Any):
    told: dict[str, Any] = {"url": server.url, "server_certificate": server.fingerprint, "sampling": "50 ms"}
    settings = OpcUaSettings(**{key: value for key, value in (told | changes).items() if value is not None})
    return OpcUaConnector("hall", settings, tags or {PRESENT: tag("level")}, clock=utc_now, state=state)


class Bench:
    provenance = Provenance.A

    def __init__(self, server: OpcUaBench, relay: Relay, state: Path) -> None:
        self.server, self.relay, self.state = server, relay, state
        self.cut, self.freeze, self.restore = relay.cut, relay.freeze, relay.restore

    def connector(self) -> OpcUaConnector:
        tags = {PRESENT: tag("level"), ABSENT: tag("nowhere")}
        return connector(self.server, self.state, tags, url=f"opc.tcp://127.0.0.1:{self.relay.port}")

    async def show(self, value: float) -> datetime:
        return await self.server.write("level", value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpcUaBench]:
    bench = OpcUaBench(tmp_path_factory.mktemp("server"), tags=TAGS)
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


class TestOpcUaConnector(ConnectorContract):
    @pytest_asyncio.fixture(loop_scope="module")
    async def bench(self, server: OpcUaBench, state: Path) -> AsyncIterator[Bench]:
        relay = Relay(server.port)
        await relay.restore()
        yield Bench(server, relay, state)
        await relay.close()


async def refusal(refused: OpcUaConnector) -> str:
    with pytest.raises(ConnectionRefused) as caught:
        await refused.converse(Listener().deliver, Listener().report)
    return str(caught.value)


async def test_an_unknown_server_is_refused_and_its_fingerprint_named(server: OpcUaBench, tmp_path: Path):
    assert server.fingerprint in await refusal(connector(server, tmp_path, server_certificate=None))


async def test_another_certificate_than_the_pinned_one_is_refused(server: OpcUaBench, tmp_path: Path):
    wrong = "sha256:" + "0" * 64
    said = await refusal(connector(server, tmp_path, server_certificate=wrong))
    assert server.fingerprint in said
    assert wrong in said


async def test_a_server_that_demands_security_is_not_spoken_to_without(server: OpcUaBench, tmp_path: Path):
    said = await refusal(connector(server, tmp_path, server_certificate=None, insecure=True))
    assert "insecure" in said


async def test_a_weaker_offer_than_before_is_an_alarm(server: OpcUaBench, tmp_path: Path):
    memory = tmp_path / "opcua" / "hall.json"
    memory.parent.mkdir()
    memory.write_text(f'{{"policy": "Aes256_Sha256_RsaPss", "fingerprint": "{server.fingerprint}"}}')
    said = await refusal(connector(server, tmp_path))
    assert "ALARM" in said
    assert "Aes256_Sha256_RsaPss" in said
    memory.write_text('{"policy": "Aes256_Sha256_RsaPss", "fingerprint": "sha256:of the server before this one"}')
    assert await connector(server, tmp_path).probe() == ()


async def test_our_key_is_readable_by_us_alone(server: OpcUaBench, state: Path):
    assert await connector(server, state).probe() == ()
    assert (state / "opcua" / "key.pem").stat().st_mode & 0o777 == 0o600


async def test_a_namespace_is_found_by_its_name(server: OpcUaBench, state: Path):
    other = OpcUaTag(node="nsu=urn:somebody:else;s=level", unit="mm")
    (fault,) = await connector(server, state, {"m/a": tag("level"), "m/b": other}).probe()
    assert fault.tag == "m/b"
    assert "namespace" in fault.reason


async def test_words_and_lists_are_read_as_what_they_are(server: OpcUaBench, state: Path):
    tags = {f"m/{name}": tag(name) for name in ("words", "list", "running", "pieces")}
    async with listening(connector(server, state, tags)) as listener:
        await listener.until(lambda heard: len(heard.samples) == 5)
    assert listener.reports == [()]
    assert {s.tag: s.text for s in listener.samples if s.text} == {"m/words": "running"}
    values = {s.tag: s.value for s in listener.samples if not s.text}
    assert values == {"m/running": 1.0, "m/pieces": 5.0, "m/list.0": 1.0, "m/list.1": 2.0}
    assert {s.quality for s in listener.samples} == {Quality.GOOD}


async def test_a_status_becomes_a_quality(server: OpcUaBench, state: Path):
    async with listening(connector(server, state)) as listener:
        for code, quality in ((0x40900000, Quality.UNCERTAIN), (0x808B0000, Quality.BAD), (0x00960000, Quality.GOOD)):
            await server.write("level", 77.0, status=code)
            await listener.until(lambda heard, q=quality: any(s.quality is q for s in heard.samples))


@pytest.mark.parametrize("away", [timedelta(minutes=-6), timedelta(minutes=6)])
async def test_a_value_dated_far_away_is_kept_and_uncertain(server: OpcUaBench, state: Path, away: timedelta):
    dated = datetime.now(UTC) + away
    reader = connector(server, state)
    async with listening(reader) as listener:
        await server.write("level", 41.5, at=dated)
        await listener.until(lambda heard: any(s.value == 41.5 for s in heard.samples))
    (sample,) = {s for s in listener.samples if s.value == 41.5}
    assert (sample.quality, sample.source_time) == (Quality.UNCERTAIN, dated)
    assert reader.counters.clock_off == 1


async def test_equal_values_with_new_times_are_all_reported(server: OpcUaBench, state: Path):
    start = datetime.now(UTC)
    times = [start + timedelta(seconds=n) for n in range(20)]
    async with listening(connector(server, state)) as listener:
        await listener.until(lambda heard: bool(heard.samples))
        for time in times:
            await server.write("level", 5.0, at=time)
        await listener.until(lambda heard: heard.samples[-1].source_time == times[-1])
    assert [s.source_time for s in listener.samples if s.source_time in times] == times


async def test_a_slow_reader_loses_nothing_and_disturbs_no_order(server: OpcUaBench, state: Path):
    count = 600
    await server.write("level", -1.0)
    reader = connector(server, state, publishing="10 ms")
    async with listening(reader) as listener:
        await listener.until(lambda heard: bool(heard.samples))
        taking, deliver = asyncio.Event(), listener.deliver

        async def slowly(batch: Any) -> None:
            await taking.wait()
            await deliver(batch)

        listener.deliver = slowly  # type: ignore[method-assign]
        for number in range(count):
            await server.write("level", float(number))
            if number % 10 == 0:
                await asyncio.sleep(0.01)
        taking.set()
        await listener.until(lambda heard: heard.samples[-1].value == count - 1)
    values = [s.value for s in listener.samples if s.value >= 0]
    assert values == [float(n) for n in range(count)]
    assert reader.counters.losses.total == 0


class TestAServerThatRestarts:
    async def test_its_nodes_are_found_again_when_it_numbers_namespaces_anew(self, tmp_path: Path):
        first = OpcUaBench(tmp_path / "server")
        await first.start()
        state = tmp_path / "state"
        async with listening(connector(first, state)) as listener:
            await first.write("level", 1.0)
            await listener.until(heard(1.0))
            await first.stop()
            assert listener.task is not None
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(listener.task, 5)
        second = OpcUaBench(tmp_path / "server", port=first.port, fillers=3)
        await second.start()
        try:
            async with listening(connector(second, state)) as listener:
                await second.write("level", 2.0)
                await listener.until(heard(2.0))
        finally:
            await second.stop()


class TestServersWithOtherSecurity:
    async def test_without_any_security_only_an_insecure_connection_is_made_and_counts_as_b(self, tmp_path: Path):
        plain = OpcUaBench(tmp_path / "server", policies=[ua.SecurityPolicyType.NoSecurity])
        await plain.start()
        try:
            assert "signed and encrypted" in await refusal(connector(plain, tmp_path))
            named = connector(plain, tmp_path, server_certificate=None, insecure=True)
            async with listening(named) as listener:
                await plain.write("level", 3.0)
                await listener.until(heard(3.0))
            assert {s.provenance for s in listener.samples} == {Provenance.B}
        finally:
            await plain.stop()

    async def test_the_best_of_several_offers_is_taken_and_remembered(self, tmp_path: Path):
        offers = [
            ua.SecurityPolicyType.NoSecurity,
            ua.SecurityPolicyType.Basic256Sha256_Sign,
            ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
            ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
        ]
        rich = OpcUaBench(tmp_path / "server", policies=offers)
        await rich.start()
        try:
            assert await connector(rich, tmp_path).probe() == ()
            assert "Aes256_Sha256_RsaPss" in (tmp_path / "opcua" / "hall.json").read_text()
        finally:
            await rich.stop()


GARBAGE = {  # all at once: some are only told from a slow server by the time they take
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an error": b"ERRF" + struct.pack("<II", 16, 0x80000000) + b"\xff\xff\xff\xff",
    "a greeting cut short": b"ACKF" + struct.pack("<I", 8),
    "a message without end": b"ACKF" + struct.pack("<I", 0xFFFFFFFF),
    "nothing": b"",
}


async def test_a_server_that_talks_garbage_is_a_lost_connection(server: OpcUaBench, tmp_path: Path):
    async def ask(words: bytes) -> None:
        async with babbling(words) as port:
            with pytest.raises(ConnectionLost):
                await connector(server, tmp_path, url=f"opc.tcp://127.0.0.1:{port}").probe()

    async with asyncio.timeout(10):
        await asyncio.gather(*(ask(words) for words in GARBAGE.values()))
