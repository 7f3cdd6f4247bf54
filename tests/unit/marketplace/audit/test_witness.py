"""What a witness signs and what it refuses, with the standard's codes; and what a log learns from it."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from marketplace.audit import chain, log, note, witness
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.attendance import Attendance, Attestation, Attested, WitnessAway
from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.merkle import consistency_proof, leaf_hash, root_of
from marketplace.audit.notary import Notary, hand_overs, newest_checkpoint
from marketplace.audit.note import KeyKind, Note, NoteBroken
from marketplace.audit.verify import verify
from marketplace.audit.witness import Answer, Request, Witness, judge

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = note.verifier_of("log", KeyKind.LOG, KEY)
LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
ANNA = Actor(ActorKind.PERSON, "anna", "web")


def signed(size, leaves=LEAVES, name="log", key=KEY):
    said = Checkpoint(name, size, root_of(leaves[:size]))
    return SignedCheckpoint(said, Note(said.text, (note.sign(said.text, name, key),)))


def request(old, new, leaves=LEAVES, **options):
    return Request(old, tuple(consistency_proof(leaves[:new], old)), signed(new, leaves, **options))


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_only_grew_is_signed_from_any_size_to_any_other(old, new):
    old, new = min(old, new), max(old, new)
    seen = signed(old).checkpoint if old else None
    assert judge(request(old, new), [PUBLIC], seen).status == 200


@given(st.integers(1, 39), st.integers(1, 40), st.integers(0, 38))
def test_a_log_with_another_entry_is_never_signed(old, new, place):
    old, new = min(old, new), max(old, new)
    forked = [*LEAVES]
    forked[place % old] = leaf_hash(b"forged")
    assert judge(request(old, new, forked), [PUBLIC], signed(old).checkpoint).status in (409, 422)


def test_each_refusal_has_the_standards_code():
    seen = signed(5).checkpoint
    assert judge(request(5, 9), [], seen).status == 404
    assert judge(request(5, 9, key=Ed25519PrivateKey.generate()), [PUBLIC], seen).status == 403
    assert judge(Request(10, (), signed(9)), [PUBLIC], seen).status == 400
    assert judge(request(3, 9), [PUBLIC], seen) == Answer(409, "5\n", "text/x.tlog.size")
    assert judge(request(5, 9), [PUBLIC], None) == Answer(409, "0\n", "text/x.tlog.size")
    assert judge(Request(0, (LEAVES[0],), signed(9)), [PUBLIC], None).status == 422
    assert judge(Request(5, (), signed(9)), [PUBLIC], seen).status == 422
    assert judge(Request(5, (), signed(5, LEAVES[1:])), [PUBLIC], seen) == Answer(409, "5\n", "text/x.tlog.size")


def test_each_refusal_says_why_in_a_line_of_text(tmp_path):
    seen, seer = signed(5).checkpoint, Witness(tmp_path, "w", [PUBLIC])
    (tmp_path / f"{hashlib.sha256(b'log').hexdigest()[:32]}.checkpoint").write_text("rubbish")
    refused = [
        judge(request(5, 9), [], seen),
        judge(request(5, 9, key=Ed25519PrivateKey.generate()), [PUBLIC], seen),
        judge(Request(10, (), signed(9)), [PUBLIC], seen),
        judge(Request(0, (LEAVES[0],), signed(9)), [PUBLIC], None),
        judge(Request(5, (), signed(9)), [PUBLIC], seen),
        seer.consider("rubbish", 1),
        seer.consider(str(request(5, 9)), 1),
    ]
    assert [each.status for each in refused] == [404, 403, 400, 422, 422, 400, 500]
    for each in refused:
        assert each.kind == "text/plain"
        assert each.text.index("\n") == len(each.text) - 1 > 10


NOTE = str(signed(9).note)
HASH = base64.b64encode(b"x" * 32).decode() + "\n"


def test_the_longest_proof_is_read():
    assert Request.parse(f"old 5\n{HASH * 63}\n{NOTE}") == Request(5, (b"x" * 32,) * 63, signed(9))


def test_a_request_is_written_and_read_alike():
    asked = request(5, 9)
    assert str(Request.parse(str(asked))) == str(asked)
    assert str(asked).startswith("old 5\n")


@pytest.mark.parametrize(
    "text",
    ["", "old 5", f"old 05\n\n{NOTE}", f"old x\n\n{NOTE}", f"new 5\n\n{NOTE}", f"old 5\n!\n\n{NOTE}",
     f"old 5\nAAAA\n\n{NOTE}", f"old {'9' * 21}\n\n{NOTE}", f"old 5\n{HASH * 64}\n{NOTE}",
     f"old 5\n{HASH[:8]}!{HASH[8:]}\n{NOTE}", "old 5\n\nno note\n"],
)  # fmt: skip
def test_what_is_no_request_is_refused(text, tmp_path):
    with pytest.raises(NoteBroken):
        Request.parse(text)
    assert Witness(tmp_path, "w", [PUBLIC]).consider(text, 1).status == 400


def test_a_witness_remembers_over_a_restart_and_signs_with_the_same_key(tmp_path):
    first = Witness(tmp_path, "w.example/1", [PUBLIC])
    answer = first.consider(str(request(0, 5)), 1_700_000_000)
    assert answer.status == 200
    again = Witness(tmp_path, "w.example/1", [PUBLIC])
    assert again.public == first.public
    assert again.consider(str(request(0, 9)), 1).text == "5\n"
    assert again.consider(str(request(5, 9)), 1).status == 200
    seen = again.seen("log")
    assert seen.checkpoint.size == 9
    assert [key for key, _line in note.verify(seen.note, [PUBLIC, first.public])] == [PUBLIC, first.public]


@pytest.mark.parametrize("rubbish", [b"rubbish", b"\xff"])
def test_a_witness_that_lost_its_memory_signs_nothing(tmp_path, rubbish):
    seer = Witness(tmp_path, "w", [PUBLIC])
    seer.consider(str(request(0, 5)), 1)
    [file] = tmp_path.glob("*.checkpoint")
    file.write_bytes(rubbish)
    assert seer.consider(str(request(0, 5)), 1).status == 500


def test_a_witness_whose_disk_is_full_signs_nothing(tmp_path):
    seer = Witness(tmp_path, "w", [PUBLIC])
    [name] = [witness.hashlib.sha256(b"log").hexdigest()[:32]]
    (tmp_path / f"{name}.checkpoint.new").mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="directory"):
        seer.consider(str(request(0, 5)), 1)
    assert seer.seen("log") is None


def test_a_witness_without_its_key_does_not_start(tmp_path):
    Witness(tmp_path, "w", [PUBLIC])
    (tmp_path / "witness.key").write_bytes(b"")
    with pytest.raises(KeyUnreadable):
        Witness(tmp_path, "w", [PUBLIC])


class Beside:
    """A way to a witness in this process; `say` makes it answer something else."""

    def __init__(self, seer):
        self.seer = seer
        self.key = seer.public
        self.say = None
        self.asked = []

    async def submit(self, text):
        self.asked.append(text)
        if isinstance(self.say, Exception):
            raise self.say
        return self.seer.consider(text, 7) if self.say is None else self.say


@pytest.fixture
async def plant(spend, owner, now, tmp_path):
    """A signed log of three entries with one witness that has seen nothing."""

    class Plant:
        async def grow(self, database=spend):
            async with database.write() as tx:
                for number in range(3):
                    await log.append(tx, owner, "thing.done", f"thing-{number}", ANNA, {}, now)

        async def show(self, *, again=False):
            self.signed = await self.notary.sign()
            assert self.signed is not None
            [said] = await self.attendance.show(self.signed, again=again)
            return said

    plant = Plant()
    await plant.grow()
    plant.notary = Notary(spend, owner, tmp_path / "audit.key", lambda: now)
    await plant.notary.sign()
    async with spend.read() as connection:
        from marketplace.audit.notary import stored_keys

        [span] = await stored_keys(connection, owner)
    plant.key = span.key
    plant.way = Beside(Witness(tmp_path / "witness", "w", [span.key]))
    plant.attendance = Attendance(spend, owner, [plant.way], lambda: now)
    return plant


async def test_a_cosignature_is_kept_with_its_checkpoint(plant, spend, owner):
    assert (await plant.show()).outcome is Attested.COSIGNED
    await plant.grow()
    said = await plant.show()
    assert (said.outcome, said.sentence) == (Attested.COSIGNED, "")
    async with spend.read() as connection:
        newest = await newest_checkpoint(connection, owner)
        assert (await verify(connection)).problems == ()
    assert newest.signed_by(plant.way.key)
    assert len(plant.way.asked) == 2


async def test_a_witness_that_signed_is_asked_again_only_when_its_memory_counts(plant):
    first = await plant.show()
    assert first == await plant.show() == Attestation("w", Attested.COSIGNED, 3)
    assert await plant.attendance.show(plant.signed) == [first]
    assert len(plant.way.asked) == 1
    assert (await plant.show(again=True)).outcome is Attested.COSIGNED
    assert len(plant.way.asked) == 2


async def test_a_log_that_forgot_what_its_witness_saw_asks_from_there(plant, spend):
    await plant.show()
    async with spend.write() as tx:
        await tx.exec_driver_sql("DELETE FROM cosignature")
    await plant.grow()
    assert (await plant.show()).outcome is Attested.COSIGNED
    assert [asked.split("\n")[0] for asked in plant.way.asked[1:]] == ["old 0", "old 3"]


async def test_a_rollback_is_told_by_the_witness(plant, spend, tmp_path):
    await plant.show()
    kept = spend.path.read_bytes(), spend.path.with_name("spend.db-wal").read_bytes()
    await plant.grow()
    await plant.show()
    from gateway.storage import FULL, Storage

    (tmp_path / "old.db").write_bytes(kept[0])
    (tmp_path / "old.db-wal").write_bytes(kept[1])
    old = Storage(tmp_path / "old.db", FULL)
    plant.notary.database = plant.attendance._database = old
    said = await plant.show(again=True)
    assert (said.outcome, said.seen) == (Attested.ROLLED_BACK, 6)
    assert "it was rolled back" in said.sentence
    for _time in range(2):
        await plant.grow(old)
    said = await plant.show()
    assert said.outcome is Attested.COSIGNED  # the same entries once more are the same log
    await old.close()


async def test_a_fork_is_told_by_the_witness(plant, spend, owner, now):
    plant.way.seer.consider(str(Request(0, (), await other_log(spend, owner, now, plant.notary._file))), 1)
    said = await plant.show()
    assert said == Attestation("w", Attested.FORKED, 3, 2)
    assert "forked" in said.sentence


async def other_log(spend, owner, now, key_file):
    from marketplace.audit import keys

    said = Checkpoint(f"toolcrib/{owner.plant}/{owner.gateway_id}", 2, LEAVES[0])
    return SignedCheckpoint(said, Note(said.text, (note.sign(said.text, said.origin, keys.load(key_file)),)))


@pytest.mark.parametrize(
    ("say", "outcome", "seen"),
    [
        (WitnessAway(), Attested.AWAY, None),
        (Answer(404), Attested.REFUSED, None),
        (Answer(200, "nothing signed"), Attested.REFUSED, None),
        (Answer(200, "— w AAAAAAAA\n"), Attested.REFUSED, None),
        (Answer(422, "no"), Attested.FORKED, 0),
        (Answer(409, "0\n"), Attested.FORKED, 0),
        (Answer(409, "99\n"), Attested.ROLLED_BACK, 99),
        (Answer(409, "no number"), Attested.FORKED, None),
        (Answer(409, "9" * 20), Attested.FORKED, None),
    ],
)
async def test_what_a_witness_says_is_told_apart(plant, say, outcome, seen):
    plant.way.say = say
    assert await plant.show() == Attestation("w", outcome, 3, seen)


async def test_a_witness_that_answers_later_or_changes_its_mind_is_waited_for(plant):
    async def nothing(_text):
        return None

    plant.way.submit = nothing
    assert await plant.show() == Attestation("w", Attested.WAITING, 3)
    sizes = iter(("1\n", "2\n", "1\n"))

    async def fickle(_text):
        return Answer(409, next(sizes))

    plant.way.submit = fickle
    assert await plant.show() == Attestation("w", Attested.AWAY, 3)


KEYS = [KEY, *(Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in range(11))]
PUBLICS = [note.verifier_of("log", KeyKind.LOG, each) for each in KEYS]


def step(old, new, by=None):
    """A hand-over from one of the keys to another, signed by the old one unless it is forged."""
    return chain.carried(chain.hand_over(PUBLICS[old], PUBLICS[new], KEYS[old if by is None else by]))


def rotated(old, new, steps, leaves=LEAVES, by=1):
    asked = request(old, new, leaves, key=KEYS[by])
    return str(
        Request(asked.old, asked.proof, SignedCheckpoint(asked.signed.checkpoint, asked.signed.note.also(steps)))
    )


def test_a_witness_follows_hand_overs_and_remembers_where_they_led(tmp_path):
    first = Witness(tmp_path, "w", [PUBLIC])
    assert first.consider(str(request(0, 5)), 1).status == 200
    assert first.consider(rotated(5, 9, [step(0, 1), step(1, 2)], by=2), 1).status == 200
    again = Witness(tmp_path, "w", [PUBLIC])
    assert again.consider(str(request(9, 12, key=KEYS[2])), 1).status == 200
    assert again.consider(rotated(12, 13, [step(0, 1), step(1, 2), step(2, 3)], by=3), 1).status == 200
    assert again.seen("log").checkpoint.size == 13


def test_a_line_that_hands_over_is_ignored_by_whoever_knows_only_the_standard(tmp_path):
    asked = Request.parse(rotated(0, 5, [step(0, 1)]))
    assert [key for key, _line in note.verify(asked.signed.note, PUBLICS)] == [PUBLICS[1]]


def test_a_retired_key_is_contradicted_whether_it_forks_or_goes_on(tmp_path):
    seer = Witness(tmp_path, "w", [PUBLIC])
    seer.consider(rotated(0, 5, [step(0, 1)]), 1)
    forked = [leaf_hash(b"forged"), *LEAVES[1:]]
    for leaves in (LEAVES, forked):
        for steps in ([], [step(0, 2)], [step(0, 1)]):
            assert seer.consider(rotated(5, 9, steps, leaves, by=0), 1) == Answer(409, "5\n", "text/x.tlog.size")
    assert seer.consider(rotated(5, 9, [step(0, 2)], by=2), 1).status == 403  # a thief of the old key leads nowhere
    assert seer.seen("log").checkpoint.size == 5


def test_a_key_that_handed_over_is_retired_even_for_an_owner_who_trusts_the_newer_one(tmp_path):
    Witness(tmp_path, "w", [PUBLIC]).consider(rotated(0, 5, [step(0, 1)]), 1)
    for trusted in ([PUBLICS[1]], PUBLICS[:2]):
        seer = Witness(tmp_path, "w", trusted)
        assert seer.consider(rotated(5, 9, [], by=0), 1).status == 409
        assert seer.consider(str(request(5, 5, key=KEYS[1])), 1).status == 200
    stranger = Witness(tmp_path, "w", [PUBLICS[3]])  # as after a theft: what the thief handed over to counts no more
    assert stranger.consider(str(request(5, 9, key=KEYS[1])), 1).status == 403
    assert stranger.consider(str(request(5, 9, key=KEYS[3])), 1).status == 200


def test_keys_hand_over_neither_to_themselves_nor_back(tmp_path):
    seer = Witness(tmp_path, "w", [PUBLIC])
    assert seer.consider(rotated(0, 5, [step(0, 0)], by=0), 1).status == 200
    assert seer.consider(rotated(5, 6, [step(0, 1), step(1, 0)], by=1), 1).status == 200
    assert seer.consider(rotated(6, 7, [step(1, 0)], by=0), 1).status == 409


@pytest.mark.parametrize(
    "forged",
    [step(0, 1, by=1), note.Signature("log", step(0, 1).id, b"short")],
)
def test_a_hand_over_that_the_old_key_has_not_signed_is_refused(tmp_path, forged):
    seer = Witness(tmp_path, "w", [PUBLIC])
    assert seer.consider(rotated(0, 5, [forged]), 1).status == 403
    assert seer.consider(rotated(0, 5, [forged], by=0), 1).status == 403
    assert seer.consider(rotated(0, 5, [step(2, 1)]), 1).status == 403  # signed, but by nobody who is trusted
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".keys", ".checkpoint")] == []


def test_what_hands_over_nothing_cannot_be_carried():
    facts = chain.hand_over(PUBLICS[0], PUBLICS[1], KEYS[0])
    for broken in ({}, facts | {"old": "x"}, facts | {"signature": "!"}):
        with pytest.raises(NoteBroken):
            chain.carried(broken)


def test_hand_overs_are_followed_only_so_far():
    steps = [step(each, each + 1) for each in range(4)]
    kept = [*steps[:1]] * (chain.STEPS_MAX - 1)
    assert chain.follow([PUBLICS[0]], kept, steps[1:3]).current == (PUBLICS[2],)


def test_a_witness_answers_only_when_the_keys_that_it_followed_are_durable(tmp_path):
    seer = Witness(tmp_path, "w", [PUBLIC])
    name = hashlib.sha256(b"log").hexdigest()[:32]
    asked = rotated(0, 5, [step(0, 1)])
    (tmp_path / f"{name}.keys.new").mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="directory"):
        seer.consider(asked, 1)
    assert seer.seen("log") is None
    (tmp_path / f"{name}.keys.new").rmdir()
    (tmp_path / f"{name}.checkpoint.new").mkdir()  # cut off in between: the keys are there, the answer was not given
    with pytest.raises(OSError, match="directory"):
        seer.consider(asked, 1)
    assert (seer.seen("log"), (tmp_path / f"{name}.keys").exists()) == (None, True)
    (tmp_path / f"{name}.checkpoint.new").rmdir()
    assert seer.consider(asked, 1).status == 200


@pytest.mark.parametrize("rubbish", [b"rubbish", b"\xff", str(step(0, 1, by=1)).encode()])
def test_a_witness_that_lost_which_keys_it_followed_signs_nothing(tmp_path, rubbish):
    seer = Witness(tmp_path, "w", [PUBLIC])
    seer.consider(rotated(0, 5, [step(0, 1)]), 1)
    next(tmp_path.glob("*.keys")).write_bytes(rubbish)
    assert seer.consider(str(request(5, 9, key=KEYS[1])), 1).status == 500


async def test_the_newest_hand_overs_travel_with_each_checkpoint_and_lead_a_witness_on(plant, spend, owner):
    await plant.show()
    for _time in range(chain.CARRIED_MAX):
        await plant.notary.rotate(ANNA)
    assert (await plant.show()).outcome is Attested.COSIGNED
    for _time in range(2):
        await plant.notary.rotate(ANNA)
    assert (await plant.show()).outcome is Attested.COSIGNED
    asked = Request.parse(plant.way.asked[-1])
    assert len(chain.carried_by(asked.signed.note, plant.notary.origin)) == chain.CARRIED_MAX
    assert len(plant.way.asked[-1].encode()) < 4_000 < witness.REQUEST_MAX
    async with spend.read() as connection:
        assert await hand_overs(connection, owner, 3, 8) == []
        assert (await verify(connection)).problems == ()


async def test_a_witness_that_missed_too_many_hand_overs_is_told_the_key_by_its_owner(plant, tmp_path):
    await plant.show()
    for _time in range(chain.CARRIED_MAX + 1):
        newest = await plant.notary.rotate(ANNA)
    assert (await plant.show()).outcome is Attested.REFUSED
    plant.way.seer = Witness(tmp_path / "witness", "w", [newest])
    assert (await plant.show()).outcome is Attested.COSIGNED
