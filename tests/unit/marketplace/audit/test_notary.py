"""Checkpoints are signed while the log holds together, and never over one that contradicts them."""

from __future__ import annotations

import json
import sqlite3

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import delete, insert, select, update

from gateway.storage import FULL, Storage
from marketplace.audit import chain, keys, log, notary, proofs
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.merkle import consistency_proof, inclusion_proof, root_of
from marketplace.audit.notary import Notary, newest_checkpoint, stored_keys
from marketplace.audit.note import KeyKind, NoteBroken, Signature, VerifierKey
from marketplace.audit.tree import AuditBroken
from marketplace.audit.verify import verify
from marketplace.store import Owner, audit_key, audit_leaf, audit_tree, checkpoint, cosignature

ANNA = Actor(ActorKind.PERSON, "anna", "socket")


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys" / "audit.key"


@pytest.fixture
def make_notary(spend, owner, now, key_file):
    return lambda: Notary(spend, owner, key_file, lambda: now)


@pytest.fixture
def grow(spend, owner, now):
    async def grow(count=3):
        async with spend.write() as tx:
            for number in range(count):
                await log.append(tx, owner, "thing.done", f"thing-{number}", ANNA, {"number": number}, now)

    return grow


async def sizes(spend):
    async with spend.read() as connection:
        return list((await connection.execute(select(checkpoint.c.size).order_by(checkpoint.c.size))).scalars())


async def problems(spend):
    async with spend.read() as connection:
        return list((await verify(connection)).problems)


async def test_the_first_start_makes_a_key_that_only_its_owner_reads(make_notary, key_file, spend, owner):
    signer = make_notary()
    assert signer.trouble == ""
    assert await signer.sign() is None
    assert (signer.trouble, key_file.stat().st_mode & 0o777) == ("", 0o600)
    async with spend.read() as connection:
        [span] = await stored_keys(connection, owner)
    assert (span.from_size, span.key.name, span.key.kind) == (0, "toolcrib/northworks/G1", KeyKind.LOG)
    assert key_file.read_bytes() not in spend.path.read_bytes()


async def test_a_checkpoint_is_signed_when_the_log_has_grown(make_notary, grow, spend, owner):
    signer = make_notary()
    await grow()
    first = await signer.sign()
    assert await signer.sign() == first
    await grow()
    second = await make_notary().sign()
    assert [first.checkpoint.size, second.checkpoint.size] == await sizes(spend) == [3, 6]
    async with spend.read() as connection:
        spans = await stored_keys(connection, owner)
        assert chain.require(await newest_checkpoint(connection, owner), signer.origin, spans).root == (
            await proofs.root_at(connection, owner, 6)
        )
    assert await problems(spend) == []


async def test_a_key_that_was_put_there_before_the_first_start_is_used(make_notary, grow, key_file):
    put = keys.make(key_file)
    await grow()
    signer = make_notary()
    assert (await signer.sign()).signed_by(notary.verifier_of(signer.origin, KeyKind.LOG, put))
    assert keys.load(key_file).private_bytes_raw() == put.private_bytes_raw()


async def test_an_unlocked_key_is_used_while_its_file_is_away(make_notary, grow, key_file):
    """Each send asks for a signature: the file is read once, not every time, and after a rotation it is the new one."""
    signer = make_notary()
    await grow()
    await signer.sign()
    for size in (6, 11):
        hidden = key_file.rename(key_file.with_name("hidden"))
        await grow()
        assert (await signer.sign()).checkpoint.size == size
        hidden.rename(key_file)
        await signer.rotate(ANNA)
        await grow(1)


async def test_a_key_that_another_process_rotated_is_read_anew(make_notary, grow, key_file):
    signer, other = make_notary(), make_notary()
    await grow()
    await signer.sign()
    new = await other.rotate(ANNA)
    await grow()
    signed = await signer.sign()
    assert (signed.checkpoint.size, signed.signed_by(new), signer.trouble) == (7, True, "")


async def test_each_gateway_of_each_plant_signs_with_its_own_key_what_is_its_own(spend, owner, now, tmp_path, grow):
    owners = [owner, Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id)]
    signers = [Notary(spend, each, tmp_path / f"{place}.key", lambda: now) for place, each in enumerate(owners)]
    for signer in signers:
        async with spend.write() as tx:
            for number in range(3):
                await log.append(tx, signer.owner, "thing.done", f"{number}", ANNA, {}, now)
        assert (await signer.sign()).checkpoint.origin == signer.origin
        async with spend.write() as tx:
            row = {"size": 3, "witness": signer.origin, "line": str(witnessed(signer.origin)), "at": now}
            await tx.execute(insert(cosignature).values(**row, **signer.owner.columns))
            row |= {"size": 2, "line": str(witnessed("older"))}
            await tx.execute(insert(cosignature).values(**row, **signer.owner.columns))
    async with spend.read() as connection:
        for signer in signers:
            [span] = await stored_keys(connection, signer.owner)
            newest = await newest_checkpoint(connection, signer.owner)
            assert [each.name for each in newest.note.signatures] == [signer.origin, f"witness.of/{signer.origin}"]
            assert (span.key.name, newest.signed_by(span.key)) == (signer.origin, True)
    assert await sizes(spend) == [3, 3, 3]
    assert [signer.trouble for signer in signers] == [""] * 3


def witnessed(name):
    return Signature(f"witness.of/{name}", b"id..", b"signed")


async def test_a_rotated_key_is_handed_over_and_each_signs_what_is_its_own(make_notary, grow, spend, owner, key_file):
    signer = make_notary()
    await grow()
    before = await signer.sign()
    old_bytes = key_file.read_bytes()
    new = await signer.rotate(ANNA)
    after = await signer.sign()
    await grow()
    assert (await make_notary().sign()).checkpoint.size == 7
    async with spend.read() as connection:
        old_span, new_span = await stored_keys(connection, owner)
    assert (new_span.from_size, new_span.key) == (4, new)
    assert before.signed_by(old_span.key)
    assert after.signed_by(new)
    assert key_file.read_bytes() != old_bytes
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert await problems(spend) == []


async def test_a_rotation_that_was_cut_off_is_brought_to_its_end(make_notary, grow, key_file):
    signer = make_notary()
    await grow()
    await signer.sign()
    old = key_file.read_bytes()
    await signer.rotate(ANNA)
    key_file.rename(key_file.with_name("audit.key.next"))  # as if the power had failed before the last rename
    key_file.write_bytes(old)
    key_file.chmod(0o600)
    again = make_notary()
    await grow()
    assert (await again.sign()).checkpoint.size == 7
    assert again.trouble == ""


async def test_a_key_that_was_never_handed_over_is_made_anew(make_notary, grow, key_file):
    signer = make_notary()
    await grow()
    await signer.sign()
    keys.make(key_file.with_name("audit.key.next"))
    assert (await signer.rotate(ANNA)).name == signer.origin
    assert not key_file.with_name("audit.key.next").exists()


async def test_a_lost_key_stops_and_is_not_made_anew(make_notary, grow, key_file):
    await grow()
    await make_notary().sign()
    key_file.unlink()
    signer = make_notary()
    assert await signer.sign() is None
    assert "cannot be read" in signer.trouble
    assert not key_file.exists()
    with pytest.raises(KeyUnreadable):
        await signer.rotate(ANNA)


async def test_a_key_of_somebody_else_stops(make_notary, grow, key_file):
    await grow()
    await make_notary().sign()
    key_file.unlink()
    keys.make(key_file)
    signer = make_notary()
    assert await signer.sign() is None
    assert "not the key" in signer.trouble


def test_keys_that_cannot_be_used_say_why(tmp_path):
    file = tmp_path / "a.key"
    keys.make(file)
    with pytest.raises(KeyUnreadable, match="cannot be written"):
        keys.make(file)
    file.chmod(0o640)
    with pytest.raises(KeyUnreadable, match="read by others"):
        keys.load(file)
    file.write_bytes(b"nothing")
    file.chmod(0o600)
    with pytest.raises(KeyUnreadable, match="holds no key"):
        keys.load(file)
    other = ed448.Ed448PrivateKey.generate()
    file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyUnreadable, match="another kind"):
        keys.load(file)


def test_a_key_is_kept_where_nobody_else_may_even_look(tmp_path):
    directory = tmp_path / "far" / "away"
    made = keys.make(directory / "a.key")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert keys.load(directory / "a.key").private_bytes_raw() == made.private_bytes_raw()


def test_a_file_is_read_only_as_far_as_a_key_could_reach(tmp_path):
    file = tmp_path / "a.key"
    keys.make(file)
    file.write_bytes(b"#" * 10_000 + b"\n" + file.read_bytes())
    with pytest.raises(KeyUnreadable, match="holds no key"):
        keys.load(file)
    with pytest.raises(NotADirectoryError):
        keys.settle(file)


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        (update(audit_tree).values(root=b"\0" * 32), "another root"),
        (delete(audit_tree), "was signed with 3"),
        (
            update(audit_leaf).where(audit_leaf.c.leaf_index == 1).values(subtree=b"\0" * 32),
            "not the one that was signed",
        ),
        (delete(audit_leaf).where(audit_leaf.c.leaf_index == 1), "is missing"),
        (delete(audit_key), "no key that signed"),
        (update(checkpoint).values(note="x"), "a note is"),
        (update(audit_key).values(key="x"), "written name"),
    ],
)
async def test_a_log_that_does_not_hold_together_is_not_signed(make_notary, grow, spend, tampering, said):
    await grow()
    await make_notary().sign()
    async with spend.write() as tx:
        await tx.execute(tampering)
    signer = make_notary()
    assert await signer.sign() is None
    assert said in signer.trouble
    assert len(await sizes(spend)) == 1


async def test_trouble_passes(make_notary, grow, key_file):
    signer = make_notary()
    await grow()
    await signer.sign()
    hidden = key_file.rename(key_file.with_name("hidden"))
    again = make_notary()
    await grow()
    assert await again.sign() is None
    hidden.rename(key_file)
    assert (await again.sign()).checkpoint.size == 6
    assert again.trouble == ""


async def test_a_database_that_cannot_be_written_stops(spend, owner, now, key_file, grow):
    await grow()
    closed = Storage(spend.path, FULL, read_only=True)
    signer = Notary(closed, owner, key_file, lambda: now)
    assert await signer.sign() is None
    assert "cannot be written" in signer.trouble
    await closed.close()


async def test_the_same_size_is_kept_once(make_notary, grow, spend):
    signer = make_notary()
    await grow()
    signed = await signer.sign()
    async with spend.write() as tx:
        await signer._keep(tx, signed)
    assert await sizes(spend) == [3]


def test_a_key_is_believed_only_on_the_signature_of_the_one_before(tmp_path):
    first, second = keys.make(tmp_path / "1"), keys.make(tmp_path / "2")
    old = notary.verifier_of("log", KeyKind.LOG, first)
    new = notary.verifier_of("log", KeyKind.LOG, second)
    facts = chain.hand_over(old, new, first)
    found = chain.spans(old, [(4, chain.ROTATED, facts)])
    assert found[1] == chain.KeySpan(5, new)
    assert chain.key_for(found, 4) == old
    stranger = notary.verifier_of("other", KeyKind.LOG, second)
    for forged in (
        {},
        facts | {"signature": "!"},
        facts | {"signature": f"{facts['signature'][:8]}!{facts['signature'][8:]}"},
        facts | {"new": "x"},
        facts | {"old": "x"},
        chain.hand_over(old, new, second),
        chain.hand_over(old, stranger, first),
    ):
        with pytest.raises(NoteBroken, match="leaf 4"):
            chain.spans(old, [(4, chain.ROTATED, forged)])


def test_an_epoch_begins_below_the_first_name_and_under_none_that_was_used(tmp_path):
    privates = [keys.make(tmp_path / name) for name in "123"]
    names = ("log", "log/1", "log/2", "log2", "elsewhere/1", "log/1")
    old, one, two, other, stranger, again = (
        notary.verifier_of(name, KeyKind.LOG, key) for name, key in zip(names, privates * 2, strict=True)
    )
    first = (4, chain.EPOCH, chain.hand_over(old, one, privates[0]))
    found = chain.spans(old, [first, (6, chain.EPOCH, chain.hand_over(one, two, privates[1]))])
    assert [each.key.name for each in found] == ["log", "log/1", "log/2"]
    assert [chain.epoch_start(found, size) for size in (0, 4, 5, 6, 7, 99)] == [0, 0, 5, 5, 7, 7]
    for new in (old, other, stranger):
        with pytest.raises(NoteBroken, match="leaf 4"):
            chain.spans(old, [(4, chain.EPOCH, chain.hand_over(old, new, privates[0]))])
    with pytest.raises(NoteBroken, match="leaf 9"):
        chain.spans(old, [first, (9, chain.EPOCH, chain.hand_over(one, again, privates[1]))])
    with pytest.raises(NoteBroken, match="leaf 4"):
        chain.spans(old, [(4, chain.ROTATED, first[2])])


async def test_leaves_are_numbered_anew_when_somebody_else_wrote_meanwhile(spend, owner, now, grow):
    await grow()
    other = Storage(spend.path, FULL)
    async with other.write() as tx:
        await log.append(tx, owner, "thing.done", "theirs", ANNA, {}, now)
    await other.close()
    await grow(2)
    with sqlite3.connect(spend.path) as connection:
        leaves = connection.execute("SELECT leaf_index, leaf FROM audit_leaf ORDER BY 1").fetchall()
    connection.close()
    assert [(index, json.loads(leaf)["index"]) for index, leaf in leaves] == [(each, each) for each in range(6)]
    assert await problems(spend) == []


async def test_a_transaction_that_was_undone_leaves_no_gap(spend, owner, now, grow):
    await grow()
    with pytest.raises(RuntimeError):
        async with spend.write() as tx:
            await log.append(tx, owner, "thing.done", "undone", ANNA, {}, now)
            await log.entries(tx)
            raise RuntimeError
    await grow()
    assert await problems(spend) == []


async def test_what_is_missing_cannot_be_proven(spend, owner, grow):
    await grow()
    async with spend.write() as tx:
        await tx.execute(delete(audit_leaf).where(audit_leaf.c.leaf_index == 1))
        with pytest.raises(AuditBroken, match="leaf 1"):
            await proofs.inclusion(tx, owner, 0, 3)


async def test_proofs_are_of_one_gateways_log_however_few_rows_a_query_takes(spend, owner, now, monkeypatch):
    monkeypatch.setattr(proofs, "_AT_ONCE", 2)
    for place, each in enumerate((owner, Owner(owner.plant, "G2"), Owner("southworks", owner.gateway_id))):
        async with spend.write() as tx:
            for number in range(20):
                await log.append(tx, each, "thing.done", f"thing-{place}-{number}", ANNA, {}, now)
    async with spend.read() as connection:
        mine = (audit_leaf.c.plant == owner.plant, audit_leaf.c.gateway_id == owner.gateway_id)
        query = select(audit_leaf.c.leaf_hash).where(*mine).order_by(audit_leaf.c.leaf_index)
        hashes = list((await connection.execute(query)).scalars())
        assert await proofs.root_at(connection, owner, 19) == root_of(hashes[:19])
        assert await proofs.inclusion(connection, owner, 6, 20) == inclusion_proof(hashes, 6)
        assert await proofs.consistency(connection, owner, 7, 20) == consistency_proof(hashes, 7)


def test_a_public_key_is_checked_when_it_is_made():
    with pytest.raises(NoteBroken):
        VerifierKey("log", KeyKind.LOG, b"short")
