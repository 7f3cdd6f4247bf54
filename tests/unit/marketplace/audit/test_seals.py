"""Keys, checkpoints and cosignatures that do not fit the log are named, and those that do are believed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.storage import FULL, Storage
from marketplace.audit import keys, log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.chain import KeySpan, require
from marketplace.audit.checkpoint import SignedCheckpoint
from marketplace.audit.notary import verifier_of
from marketplace.audit.note import KeyKind, Note, NoteBroken, cosign, sign
from marketplace.audit.seals import Trust
from marketplace.audit.verify import verify
from marketplace.store import audit_key, audit_leaf, checkpoint, cosignature
from tests.campaigns.tamper.evidence import OWNER, rebuild, rewrite


@pytest.fixture
async def kept(gathered, tmp_path):
    """A copy of the honest log."""
    shutil.copyfile(gathered.honest, tmp_path / "kept.db")
    storage = Storage(tmp_path / "kept.db", FULL)
    yield storage
    await storage.close()


@pytest.fixture
def problems(kept):
    """Tamper behind the program's back and return what verification says."""

    async def problems(*statements, trust=Trust()):  # noqa: B008 - it is frozen
        async with kept.write() as tx:
            await tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            for statement in statements:
                await tx.execute(statement)
            found = await verify(tx, OWNER, trust)
        assert found.verified == (not found.problems)
        return list(found.problems)

    return problems


async def test_what_fits_is_believed(gathered, problems):
    assert await problems() == []
    assert await problems(trust=gathered.trust) == []
    assert await problems(trust=Trust((), ((gathered.seen_honest[0], None),))) == []


async def test_a_signed_log_without_its_keys_is_told(gathered, problems):
    assert "there is no key, but the log was signed" in await problems(delete(audit_key))


async def test_trust_in_a_log_that_nobody_signed_is_told(gathered, spend, owner):
    async with spend.write() as tx:
        assert (await verify(tx, owner)).verified
        for trust in (Trust((gathered.key,)), Trust((), (gathered.seen_honest,))):
            assert (await verify(tx, owner, trust)).problems == ("there is no key, but the log was signed",)


async def test_a_key_that_is_none_ends_the_chain(problems):
    [problem] = await problems(update(audit_key).where(audit_key.c.from_size == 0).values(key="x"))
    assert problem.startswith("the log's keys do not follow from each other:")


async def test_keys_other_than_those_that_were_handed_over_are_told(gathered, problems):
    found = await problems(delete(audit_key).where(audit_key.c.from_size > 0))
    assert found == ["the stored keys are not those that the log handed over"]


async def test_a_key_that_never_signed_is_told(problems, tmp_path):
    stranger = verifier_of("toolcrib/northworks/G1", KeyKind.LOG, keys.make(tmp_path / "key"))
    found = await problems(trust=Trust((stranger,)))
    assert found == [f"the log was never signed with the key {stranger}"]


async def test_the_oldest_checkpoint_that_does_not_hold_is_named_and_no_other(gathered, problems):
    first = gathered.checkpoints[0]
    [problem, *others] = await problems(update(checkpoint).values(note="x"))
    assert problem.startswith(f"checkpoint {first}: ")
    assert {each.partition(":")[2] for each in others} == {" the signature of a witness does not hold"}


async def test_a_checkpoint_in_the_place_of_another_is_told(gathered, problems):
    first, second = gathered.checkpoints[:2]
    other = select(checkpoint.c.note).where(checkpoint.c.size == second).scalar_subquery()
    found = await problems(update(checkpoint).where(checkpoint.c.size == first).values(note=other))
    assert found[0] == f"checkpoint {first}: it stands where another one was"


async def test_a_log_that_was_cut_off_is_told_by_its_checkpoint_and_by_its_witness(gathered, kept, problems):
    async with kept.write() as tx:
        await tx.execute(delete(audit_leaf).where(audit_leaf.c.leaf_index >= gathered.size - 3))
        await rebuild(tx)
    found = await problems(trust=gathered.trust)
    size = gathered.size
    assert f"checkpoint {size}: the log has only {size - 3} leaves; it was cut off" in found
    assert f"first.example/w has seen {size} leaves and the log has {size - 3}: it was rolled back" in found


async def test_a_log_that_was_rewritten_is_told_by_its_checkpoint_and_by_its_witness(gathered, kept, problems):
    async with kept.write() as tx:
        await rewrite(tx, gathered.size - 1)
    found = await problems(trust=gathered.trust)
    size = gathered.size
    assert f"checkpoint {size}: it was signed over other leaves" in found
    assert f"first.example/w has seen other leaves below {size} than these: the log was forked" in found


async def test_a_fork_is_told_by_the_witness_that_saw_the_other(gathered, problems):
    [problem] = await problems(trust=gathered.two)
    assert problem.startswith("second.example/w has seen other leaves below")


async def test_a_cosignature_over_something_else_is_told(gathered, problems):
    size = gathered.checkpoints[-1]
    assert await problems(update(cosignature).where(cosignature.c.size == size).values(line="x")) == [
        f"checkpoint {size}: the signature of a witness does not hold"
    ]


async def test_a_cosignature_under_no_checkpoint_is_not_looked_at(gathered, kept, problems):
    async with kept.read() as connection:
        row = (await connection.execute(select(cosignature).limit(1))).one()._mapping
    assert gathered.size + 7 not in gathered.checkpoints
    assert await problems(insert(cosignature).values({**row, "size": gathered.size + 7})) == []


async def test_a_witness_that_has_not_signed_is_not_believed(gathered, problems):
    [problem] = await problems(trust=Trust((), ((gathered.seen_honest[0], gathered.seen_forked[1]),)))
    assert problem.startswith("what second.example/w has seen cannot be believed: ")


async def test_a_checkpoint_that_a_witness_signed_and_the_log_did_not_is_not_believed(gathered, problems, tmp_path):
    said, key = gathered.seen_honest[0].checkpoint, keys.make(tmp_path / "w.key")
    assert said.size == gathered.size
    seen = SignedCheckpoint(said, Note(said.text, (cosign(said.text, "third.example/w", key, 1),)))
    witness = verifier_of("third.example/w", KeyKind.WITNESS, key)
    [problem] = await problems(trust=Trust((), ((seen, witness),)))
    assert problem.startswith("what third.example/w has seen cannot be believed: ")


async def test_a_longer_log_that_a_stranger_signed_is_no_rollback(gathered, problems, tmp_path):
    said, key = gathered.seen_honest[0].checkpoint, keys.make(tmp_path / "stranger.key")
    longer = replace(said, size=said.size + 5)
    seen = SignedCheckpoint(longer, Note(longer.text, (sign(longer.text, longer.origin, key),)))
    [problem] = await problems(trust=Trust((), ((seen, None),)))
    assert problem.startswith(f"what {said.origin} has seen cannot be believed: ")


async def test_keys_and_checkpoints_of_other_gateways_are_no_part_of_it(kept, problems):
    async with kept.read() as connection:
        rows = {
            table: [row._mapping for row in (await connection.execute(select(table))).all()]
            for table in (audit_key, checkpoint, cosignature)
        }
    for other in ({"gateway_id": "G2"}, {"plant": "southworks"}):
        for table, copied in rows.items():
            wrong = {"line": "x"} if table is cosignature else {"key": "x"} if table is audit_key else {"note": "x"}
            assert await problems(*(insert(table).values({**row, **other, **wrong}) for row in copied)) == []


async def test_a_checkpoint_without_any_key_is_told(spend, owner, now):
    async with spend.write() as tx:
        await log.append(tx, owner, "thing.done", "thing", Actor(ActorKind.PERSON, "anna", "web"), {}, now)
        await tx.execute(insert(checkpoint).values(size=1, note="x", at=now, **owner.columns))
        assert (await verify(tx, owner)).problems == ("there is no key, but the log was signed",)


def test_a_checkpoint_of_another_log_is_none_of_this(gathered):
    signed, spans = gathered.seen_honest[0], [KeySpan(0, gathered.key)]
    with pytest.raises(NoteBroken, match="this is a checkpoint of toolcrib/northworks/G1"):
        require(signed, "toolcrib/northworks/G2", spans)
