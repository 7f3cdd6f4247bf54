"""The certificate by which a simulated OPC-UA server is known, made once and kept.

A gateway pins the fingerprint, so it must survive restarts: the pair is made at the first start and never renewed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.simulator.errors import SimulatorError

# Plant time may run years ahead of the wall clock within an hour, and no certificate of a simulator may end on the way.
_VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(2099, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificate (DER) and private key (PEM) of a server."""

    application_uri: str
    certificate: bytes
    key: bytes

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the 64 hex digits of the certificate's SHA-256: what a gateway pins."""
        return "sha256:" + hashlib.sha256(self.certificate).hexdigest()


def load_or_make(directory: Path, application_uri: str) -> Identity:
    """Return the identity kept in a directory, making it at the first call; costs a key generation then.

    Raises SimulatorError when the directory cannot be used.
    """
    private_directory(directory)
    certificate, key = directory / "server.der", directory / "server.pem"
    try:
        if not (certificate.exists() and key.exists()):
            made = _make(application_uri)
            write_private(key, made.key)
            write_private(certificate, made.certificate)
        return Identity(application_uri, certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        message = _("cannot keep the server's certificate in {directory}: {reason}")
        raise SimulatorError(message.format(directory=directory, reason=error.strerror or error)) from error


def private_directory(directory: Path) -> None:
    """Make a directory for one's own eyes, or see that it is there. Raises SimulatorError."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = _("{directory} cannot hold the simulator's state: {reason}")
        raise SimulatorError(message.format(directory=directory, reason=error.strerror or error)) from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


def _make(application_uri: str) -> Identity:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Toolcrib simulator")])
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(application_uri),
        x509.DNSName("localhost"),
        x509.DNSName(socket.gethostname()),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_cert_sign=True,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )  # what OPC 10000-6, 6.2.2 asks of an application's own self-signed certificate
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(application_uri, certificate.public_bytes(serialization.Encoding.DER), pem)
