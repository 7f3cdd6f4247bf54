"""The best protection that each server of a connection has ever offered, so that less is noticed.

Promises: it survives restarts and is never weakened by itself; a memory that cannot be read is a refusal, since whoever
can spoil it could otherwise weaken the wire. Refuses to decide: `trust` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from connectors.connector import ConnectionRefused
from connectors.opcua import private_files
from connectors.opcua.policies import Mode, Offer, Protection

SERVERS_MAX: Final = 16
"""A machine, its standby servers and what their certificates were before; the longest unseen is forgotten."""
BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """The best protection that the server with this certificate has offered so far."""

    protection: Protection
    fingerprint: str


def recall(state: Path, connection: str, fingerprint: str) -> Memory | None:
    """Return what is remembered of one server of a connection, or None. Raises ConnectionRefused when unreadable."""
    found = _read(_file(state, connection)).get(fingerprint)
    return None if found is None else Memory(found, fingerprint)


def remember(state: Path, connection: str, offer: Offer) -> None:
    """Keep the best protection seen at a server, for `recall`. Raises OSError, ConnectionRefused."""
    path = _file(state, connection)
    with private_files.alone(path.parent):
        known = _read(path)
        before = known.get(offer.fingerprint)
        if before == offer.protection and next(reversed(known)) == offer.fingerprint:
            return
        known.pop(offer.fingerprint, None)
        known[offer.fingerprint] = offer.protection
        # Where only the order is new, a full disk takes nothing from what is remembered, and must not end the watching.
        with suppress(OSError) if before == offer.protection else nullcontext():
            _write(path, known)


def _write(path: Path, known: Mapping[str, Protection]) -> None:
    kept = list(known.items())[-SERVERS_MAX:]
    private_files.write(path, json.dumps({"servers": [_written(*each) for each in kept]}).encode())


def _written(fingerprint: str, protection: Protection) -> dict[str, str]:
    return {"policy": protection.policy, "mode": protection.mode.name, "fingerprint": fingerprint}


def _read(path: Path) -> dict[str, Protection]:
    try:
        written = json.loads(private_files.read(path, BYTES_MAX))
        # A file of before the first standby server holds one record, always encrypted.
        records: list[dict[str, Any]] = written.get("servers", [written])
        return {str(each["fingerprint"]): _protection(each) for each in records}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # Forgetting must be a person's act: who can spoil this file could otherwise weaken the wire.
        text = _("{file} cannot be read; when the server's security is as it was, delete it")
        raise ConnectionRefused(text.format(file=path)) from error


def _protection(record: dict[str, Any]) -> Protection:
    return Protection(str(record["policy"]), Mode.__members__[record.get("mode", "SignAndEncrypt")])


def _file(state: Path, connection: str) -> Path:
    return state / "opcua" / f"{quote(connection, safe='')}.json"
