"""Which servers a person has let in or thrown out by command, and which wait in quarantine for one.

Promises: every certificate that a connection's server showed is kept with when it was first and last seen, bounded in
number and size, until a named person has judged it; what a person judged is never dropped to make room for strangers; a
file that cannot be read lets nobody in. Refuses to trust by itself, and to know the config, whose pins win.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from connectors.connector import ConnectionRefused
from connectors.opcua import private_files
from connectors.opcua.certificates import Certificate, CertificateBroken, describe, fingerprint

STRANGERS_MAX: Final = 16
"""Unjudged certificates kept of one connection, the last seen: a server that shows another each time fills no disk."""
JUDGED_MAX: Final = 64
"""Judged certificates of one connection; a server of twenty years has fewer."""
BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one connection's file: eighty of the largest certificates, in base64."""
SEEN_EVERY: Final = timedelta(minutes=10)
"""How exact `last_seen` is: a connection that flaps shall not wear out the disk."""


class Verdict(StrEnum):
    """What a person has said of a certificate; quarantined is that nobody has said anything."""

    QUARANTINED = "quarantined"
    PINNED = "pinned"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Seen:
    """A certificate (DER) that a connection's server has shown. Times are aware, UTC; `by` is a person's id."""

    certificate: bytes
    first_seen: datetime
    last_seen: datetime
    verdict: Verdict = Verdict.QUARANTINED
    by: str = ""
    judged_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        return fingerprint(self.certificate)

    @property
    def described(self) -> Certificate:
        """What the certificate says of itself."""
        return describe(self.certificate)


class NotSeen(LookupError):
    """No server of that connection has shown such a certificate."""


def directory(state: Path) -> Path:
    """Return where the certificates of servers are kept, a file for each connection."""
    return state / "opcua" / "quarantine"


def seen(state: Path, connection: str) -> tuple[Seen, ...]:
    """Return what the servers of a connection have shown. Raises ConnectionRefused when it cannot be read."""
    return tuple(_read(_file(state, connection)).values())


def connections(state: Path) -> tuple[str, ...]:
    """Return the connections of which anything is kept, in order."""
    return tuple(sorted(unquote(file.stem) for file in directory(state).glob("*.json")))


def judged(found: tuple[Seen, ...], verdict: Verdict) -> frozenset[str]:
    """Return the fingerprints of which a person has said this."""
    return frozenset(each.fingerprint for each in found if each.verdict is verdict)


def note(state: Path, connection: str, certificate: bytes, now: datetime) -> None:
    """Keep that a server has shown a certificate (DER). Raises OSError, ConnectionRefused for what is none."""
    try:
        describe(certificate)
    except CertificateBroken as error:
        raise ConnectionRefused(_("the server shows no certificate: {reason}").format(reason=error)) from error
    with private_files.alone(directory(state)):
        path = _file(state, connection)
        known = _read(path)
        before = known.get(fingerprint(certificate))
        if before is not None and timedelta(0) <= now - before.last_seen < SEEN_EVERY:
            return
        shown = Seen(certificate, now, now) if before is None else replace(before, last_seen=now)
        known[shown.fingerprint] = shown
        _write(path, known)


def judge(
    state: Path, connection: str, certificate: str, verdict: Verdict, person: str, now: datetime
) -> tuple[Seen, Verdict]:
    """Let a named person say of a certificate, by its fingerprint, what shall hold; returns it and what held before.

    Raises NotSeen, OSError, ConnectionRefused, and ValueError when so many are judged that no more fit.
    """
    with private_files.alone(directory(state)):
        path = _file(state, connection)
        known = _read(path)
        before = known.get(certificate)
        if before is None:
            raise NotSeen(certificate)
        taken = sum(each.verdict is not Verdict.QUARANTINED for each in known.values())
        # Who is judged already takes no more room: a server can always be thrown out.
        if before.verdict is Verdict.QUARANTINED and taken >= JUDGED_MAX:
            raise ValueError(_("too many certificates are judged; delete {file} and pin anew").format(file=path))
        known[certificate] = replace(before, verdict=verdict, by=person, judged_at=now)
        _write(path, known)
    return known[certificate], before.verdict


def _write(path: Path, known: Mapping[str, Seen]) -> None:
    strangers = [each for each in known.values() if each.verdict is Verdict.QUARANTINED]
    newest = sorted(strangers, key=lambda each: each.last_seen)[-STRANGERS_MAX:]
    kept = [each for each in known.values() if each.verdict is not Verdict.QUARANTINED or each in newest]
    private_files.write(path, json.dumps([_record(each) for each in kept]).encode())


def _record(each: Seen) -> dict[str, Any]:
    texts = {key: value.isoformat() for key, value in asdict(each).items() if isinstance(value, datetime)}
    shown = base64.b64encode(each.certificate).decode()
    return {"certificate": shown, "verdict": each.verdict.value, "by": each.by, **texts}


def _read(path: Path) -> dict[str, Seen]:
    try:
        written = json.loads(private_files.read(path, BYTES_MAX))
        if not isinstance(written, list):
            raise TypeError("a list is kept")
        found = [_parse(each) for each in written]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = _("{file} cannot be read, so none of its servers is let in; delete it and pin them anew")
        raise ConnectionRefused(text.format(file=path)) from error
    return {each.fingerprint: each for each in found}


def _parse(record: dict[str, Any]) -> Seen:
    certificate = base64.b64decode(record["certificate"], validate=True)
    describe(certificate)
    judged_at = record.get("judged_at")
    return Seen(
        certificate,
        _moment(record["first_seen"]),
        _moment(record["last_seen"]),
        Verdict(record["verdict"]),
        str(record["by"]),
        None if judged_at is None else _moment(judged_at),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _file(state: Path, connection: str) -> Path:
    return directory(state) / f"{quote(connection, safe='')}.json"
