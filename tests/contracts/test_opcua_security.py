"""Who is spoken to, over what, and as whom: against real servers, and with somebody on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.server.user_managers import User, UserRole

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua import identity, pins
from connectors.opcua.client import BoundedClient, close
from connectors.opcua.identity import Identity
from connectors.opcua.pins import Verdict
from connectors.opcua.policies import Secured
from connectors.opcua.session import asked, open_session
from connectors.opcua.settings import OpcUaSettings
from connectors.samples import Provenance
from tests.servers import OpcUaBench, Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")

Policy = ua.SecurityPolicyType
PASSWORD = "correct horse battery"
NAMED = [ua.UserNameIdentityToken]


async def opened(server: OpcUaBench, state: Path, *, port: int | None = None, **settings: Any) -> Secured:
    """Open a session as a connection does, and leave."""
    told: dict[str, Any] = {"server_certificate": server.fingerprint} | settings
    pinned = {key: value for key, value in told.items() if value is not None}
    url = f"opc.tcp://127.0.0.1:{port or server.port}"
    client = BoundedClient(url)
    try:
        return await asked(
            url, state, open_session(client, "hall", OpcUaSettings(url=url, **pinned), state, datetime.now(UTC))
        )
    finally:
        await close(client)


async def refusal(server: OpcUaBench, state: Path, **settings: Any) -> str:
    with pytest.raises(ConnectionRefused) as caught:
        await opened(server, state, **settings)
    return str(caught.value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[OpcUaBench]]:
    """Two servers, free to be whatever a test needs."""
    benches = [OpcUaBench(tmp_path_factory.mktemp("server")) for _ in range(2)]
    for bench in benches:
        await bench.start()
    yield benches
    for bench in benches:
        await bench.stop()


@pytest.fixture
def server(servers: list[OpcUaBench]) -> OpcUaBench:
    return servers[0]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where two servers have their certificates, made once."""
    return tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")


@pytest.fixture
def place(places: tuple[Path, Path]) -> Path:
    return places[0]


class Wire(Relay):
    """A wire with somebody on it, who hears everything and may lead each call elsewhere."""

    def __init__(self, *targets: int) -> None:
        super().__init__(targets[0])
        self.heard = bytearray()
        self._targets = list(targets)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target = self._targets.pop(0) if len(self._targets) > 1 else self._targets[0]
        await super()._joined(reader, writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        write = sink.write

        def overhear(data: bytes) -> None:
            self.heard += data
            write(data)

        sink.write = overhear  # type: ignore[method-assign]
        await super()._pump(source, sink, answers=answers)


@asynccontextmanager
async def tapped(*targets: int) -> AsyncIterator[Wire]:
    wire = Wire(*targets)
    await wire.restore()
    try:
        yield wire
    finally:
        await wire.close()


class Doorkeeper:
    """Lets one user in, by password or by certificate."""

    def __init__(self, certificate: bytes | None = None) -> None:
        self.certificate = certificate
        self.asked = 0

    def get_user(
        self, _server: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        self.asked += 1
        known = (username, password) == ("toolcrib", PASSWORD)
        if known or (self.certificate is not None and certificate == self.certificate):
            return User(role=UserRole.User)
        return None


def password_file(directory: Path, word: str = PASSWORD) -> dict[str, Any]:
    file = directory / "password"
    file.write_text(word + "\n")
    return {"name": "toolcrib", "password": {"file": file}}


def written(found: Identity, directory: Path) -> dict[str, Any]:
    """Write an identity as a plant's PKI would hand it over."""
    directory.mkdir(exist_ok=True)
    files = {"certificate": directory / "certificate.der", "key": directory / "key.pem"}
    files["certificate"].write_bytes(found.certificate)
    files["key"].write_bytes(found.key)
    return dict(files)


SIGN = (Policy.Basic256Sha256_Sign, Policy.Aes256Sha256RsaPss_Sign)


class TestPolicies:
    async def test_a_server_that_only_signs_is_spoken_to_as_class_b(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place, SIGN)
        found = await opened(server, tmp_path)
        assert (str(found.protection), found.provenance) == ("Aes256_Sha256_RsaPss (Sign)", Provenance.B)

    async def test_encrypting_is_better_than_any_signing_and_is_class_a(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place, (*SIGN, Policy.Aes128Sha256RsaOaep_SignAndEncrypt))
        found = await opened(server, tmp_path)
        assert (str(found.protection), found.provenance) == ("Aes128_Sha256_RsaOaep", Provenance.A)
        assert found.fingerprint == server.fingerprint

    async def test_what_only_signs_now_and_encrypted_before_is_an_alarm(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place)
        await opened(server, tmp_path)
        await server.become(place, SIGN)
        said = await refusal(server, tmp_path)
        assert "ALARM" in said
        assert "Basic256Sha256 before and now only Aes256_Sha256_RsaPss (Sign)" in said

    async def test_a_withdrawn_policy_is_taken_only_where_named_and_is_class_b(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place, (Policy.Basic256_SignAndEncrypt,))
        assert "Basic256, which is deprecated" in await refusal(server, tmp_path)
        assert "deprecated" in await refusal(server, tmp_path, deprecated_policies=["Basic128Rsa15"])
        found = await opened(server, tmp_path, deprecated_policies=["Basic256"])
        assert (str(found.protection), found.provenance) == ("Basic256", Provenance.B)

    @pytest.mark.parametrize("policy", [each for each in Policy if "Sha256" in each.name])
    async def test_every_current_policy_is_spoken(
        self, server: OpcUaBench, place: Path, tmp_path: Path, policy: Policy
    ):
        await server.become(place, (policy,))
        found = await opened(server, tmp_path)
        assert found.provenance is (Provenance.A if "Encrypt" in policy.name else Provenance.B)

    async def test_somebody_who_strikes_the_better_offers_from_discovery_is_found_out(
        self, servers: list[OpcUaBench], place: Path, tmp_path: Path
    ):
        honest, struck_out = servers
        offers = (Policy.Basic256Sha256_Sign, Policy.Aes256Sha256RsaPss_SignAndEncrypt)
        await honest.become(place, offers)
        await struck_out.become(place, offers[:1])  # the same certificate, and less to offer
        async with tapped(struck_out.port, honest.port) as wire:
            said = await refusal(honest, tmp_path, port=wire.port)
        assert "ALARM: the server offers Aes256_Sha256_RsaPss, but discovery showed only" in said
        assert not (tmp_path / "opcua" / "hall.json").exists()


class TestStrangers:
    async def test_one_is_quarantined_until_a_person_pins_it_and_again_when_it_is_rejected(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place)
        said = await refusal(server, tmp_path, server_certificate=None)
        assert f"toolcrib trust pin hall {server.fingerprint}" in said
        (seen,) = pins.seen(tmp_path, "hall")
        assert (seen.fingerprint, seen.described.uri) == (server.fingerprint, server.identity.uri)
        now = datetime.now(UTC)
        pins.judge(tmp_path, "hall", server.fingerprint, Verdict.PINNED, "anna", now)
        assert (await opened(server, tmp_path, server_certificate=None)).provenance is Provenance.A
        pins.judge(tmp_path, "hall", server.fingerprint, Verdict.REJECTED, "anna", now)
        assert "rejected by a person" in await refusal(server, tmp_path, server_certificate=None)
        assert (await opened(server, tmp_path)).provenance is Provenance.A  # what the config pins wins

    async def test_a_changed_certificate_is_refused_and_quarantined_whatever_was_pinned(
        self, server: OpcUaBench, places: tuple[Path, Path], tmp_path: Path
    ):
        await server.become(places[0])
        first = server.fingerprint
        await opened(server, tmp_path)
        await server.become(places[1])
        said = await refusal(server, tmp_path, server_certificate=first)
        assert "it was replaced, or this is another server" in said
        both = [first, server.fingerprint]
        assert (await opened(server, tmp_path, server_certificate=both)).fingerprint == server.fingerprint
        assert {each.fingerprint for each in pins.seen(tmp_path, "hall")} == set(both)

    @pytest.mark.parametrize("obstacle", ["a spoilt file", "no directory"])
    async def test_a_quarantine_that_cannot_be_kept_stops_no_server_that_the_config_pins(
        self, server: OpcUaBench, place: Path, tmp_path: Path, obstacle: str
    ):
        await server.become(place)
        quarantine = pins.directory(tmp_path)
        if obstacle == "no directory":
            quarantine.parent.mkdir()
            quarantine.write_bytes(b"")
        else:
            quarantine.mkdir(parents=True)
            (quarantine / "hall.json").write_text("null")
        assert (await opened(server, tmp_path)).provenance is Provenance.A
        with pytest.raises(ConnectionLost):  # whom only a command could have let in, it lets in no more
            await opened(server, tmp_path, server_certificate=None)

    async def test_a_server_that_shows_anothers_certificate_cannot_speak_for_it(
        self, servers: list[OpcUaBench], places: tuple[Path, Path], tmp_path: Path
    ):
        honest, thief = servers
        await honest.become(places[0])
        await thief.become(places[1])
        async with tapped(honest.port, thief.port) as wire:  # discovery is led to the honest one
            with pytest.raises(ConnectionLost):
                await opened(honest, tmp_path, port=wire.port)


class TestUsers:
    async def test_a_password_is_unreadable_on_an_encrypted_wire_and_a_wrong_one_is_refused(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place, users=Doorkeeper(), tokens=NAMED)
        async with tapped(server.port) as wire:
            user = password_file(tmp_path)
            assert (await opened(server, tmp_path, port=wire.port, user=user)).provenance is Provenance.A
            assert PASSWORD.encode() not in wire.heard
        said = await refusal(server, tmp_path, user=password_file(tmp_path, "hunter2"))
        assert "look at 'user'" in said
        assert "hunter2" not in said
        assert "look at 'user'" in await refusal(server, tmp_path)  # nobody is let in anonymously

    async def test_on_a_signed_wire_a_password_is_encrypted_by_itself_or_not_sent(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place, SIGN, users=Doorkeeper(), tokens=NAMED)
        user = password_file(tmp_path)
        async with tapped(server.port) as wire:
            assert (await opened(server, tmp_path, port=wire.port, user=user)).provenance is Provenance.B
            assert b"toolcrib" in wire.heard  # the name can be read, as everything can
            assert PASSWORD.encode() not in wire.heard
            server.take_passwords_readable()
            assert "so it was not sent" in await refusal(server, tmp_path, port=wire.port, user=user)
            assert PASSWORD.encode() not in wire.heard

    async def test_on_a_weakened_wire_nobody_signs_in(self, servers: list[OpcUaBench], place: Path, tmp_path: Path):
        honest, struck_out = servers
        users, offers = Doorkeeper(), (Policy.Basic256_SignAndEncrypt, Policy.Aes256Sha256RsaPss_SignAndEncrypt)
        await honest.become(place, offers, users=users, tokens=NAMED)
        await struck_out.become(place, offers[:1], users=users, tokens=NAMED)
        told: dict[str, Any] = {"user": password_file(tmp_path), "deprecated_policies": ["Basic256"]}
        async with tapped(struck_out.port, honest.port) as wire:
            assert "ALARM" in await refusal(honest, tmp_path, port=wire.port, **told)
        assert users.asked == 0
        assert (await opened(honest, tmp_path, **told)).provenance is Provenance.A
        assert users.asked == 1

    async def test_a_missing_password_is_said_before_anybody_is_called(self, server: OpcUaBench, tmp_path: Path):
        user = {"name": "toolcrib", "password": {"file": tmp_path / "nowhere"}}
        assert "nowhere cannot be read" in await refusal(server, tmp_path, port=1, user=user)

    async def test_a_user_is_known_by_their_certificate(
        self, server: OpcUaBench, places: tuple[Path, Path], tmp_path: Path
    ):
        anna, ben = (identity.own_identity(place, datetime.now(UTC)) for place in places)
        await server.become(places[0], users=Doorkeeper(anna.certificate), tokens=[ua.X509IdentityToken])
        found = await opened(server, tmp_path, user=written(anna, tmp_path / "given"))
        assert found.provenance is Provenance.A
        assert "look at 'user'" in await refusal(server, tmp_path, user=written(ben, tmp_path / "given"))


class Trusting:
    """A server's list of trusted clients."""

    def __init__(self, trusted: Sequence[bytes]) -> None:
        self.trusted = list(trusted)
        self.shown: list[bytes] = []

    def __call__(self, certificate: bytes) -> bool:
        self.shown.append(certificate)
        return certificate in self.trusted


class TestOurCertificate:
    async def test_one_from_the_plant_is_shown_and_a_server_without_trust_is_named_its_file(
        self, server: OpcUaBench, places: tuple[Path, Path], tmp_path: Path
    ):
        issued = identity.own_identity(places[1], datetime.now(UTC))
        given, trusts = written(issued, tmp_path / "given"), Trusting([issued.certificate])
        await server.become(places[0], trusts=trusts)
        assert (await opened(server, tmp_path, **given)).provenance is Provenance.A
        assert trusts.shown == [issued.certificate]
        trusts.trusted.clear()
        said = await refusal(server, tmp_path, **given)
        assert "BadCertificateUntrusted" in said
        assert str(given["certificate"]) in said

    async def test_where_our_own_cannot_be_read_the_server_is_not_blamed(
        self, server: OpcUaBench, place: Path, tmp_path: Path
    ):
        await server.become(place)
        await opened(server, tmp_path)
        identity.certificate_file(tmp_path).write_bytes(b"")
        with pytest.raises(ConnectionLost, match=r"our own certificate in .* cannot be used"):
            await opened(server, tmp_path)

    async def test_a_server_that_was_not_told_of_the_renewed_one_is_shown_the_one_before(
        self, server: OpcUaBench, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(identity, "NOT_BEFORE_THIS", identity.VALID_FROM)
        due = identity.VALID_FOR - identity.RENEWED_BEFORE
        before = identity.own_identity(tmp_path, datetime.now(UTC) - due)
        monkeypatch.undo()
        trusts = Trusting([before.certificate])
        await server.become(place, trusts=trusts)
        with pytest.raises(ConnectionLost, match="does not trust our renewed certificate yet"):
            await opened(server, tmp_path)
        renewed = identity.certificate_file(tmp_path).read_bytes()
        assert (await opened(server, tmp_path)).provenance is Provenance.A
        assert trusts.shown == [renewed, before.certificate]
        assert identity.untold(tmp_path, "hall")
