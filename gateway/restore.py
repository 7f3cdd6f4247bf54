"""Looking a backup over, and putting it back where nothing is.

`verify_backup` believes nothing that the manifest says: every file is hashed, both databases are opened and checked,
an older schema is upgraded in a copy, and the audit log is computed anew to the root that was written down.
`restore_backup` does that first, refuses a directory that holds a database or in which a gateway runs, and leaves
`restored.json` behind: whatever was bought after the backup is unknown to this database, so the gateway that starts
on it buys nothing until a named person says so (see `gateway.restored`). A mark that survived the disaster says how
far the lost database had come; it is taken over into that note.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy.exc import SQLAlchemyError

from gateway.backup import (
    CHUNK,
    CONFIG,
    FORMAT,
    KEYS,
    MANIFEST,
    POLICY,
    SPEND,
    TELEMETRY,
    audit_of,
    digest_of,
    last_order_of,
    schema_of,
)
from gateway.databases import BORN, alone, make_directory, spend_file, telemetry_file
from gateway.durable import sync_directory, sync_file, write_durably
from gateway.marks import Mark, load_mark, mark_file
from gateway.migrations import NewerSchema, prepare
from gateway.restored import Restored, load_note, save_note
from gateway.sealing import unseal
from gateway.storage import FULL, NORMAL, Storage, StorageBroken
from marketplace.audit.note import VerifierKey, verifier_of
from marketplace.audit.verify import verify
from marketplace.store import Owner

MANIFEST_MAX: Final = 1 << 20
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error)
"""All that the archive's readers raise when somebody has changed a byte of it."""
OLD_CONFIG: Final = "config-of-the-backup"
"""Where the config of a backup is laid: never over one that is there."""


class NotRestored(Exception):
    """Nothing was restored; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class LookedOver:
    """What a backup says of itself, and what is wrong with it, in plain sentences."""

    manifest: Mapping[str, Any]
    problems: tuple[str, ...]

    @property
    def owner(self) -> Owner:
        """Whose backup it is."""
        return Owner(self.manifest["plant"], self.manifest["gateway"])


async def verify_backup(path: Path) -> LookedOver:
    """Look a backup over as a restore would. Raises `NotRestored` when it is none at all."""
    with tempfile.TemporaryDirectory(prefix="toolcrib-verify-") as room:
        return await _unpack(path, Path(room))


async def _unpack(path: Path, room: Path) -> LookedOver:
    """Unpack a backup into a directory and look it over there."""
    manifest = _manifest(path)
    found = LookedOver(manifest, ())
    problems = list(_unpack_files(path, manifest, room))
    if not problems:
        problems += _compare(manifest, found.owner, room)
    if not problems:
        problems += await _open(manifest, found.owner, room)
    return LookedOver(manifest, tuple(problems))


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(path) as packed, packed.open(MANIFEST) as file:
            said: Mapping[str, Any] = json.loads(file.read(MANIFEST_MAX))
        known = said["format"] == FORMAT
        _needed = (said["plant"], said["gateway"], said["made_at"], said["schema"], said["audit"], said["files"])
    except FileNotFoundError as error:
        raise NotRestored(_("{path} cannot be read: {reason}").format(path=path, reason=error.strerror)) from error
    except (*_DAMAGED, KeyError, TypeError) as error:
        raise NotRestored(_("{path} is no backup of Toolcrib, or it was cut off").format(path=path)) from error
    if not known:
        raise NotRestored(_("{path} was made by a newer Toolcrib; restore it with that version").format(path=path))
    return said


def _unpack_files(path: Path, manifest: Mapping[str, Any], room: Path) -> Sequence[str]:
    allowed = {SPEND, TELEMETRY, CONFIG, POLICY, KEYS}
    problems = []
    with zipfile.ZipFile(path) as packed:
        there = set(packed.namelist()) - {MANIFEST}
        for name in sorted((there | set(manifest["files"])) - (there & set(manifest["files"]) & allowed)):
            problems.append(_("{name}: is missing, or nobody named it in the manifest").format(name=name))
        for name in sorted(there & set(manifest["files"]) & allowed):
            problems += _unpack_one(packed, name, manifest["files"][name], room)
    if not {SPEND, TELEMETRY} <= set(manifest["files"]):
        problems.append(_("one of the two databases is missing"))
    return problems


def _unpack_one(packed: zipfile.ZipFile, name: str, said: Mapping[str, Any], room: Path) -> list[str]:
    left = int(said["bytes"]) + 1  # never more than was promised, whatever the archive makes of it
    try:
        with packed.open(name) as source, (room / name).open("wb") as target:
            while left > 0 and (chunk := source.read(min(CHUNK, left))):
                left -= target.write(chunk)
    except _DAMAGED as error:
        return [_("{name}: cannot be unpacked ({reason})").format(name=name, reason=error)]
    if left != 1 or digest_of(room / name) != said["sha256"]:
        return [_("{name}: is not what the manifest says it was").format(name=name)]
    return []


def _compare(manifest: Mapping[str, Any], owner: Owner, room: Path) -> list[str]:
    """Hold what the databases say against the manifest."""
    problems = []
    try:
        for name in (SPEND, TELEMETRY):
            with closing(sqlite3.connect(f"file:{room / name}?mode=ro", uri=True)) as connection:
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                problems.append(f"{name}: {verdict}")
            if schema_of(room / name) != manifest["schema"][name]:
                problems.append(_("{name}: has another schema than the manifest says").format(name=name))
        if audit_of(room / SPEND, owner) != manifest["audit"] or last_order_of(room / SPEND, owner) != _last(manifest):
            problems.append(_("the audit log or the order numbers have not come as far as the manifest says"))
    except sqlite3.Error as error:
        problems.append(_("a database of it cannot be read ({reason})").format(reason=error))
    return problems


def _last(manifest: Mapping[str, Any]) -> int:
    return int(manifest["last_order"])


async def _open(manifest: Mapping[str, Any], owner: Owner, room: Path) -> list[str]:
    """Open the databases as a gateway would, upgrade them in place, and compute the audit log anew."""
    spend, telemetry = Storage(room / SPEND, FULL), Storage(room / TELEMETRY, NORMAL)
    try:
        for name, storage in (("spend", spend), ("telemetry", telemetry)):
            async with storage.write() as connection:
                await connection.run_sync(prepare, name)
        async with spend.read() as connection:
            found = await verify(connection, owner)
    except (NewerSchema, StorageBroken, SQLAlchemyError) as error:
        return [str(error)]
    finally:
        await spend.close()
        await telemetry.close()
    problems = list(found.problems)
    said = manifest["audit"]
    if said["size"] and (found.entries, found.root) != (said["size"], said["root"]):
        problems.append(_("the audit log gives another root than the manifest says"))
    return problems


async def restore_backup(path: Path, to: Path, now: datetime, *, passphrase: bytes | None = None) -> LookedOver:
    """Put a backup back into a data directory. Raises `NotRestored`, `StorageBroken`, `SealUnopened`."""
    make_directory(to)
    with alone(to):
        _refuse_existing(to)
        with tempfile.TemporaryDirectory(prefix=".toolcrib-restore-", dir=to) as name:
            room = Path(name)
            found = await _unpack(path, room)
            if found.problems:
                sentence = _("{path} is damaged, so nothing was restored: {problems}")
                raise NotRestored(sentence.format(path=path, problems="; ".join(found.problems)))
            try:
                _lay_keys(room, to, passphrase, found.owner, now)
                _lay_config(room, to)
                _leave_a_note(found, to, now)
                _lay_databases(room, to)
            except OSError as error:
                raise NotRestored(_("{path} cannot be written: {reason}").format(path=to, reason=error)) from error
    return found


def _refuse_existing(to: Path) -> None:
    for path in (spend_file(to), telemetry_file(to)):
        for each in (path, path.with_name(f"{path.name}-wal")):
            if each.exists():
                sentence = _("{path} is there; nothing was restored over it. Move the old files away and keep them")
                raise NotRestored(sentence.format(path=each))


def _lay_keys(room: Path, to: Path, passphrase: bytes | None, owner: Owner, now: datetime) -> None:
    """Lay what is not there; the key that the restored log is signed with goes before a newer one, which is kept."""
    if passphrase is None or not (room / KEYS).exists():
        return
    wanted = _log_key(room / SPEND, owner)
    for name, content in unseal((room / KEYS).read_bytes(), passphrase).items():
        target = to / name
        if not target.resolve().is_relative_to(to.resolve()):
            raise NotRestored(_("a key of the backup would lie outside of {path}").format(path=to))
        if target.exists() and wanted and _is_of(content, wanted) and not _is_of(target.read_bytes(), wanted):
            _set_aside(target, now)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(target, content)


def _log_key(spend: Path, owner: Owner) -> VerifierKey | None:
    """Return the key that a log is signed with, None when it never was."""
    query = "SELECT key FROM audit_key WHERE plant = ? AND gateway_id = ? ORDER BY from_size DESC LIMIT 1"
    with closing(sqlite3.connect(f"file:{spend}?mode=ro", uri=True)) as connection:
        row = connection.execute(query, (owner.plant, owner.gateway_id)).fetchone()
    return None if row is None else VerifierKey.parse(row[0])


def _is_of(content: bytes, public: VerifierKey) -> bool:
    """Return whether a private key file's content is the other half of a public key."""
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        return False
    return isinstance(key, Ed25519PrivateKey) and verifier_of(public.name, public.kind, key) == public


def _set_aside(key: Path, now: datetime) -> None:
    """Give a private key another name beside its own; no key is ever destroyed."""
    aside = key.with_name(f"{key.name}.before-{now:%Y%m%dT%H%M%SZ}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}+")
    key.rename(aside)


def _lay_config(room: Path, to: Path) -> None:
    beside = to / OLD_CONFIG
    beside.mkdir(exist_ok=True, mode=0o700)
    for name in (CONFIG, POLICY):
        if (room / name).exists():
            write_durably(beside / name, (room / name).read_bytes())


def _leave_a_note(found: LookedOver, to: Path, now: datetime) -> None:
    """Say, before the databases are there, that they are old: a crash in between can only be too careful."""
    mark = load_mark(mark_file(to))
    if mark is None or Owner(mark.plant, mark.gateway) != found.owner:
        mark = _mark_of_an_earlier_attempt(to)
    note = Restored(
        made_at=datetime.fromisoformat(found.manifest["made_at"]),
        restored_at=now,
        size=found.manifest["audit"]["size"],
        last_order=found.manifest["last_order"],
        lost_size=mark.size if mark else None,
        lost_order=mark.last_order if mark else None,
    )
    save_note(to, note)
    mark_file(to).unlink(missing_ok=True)


def _mark_of_an_earlier_attempt(to: Path) -> Mark | None:
    note = load_note(to)
    if note is None or note.lost_size is None or note.lost_order is None:
        return None
    return Mark("", "", note.lost_size, "", note.lost_order)


def _lay_databases(room: Path, to: Path) -> None:
    """The spend database comes last: without it no gateway starts on a half-restored directory."""
    (to / BORN).touch()
    for name, target in ((TELEMETRY, telemetry_file(to)), (SPEND, spend_file(to))):
        sync_file(room / name)
        (room / name).replace(target)
    sync_directory(to)
