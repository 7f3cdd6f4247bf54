"""The private keys that sign: files that only their owner reads, made once and never made again over a loss.

It promises that a key is whole on the disk before it is used, that a file which others can read is refused, and that
no key is ever written anywhere else. What a key has signed, and which one counts, is for `notary` and `chain`.
"""

from __future__ import annotations

import os
from gettext import gettext as _
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

_BYTES_MAX: Final = 10_000
_OTHERS: Final = 0o077


class KeyUnreadable(Exception):
    """A private key cannot be used; `str()` is the one sentence that says why and what to do."""


def load(path: Path) -> Ed25519PrivateKey:
    """Return the key of a file. Raises `KeyUnreadable`."""
    try:
        with path.open("rb") as file:
            mode, raw = os.fstat(file.fileno()).st_mode, file.read(_BYTES_MAX)
    except OSError as error:
        sentence = _("the audit key {path} cannot be read ({reason}); restore it, or give it back to this user")
        raise KeyUnreadable(sentence.format(path=path, reason=error.strerror)) from error
    if mode & _OTHERS:
        raise KeyUnreadable(_("the audit key {path} can be read by others: chmod 600, and rotate it").format(path=path))
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:
        raise KeyUnreadable(_("{path} holds no key; restore the one that was there").format(path=path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnreadable(_("{path} holds a key of another kind than Ed25519").format(path=path))
    return key


def make(path: Path) -> Ed25519PrivateKey:
    """Make a key and keep it in a new file, durably, for its owner alone. Raises `KeyUnreadable`."""
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        settle(path.parent)
    except OSError as error:
        sentence = _("the audit key {path} cannot be written ({reason})")
        raise KeyUnreadable(sentence.format(path=path, reason=error.strerror)) from error
    return key


def settle(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
