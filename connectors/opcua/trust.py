"""Whom we talk to and how well the wire is protected; never weaker than before.

Promises: a server is accepted only by the fingerprint that a person pinned; the best security it offers is used,
remembered, and a weaker offer later is refused as an alarm; our own certificate is made once, its key readable by
us alone. Every refusal is a `ConnectionRefused` that says what was found. Refuses to know tags and values.

Policies and modes: OPC 10000-7; application certificates: OPC 10000-6, 6.2.2.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path
from typing import Final
from urllib.parse import quote

from asyncua import ua
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.connector import ConnectionRefused

POLICIES: Final[tuple[type[security_policies.SecurityPolicy], ...]] = (
    security_policies.SecurityPolicyBasic256Sha256,
    security_policies.SecurityPolicyAes128Sha256RsaOaep,
    security_policies.SecurityPolicyAes256Sha256RsaPss,
)
"""Accepted policies, weakest first; the older ones rest on SHA-1 and are not accepted at all."""

KEY_BITS: Final = 2048
"""What Basic256Sha256 demands at least and every server takes."""

# A box without a battery starts in the past and a pinned certificate gains nothing by expiring: the span is as wide
# as the oldest date format of X.509 allows, and no plant stops because a date came.
VALID_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
VALID_UNTIL: Final = datetime(2049, 12, 31, tzinfo=UTC)

_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Identity:
    """Our own application certificate: its URI, the certificate (DER) and the key (PEM, never printed)."""

    uri: str
    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers: the policy, its rank in `POLICIES`, and the server's certificate (DER)."""

    rank: int
    certificate: bytes

    @property
    def policy(self) -> type[security_policies.SecurityPolicy]:
        """The policy class of the protocol stack."""
        return POLICIES[self.rank]

    @property
    def name(self) -> str:
        """The policy as the standard writes it, such as `Basic256Sha256`."""
        return _short(self.policy.URI)

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hexadecimal digest of the server's certificate."""
        return fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class Memory:
    """The best security that a pinned server has offered so far."""

    rank: int
    fingerprint: str

    @property
    def name(self) -> str:
        """The policy as the standard writes it."""
        return _short(POLICIES[self.rank].URI)


def fingerprint(certificate: bytes) -> str:
    """Return how people pin a certificate (DER): `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


def leaf(chain: bytes) -> bytes:
    """Return the first certificate of a DER chain, or the bytes as they are when they hold no long-form SEQUENCE."""
    if len(chain) < 4 or chain[0] != 0x30 or chain[1] != 0x82:
        return chain
    return chain[: 4 + int.from_bytes(chain[2:4], "big")]


def best_offer(endpoints: Iterable[ua.EndpointDescription]) -> Offer | None:
    """Return the strongest signed and encrypted offer that we accept, or None when there is none."""
    ranks = {policy.URI: rank for rank, policy in enumerate(POLICIES)}
    offers = [
        Offer(ranks[str(endpoint.SecurityPolicyUri)], leaf(bytes(endpoint.ServerCertificate)))
        for endpoint in endpoints
        if endpoint.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
        and endpoint.SecurityPolicyUri in ranks
        and endpoint.ServerCertificate
    ]
    return max(offers, key=lambda offer: offer.rank, default=None)


def accept(offer: Offer | None, pinned: str | None, remembered: Memory | None) -> Offer:
    """Return the offer if it is the pinned server at no less than the security it had before.

    Raises ConnectionRefused, naming what was found.
    """
    if offer is None:
        raise ConnectionRefused(_("the server offers no connection that is both signed and encrypted"))
    if pinned is None:
        text = _("the server is unknown: compare its certificate's fingerprint and pin it: server_certificate: {found}")
        raise ConnectionRefused(text.format(found=offer.fingerprint))
    if offer.fingerprint != pinned:
        text = _("the server's certificate is {found}, pinned is {pinned}: it was replaced, or this is another server")
        raise ConnectionRefused(text.format(found=offer.fingerprint, pinned=pinned))
    if remembered is not None and remembered.fingerprint == offer.fingerprint and remembered.rank > offer.rank:
        text = _("ALARM: the server offered {before} before and now only {now}: somebody may be weakening the wire")
        raise ConnectionRefused(text.format(before=remembered.name, now=offer.name))
    return offer


def confirm(offer: Offer, endpoints: Iterable[ua.EndpointDescription]) -> None:
    """Check the offer in use against the list that the server repeated under encryption.

    Discovery is neither signed nor encrypted: anybody on the way could have struck out the better offers.
    Raises ConnectionRefused when the server has a better one.
    """
    best = best_offer(endpoints)
    if best is not None and best.rank > offer.rank:
        text = _("ALARM: the server offers {best}, but discovery showed only {now}: somebody may be weakening the wire")
        raise ConnectionRefused(text.format(best=best.name, now=offer.name))


def accept_insecure(endpoints: Iterable[ua.EndpointDescription]) -> None:
    """Check that a server takes connections without security. Raises ConnectionRefused."""
    if all(endpoint.SecurityMode != ua.MessageSecurityMode.None_ for endpoint in endpoints):
        raise ConnectionRefused(_("the server takes no insecure connection: remove 'insecure' and pin its certificate"))


def recall(state: Path, connection: str) -> Memory | None:
    """Return what is remembered of a connection's server, or None. Raises ConnectionRefused when it is unreadable."""
    path = _memory(state, connection)
    try:
        written = json.loads(path.read_text())
        names = [_short(policy.URI) for policy in POLICIES]
        return Memory(names.index(written["policy"]), str(written["fingerprint"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Forgetting must be a person's act: who can spoil this file could otherwise weaken the wire.
        text = _("{file} cannot be read; when the server's security is as it was, delete it")
        raise ConnectionRefused(text.format(file=path)) from error


def remember(state: Path, connection: str, offer: Offer) -> None:
    """Keep the best security seen at a server, for `recall`. Raises OSError."""
    path = _memory(state, connection)
    text = json.dumps({"policy": offer.name, "fingerprint": offer.fingerprint})
    if not path.exists() or path.read_text() != text:
        _write(path, text.encode())


def certificate_file(state: Path) -> Path:
    """Return where our own certificate lies (DER), for people to hand to a server."""
    return state / "opcua" / "certificate.der"


def key_file(state: Path) -> Path:
    """Return where the key of our own certificate lies (PEM), for its owner's eyes alone."""
    return state / "opcua" / "key.pem"


def own_identity(state: Path) -> Identity:
    """Return our application certificate, making it and its key at first use. Raises OSError, ValueError.

    Takes up to a second at first use: call it in a thread.
    """
    certificate, key = certificate_file(state), key_file(state)
    with _making:
        if not (certificate.exists() and key.exists()):
            _make(certificate, key)
    own = certificate.read_bytes()
    made = x509.load_der_x509_certificate(own)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return Identity(names.get_values_for_type(x509.UniformResourceIdentifier)[0], own, key.read_bytes())


def _make(certificate: Path, key: Path) -> None:
    secret = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem)
    _write(certificate, _self_signed(secret).public_bytes(serialization.Encoding.DER))


def _self_signed(secret: rsa.RSAPrivateKey) -> x509.Certificate:
    public = secret.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    uri = f"urn:toolcrib:gateway:{identifier.digest.hex()[:16]}"
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
        .not_valid_after(VALID_UNTIL)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(secret, hashes.SHA256())
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file that only we can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _memory(state: Path, connection: str) -> Path:
    return state / "opcua" / f"{quote(connection, safe='')}.json"


def _short(uri: str) -> str:
    return uri.rpartition("#")[2]
