"""Our certificate is made once and renewed in time; one from the plant's PKI is looked at before it is shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from connectors.opcua import identity
from connectors.opcua.certificates import application_uri, parse
from connectors.opcua.identity import RENEWED_BEFORE, VALID_FOR, CertificateUnusable

NOW = datetime(2027, 3, 1, tzinfo=UTC)
DUE = NOW + VALID_FOR - RENEWED_BEFORE


@pytest.fixture(scope="module")
def secret() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Pki:
    """A plant's own authority, which writes what it issues into a directory."""

    def __init__(self, directory: Path, secret: rsa.RSAPrivateKey) -> None:
        self.directory = directory
        self.secret = secret
        self.root = self._issue("plant root", secret, None)

    def _issue(
        self, name: str, key: rsa.RSAPrivateKey, uri: str | None, until: datetime = NOW + timedelta(days=365)
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant root")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=400))
            .not_valid_after(until)
        )
        if uri is not None:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.secret, hashes.SHA256())

    def issue(
        self,
        key: rsa.RSAPrivateKey,
        *,
        uri: str | None = "urn:plant:toolcrib",
        encoding: serialization.Encoding = serialization.Encoding.PEM,
        password: str | None = None,
        until: datetime = NOW + timedelta(days=365),
    ) -> tuple[Path, Path]:
        ours = self._issue("toolcrib", key, uri, until)
        lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            lock = serialization.BestAvailableEncryption(password.encode())
        chain = (self.root, ours) if encoding is serialization.Encoding.PEM else (ours, self.root)
        files = self.directory / "certificate", self.directory / "key"
        files[0].write_bytes(b"".join(each.public_bytes(encoding) for each in chain))
        files[1].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, lock))
        return files


@pytest.fixture
def pki(tmp_path: Path, secret: rsa.RSAPrivateKey) -> Pki:
    return Pki(tmp_path, rsa.generate_private_key(public_exponent=65537, key_size=2048))


class TestOurOwn:
    def test_it_is_made_once_and_names_us(self, tmp_path: Path):
        first, again = identity.own_identity(tmp_path, NOW), identity.own_identity(tmp_path, NOW)
        assert first == again
        assert first.certificate == identity.certificate_file(tmp_path).read_bytes()
        assert first.key == identity.key_file(tmp_path).read_bytes()
        assert "PRIVATE" not in repr(first)
        assert identity.key_file(tmp_path).stat().st_mode & 0o777 == 0o600
        assert identity.key_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
        made = parse(first.certificate)
        assert application_uri(made) == first.uri
        assert (made.not_valid_before_utc.year, made.not_valid_after_utc) == (2020, NOW + VALID_FOR)
        made.verify_directly_issued_by(made)

    def test_a_clock_that_starts_in_the_past_makes_one_that_holds_today(self, tmp_path: Path):
        made = identity.own_identity(tmp_path, datetime(1970, 1, 1, tzinfo=UTC))
        assert made.valid_until > NOW + VALID_FOR / 2
        assert identity.own_identity(tmp_path, datetime(1970, 1, 2, tzinfo=UTC)).certificate == made.certificate

    def test_it_is_renewed_for_the_same_key_and_uri_before_it_ends(self, tmp_path: Path):
        first = identity.own_identity(tmp_path, NOW)
        assert identity.own_identity(tmp_path, DUE - timedelta(seconds=1)).certificate == first.certificate
        renewed = identity.own_identity(tmp_path, DUE)
        assert renewed.certificate != first.certificate
        assert (renewed.key, renewed.uri) == (first.key, first.uri)
        assert renewed.valid_until == DUE + VALID_FOR
        assert identity.previous_file(tmp_path).read_bytes() == first.certificate

    def test_a_server_that_was_not_told_is_shown_the_one_before_and_is_asked_again(self, tmp_path: Path):
        first = identity.own_identity(tmp_path, NOW)
        renewed = identity.shown_identity(tmp_path, "hall", DUE)
        assert identity.note_refusal(tmp_path, "hall", renewed, DUE)
        os.utime(tmp_path / "opcua" / "hall.refused", (DUE.timestamp(), DUE.timestamp()))
        before = identity.shown_identity(tmp_path, "hall", DUE)
        assert (before.certificate, identity.untold(tmp_path, "hall")) == (first.certificate, True)
        assert identity.shown_identity(tmp_path, "elsewhere", DUE) == renewed
        identity.note_welcome(tmp_path, "hall", before)
        assert identity.untold(tmp_path, "hall")
        later = DUE + timedelta(days=1, seconds=1)
        assert identity.shown_identity(tmp_path, "hall", later) == renewed
        identity.note_welcome(tmp_path, "hall", renewed)
        assert not identity.untold(tmp_path, "hall")

    def test_where_nothing_else_can_be_shown_a_refusal_is_final(self, tmp_path: Path):
        first = identity.own_identity(tmp_path, NOW)
        assert not identity.note_refusal(tmp_path, "hall", first, NOW)
        renewed = identity.own_identity(tmp_path, DUE)
        assert not identity.note_refusal(tmp_path, "hall", renewed, first.valid_until)


class TestFromThePlant:
    @pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
    def test_pem_and_der_with_their_issuers_are_taken(
        self, pki: Pki, secret: rsa.RSAPrivateKey, encoding: serialization.Encoding
    ):
        found = identity.issued_identity(*pki.issue(secret, encoding=encoding, password="word"), "word", NOW)
        assert found.uri == "urn:plant:toolcrib"
        assert parse(found.certificate).public_key() == secret.public_key()
        assert found.chain == (pki.root.public_bytes(serialization.Encoding.DER),)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda pki, key: pki.issue(key, uri=None), "no application URI"),
            (lambda pki, key: pki.issue(key, until=NOW), "ran out on 2027-03-01"),
            (lambda pki, key: pki.issue(key, password="word"), "needs 'key_password'"),
            (lambda pki, key: (pki.issue(key)[0], pki.directory / "nowhere"), "cannot be read"),
            (lambda pki, key: pki.issue(key)[::-1], "holds no certificate"),
            (lambda pki, key: (pki.issue(key)[0],) * 2, "holds no key"),
            (
                lambda pki, key: (
                    pki.issue(key)[0],
                    _written(pki, _rsa()),
                ),
                "do not belong together",
            ),
            (lambda pki, key: (pki.issue(key)[0], _written(pki, ec.generate_private_key(ec.SECP256R1()))), "RSA key"),
            (lambda pki, key: (_flood(pki), pki.issue(key)[1]), "larger than certificates"),
        ],
    )
    def test_what_is_wrong_with_it_is_a_sentence(
        self, pki: Pki, secret: rsa.RSAPrivateKey, spoil: Callable[..., tuple[Path, Path]], said: str
    ):
        with pytest.raises(CertificateUnusable, match=said):
            identity.issued_identity(*spoil(pki, secret), None, NOW)

    def test_a_wrong_password_is_not_repeated(self, pki: Pki, secret: rsa.RSAPrivateKey):
        with pytest.raises(CertificateUnusable, match="its password is wrong") as caught:
            identity.issued_identity(*pki.issue(secret, password="word"), "hunter2", NOW)
        assert "hunter2" not in str(caught.value)


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _written(pki: Pki, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    file = pki.directory / "another.key"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


def _flood(pki: Pki) -> Path:
    file = pki.directory / "flood"
    file.write_bytes(bytes(identity.FILE_BYTES_MAX + 1))
    return file
