from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.storage import FULL, Storage
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.log import AuditBroken
from marketplace.audit.merkle import leaf_hash, root_of
from marketplace.audit.tree import flush, head
from marketplace.audit.verify import verify
from marketplace.documents import canonical
from marketplace.store import AT_COMMIT, Owner, audit_leaf, audit_tree, free_text

ANNA = Actor(ActorKind.PERSON, "anna", "web")


async def grow(spend, owner, now, count):
    async with spend.write() as tx:
        for number in range(count):
            await log.append(tx, owner, "thing.done", f"thing-{number}", ANNA, {"number": number}, now)


async def test_leaves_are_numbered_and_their_root_is_kept(spend, owner, now):
    await grow(spend, owner, now, 5)
    await grow(spend, owner, now, 2)
    async with spend.read() as connection:
        leaves = (await connection.execute(select(audit_leaf).order_by(audit_leaf.c.leaf_index))).all()
        tree = (await connection.execute(select(audit_tree))).one()
    assert [leaf.leaf_index for leaf in leaves] == list(range(7))
    assert tree.size == 7
    assert tree.root == root_of([leaf_hash(leaf.leaf) for leaf in leaves])


async def test_a_leaf_is_canonical_and_says_everything(spend, owner, now):
    async with spend.write() as tx:
        index = await log.append(tx, owner, "thing.done", "thing", ANNA, {"größe": "2", "ok": True}, now)
    async with spend.read() as tx:
        leaf = (await tx.execute(select(audit_leaf.c.leaf))).scalar_one()
    said = json.loads(leaf)
    assert canonical(said) == leaf
    assert said == {
        "version": 1,
        "plant": "northworks",
        "gateway": "G1",
        "index": index,
        "at": "2026-03-02T08:00:00.000000Z",
        "kind": "thing.done",
        "subject": "thing",
        "actor": {"kind": "person", "id": "anna", "method": "web"},
        "facts": {"größe": "2", "ok": True},
    }


async def test_two_gateways_keep_two_logs(spend, owner, now):
    other = Owner(owner.plant, "G2")
    await grow(spend, owner, now, 2)
    await grow(spend, other, now, 1)
    async with spend.read() as connection:
        assert [entry.index for entry in await log.entries(connection, owner=other)] == [0]
        assert len(await log.entries(connection)) == 3


@pytest.mark.parametrize("fact", [1.5, Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), {1: "x"}])
async def test_what_has_two_spellings_is_no_fact(spend, owner, now, fact):
    async with spend.write() as tx:
        with pytest.raises(TypeError):
            await log.append(tx, owner, "thing.done", "thing", ANNA, {"fact": fact}, now)


async def test_the_largest_leaf_is_taken_and_not_one_byte_more(spend, owner, now):
    async with spend.write() as tx:
        await log.append(tx, owner, "thing.done", "thing", ANNA, {"fact": ""}, now)
        await flush(tx)
        empty = len((await tx.execute(select(audit_leaf.c.leaf))).scalar_one())
        await log.append(tx, owner, "thing.done", "thing", ANNA, {"fact": "x" * (log.LEAF_MAX - empty)}, now)
        with pytest.raises(AuditBroken, match="more than the log takes"):
            await log.append(tx, owner, "thing.done", "thing", ANNA, {"fact": "x" * (log.LEAF_MAX - empty + 1)}, now)


async def test_a_flood_is_no_leaf(spend, owner, now):
    async with spend.write() as tx:
        with pytest.raises(AuditBroken, match="more than the log takes"):
            await log.append(tx, owner, "thing.done", "thing", ANNA, {"fact": "x" * log.LEAF_MAX}, now)


async def test_what_fails_leaves_no_leaf(spend, owner, now):
    await grow(spend, owner, now, 1)
    with pytest.raises(RuntimeError):
        async with spend.write() as tx:
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
            raise RuntimeError
    async with spend.read() as connection:
        assert (await connection.execute(select(audit_tree.c.size))).scalar_one() == 1
        assert len(await log.entries(connection)) == 1


@pytest.mark.parametrize(("values", "said"), [({"root": b"\0" * 32}, "root"), ({"size": 8, "frontier": b"\0"}, "hold")])
async def test_a_tree_that_was_tampered_with_takes_no_leaf(spend, owner, now, values, said):
    await grow(spend, owner, now, 3)
    async with spend.write() as tx:
        await tx.execute(update(audit_tree).values(**values))
    with pytest.raises(AuditBroken, match=said):
        await grow(spend, owner, now, 1)
    other = Storage(spend.path, FULL)
    with pytest.raises(AuditBroken, match=said):
        await grow(other, owner, now, 1)
    await other.close()


async def test_a_connection_goes_on_from_where_its_last_transaction_ended_and_reads_no_tree(spend, owner, now):
    await grow(spend, owner, now, 3)
    async with spend.write() as tx:
        await tx.execute(update(audit_tree).values(frontier=b""))
    await grow(spend, owner, now, 1)
    async with spend.read() as connection:
        assert (await head(connection, owner)).size == 4


async def test_a_tree_that_cannot_be_moved_takes_no_leaf(spend, owner, now):
    await grow(spend, owner, now, 2)
    async with spend.write() as tx:
        await tx.exec_driver_sql("CREATE TRIGGER stuck BEFORE UPDATE ON audit_tree BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(AuditBroken, match="somebody else"):
        await grow(spend, owner, now, 1)
    assert await sizes(spend) == [2]


async def sizes(spend):
    async with spend.read() as connection:
        return list((await connection.execute(select(audit_tree.c.size))).scalars())


async def test_two_processes_that_write_in_turn_leave_one_log(spend, owner, now):
    other = Storage(spend.path, FULL)
    for each in (spend, other, spend, other):
        await grow(each, owner, now, 2)
    await other.close()
    async with spend.read() as connection:
        assert (await verify(connection)).problems == ()
    assert await sizes(spend) == [8]


async def test_a_leaf_that_is_kept_until_the_commit_is_seen_in_its_own_transaction(spend, owner, now):
    async with spend.write() as tx:
        await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
        assert len(await log.entries(tx)) == 1
        await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
        assert (await head(tx, owner)).size == 2
        assert (await verify(tx)).entries == 2


async def test_a_savepoint_takes_no_leaf(spend, owner, now):
    with pytest.raises(AuditBroken, match="savepoint"):
        async with spend.write() as tx, tx.begin_nested():
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
    assert await sizes(spend) == []


async def test_a_disk_that_takes_no_leaf_is_told_as_any_failing_statement(spend, owner, now):
    await grow(spend, owner, now, 1)
    with pytest.raises(IntegrityError):
        async with spend.write() as tx:
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
            await tx.execute(insert(audit_leaf).values(**row(owner, now, leaf_index=1)))
    other = Storage(spend.path, FULL)
    for each in (spend, other):
        with pytest.raises(OperationalError):
            async with each.write() as tx:
                await tx.exec_driver_sql("DROP TABLE audit_tree")
                await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
    await other.close()
    assert await sizes(spend) == [1]


def row(owner, now, **columns):
    digest = b"\0" * 32
    return {"kind": "x", "subject": "x", "at": now, "leaf": b"", "leaf_hash": digest, "subtree": digest} | (
        owner.columns | columns
    )


@pytest.fixture
async def plain(tmp_path, empty_spend):
    """A database of another make: no short way, and nothing is kept until the commit."""
    (tmp_path / "plain.db").write_bytes(empty_spend)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'plain.db'}")
    yield engine
    await engine.dispose()


async def test_any_other_database_writes_each_leaf_at_once(plain, owner, now):
    for _ in range(2):
        async with plain.begin() as tx:
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
            assert (await tx.execute(select(func.max(audit_leaf.c.leaf_index)))).scalar_one() == _ * 2
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
    async with plain.connect() as connection:
        found = await verify(connection)
    assert (found.entries, found.problems) == (4, ())


async def test_readers_see_the_newest_leaves_oldest_first(spend, owner, now):
    await grow(spend, owner, now, 6)
    async with spend.read() as connection:
        assert [entry.index for entry in await log.entries(connection, limit=3)] == [3, 4, 5]
        assert [entry.index for entry in await log.entries(connection, limit=3, before=3)] == [0, 1, 2]
        assert await log.entries(connection, kind="thing.undone") == []
        assert len(await log.entries(connection, kind="thing.done")) == 6
        [entry] = await log.entries(connection, "thing-4")
        leaf = (await connection.execute(select(audit_leaf.c.leaf).where(audit_leaf.c.leaf_index == 4))).scalar_one()
    assert entry == log.AuditEntry(
        "G1", 4, "thing.done", "thing-4", now, ANNA, {"number": 4}, hashlib.sha256(b"\0" + leaf).hexdigest()
    )


async def test_readers_see_a_hundred_leaves_unless_they_ask_for_more(spend, owner, now):
    await grow(spend, owner, now, 103)
    async with spend.read() as connection:
        assert [entry.index for entry in await log.entries(connection)] == list(range(3, 103))


async def test_readers_of_one_gateway_see_no_other_plants(spend, owner, now):
    await grow(spend, Owner("southworks", owner.gateway_id), now, 2)
    await grow(spend, owner, now, 1)
    async with spend.read() as connection:
        assert [entry.index for entry in await log.entries(connection, owner=owner)] == [0]


WHOLE = {
    "kind": "thing.done",
    "subject": "thing",
    "at": "2026-03-02T08:00:00.000000Z",
    "actor": ANNA.facts(),
    "facts": {},
}


@pytest.mark.parametrize(
    "leaf",
    [b"{", b"[]", b"{}", b"\xff"]
    + [canonical(WHOLE | {name: wrong}) for name, wrong in (("kind", 1), ("facts", []), ("at", "now"), ("actor", {}))]
    + [canonical(WHOLE | {"actor": ANNA.facts() | {"kind": "ghost"}})],
)
def test_a_leaf_that_is_none_of_ours_cannot_be_read(leaf):
    with pytest.raises(AuditBroken, match="leaf 3 of G1"):
        log.parse("G1", 3, leaf)


async def test_a_note_is_erasable_and_the_leaf_holds_only_its_salted_hash(spend, owner):
    async with spend.write() as tx:
        digest = await log.note(tx, owner, "  call Huber first ")
        again = await log.note(tx, owner, "call Huber first")
        row = (await tx.execute(select(free_text).where(free_text.c.digest == digest))).one()
        assert digest != again
        assert len(row.salt) == log.SALT_BYTES
        assert log.note_digest(row.salt, row.text) == digest
        assert await log.written(tx, digest) == "call Huber first"
        await tx.execute(delete(free_text))
        assert await log.written(tx, digest) is None


async def test_no_text_is_no_note_and_a_long_one_is_cut(spend, owner):
    async with spend.write() as tx:
        assert await log.note(tx, owner, " \n") == ""
        digest = await log.note(tx, owner, "x" * 10_000)
        assert len(await log.written(tx, digest)) == log.NOTE_MAX


async def test_two_gateways_grow_two_logs_in_one_transaction(spend, owner, now):
    other = Owner(owner.plant, "G2")
    async with spend.write() as tx:
        for each in (owner, other, other, owner, owner):
            await log.append(tx, each, "thing.done", "thing", ANNA, {}, now)
    async with spend.read() as connection:
        assert [(await head(connection, each)).size for each in (owner, other)] == [3, 2]
        assert (await verify(connection)).problems == ()


async def test_what_else_waits_for_the_commit_is_no_leaf(spend, owner, now):
    done = []

    async def act(tx):
        done.append(tx)

    async with spend.write() as tx:
        tx.info[AT_COMMIT].append(act)
        await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
        assert (await head(tx, owner)).size == 1
        assert done == []
    assert len(done) == 1


async def test_a_tree_that_cannot_be_moved_takes_no_leaf_in_any_other_database(plain, owner, now):
    async with plain.begin() as tx:
        await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
        await tx.exec_driver_sql("CREATE TRIGGER stuck BEFORE UPDATE ON audit_tree BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(AuditBroken, match="somebody else"):
        async with plain.begin() as tx:
            await log.append(tx, owner, "thing.done", "thing", ANNA, {}, now)
    async with plain.connect() as connection:
        assert (await verify(connection)).problems == ()
