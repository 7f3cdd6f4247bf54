"""How long the certificates of a site's OPC-UA connections last, said in sentences while there is time to act.

Promises: every certificate that could stop a connection is told of at 30, 7 and 1 days and once it has run out: our own
from the plant's PKI, a user's, and those of servers; our self-made one is renewed here, so that it needs no telling,
except of servers that do not trust the renewed one yet. It reads files and asks no machine. Whatever is unreadable is a
sentence about that connection, and the others are looked at all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import Final

from connectors.connector import ConnectionRefused
from connectors.opcua import identity, pins
from connectors.opcua.certificates import describe, warnings
from connectors.opcua.pins import Seen, Verdict
from connectors.opcua.settings import OpcUaSettings
from connectors.secrets import SecretMissing, SecretReference
from gateway.config import Config

IN_USE_FOR: Final = timedelta(days=30)
"""A server's certificate that nobody has shown for longer was replaced, and its end is no matter."""
WAITING_FOR: Final = timedelta(days=1)
"""A stranger who has not come back is not told of for longer."""


def told(config: Config, now: datetime) -> list[str]:
    """Return what people should know now, by connection; `now` is the wall's time. Reads files: call it in a thread."""
    found: list[str] = []
    for name, settings in config.connections.items():
        if isinstance(settings, OpcUaSettings):
            try:
                said = [*_ours(name, settings, config.connector_state, now), *_theirs(name, settings, config, now)]
            except (ConnectionRefused, SecretMissing, OSError, ValueError) as error:
                said = [str(error)]
            found += [_("connection {name}: {sentence}").format(name=name, sentence=each) for each in said]
    return found


def _ours(name: str, settings: OpcUaSettings, state: Path, now: datetime) -> Iterator[str]:
    if settings.certificate is not None and settings.key is not None:
        yield from _issued(settings.certificate, settings.key, settings.key_password, now)
    elif not settings.insecure:
        yield from _own(name, state, now)
    user = settings.user
    if user is not None and user.certificate is not None and user.key is not None:
        yield from _issued(user.certificate, user.key, user.key_password, now)


def _issued(certificate: Path, key: Path, password: SecretReference | None, now: datetime) -> Iterator[str]:
    shown = identity.issued_certificate(certificate, key, None if password is None else password.read(), now)
    for warning in warnings(describe(shown.certificate), now):
        text = _("our certificate {file} {warning}; have a new one issued")
        yield text.format(file=certificate, warning=warning)


def _own(name: str, state: Path, now: datetime) -> Iterator[str]:
    own = identity.own_identity(state, now)
    if not identity.untold(state, name):
        return
    before = describe(identity.previous_file(state).read_bytes())
    until = next(iter(warnings(before, now)), _("runs out on {until:%Y-%m-%d}").format(until=before.valid_until))
    text = _("the server does not trust our renewed certificate yet: let it trust {file}; the one before {until}")
    yield text.format(file=own.file, until=until)


def _theirs(name: str, settings: OpcUaSettings, config: Config, now: datetime) -> Iterator[str]:
    seen = pins.seen(config.connector_state, name)
    pinned = settings.pinned or pins.judged(seen, Verdict.PINNED)
    for each in seen:
        if each.fingerprint in pinned and now - each.last_seen <= IN_USE_FOR:
            for warning in warnings(each.described, now):
                text = _("the server's certificate {fingerprint} {warning}; the next one has to be pinned")
                yield text.format(fingerprint=each.fingerprint, warning=warning)
    waiting = [each for each in seen if _waits(each, pinned, now)]
    if waiting:
        text = ngettext(
            "{count} unknown certificate waits in quarantine: 'toolcrib trust list'",
            "{count} unknown certificates wait in quarantine: 'toolcrib trust list'",
            len(waiting),
        )
        yield text.format(count=len(waiting))


def _waits(each: Seen, pinned: frozenset[str], now: datetime) -> bool:
    unjudged = each.verdict is Verdict.QUARANTINED and each.fingerprint not in pinned
    return unjudged and now - each.last_seen <= WAITING_FOR
