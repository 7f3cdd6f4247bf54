"""A log that truly lost entries goes on in a new epoch: it says what was lost, and witnesses must accept it anew."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from gateway.storage import FULL, Storage
from marketplace.audit import chain, epochs, export, keys, log, standalone
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.attendance import Attendance, Attested, WitnessAway
from marketplace.audit.checkpoint import SignedCheckpoint
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.notary import Notary, stored_keys
from marketplace.audit.note import KeyKind, NoteBroken, verifier_of
from marketplace.audit.seals import Trust
from marketplace.audit.tree import AuditBroken
from marketplace.audit.verify import verify, verify_quickly
from marketplace.audit.witness import Request, Witness

ANNA = Actor(ActorKind.PERSON, "anna", "socket")


class Beside:
    """A way to a witness in this process."""

    def __init__(self, seer):
        self.seer, self.key, self.away = seer, seer.public, False

    async def submit(self, text):
        if self.away:
            raise WitnessAway
        return self.seer.consider(text, 7)


@pytest.fixture
async def plant(spend, owner, now, tmp_path):
    """A log that its witness saw with six entries, put back to the three of a backup; `lost` is what it saw last."""

    class Plant:
        database = spend
        clock = now

        async def grow(self, count=3, what="thing"):
            async with self.database.write() as tx:
                for number in range(count):
                    await log.append(tx, owner, "thing.done", f"{what}-{number}", ANNA, {}, now)

        async def show(self):
            signed = await self.notary.sign()
            assert signed is not None, self.notary.trouble
            [said] = await Attendance(self.database, owner, [self.way], lambda: now).show(signed, again=True)
            return said

        async def back_up(self):
            await self.notary.sign()
            with closing(sqlite3.connect(self.database.path)) as there, closing(sqlite3.connect(copy())) as here:
                there.backup(here)

        def restore(self):
            self.database = Storage(copy(), FULL)
            opened.append(self.database)
            self.notary = Notary(self.database, owner, tmp_path / "audit.key", lambda: self.clock)

        def accept(self, *more):
            self.way.seer = Witness(tmp_path / "witness", "w.example/1", [self.first, *more])

        async def begin(self, entries=3):
            said = await self.show()
            return await epochs.begin(self.notary, ANNA, entries, [(said.witness, str(said.outcome), said.seen)])

        async def verified(self, trust=None):
            async with self.database.read() as connection:
                found = await verify(connection, owner, trust or Trust())
                quick = await verify_quickly(connection, self.database.path, owner, trust or Trust())
            assert (found.verified, found.breaks) == (quick.verified, quick.breaks)
            return found

        def alone(self, capsys, *words):
            code = standalone.main([str(self.database.path), *map(str, words)])
            return code, capsys.readouterr().out

    def copy():
        return tmp_path / f"copy-{len(opened)}.db"

    opened = []
    plant = Plant()
    plant.notary = Notary(spend, owner, tmp_path / "audit.key", lambda: plant.clock)
    await plant.grow()
    await plant.notary.sign()
    async with spend.read() as connection:
        [span] = await stored_keys(connection, owner)
    plant.first = span.key
    plant.way = Beside(Witness(tmp_path / "witness", "w.example/1", [span.key]))
    await plant.back_up()
    await plant.grow(what="lost")
    assert (await plant.show()).outcome is Attested.COSIGNED
    plant.lost = plant.way.seer.seen(plant.notary.origin)
    plant.restore()
    yield plant
    for storage in opened:
        await storage.close()


SAID = "epoch began at entry 3 by 'anna': entries after 3 that witness 'w.example/1' had seen (6) are lost"


async def test_without_an_epoch_a_log_that_was_rolled_back_stays_so(plant):
    assert (await plant.show()).outcome is Attested.ROLLED_BACK
    await plant.notary.rotate(ANNA)
    assert (await plant.show()).outcome is Attested.ROLLED_BACK
    await plant.grow(5)
    said = await plant.show()
    assert (said.outcome, said.seen, said.key) == (Attested.FORKED, 6, "")


async def test_a_log_in_a_new_epoch_is_signed_under_its_name_and_tells_the_break(plant, owner, capsys):
    key = await plant.begin()
    assert key.name == f"{plant.first.name}/20260302T080000Z"
    await plant.grow()
    signed = await plant.notary.sign()
    assert (signed.checkpoint.origin, signed.signed_by(key)) == (key.name, True)
    found = await plant.verified()
    assert (found.problems, found.breaks) == ((), (SAID,))
    said = "epoch began at entry 3 by 'anna': entries after 3 that 'w.example/1' (6) had seen are lost\nverified\n"
    assert plant.alone(capsys, "--key", key) == plant.alone(capsys, "--key", plant.first) == (0, said)


async def test_a_witness_that_objected_is_waited_for_until_its_owner_accepts_the_epoch(plant):
    key = await plant.begin()
    said = await plant.show()
    assert (said.outcome, said.key) == (Attested.UNACCEPTED, str(key))
    assert str(key) in said.sentence
    plant.way.away = True
    assert (await plant.show()).outcome is Attested.UNACCEPTED
    plant.way.away = False
    plant.accept(key)
    assert (await plant.show()).outcome is Attested.COSIGNED
    plant.way.away = True
    assert (await plant.show()).outcome is Attested.AWAY
    assert (await plant.verified()).verified
    assert plant.way.seer.seen(plant.first.name).checkpoint.size == 6
    assert plant.way.seer.seen(key.name).checkpoint.size == 4


async def test_a_witness_that_was_away_is_waited_for_only_once_it_refuses_the_epoch(plant):
    await epochs.begin(plant.notary, ANNA, 3, [(plant.way.key.name, "away", None)])
    plant.way.away = True
    assert (await plant.show()).outcome is Attested.AWAY
    plant.way.away = False
    assert (await plant.show()).outcome is Attested.UNACCEPTED


async def test_an_epoch_that_names_nobody_gets_past_no_witness(plant):
    """A thief of database and key could write it."""
    await epochs.begin(plant.notary, ANNA, 3, [])
    assert (await plant.show()).outcome is Attested.UNACCEPTED


async def test_keys_are_rotated_within_an_epoch_and_its_witnesses_follow(plant):
    plant.accept(await plant.begin())
    await plant.show()
    newer = await plant.notary.rotate(ANNA)
    assert (await plant.show()).outcome is Attested.COSIGNED
    assert newer.name == plant.way.seer.seen(newer.name).checkpoint.origin
    assert (await plant.verified()).verified


async def test_an_epoch_can_be_followed_by_another(plant, capsys):
    plant.accept(first := await plant.begin())
    await plant.show()
    await plant.back_up()
    await plant.grow()
    await plant.show()
    plant.restore()
    plant.clock += timedelta(days=1)
    assert (await plant.show()).outcome is Attested.ROLLED_BACK
    second = await plant.begin(4)
    plant.accept(first, second)
    assert (await plant.show()).outcome is Attested.COSIGNED
    found = await plant.verified()
    assert (found.problems, len(found.breaks)) == ((), 2)
    assert plant.alone(capsys)[1].count("epoch began at entry") == 2


async def test_an_epoch_needs_the_key_that_signed_before(plant, tmp_path):
    (tmp_path / "audit.key").rename(tmp_path / "away")
    with pytest.raises(KeyUnreadable):
        await epochs.begin(plant.notary, ANNA, 3, [])
    keys.make(tmp_path / "audit.key")
    with pytest.raises(KeyUnreadable, match="not the key"):
        await epochs.begin(plant.notary, ANNA, 3, [])
    (tmp_path / "audit.key").unlink()
    (tmp_path / "away").rename(tmp_path / "audit.key")
    with pytest.raises(AuditBroken):
        await epochs.begin(plant.notary, ANNA, 99, [])
    assert (await plant.verified()).breaks == ()


async def test_an_epoch_that_was_cut_off_after_its_leaf_goes_on_with_its_key(plant, tmp_path):
    old = (tmp_path / "audit.key").read_bytes()
    key = await plant.begin()
    (tmp_path / "audit.key").rename(tmp_path / "audit.key.next")
    (tmp_path / "audit.key").write_bytes(old)
    (tmp_path / "audit.key").chmod(0o600)
    plant.notary = Notary(plant.database, plant.notary.owner, tmp_path / "audit.key", lambda: plant.clock)
    await plant.grow()
    assert (await plant.notary.sign()).signed_by(key)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (0, "w.example/1 has seen 6 leaves of toolcrib/northworks/G1, more than there are of it here"),
        (4, "w.example/1 has seen other leaves below 6 than these: the log was forked"),
    ],
)
async def test_what_a_witness_saw_of_the_lost_entries_still_contradicts_the_log(
    plant, owner, tmp_path, capsys, before, said
):
    await plant.grow(before)
    await plant.begin()
    await plant.grow()
    await plant.notary.sign()
    (tmp_path / "seen").write_text(str(plant.lost.note))
    async with plant.database.read() as connection:
        found = await verify(connection, owner, Trust((plant.first,), ((plant.lost, plant.way.key),)))
    assert said in found.problems[0]
    code, out = plant.alone(capsys, "--seen", tmp_path / "seen", "--witness", plant.way.key)
    assert (code, f"epoch began at entry {3 + before}" in out) == (1, True)


async def test_a_note_under_an_earlier_name_is_believed_only_with_that_names_signature(plant):
    await plant.begin()
    await plant.grow(5)
    await plant.notary.sign()
    forged = SignedCheckpoint.parse(str(plant.lost.note).replace("\n6\n", "\n7\n"))
    [problem] = (await plant.verified(Trust((), ((forged, None),)))).problems
    assert "cannot be believed" in problem


async def test_a_checkpoint_under_the_earlier_name_counts_no_more(plant, owner, capsys):
    await plant.begin()
    old = chain.KeySpan(0, plant.first)
    with pytest.raises(NoteBroken, match="a checkpoint of"):
        chain.require(plant.lost, f"{plant.first.name}2", [old])
    with pytest.raises(NoteBroken, match="a checkpoint of"):
        async with plant.database.read() as connection:
            chain.require(plant.lost, plant.first.name, await stored_keys(connection, owner))


async def test_the_proof_of_an_order_holds_across_an_epoch(plant, owner, tmp_path, capsys):
    key = await plant.begin()
    await plant.grow()
    await plant.notary.sign()
    async with plant.database.read() as connection:
        proof = await export.prove(connection, owner, "thing-0")
        lines = [line async for line in export.lines(connection, owner)]
    (tmp_path / "proof").write_text(json.dumps(proof))
    (tmp_path / "log").write_text("".join(lines))
    for file in ("proof", "log"):
        assert standalone.main([str(tmp_path / file), "--key", str(key)]) == 0
        out = capsys.readouterr().out
        assert ("epoch began at entry 3 by 'anna'" in out, out.endswith("verified\n")) == (True, True)


async def tampered(plant, change):
    """Write another epoch leaf, with hashes and tree as somebody with this program could."""
    from tests.campaigns.tamper.evidence import rebuild

    with closing(sqlite3.connect(plant.database.path)) as connection, connection:
        [leaf] = connection.execute("SELECT leaf FROM audit_leaf WHERE leaf_index = 3").fetchone()
        said = json.loads(leaf)
        change(said)
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        connection.execute("UPDATE audit_leaf SET leaf = ?, kind = ? WHERE leaf_index = 3", (text, said["kind"]))
    async with plant.database.write() as tx:
        await rebuild(tx)


@pytest.mark.parametrize(
    "facts", [{"entries": "many"}, {"witnesses": None}, {"witnesses": [{}]}, {"witnesses": ["w"]}, {"witnesses": [[]]}]
)
async def test_an_epoch_that_does_not_say_what_was_lost_is_named(plant, owner, facts):
    await plant.begin()
    await plant.notary.sign()
    await tampered(plant, lambda said: said["facts"].update(facts))
    async with plant.database.read() as connection:
        assert "leaf 3 cannot be read" in (await verify(connection, owner)).problems
        quick = await verify_quickly(connection, plant.database.path, owner)
        assert (quick.verified, quick.problems[-1]) == (False, "leaf 3 does not say what was lost")
        with pytest.raises(AuditBroken, match="leaf 3"):
            await epochs.current(connection, owner, 4)


async def test_an_epoch_dressed_as_a_rotation_is_refused_by_both_verifiers(plant, owner, capsys):
    await plant.begin()
    await tampered(plant, lambda said: said.update(kind="audit.key_rotated"))
    async with plant.database.read() as connection:
        problems = (await verify(connection, owner)).problems
    assert "the log's keys do not follow from each other: leaf 3" in problems[0]
    code, out = plant.alone(capsys)
    assert (code, "leaf 3: the key before has not signed for this one" in out) == (1, True)


@pytest.mark.parametrize("name", ["toolcrib/northworks/G12", "toolcrib/northworks/G1", "elsewhere/northworks/G1/1"])
async def test_an_epoch_under_a_name_that_is_not_below_the_logs_is_refused_by_both_verifiers(
    plant, owner, tmp_path, capsys, name
):
    old, new = keys.load(tmp_path / "audit.key"), keys.make(tmp_path / "another.key")
    await plant.begin()
    facts = chain.hand_over(plant.first, verifier_of(name, KeyKind.LOG, new), old)
    await tampered(plant, lambda said: said["facts"].update(facts))
    async with plant.database.read() as connection:
        problems = (await verify(connection, owner)).problems
    assert "the log's keys do not follow from each other: leaf 3" in problems[0]
    code, out = plant.alone(capsys)
    assert (code, "leaf 3: the key before has not signed for this one" in out) == (1, True)


async def test_a_break_cannot_be_told_so_that_it_reads_as_something_else(plant, owner, capsys):
    await plant.begin()
    await tampered(plant, lambda said: said["actor"].update(id="anna\nverified"))
    async with plant.database.read() as connection:
        [told] = (await verify(connection, owner)).breaks
    assert "\n" not in told
    assert "\nverified" not in plant.alone(capsys)[1]


async def test_an_epoch_whose_leaf_is_gone_is_not_shown(plant, owner):
    await plant.begin()
    async with plant.database.write() as tx:
        await tx.exec_driver_sql("DELETE FROM audit_leaf WHERE leaf_index = 3")
    async with plant.database.read() as connection:
        with pytest.raises(AuditBroken, match="leaf 3"):
            await epochs.current(connection, owner, 4)


async def test_a_witness_sees_a_new_epoch_from_nothing(plant):
    key = await plant.begin()
    plant.accept(key)
    asked = []

    async def submit(text):
        asked.append(Request.parse(text))
        return plant.way.seer.consider(text, 7)

    plant.way.submit = submit
    await plant.show()
    [request] = asked
    assert (request.old, request.proof, request.signed.checkpoint.origin) == (0, (), key.name)
