"""A backup: both databases, config and policy in one zip file, made while the gateway buys, and looked over again.

The databases are copied by SQLite itself, page by page out of one consistent read each, never as files; the telemetry
is read first, so it knows nothing that the spend database does not. The manifest names every file with its size and
SHA-256, the schemas, and how far the audit log and the order numbers had come. The zip grows under another name and
takes its own only when it is whole and durable, so a file that has the name is a backup. Public audit keys are rows
of the spend database; private keys of the data directory come along only when asked for, sealed under a passphrase.
Secrets that the config refers to stay where they are. How a backup is put back is `gateway.restore`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from gateway import VERSION
from gateway.databases import spend_file, telemetry_file
from gateway.durable import sync_directory
from gateway.sealing import seal
from marketplace.store import Owner

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SPEND, TELEMETRY, CONFIG, POLICY, KEYS = "spend.db", "telemetry.db", "toolcrib.yaml", "policy.yaml", "keys.sealed"
PAGES: Final = 1_000
"""Copied between two looks at the clock: 4 MB."""
CHUNK: Final = 1 << 20
KEY_MAX: Final = 100_000
"""Bytes; a private key file is a few thousand at most."""


class BackupFailed(Exception):
    """No backup was made; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up: the data directory, its config and policy file, and whose they are."""

    directory: Path
    config: Path
    policy: Path
    owner: Owner


def backup_name(owner: Owner, now: datetime) -> str:
    """Return the name of a backup: sorted by name, backups of one gateway are sorted by time."""
    return f"toolcrib-{owner.plant}-{owner.gateway_id}-{now:%Y%m%dT%H%M%SZ}.zip"


def make_backup(
    source: Source,
    target: Path,
    now: datetime,
    *,
    passphrase: bytes | None = None,
    rng: Callable[[int], bytes] = os.urandom,
) -> Path:
    """Write a backup and return where it is; a directory gets a file of `backup_name`. Raises `BackupFailed`.

    With a passphrase the private keys of the data directory are in it too, sealed.
    """
    path = target / backup_name(source.owner, now) if target.is_dir() else target
    if path.exists():
        raise BackupFailed(_("{path} exists; nothing was written over it. Choose another name").format(path=path))
    try:
        with tempfile.TemporaryDirectory(prefix=".toolcrib-backup-", dir=path.parent) as room:
            _copy_databases(source, Path(room))
            _gather(source, Path(room), passphrase, rng)
            whole = _pack(source, Path(room), now)
            whole.replace(path)
        sync_directory(path.parent)
    except (OSError, sqlite3.Error) as error:
        sentence = _("the backup {path} could not be made ({reason}); nothing was left behind. Free space or mend it")
        raise BackupFailed(sentence.format(path=path, reason=error)) from error
    return path


def _copy_databases(source: Source, room: Path) -> None:
    with _reading(telemetry_file(source.directory)) as telemetry, _reading(spend_file(source.directory)) as spend:
        for connection, name in ((spend, SPEND), (telemetry, TELEMETRY)):
            with closing(sqlite3.connect(room / name)) as copy:
                connection.backup(copy, pages=PAGES)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database beside a running gateway, in one read that sees nothing newer however long it takes."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield connection


def _gather(source: Source, room: Path, passphrase: bytes | None, rng: Callable[[int], bytes]) -> None:
    for path, name in ((source.config, CONFIG), (source.policy, POLICY)):
        if path.is_file():
            (room / name).write_bytes(path.read_bytes())
    if passphrase is not None:
        keys = {str(path.relative_to(source.directory)): path.read_bytes() for path in private_keys(source.directory)}
        (room / KEYS).write_bytes(seal(keys, passphrase, rng))


def private_keys(directory: Path) -> Sequence[Path]:
    """Return every file of a data directory that holds a private key."""
    small = (path for path in sorted(directory.rglob("*")) if path.is_file() and path.stat().st_size <= KEY_MAX)
    return [path for path in small if b"PRIVATE KEY-----" in path.read_bytes()]


def _pack(source: Source, room: Path, now: datetime) -> Path:
    names = [name for name in (SPEND, TELEMETRY, CONFIG, POLICY, KEYS) if (room / name).exists()]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "plant": source.owner.plant,
        "gateway": source.owner.gateway_id,
        "made_at": now.isoformat(),
        "schema": {name: schema_of(room / name) for name in (SPEND, TELEMETRY)},
        "audit": audit_of(room / SPEND, source.owner),
        "last_order": last_order_of(room / SPEND, source.owner),
        "files": {name: {"bytes": (room / name).stat().st_size, "sha256": digest_of(room / name)} for name in names},
    }
    whole = room / "backup.zip"
    with whole.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            packed.writestr(MANIFEST, json.dumps(manifest, indent=2))
            for name in names:
                packed.write(room / name, name)
        file.flush()
        os.fsync(file.fileno())
    whole.chmod(0o600)
    return whole


def schema_of(path: Path) -> str:
    """Return the revision of a database file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def audit_of(path: Path, owner: Owner) -> Mapping[str, Any]:
    """Return how far a gateway's audit log has come in a spend database file: size and root (hexadecimal)."""
    query = "SELECT size, root FROM audit_tree WHERE plant = ? AND gateway_id = ?"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        row = connection.execute(query, (owner.plant, owner.gateway_id)).fetchone()
    return {"size": 0, "root": ""} if row is None else {"size": row[0], "root": row[1].hex()}


def last_order_of(path: Path, owner: Owner) -> int:
    """Return the counter of the last order number that a gateway has drawn in a spend database file."""
    query = "SELECT last FROM order_counter WHERE plant = ? AND gateway_id = ?"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        row = connection.execute(query, (owner.plant, owner.gateway_id)).fetchone()
    return 0 if row is None else int(row[0])


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def scheduled_backup(source: Source, directory: Path, keep: int, now: datetime) -> Path:
    """Make the backup that is due and delete those beyond `keep`. Raises `BackupFailed`; then none is deleted."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        sentence = _("no backup was made: {path} cannot be made ({reason})")
        raise BackupFailed(sentence.format(path=directory, reason=error.strerror)) from error
    made = make_backup(source, directory, now)
    prune_backups(directory, source.owner, keep)
    return made


def prune_backups(directory: Path, owner: Owner, keep: int) -> Sequence[Path]:
    """Delete all but the newest `keep` backups of a gateway in a directory; returns those that are gone."""
    mine = sorted(directory.glob(f"toolcrib-{owner.plant}-{owner.gateway_id}-*Z.zip"))
    old = mine[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
    return old
