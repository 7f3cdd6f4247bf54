"""What a certificate says of itself, and for how long it still does.

Promises: pure functions of bytes and of a moment that is an argument; odd bytes are a `CertificateBroken` and nothing
else. Refuses to trust: whose certificate is believed is decided in `trust` by its fingerprint, for most machines sign
their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from gettext import ngettext
from typing import Final

from cryptography import x509

CERTIFICATE_BYTES_MAX: Final = 16 * 1024
"""One with a 4,096-bit key and every extension that OPC 10000-6, 6.2.2 knows has two thousand."""
WARNED_AT_DAYS: Final = (30, 7, 1)
"""How many days before its end a certificate is told of, and told of again."""
TEXT_MAX: Final = 200
"""Characters shown of what a stranger wrote into a certificate."""


class CertificateBroken(ValueError):
    """The bytes are no X.509 certificate."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What people compare: `uri` is the application's, empty when there is none; times are aware, UTC."""

    fingerprint: str
    subject: str
    uri: str
    valid_from: datetime
    valid_until: datetime


def fingerprint(certificate: bytes) -> str:
    """Return how people pin a certificate (DER): `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


def leaf(chain: bytes) -> bytes:
    """Return the first certificate of a DER chain, or the bytes as they are when they hold no long-form SEQUENCE.

    A chain is certificates one behind the other (OPC 10000-6, 6.2.6).
    """
    if len(chain) < 4 or chain[0] != 0x30 or chain[1] != 0x82:
        return chain
    return chain[: 4 + int.from_bytes(chain[2:4], "big")]


def links(chain: bytes) -> list[bytes]:
    """Return every certificate of a DER chain in order. Raises `CertificateBroken`."""
    found = []
    while chain:
        first = leaf(chain)
        parse(first)
        found.append(first)
        chain = chain[len(first) :]
    return found


def parse(certificate: bytes) -> x509.Certificate:
    """Return one certificate (DER). Raises `CertificateBroken`."""
    if len(certificate) > CERTIFICATE_BYTES_MAX:
        raise CertificateBroken(_("it is larger than a certificate"))
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateBroken(_("it is no certificate")) from error


def application_uri(certificate: x509.Certificate) -> str:
    """Return the first URI among the alternative names (OPC 10000-6, 6.2.2), empty when there is none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def describe(certificate: bytes) -> Certificate:
    """Return what a certificate (DER) says of itself; texts are cut at `TEXT_MAX`. Raises `CertificateBroken`."""
    parsed = parse(certificate)
    try:
        return Certificate(
            fingerprint(certificate),
            parsed.subject.rfc4514_string()[:TEXT_MAX],
            application_uri(parsed)[:TEXT_MAX],
            parsed.not_valid_before_utc.astimezone(UTC),
            parsed.not_valid_after_utc.astimezone(UTC),
        )
    except ValueError as error:  # its parts are parsed when they are asked for
        raise CertificateBroken(_("it is no certificate")) from error


def stage(certificate: Certificate, now: datetime) -> int | None:
    """Return the smallest of `WARNED_AT_DAYS` that has come, 0 once it has run out, None while there is time."""
    left = certificate.valid_until - now
    if left <= timedelta(0):
        return 0
    return min((days for days in WARNED_AT_DAYS if left <= timedelta(days=days)), default=None)


def warnings(certificate: Certificate, now: datetime) -> tuple[str, ...]:
    """Return what people should know of a certificate's time, in sentences without a subject: mostly nothing."""
    until = f"{certificate.valid_until:%Y-%m-%d %H:%M} UTC"
    reached = stage(certificate, now)
    if reached == 0:
        return (_("ran out on {until}").format(until=until),)
    if reached is not None:
        days = -(-(certificate.valid_until - now) // timedelta(days=1))
        text = ngettext("runs out within {days} day, on {until}", "runs out within {days} days, on {until}", days)
        return (text.format(days=days, until=until),)
    if now < certificate.valid_from:
        text = _("is valid only from {since}: it, or the clock here, is wrong")
        return (text.format(since=f"{certificate.valid_from:%Y-%m-%d %H:%M} UTC"),)
    return ()
