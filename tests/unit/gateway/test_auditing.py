"""The gateway signs, shows its log to witnesses by HTTP and by a folder, and buys nothing when one of them objects."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest

from gateway.attestation import objected
from gateway.auditing import Auditing
from gateway.buying import BuyingState, Cause
from gateway.storage import FULL, Storage
from gateway.witnesses import FolderWay, HttpWay, look_into, serve
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.attendance import Attendance, Attested, WitnessAway
from marketplace.audit.keys import make
from marketplace.audit.notary import Notary, stored_keys
from marketplace.audit.note import KeyKind, verifier_of
from marketplace.audit.witness import Witness
from marketplace.authority.alarms import AlarmCode, acknowledge, raise_alarm
from marketplace.authority.halts import PLANT

ANNA = Actor(ActorKind.PERSON, "anna", "socket")


class Alarms(list):
    async def __call__(self, code, sentence):
        self.append((code, sentence))


@pytest.fixture
async def plant(spend, owner, now, tmp_path):
    """A log of three entries and what cares for it; `auditing(way)` is that care with one witness."""

    class Plant:
        alarms = Alarms()
        buying = BuyingState()
        notary = Notary(spend, owner, tmp_path / "audit.key", lambda: now)

        async def grow(self, database=spend):
            async with database.write() as tx:
                for number in range(3):
                    await log.append(tx, owner, "thing.done", f"thing-{number}", ANNA, {}, now)

        def auditing(self, *ways, database=spend):
            notary = Notary(database, owner, tmp_path / "audit.key", lambda: now)
            return Auditing(notary, Attendance(database, owner, ways, lambda: now), self.alarms, self.buying)

    plant = Plant()
    await plant.grow()
    await plant.notary.sign()
    async with spend.read() as connection:
        [span] = await stored_keys(connection, owner)
    plant.first = span.key
    plant.witness = Witness(tmp_path / "witness", "w.example/1", [span.key])
    return plant


@asynccontextmanager
async def listening(witness):
    """A witness that listens; gives the way to it."""
    runner = await serve(witness, "127.0.0.1", 0, lambda: 1_700_000_000)
    async with aiohttp.ClientSession() as session:
        yield HttpWay(witness.public, f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    await runner.cleanup()


async def older(spend, tmp_path):
    """Return a copy of the database as it is now."""
    async with spend.write() as tx:
        await tx.exec_driver_sql("SELECT 1")
    (tmp_path / "old.db").write_bytes(spend.path.read_bytes())
    (tmp_path / "old.db-wal").write_bytes(spend.path.with_name("spend.db-wal").read_bytes())
    return Storage(tmp_path / "old.db", FULL)


async def test_a_witness_over_http_cosigns_each_minutes_log(plant):
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
        await plant.grow()
        await auditing.run_once()
    assert [each.outcome for each in auditing.attestations] == [Attested.COSIGNED]
    assert plant.witness.seen(plant.notary.origin).checkpoint.size == 6
    assert (auditing.trouble, plant.alarms) == ("", [])


async def test_an_older_database_is_found_at_the_start_and_nothing_is_bought(plant, spend, tmp_path):
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
        old = await older(spend, tmp_path)
        await plant.grow()
        await auditing.run_once()
        restored = plant.auditing(way, database=old)
        await restored.begin()
        await restored.run_once()
        await old.close()
    assert "it was rolled back" in restored.trouble
    [(code, sentence)] = plant.alarms
    assert (code, sentence) == ("AUDIT_ROLLED_BACK", restored.trouble)


async def test_an_objection_that_nobody_has_looked_at_holds_over_a_restart_until_every_witness_has_cosigned(plant):
    class Away:
        key = plant.witness.public

        async def submit(self, request):
            raise WitnessAway

    auditing = plant.auditing(Away())
    await auditing.begin("the witness has seen more")
    assert plant.buying.sentence == auditing.trouble == "the witness has seen more"
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin("the witness has seen more")
    assert (auditing.trouble, plant.buying.sentence) == ("", "")


async def test_what_a_witness_objected_is_remembered_until_somebody_has_looked(spend, owner, now):
    assert await objected(spend, owner) == ""
    async with spend.write() as tx:
        await raise_alarm(tx, owner, AlarmCode.OUTCOME_OPEN, PLANT, "G1-1", now)
        figures = {"reason": "the witness has seen more"}
        alarm = await raise_alarm(
            tx, owner, AlarmCode.WITNESS_DISAGREES, PLANT, "AUDIT_FORKED", now, parameters=figures
        )
    assert await objected(spend, owner) == "the witness has seen more"
    async with spend.write() as tx:
        await acknowledge(tx, owner, alarm, ANNA, now)
    assert await objected(spend, owner) == ""


async def test_a_witness_in_a_folder_answers_later_and_tells_a_rollback_too(plant, spend, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    way = FolderWay(plant.witness.public, folder, "plant.G1")
    auditing = plant.auditing(way)
    await auditing.begin()
    assert auditing.attestations[0].outcome is Attested.WAITING
    assert [answer.status for _name, answer in look_into(folder, plant.witness, 1)] == [200]
    await auditing.run_once()
    assert auditing.attestations[0].outcome is Attested.COSIGNED
    old = await older(spend, tmp_path)
    await plant.grow()
    await auditing.run_once()
    look_into(folder, plant.witness, 1)
    await auditing.run_once()
    restored = plant.auditing(way, database=old)
    await restored.begin()
    await old.close()
    assert "it was rolled back" in restored.trouble


async def test_rubbish_in_a_folder_is_no_answer(plant, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    way = FolderWay(plant.witness.public, folder, "plant.G1")
    auditing = plant.auditing(way)
    await auditing.begin()
    [request] = folder.glob("*.request")
    for said in ("rubbish", "[]", '{"request": "x", "status": 200, "text": ""}'):
        (folder / f"plant.G1.{plant.witness.public.id.hex()}").write_text(said)
        await auditing.run_once()
        assert auditing.attestations[0].outcome is Attested.WAITING
    assert request.exists()
    assert plant.alarms == []


async def test_a_witness_that_cannot_be_reached_stops_nothing(plant, tmp_path):
    async with aiohttp.ClientSession() as session:
        gone = HttpWay(plant.witness.public, "http://127.0.0.1:9", session)
        with pytest.raises(WitnessAway):
            await gone.submit("x")
        nowhere = FolderWay(plant.witness.public, tmp_path / "nowhere", "plant.G1")
        auditing = plant.auditing(gone, nowhere)
        await auditing.begin()
    assert [each.outcome for each in auditing.attestations] == [Attested.AWAY, Attested.AWAY]
    assert auditing.trouble == ""


async def test_a_witness_over_http_follows_rotated_keys_and_nobody_touches_it(plant):
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
        for _time in range(2):
            await auditing.rotate(ANNA)
            assert [each.outcome for each in auditing.attestations] == [Attested.COSIGNED]
    assert (auditing.trouble, plant.alarms) == ("", [])


async def test_a_witness_in_a_folder_follows_a_rotated_key(plant, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    auditing = plant.auditing(FolderWay(plant.witness.public, folder, "plant.G1"))
    await auditing.begin()
    look_into(folder, plant.witness, 1)
    await auditing.run_once()
    await auditing.rotate(ANNA)
    assert [answer.status for _name, answer in look_into(folder, plant.witness, 2)] == [200]
    await auditing.run_once()
    assert auditing.attestations[0].outcome is Attested.COSIGNED


async def test_a_witness_that_was_given_the_newer_key_takes_it_too(plant):
    await plant.auditing().begin()
    key = await plant.auditing().rotate(ANNA)
    taught = Witness(plant.witness._directory, "w.example/1", [key])
    async with listening(taught) as way:
        again = plant.auditing(way)
        await again.begin()
    assert again.attestations[0].outcome is Attested.COSIGNED


async def test_a_witness_that_knows_none_of_the_keys_refuses_and_stops_nothing(plant, tmp_path):
    await plant.notary.rotate(ANNA)
    other = Witness(
        tmp_path / "other", "w.example/2", [verifier_of(plant.notary.origin, KeyKind.LOG, make(tmp_path / "k"))]
    )
    async with listening(other) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
    assert (auditing.attestations[0].outcome, auditing.trouble) == (Attested.REFUSED, "")


async def test_a_log_whose_hand_overs_cannot_be_read_is_not_shown(plant, spend):
    await plant.notary.rotate(ANNA)
    odd = """UPDATE audit_leaf SET leaf = CAST(replace(leaf, '"old"', '"odd"') AS BLOB) WHERE leaf_index = 3"""
    async with spend.write() as tx:
        await tx.exec_driver_sql(odd)
    async with listening(plant.witness) as way:
        await plant.auditing(way).begin()
    assert plant.witness.seen(plant.notary.origin) is None


async def test_a_log_that_cannot_be_signed_stops_buying_with_one_sentence(plant, tmp_path):
    (tmp_path / "audit.key").chmod(0o644)
    auditing = plant.auditing()
    await plant.grow()
    await auditing.begin()
    assert "can be read by others" in auditing.trouble
    (tmp_path / "audit.key").chmod(0o600)
    await auditing.finish()
    assert auditing.trouble == ""


async def test_a_log_with_a_gap_is_not_shown(plant, spend):
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
        await plant.grow()
        async with spend.write() as tx:
            await tx.exec_driver_sql("DELETE FROM audit_leaf WHERE leaf_index = 5")
        await auditing.run_once()
    assert plant.witness.seen(plant.notary.origin).checkpoint.size == 3
    assert "cannot be shown to its witnesses: leaf 5" in auditing.trouble
    assert plant.buying.is_stopped_by(Cause.AUDIT)


@asynccontextmanager
async def rolled_back(plant, spend, tmp_path, way, answer=lambda: None):
    """The care for a log that a witness saw with six entries and that has three again; `answer` lets it look."""
    auditing = plant.auditing(way)
    for grown in (False, True):
        if grown:
            old = await older(spend, tmp_path)
            await plant.grow()
        await auditing.run_once()
        answer()
        await auditing.run_once()
    restored = plant.auditing(way, database=old)
    await restored.begin()
    yield restored, old
    await old.close()


async def test_a_new_epoch_waits_until_the_witness_accepts_it_and_alarms_once(plant, spend, tmp_path):
    async with listening(plant.witness) as way, rolled_back(plant, spend, tmp_path, way) as (restored, old):
        key = await restored.begin_epoch(ANNA, 3)
        assert str(key) in restored.trouble
        assert restored.attestations[0].outcome is Attested.UNACCEPTED
        assert plant.buying.is_stopped_by(Cause.AUDIT)
        assert [code for code, _sentence in plant.alarms] == ["AUDIT_ROLLED_BACK"]
        again = plant.auditing(way, database=old)
        await again.begin()
        assert str(key) in again.trouble  # a restart forgets nothing
        assert await again.begin_epoch(ANNA, 3) is None
        async with aiohttp.ClientSession() as session:
            away = plant.auditing(HttpWay(way.key, "http://127.0.0.1:9", session), database=old)
            await away.begin()
        assert str(key) in away.trouble
        async with listening(taught(plant, key)) as way:
            accepted = plant.auditing(way, database=old)
            await accepted.begin()
        assert (accepted.trouble, plant.buying.stopped) == ("", False)


def taught(plant, key):
    """The same witness after its owner has put one more log beside the first."""
    return Witness(plant.witness._directory, "w.example/1", [plant.first, key])


async def test_a_witness_in_a_folder_accepts_a_new_epoch_when_its_owner_has(plant, spend, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    way = FolderWay(plant.witness.public, folder, "plant.G1")
    answer = partial(look_into, folder, plant.witness, 1)
    async with rolled_back(plant, spend, tmp_path, way, answer) as (restored, _old):
        assert "it was rolled back" in restored.trouble
        key = await restored.begin_epoch(ANNA, 3)
        assert str(key) in restored.trouble
        for _time in range(2):  # what was refused is considered again
            assert [said.status for _name, said in answer()] == [404]
            await restored.run_once()
            assert str(key) in restored.trouble
        accepting = taught(plant, key)
        assert [said.status for _name, said in look_into(folder, accepting, 2)] == [200]
        await restored.run_once()
        assert (restored.trouble, restored.attestations[0].outcome) == ("", Attested.COSIGNED)
        assert look_into(folder, accepting, 3) == []


async def test_no_epoch_begins_unless_a_witness_objects(plant):
    async with listening(plant.witness) as way:
        auditing = plant.auditing(way)
        await auditing.begin()
        assert await auditing.begin_epoch(ANNA, 3) is None
    assert await plant.auditing().begin_epoch(ANNA, 3) is None
    assert plant.witness.seen(plant.notary.origin).checkpoint.size == 3


async def test_an_objection_outlasts_a_restart_because_every_start_asks_each_witness_first(plant, spend, tmp_path):
    async with listening(plant.witness) as way, rolled_back(plant, spend, tmp_path, way) as (_restored, old):
        again = plant.auditing(way, database=old)
        plant.buying.resume(Cause.AUDIT)
        await again.begin()
        assert "it was rolled back" in again.trouble
        assert plant.buying.is_stopped_by(Cause.AUDIT)
