"""Backups: whole or not there, looked over without trust, put back only where nothing is."""

import asyncio
import json
import random
import sqlite3
import zipfile
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.backup import (
    BackupFailed,
    Source,
    backup_name,
    make_backup,
    private_keys,
    prune_backups,
    scheduled_backup,
)
from gateway.databases import Databases, open_databases, spend_file, telemetry_file
from gateway.durable import write_durably
from gateway.marks import Mark, mark_file, save_mark
from gateway.migrations import HEADS
from gateway.restore import OLD_CONFIG, NotRestored, restore_backup, verify_backup
from gateway.restored import load_note
from gateway.sealing import SealUnopened
from gateway.storage import FULL, Storage, StorageBroken
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.notary import Notary
from marketplace.ordering import numbers
from marketplace.store import Owner

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OWNER = Owner("northworks", "G1")
GATEWAY = Actor(ActorKind.GATEWAY, "G1", "policy")
PASSPHRASE = b"open sesame"


async def grow(databases: Databases, entries: int = 1) -> None:
    async with databases.spend.write() as tx:
        for _ in range(entries):
            await log.append(tx, OWNER, "session.opened", "anna", GATEWAY, {}, NOW)
        await numbers.draw(tx, OWNER)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "toolcrib.yaml").write_text("schema: 1\n")
    (tmp_path / "policy.yaml").write_text("schema: 1\n")
    return Source(tmp_path / "data", tmp_path / "toolcrib.yaml", tmp_path / "policy.yaml", OWNER)


@pytest.fixture
async def running(source: Source) -> AsyncIterator[Databases]:
    """Databases with some entries, open for writing as a gateway holds them."""
    async with open_databases(source.directory) as databases:
        await grow(databases, 3)
        (source.directory / "audit.key").write_text("-----BEGIN PRIVATE KEY-----\n")
        yield databases


def made(source: Source, name: str = "b.zip", **how: bytes) -> Path:
    return make_backup(source, source.config.parent / name, NOW, **how)


def rewritten(path: Path, changes: dict[str, bytes | None], **manifest: object) -> Path:
    """Return a copy of a backup in which some files are others, or gone, and the manifest says something else."""
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        said = json.loads(contents["manifest.json"]) | manifest
        contents |= {"manifest.json": json.dumps(said).encode()} | changes
        for name, content in contents.items():
            if content is not None:
                new.writestr(name, content)
    return changed


async def test_a_backup_of_running_databases_is_whole_and_verifies(running, source):
    path = made(source)
    with zipfile.ZipFile(path) as packed:
        assert set(packed.namelist()) == {"manifest.json", "spend.db", "telemetry.db", "toolcrib.yaml", "policy.yaml"}
    found = await verify_backup(path)
    assert found.problems == ()
    assert (found.owner, found.manifest["audit"]["size"], found.manifest["last_order"]) == (OWNER, 3, 1)
    assert path.stat().st_mode & 0o077 == 0
    assert not list(path.parent.glob(".toolcrib-*"))


async def test_while_the_gateway_writes_every_backup_is_of_one_moment(running, source):
    going = asyncio.Event()

    async def write() -> None:
        while not going.is_set():
            await grow(running)

    writing = asyncio.create_task(write())
    paths = [await asyncio.to_thread(made, source, f"{each}.zip") for each in range(3)]
    going.set()
    await writing
    found = [await verify_backup(path) for path in paths]
    assert [each.problems for each in found] == [(), (), ()]
    sizes = [each.manifest["audit"]["size"] for each in found]
    assert sizes == sorted(sizes)
    assert all(each.manifest["last_order"] == each.manifest["audit"]["size"] - 2 for each in found)


async def test_a_directory_gets_a_file_that_says_whose_and_when(running, source):
    assert made(source, ".").name == "toolcrib-northworks-G1-20260302T080000Z.zip"


async def test_nothing_is_written_over(running, source):
    made(source)
    with pytest.raises(BackupFailed, match="exists"):
        made(source)


async def test_a_backup_that_fails_leaves_nothing_behind(running, source):
    with pytest.raises(BackupFailed, match="could not be made"):
        make_backup(source, source.config.parent / "nowhere" / "b.zip", NOW)
    gone = replace(source, directory=source.config.parent / "elsewhere")
    with pytest.raises(BackupFailed, match="could not be made"):
        made(gone)
    assert not list(source.config.parent.glob("*.zip"))


async def test_a_site_without_policy_file_is_backed_up_too(running, source):
    source.policy.unlink()
    assert (await verify_backup(made(source))).problems == ()


async def test_an_empty_log_is_backed_up_too(source):
    async with open_databases(source.directory):
        found = await verify_backup(made(source))
    assert (found.problems, found.manifest["audit"], found.manifest["last_order"]) == ((), {"size": 0, "root": ""}, 0)


async def test_old_backups_go_and_those_of_others_stay(running, source, tmp_path):
    home = tmp_path / "backups"
    for day in range(4):
        scheduled_backup(source, home, 2, NOW + timedelta(days=day))
    other = home / backup_name(Owner("northworks", "G2"), NOW)
    other.touch()
    assert prune_backups(home, OWNER, 2) == []
    kept = sorted(path.name for path in home.iterdir())
    assert kept == [backup_name(OWNER, NOW + timedelta(days=day)) for day in (2, 3)] + [other.name]


async def test_where_no_backup_can_be_made_none_is_deleted(running, source, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(BackupFailed, match="cannot be made"):
        scheduled_backup(source, tmp_path / "taken", 1, NOW)


async def test_every_changed_byte_of_a_backup_is_found(running, source):
    path = made(source)
    whole, rng = path.read_bytes(), random.Random(1)
    for at in rng.sample(range(len(whole)), 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        try:
            found = await verify_backup(path)
        except NotRestored:
            continue
        if not found.problems:  # a bit of the archive that nothing depends on, such as a file's time
            with zipfile.ZipFile(path) as packed:
                assert packed.testzip() is None, at


@pytest.mark.parametrize("length", [0, 100, -100])
async def test_a_backup_that_was_cut_off_is_none(running, source, length):
    path = made(source)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(NotRestored, match="no backup"):
        await verify_backup(path)


async def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotRestored, match="cannot be read"):
        await verify_backup(tmp_path / "gone.zip")


async def test_a_backup_of_a_newer_format_is_refused(running, source):
    with pytest.raises(NotRestored, match="newer"):
        await verify_backup(rewritten(made(source), {}, format=2))


async def test_files_that_nobody_named_or_that_are_missing_are_found(running, source):
    path = made(source)
    strange = await verify_backup(rewritten(path, {"../../evil": b"x"}))
    assert any("evil" in problem for problem in strange.problems)
    missing = await verify_backup(rewritten(path, {"telemetry.db": None}))
    assert any("telemetry.db" in problem for problem in missing.problems)
    neither = await verify_backup(rewritten(path, {"spend.db": None, "telemetry.db": None}, files={}))
    assert any("one of the two databases" in problem for problem in neither.problems)


def named(path: Path, **contents: bytes) -> dict[str, object]:
    """Return the manifest's files with the true sizes and hashes of other contents: somebody was thorough."""
    from hashlib import sha256

    with zipfile.ZipFile(path) as packed:
        files = json.loads(packed.read("manifest.json"))["files"]
    for name, content in contents.items():
        files[f"{name}.db"] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    return files


async def test_a_database_that_is_none_is_found_whatever_the_manifest_says(running, source):
    path = made(source)
    changed = rewritten(path, {"spend.db": b"scrambled" * 999}, files=named(path, spend=b"scrambled" * 999))
    assert (await verify_backup(changed)).problems


async def test_an_older_database_than_the_manifest_says_is_found(running, source):
    old = made(source, "old.zip")
    with zipfile.ZipFile(old) as packed:
        spend = packed.read("spend.db")
    await grow(running)
    path = made(source)
    changed = rewritten(path, {"spend.db": spend}, files=named(path, spend=spend))
    assert any("not come as far" in problem for problem in (await verify_backup(changed)).problems)


async def test_another_schema_than_the_manifest_says_is_found(running, source):
    changed = rewritten(made(source), {}, schema={"spend.db": "0000", "telemetry.db": "0001"})
    assert any("schema" in problem for problem in (await verify_backup(changed)).problems)


def edited(path: Path, room: Path, statement: str) -> bytes:
    """Return the spend database of a backup with a statement run on it."""
    with zipfile.ZipFile(path) as packed:
        (room / "edited.db").write_bytes(packed.read("spend.db"))
    with closing(sqlite3.connect(room / "edited.db")) as connection:
        connection.execute(statement)
        connection.commit()
    return (room / "edited.db").read_bytes()


async def test_a_changed_entry_is_found(running, source, tmp_path):
    path = made(source)
    spend = edited(path, tmp_path, "UPDATE audit_leaf SET leaf = CAST(leaf || ' ' AS BLOB) WHERE leaf_index = 1")
    assert (await verify_backup(rewritten(path, {"spend.db": spend}, files=named(path, spend=spend)))).problems


async def test_a_database_of_a_newer_version_is_found(running, source, tmp_path):
    path = made(source)
    spend = edited(path, tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    schema = {"spend.db": "9999", "telemetry.db": HEADS["telemetry"]}
    changed = rewritten(path, {"spend.db": spend}, files=named(path, spend=spend), schema=schema)
    assert any("newer Toolcrib" in problem for problem in (await verify_backup(changed)).problems)


async def test_a_restored_directory_is_as_it_was_and_says_that_it_is_old(running, source, tmp_path):
    path, to = made(source), tmp_path / "new"
    await restore_backup(path, to, NOW + timedelta(hours=1))
    note = load_note(to)
    assert note is not None
    assert (note.made_at, note.size, note.last_order, note.lost_size) == (NOW, 3, 1, None)
    assert (to / OLD_CONFIG / "policy.yaml").read_text() == "schema: 1\n"
    assert not (to / "audit.key").exists()
    async with open_databases(to) as databases, databases.spend.read() as tx:
        assert len(await log.entries(tx)) == 3


async def test_a_mark_that_survived_says_what_is_lost_also_when_the_restore_is_done_again(running, source, tmp_path):
    path, to = made(source), tmp_path / "new"
    to.mkdir()
    save_mark(mark_file(to), Mark("northworks", "G1", 10, "", 7))
    for _attempt in range(2):
        await restore_backup(path, to, NOW)
        note = load_note(to)
        assert note is not None
        assert (note.lost_size, note.lost_order) == (10, 7)
        assert not mark_file(to).exists()
        for each in (spend_file(to), telemetry_file(to)):
            each.unlink()


async def test_a_mark_of_another_gateway_says_nothing(running, source, tmp_path):
    to = tmp_path / "new"
    to.mkdir()
    save_mark(mark_file(to), Mark("elsewhere", "G1", 10, "", 7))
    await restore_backup(made(source), to, NOW)
    note = load_note(to)
    assert note is not None
    assert note.lost_size is None


@pytest.mark.parametrize("name", ["spend.db", "telemetry.db", "spend.db-wal"])
async def test_nothing_is_restored_over_data(running, source, tmp_path, name):
    path, to = made(source), tmp_path / "new"
    to.mkdir()
    (to / name).write_bytes(b"precious")
    with pytest.raises(NotRestored, match="is there"):
        await restore_backup(path, to, NOW)
    assert (to / name).read_bytes() == b"precious"


async def test_nothing_is_restored_under_a_running_gateway(running, source):
    with pytest.raises(StorageBroken, match="another gateway"):
        await restore_backup(made(source), source.directory, NOW)


async def test_a_damaged_backup_is_not_restored(running, source, tmp_path):
    changed = rewritten(made(source), {"spend.db": b"x"})
    with pytest.raises(NotRestored, match="damaged"):
        await restore_backup(changed, tmp_path / "new", NOW)
    assert not spend_file(tmp_path / "new").exists()


async def test_a_place_that_cannot_be_written_is_said(running, source, tmp_path):
    to = tmp_path / "new"
    to.mkdir()
    (to / OLD_CONFIG).touch()
    with pytest.raises(NotRestored, match="cannot be written"):
        await restore_backup(made(source), to, NOW)


async def test_private_keys_come_along_only_sealed_and_only_when_asked_for(running, source, tmp_path):
    (source.directory / "connections").mkdir()
    (source.directory / "connections" / "own.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    assert [path.name for path in private_keys(source.directory)] == ["audit.key", "own.pem"]
    path = made(source, passphrase=PASSPHRASE)
    with pytest.raises(SealUnopened):
        await restore_backup(path, tmp_path / "wrong", NOW, passphrase=b"other")
    to = tmp_path / "new"
    (to / "connections").mkdir(parents=True)
    (to / "connections" / "own.pem").write_text("kept")
    await restore_backup(path, to, NOW, passphrase=PASSPHRASE)
    assert (to / "audit.key").read_text().startswith("-----BEGIN PRIVATE KEY")
    assert (to / "connections" / "own.pem").read_text() == "kept"
    await restore_backup(path, tmp_path / "without", NOW)
    assert not (tmp_path / "without" / "audit.key").exists()


async def test_a_key_cannot_lie_outside_of_the_directory(running, source, tmp_path):
    from hashlib import sha256

    from gateway.sealing import seal

    path = made(source, passphrase=PASSPHRASE)
    sealed = seal({"../evil.key": b"x"}, PASSPHRASE, random.Random(1).randbytes)
    files = named(path) | {"keys.sealed": {"bytes": len(sealed), "sha256": sha256(sealed).hexdigest()}}
    with pytest.raises(NotRestored, match="outside"):
        await restore_backup(
            rewritten(path, {"keys.sealed": sealed}, files=files), tmp_path / "new", NOW, passphrase=PASSPHRASE
        )


@pytest.mark.parametrize("times", [1, 2])
async def test_the_key_of_a_restored_log_is_laid_before_a_newer_one_which_is_kept(running, source, tmp_path, times):
    key_file = source.directory / "audit.key"
    key_file.unlink()
    notary = Notary(running.spend, OWNER, key_file, lambda: NOW)
    assert await notary.sign() is not None
    path, old = made(source, passphrase=PASSPHRASE), key_file.read_bytes()
    await notary.rotate(GATEWAY)
    newer = key_file.read_bytes()
    to = tmp_path / "new"
    to.mkdir()
    for number in range(times):
        write_durably(to / "audit.key", newer)
        await restore_backup(path, to, NOW, passphrase=PASSPHRASE)
        for database in [*to.glob("*.db*")]:
            database.rename(tmp_path / f"{number}-{database.name}")
    kept = [each.read_bytes() for each in to.glob("audit.key.before-*")]
    assert ((to / "audit.key").read_bytes(), kept) == (old, [newer] * times)
    again = Storage(tmp_path / f"{times - 1}-spend.db", FULL)
    restored = Notary(again, OWNER, to / "audit.key", lambda: NOW)
    assert (await restored.sign() is not None, restored.trouble) == (True, "")
    await again.close()


async def test_another_key_or_none_at_all_does_not_move_the_one_that_is_there(running, source, tmp_path):
    key_file = source.directory / "audit.key"
    key_file.unlink()
    assert await Notary(running.spend, OWNER, key_file, lambda: NOW).sign() is not None
    path = made(source, passphrase=PASSPHRASE)
    (source.directory / "other.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with_rubbish = made(source, "c.zip", passphrase=PASSPHRASE)
    for number, (each, name) in enumerate(((path, "audit.key"), (with_rubbish, "other.pem"))):
        to = tmp_path / f"new-{number}"
        to.mkdir()
        there = key_file.read_bytes() if name == "audit.key" else b"kept"
        write_durably(to / name, there)
        await restore_backup(each, to, NOW, passphrase=PASSPHRASE)
        assert ((to / name).read_bytes(), list(to.glob("*.before-*"))) == (there, [])
