"""Private keys under a passphrase: sealed for a backup, opened for a restore.

Scrypt makes the key of the passphrase, AES-256-GCM seals; whoever changes a bit, or knows another passphrase, opens
nothing. It opens no file and keeps no passphrase.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from gettext import gettext as _
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
COST: Final = 2**15
"""32 MB and a tenth of a second for each guess."""


class SealUnopened(Exception):
    """The passphrase is another one, or what was sealed has been changed; `str()` is a sentence for people."""


def seal(files: Mapping[str, bytes], passphrase: bytes, rng: Callable[[int], bytes]) -> bytes:
    """Return files sealed under a passphrase; `rng` gives so many random bytes."""
    salt, nonce = rng(SALT_BYTES), rng(NONCE_BYTES)
    plain = json.dumps({name: content.hex() for name, content in files.items()}).encode()
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, None)


def unseal(sealed: bytes, passphrase: bytes) -> dict[str, bytes]:
    """Return the files again. Raises `SealUnopened`."""
    salt, nonce = sealed[:SALT_BYTES], sealed[SALT_BYTES : SALT_BYTES + NONCE_BYTES]
    try:
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed[SALT_BYTES + NONCE_BYTES :], None)
    except (InvalidTag, ValueError) as error:
        raise SealUnopened(_("the sealed keys do not open with this passphrase; nothing was restored")) from error
    return {name: bytes.fromhex(content) for name, content in json.loads(plain).items()}


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase)
