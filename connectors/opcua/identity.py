"""Who we are to machines: an application certificate of our own making, or one from the plant's PKI.

Promises: our own is made at first use, its key readable by us alone; it is renewed for the same key and the same URI
long before it ends, and the one before is kept for servers that have not been told yet; one from the PKI is checked
whenever it is loaded, and what is wrong with it is a sentence. Never prints a key. Refuses to know servers, but for one
thing: which of them does not take the renewed certificate yet.

Application certificates: OPC 10000-6, 6.2.2; renewal for the same key: OPC 10000-12, 7.6.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.connector import ConnectionRefused
from connectors.opcua import private_files
from connectors.opcua.certificates import CertificateBroken, application_uri, fingerprint, links, parse

KEY_BITS: Final = 2048
"""What Basic256Sha256 demands at least and every server takes."""
KEY_BITS_MAX: Final = 4096
"""What no policy allows to be exceeded (OPC 10000-7)."""
FILE_BYTES_MAX: Final = 128 * 1024
"""A chain of five certificates in PEM has fifteen thousand."""

VALID_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A box without a battery starts in the past, and so do some servers: none of them shall find it not yet valid."""
NOT_BEFORE_THIS: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that says less is wrong, as this program is younger: the span of validity is counted from here then."""
VALID_FOR: Final = timedelta(days=5 * 365)
RENEWED_BEFORE: Final = timedelta(days=90)
"""A quarter in which people can hand the new certificate to servers that ask for it, while the old one still works."""
ASKED_AGAIN_AFTER: Final = timedelta(days=1)
"""How long a server that refused the renewed certificate is shown the one before."""

_making = threading.Lock()


class CertificateUnusable(ConnectionRefused):
    """A certificate or a key of ours cannot be used; `str()` says which file and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An application certificate: its URI, the certificate (DER), its key (PEM, never printed) and its issuers (DER).

    file: where the certificate lies, for people to hand to a server.
    """

    uri: str
    certificate: bytes
    key: bytes = field(repr=False)
    chain: tuple[bytes, ...] = ()
    file: Path = Path()

    @property
    def valid_until(self) -> datetime:
        """When it ends."""
        return parse(self.certificate).not_valid_after_utc


def certificate_file(state: Path) -> Path:
    """Return where our own certificate lies (DER), for people to hand to a server."""
    return state / "opcua" / "certificate.der"


def previous_file(state: Path) -> Path:
    """Return where the certificate lies that was ours before it was renewed (DER)."""
    return state / "opcua" / "certificate.previous.der"


def key_file(state: Path) -> Path:
    """Return where the key of our own certificate lies (PEM), for its owner's eyes alone."""
    return state / "opcua" / "key.pem"


# ---- our own


def own_identity(state: Path, now: datetime) -> Identity:
    """Return our application certificate, making it and its key at first use, renewing it when it is due.

    now: the wall's time. Takes up to a second at first use: call it in a thread.
    Raises OSError, ValueError.
    """
    certificate, key = certificate_file(state), key_file(state)
    with _making, private_files.alone(certificate.parent):
        if not (certificate.exists() and key.exists()):
            _make(certificate, key, now)
        own = certificate.read_bytes()
        if parse(own).not_valid_after_utc - now <= RENEWED_BEFORE and now >= NOT_BEFORE_THIS:
            own = _renew(state, own, now)
    return Identity(application_uri(parse(own)), own, key.read_bytes(), file=certificate)


def shown_identity(state: Path, connection: str, now: datetime) -> Identity:
    """Return what a connection's server is shown: our certificate, or the one before, where it refused the renewed one.

    Raises as `own_identity`.
    """
    own = own_identity(state, now)
    refused = _refusal(state, connection)
    if not refused.exists() or not previous_file(state).exists():
        return own
    before = previous_file(state).read_bytes()
    told = datetime.fromtimestamp(refused.stat().st_mtime, UTC)
    stale = now - told > ASKED_AGAIN_AFTER or refused.read_text() != fingerprint(own.certificate)
    if stale or parse(before).not_valid_after_utc <= now:
        return own
    return Identity(own.uri, before, own.key, file=own.file)


def note_refusal(state: Path, connection: str, shown: Identity, now: datetime) -> bool:
    """Note that a server refused what it was shown; returns whether the certificate before may be tried instead."""
    if shown.file != certificate_file(state) or shown.certificate != certificate_file(state).read_bytes():
        return False
    previous = previous_file(state)
    if not previous.exists() or parse(previous.read_bytes()).not_valid_after_utc <= now:
        return False
    private_files.write(_refusal(state, connection), fingerprint(shown.certificate).encode())
    return True


def untold(state: Path, connection: str) -> bool:
    """Return whether a connection's server has refused our renewed certificate, and still has to be told of it."""
    try:
        return _refusal(state, connection).read_text() == fingerprint(certificate_file(state).read_bytes())
    except OSError:
        return False


def note_welcome(state: Path, connection: str, shown: Identity) -> None:
    """Note that a server has taken what it was shown; once that is the renewed certificate, it has been told."""
    if untold(state, connection) and shown.certificate == certificate_file(state).read_bytes():
        _refusal(state, connection).unlink(missing_ok=True)


def _refusal(state: Path, connection: str) -> Path:
    return state / "opcua" / f"{quote(connection, safe='')}.refused"


def _make(certificate: Path, key: Path, now: datetime) -> None:
    secret = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    public = x509.SubjectKeyIdentifier.from_public_key(secret.public_key())
    uri = f"urn:toolcrib:gateway:{public.digest.hex()[:16]}"
    private_files.write(key, _pem(secret))
    private_files.write(certificate, _self_signed(secret, uri, now).public_bytes(serialization.Encoding.DER))


def _renew(state: Path, old: bytes, now: datetime) -> bytes:
    secret = serialization.load_pem_private_key(key_file(state).read_bytes(), None)
    if not isinstance(secret, rsa.RSAPrivateKey):
        raise ValueError(f"{key_file(state)} is not an RSA key")
    new = _self_signed(secret, application_uri(parse(old)), now).public_bytes(serialization.Encoding.DER)
    private_files.write(previous_file(state), old)
    private_files.write(certificate_file(state), new)
    return new


def _pem(secret: rsa.RSAPrivateKey) -> bytes:
    return secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _self_signed(secret: rsa.RSAPrivateKey, uri: str, now: datetime) -> x509.Certificate:
    public = secret.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Toolcrib")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # it signs itself, and strict stacks check that it may
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(socket.gethostname())])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(max(now, NOT_BEFORE_THIS) + VALID_FOR)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(secret, hashes.SHA256())
    )


# ---- from the plant's PKI


def issued_identity(certificate: Path, key: Path, password: str | None, now: datetime) -> Identity:
    """Return an application certificate from files: PEM or DER, its issuers beside it in any order.

    password: of the key, None where it is not encrypted. Raises CertificateUnusable when the files cannot be read, do
    not belong together, name no application URI, or the certificate has run out.
    """
    issued = issued_certificate(certificate, key, password, now)
    if not issued.uri:
        text = _("{file} names no application URI (a URI among its alternative names): every server would refuse it")
        raise CertificateUnusable(text.format(file=certificate))
    return issued


def issued_certificate(certificate: Path, key: Path, password: str | None, now: datetime) -> Identity:
    """Return a certificate and its key from files, as for a user. Raises as `issued_identity`, but for the URI."""
    found = _certificates(certificate)
    secret = _key(key, password)
    mine = [each for each in found if parse(each).public_key() == secret.public_key()]
    if not mine:
        text = _("{key} is not the key of {file}: they do not belong together")
        raise CertificateUnusable(text.format(key=key, file=certificate))
    ours = parse(mine[0])
    if ours.not_valid_after_utc <= now:
        text = _("{file} ran out on {until} UTC: have a new one issued")
        raise CertificateUnusable(text.format(file=certificate, until=f"{ours.not_valid_after_utc:%Y-%m-%d %H:%M}"))
    chain = tuple(each for each in found if each != mine[0])
    return Identity(application_uri(ours), mine[0], _pem(secret), chain, certificate)


def _certificates(file: Path) -> list[bytes]:
    content = _content(file)
    try:
        if b"-----BEGIN" in content:
            found = x509.load_pem_x509_certificates(content)
            return [each.public_bytes(serialization.Encoding.DER) for each in found]
        return links(content)
    except (CertificateBroken, ValueError) as error:
        raise CertificateUnusable(_("{file} holds no certificate in PEM or DER").format(file=file)) from error


def _key(file: Path, password: str | None) -> rsa.RSAPrivateKey:
    content = _content(file)
    load = serialization.load_pem_private_key if b"-----BEGIN" in content else serialization.load_der_private_key
    try:
        secret = load(content, password=None if password is None else password.encode())
    except TypeError as error:  # encrypted without a password, or the reverse
        text = _("{file} is encrypted and needs 'key_password'") if password is None else _("{file} needs no password")
        raise CertificateUnusable(text.format(file=file)) from error
    except ValueError as error:
        text = _("{file} holds no key in PEM or DER, or its password is wrong")
        raise CertificateUnusable(text.format(file=file)) from error
    if not isinstance(secret, rsa.RSAPrivateKey) or not KEY_BITS <= secret.key_size <= KEY_BITS_MAX:
        text = _("{file} must hold an RSA key of {least} to {most} bits: no OPC-UA policy here takes another")
        raise CertificateUnusable(text.format(file=file, least=KEY_BITS, most=KEY_BITS_MAX))
    return secret


def _content(file: Path) -> bytes:
    try:
        return private_files.read(file, FILE_BYTES_MAX)
    except OSError as error:
        text = _("{file} cannot be read: {reason}")
        raise CertificateUnusable(text.format(file=file, reason=error.strerror)) from error
    except ValueError as error:
        raise CertificateUnusable(_("{file} is larger than certificates are").format(file=file)) from error
