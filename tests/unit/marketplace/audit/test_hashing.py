"""A long log gives the tree of its bytes, hashed by two processes as by one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from gateway.storage import FULL, Storage
from marketplace.audit import hashing, log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.hashing import CHUNK, SHARE_FROM, LeafBroken, Stretch, hash_log, hash_stretch
from marketplace.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from marketplace.audit.notary import Notary
from marketplace.audit.tree import head
from marketplace.audit.verify import tree_of, verify_quickly
from marketplace.store import Owner

OWNER = Owner("northworks", "G1")
SIZE = SHARE_FROM + CHUNK + 7


@pytest.fixture(scope="module")
def long_log(tmp_path_factory, empty_spend):
    """More leaves than one process hashes alone."""
    file = tmp_path_factory.mktemp("long") / "spend.db"
    file.write_bytes(empty_spend)
    frontier, rows = Frontier(), []
    for index in range(SIZE):
        digest = leaf_hash(b"%d" % index)
        frontier = frontier.append(digest)
        rows.append(("northworks", "G1", index, "k", "s", 0, b"%d" % index, digest, frontier.peaks[-1]))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany("INSERT INTO audit_leaf VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        kept = ("northworks", "G1", SIZE, frontier.encode(), frontier.root)
        connection.execute("INSERT INTO audit_tree VALUES (?, ?, ?, ?, ?)", kept)
    return file, frontier


def test_two_processes_give_the_tree_that_one_gives(long_log):
    file, frontier = long_log
    assert tree_of(hash_log(file, "northworks", "G1", SIZE)) == frontier
    assert tree_of(hash_stretch(Stretch(file, "northworks", "G1", 0, SIZE))) == frontier


def test_the_other_process_says_what_it_hashed(long_log, capsys):
    file, _frontier = long_log
    assert hashing.main([str(file), "northworks", "G1", "0", "3"]) == 0
    assert leaf_hash(b"2").hex() in capsys.readouterr().out


def test_a_process_that_cannot_hash_is_no_answer(long_log, tmp_path, empty_spend, capfd):
    file, _frontier = long_log
    copy = tmp_path / "spend.db"
    copy.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE audit_leaf SET leaf = 'text' WHERE leaf_index = ?", (SIZE - 1,))
    with pytest.raises(LeafBroken):
        hash_log(copy, "northworks", "G1", SIZE)
    assert "LeafBroken" in capfd.readouterr().err
    with pytest.raises(LeafBroken):
        hash_stretch(Stretch(copy, "northworks", "G1", SIZE - 1, SIZE))


async def test_a_signed_log_is_verified_quickly_and_a_changed_one_is_not(long_log, tmp_path):
    copy = tmp_path / "spend.db"
    copy.write_bytes(long_log[0].read_bytes())
    storage = Storage(copy, FULL)
    notary = Notary(storage, OWNER, tmp_path / "audit.key", lambda: datetime(2026, 3, 2, tzinfo=UTC))
    assert await notary.sign()

    async def quickly(statement=""):
        if statement:
            async with storage.write() as tx:
                await tx.exec_driver_sql(statement)
        async with storage.read() as connection:
            return await verify_quickly(connection, copy, OWNER)

    assert ((await quickly()).entries, (await quickly()).problems) == (SIZE, ())
    assert "not give the tree" in (await quickly("UPDATE audit_leaf SET leaf = x'00' WHERE leaf_index = 9")).problems[0]
    for statement in (
        f"DELETE FROM audit_leaf WHERE leaf_index = {SIZE - 2}",
        "DELETE FROM audit_leaf WHERE leaf_index = 9",
        "UPDATE audit_leaf SET leaf = 'x' WHERE leaf_index = 8",
    ):
        assert "missing" in (await quickly(statement)).problems[0]
    await storage.close()


async def test_a_short_log_without_a_checkpoint_is_hashed_here_alone(spend, now):
    async with spend.write() as tx:
        await log.append(tx, OWNER, "thing.done", "thing", Actor(ActorKind.PERSON, "anna", "web"), {}, now)
    async with spend.read() as connection:
        found = await verify_quickly(connection, spend.path, OWNER)
        assert (found.entries, found.problems) == (1, ())
        assert found.root == (await head(connection, OWNER)).root.hex()
        for other in (Owner(OWNER.plant, "G2"), Owner("southworks", OWNER.gateway_id)):
            found = await verify_quickly(connection, spend.path, other)
            assert (found.entries, found.root, found.problems) == (0, EMPTY_ROOT.hex(), ())
