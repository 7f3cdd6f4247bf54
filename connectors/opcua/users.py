"""As whom we sign in to a server: nobody, a user with a password, or a user with a certificate.

Promises: a password leaves only where nobody on the way can read it, which is decided before anything of it is sent; a
secret is in no error and no `repr`. Identity tokens: OPC 10000-4, 7.40 (user identity token parameters).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from gettext import gettext as _
from typing import Final

from connectors.connector import ConnectionRefused
from connectors.opcua.identity import Identity, issued_certificate
from connectors.opcua.policies import DEPRECATED, POLICIES, Mode, short
from connectors.opcua.settings import UserSettings
from connectors.secrets import SecretMissing

_NONE: Final = "http://opcfoundation.org/UA/SecurityPolicy#None"
_KNOWN: Final = {policy.URI: short(policy.URI) for policy in POLICIES}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user as they are shown to a server: a name and a password, or a certificate and its key."""

    name: str = ""
    password: str | None = field(default=None, repr=False)
    certificate: Identity | None = None


ANONYMOUS: Final = Credentials()


def credentials(user: UserSettings | None, now: datetime) -> Credentials:
    """Return what the config names. Raises ConnectionRefused when a file cannot be read or used."""
    if user is None:
        return ANONYMOUS
    try:
        if user.password is not None:
            return Credentials(user.name, user.password.read())
        assert user.certificate is not None
        assert user.key is not None
        key_password = None if user.key_password is None else user.key_password.read()
    except SecretMissing as error:
        raise ConnectionRefused(str(error)) from error
    return Credentials(certificate=issued_certificate(user.certificate, user.key, key_password, now))


def may_send_password(mode: Mode, token_policy: str, deprecated: Collection[str] = ()) -> None:
    """Check that a password is unreadable on the way: by the channel, or by the policy of its own token.

    token_policy: the URI that the server gave for user names under protection, the channel's own where it gave none.
    Raises ConnectionRefused.
    """
    if mode == Mode.SignAndEncrypt:
        return
    name = _KNOWN.get(token_policy)
    # On a channel without any protection the key to encrypt with would be whatever somebody on the way put there.
    if mode == Mode.Sign and name is not None and (name not in DEPRECATED or name in deprecated):
        return
    text = _(
        "the server would have the password sent readable ({mode}, {policy}), so it was not sent: let the server offer"
        " SignAndEncrypt, or sign in by a certificate"
    )
    raise ConnectionRefused(text.format(mode=mode.name.rstrip("_"), policy=name or short(token_policy or _NONE)[:40]))
