"""What the verifier that needs none of us says: of a database, an export and a proof, whole and damaged."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from base64 import b64encode
from contextlib import closing

import pytest

from gateway.storage import FULL, Storage
from marketplace.audit import export, log, standalone
from marketplace.audit.accounts import CHUNK
from marketplace.audit.actor import Actor, ActorKind
from marketplace.store import Owner
from tests.campaigns.tamper.evidence import OWNER, rebuild

STRANGER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.fixture(scope="module")
def written(gathered):
    """The whole log as it is exported, and the proof of its first order."""

    async def write():
        storage = Storage(gathered.honest, FULL, read_only=True)
        async with storage.read() as connection:
            lines = [line async for line in export.lines(connection, OWNER)]
            subject = next(said["subject"] for said in map(said_by, lines[1:]) if said["kind"] == "order.proposed")
            proof = await export.prove(connection, OWNER, subject)
        await storage.close()
        return lines, proof

    return asyncio.run(write())


@pytest.fixture
def lines(written):
    return [json.loads(line) for line in written[0]]


@pytest.fixture
def proof(written):
    return json.loads(json.dumps(written[1]))


@pytest.fixture
def spend_file(gathered, tmp_path):
    file = tmp_path / "spend.db"
    shutil.copyfile(gathered.honest, file)
    return file


@pytest.fixture
def alone(tmp_path, capsys):
    """Run the verifier as an auditor does; returns its exit code and what it said. `file`: a path, or JSON to write."""

    def alone(file, *words, by_line=False):
        if not hasattr(file, "exists"):
            given, file = file, tmp_path / "given.json"
            file.write_text("\n".join(map(json.dumps, given)) if by_line else json.dumps(given))
        code = standalone.main([str(file), *map(str, words)])
        return code, capsys.readouterr().out

    return alone


@pytest.fixture
def seen(tmp_path):
    """Keep a note as a witness does; returns the words that tell the verifier of it."""

    def seen(note, key=None):
        file = tmp_path / f"seen-{len(list(tmp_path.iterdir()))}"
        file.write_text(str(note), encoding="utf-8")
        return ["--seen", file] + (["--witness", key] if key else [])

    return seen


def said_by(line):
    return json.loads(standalone.b64(json.loads(line).get("leaf", b64encode(b'{"kind":"","subject":""}'))))


def change(file, statement, *values):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement, values)


def one(file, statement):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchone()[0]


def test_what_was_not_touched_verifies(gathered, spend_file, lines, proof, alone, seen):
    elsewhere = seen(gathered.seen_honest[0].note, gathered.seen_honest[1])
    for words in ((), ("--key", gathered.key), ("--gateway", "G1"), elsewhere):
        assert alone(spend_file, *words) == (0, "verified\n")
    assert alone(lines, "--key", gathered.key, *elsewhere, by_line=True) == (0, "verified\n")
    assert alone(proof, "--key", gathered.key, "--witness", gathered.seen_honest[1]) == (0, "verified\n")


def test_what_the_log_alone_has_signed_can_be_held_against_it(lines, spend_file, alone, seen):
    note = next(each["checkpoint"] for each in lines if "checkpoint" in each)
    assert alone(spend_file, *seen(note)) == (0, "verified\n")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM audit_leaf WHERE leaf_index = 7", ["leaf 7 is missing"]),
        ("DELETE FROM audit_leaf WHERE leaf_index BETWEEN 7 AND 9", ["leaves 7 to 9 are missing"]),
        ("UPDATE audit_leaf SET leaf_index = 9000 WHERE leaf_index = 7", ["leaf 9000 was added: the tree has"]),
        (
            "UPDATE audit_leaf SET leaf = CAST(leaf || x'20' AS BLOB) WHERE leaf_index = 7",
            ["leaf 7 was changed: its b"],
        ),
        ("UPDATE audit_leaf SET leaf = x'ff' WHERE leaf_index = 7", ["leaf 7 was changed", "leaf 7 cannot be read"]),
        ("UPDATE audit_leaf SET leaf = 'text' WHERE leaf_index = 7", ["cannot be verified"]),
        ("UPDATE audit_leaf SET subtree = zeroblob(32) WHERE leaf_index = 7", ["leaf 7 was changed with its hash, or"]),
        ("UPDATE audit_leaf SET subject = 'x' WHERE leaf_index = 7", ["leaf 7 is not in its place"]),
        ("UPDATE audit_leaf SET at = at + 1 WHERE leaf_index = 7", ["leaf 7 is not in its place"]),
        ("UPDATE audit_tree SET root = zeroblob(32)", ["leaves do not give the tree of"]),
        ("UPDATE audit_tree SET size = size - 1", ["was added", "leaves do not give the tree of"]),
        ("DELETE FROM audit_tree", ["leaf 0 was added: the tree has 0 leaves", "give the tree of 0 leaves"]),
        ("DELETE FROM audit_key", ["the log was never signed with the key"]),
        ("UPDATE audit_key SET key = 'x' WHERE from_size = 0", ["does not hold: not enough values"]),
        ("UPDATE checkpoint SET note = 'x'", ["a checkpoint of  leaves does not hold"]),
        ("UPDATE checkpoint SET note = replace(note, 'toolcrib/', 'toolbox/')", ["does not hold"]),
        ("DELETE FROM audit_leaf", ["cannot be verified"]),
        ("DROP TABLE audit_leaf", ["cannot be verified: no such table"]),
    ],
)
def test_each_damage_to_a_database_is_named(spend_file, alone, statement, said):
    change(spend_file, statement)
    code, out = alone(spend_file)
    assert code == 1
    for each in said:
        assert each in out


def test_a_leaf_that_was_changed_with_its_hash_is_found_by_its_subtree(spend_file, alone):
    leaf = one(spend_file, "SELECT leaf FROM audit_leaf WHERE leaf_index = 7")
    forged = leaf.replace(b'"version":1', b'"version":2')
    assert forged != leaf
    digest = standalone.sha(b"\x00", forged)
    change(spend_file, "UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE leaf_index = 7", forged, digest)
    code, out = alone(spend_file)
    assert (code, "leaf 7 was changed with its hash" in out) == (1, True)
    assert out.count("was changed with") == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (b'{"actor"', b'{ "actor"', "leaf 7 is not in canonical form"),
        (b'"index":7', b'"index":8', "leaf 7 was exchanged: it says that it is leaf 8"),
        (b'"at"', b'"as"', "leaf 7 cannot be read"),
    ],
)
def test_a_forger_with_the_program_is_told_by_the_leaf_and_by_what_was_signed(spend_file, alone, ours, theirs, said):
    leaf = one(spend_file, "SELECT leaf FROM audit_leaf WHERE leaf_index = 7")
    assert ours in leaf
    change(spend_file, "UPDATE audit_leaf SET leaf = ? WHERE leaf_index = 7", leaf.replace(ours, theirs))
    asyncio.run(rebuilt(spend_file))
    code, out = alone(spend_file)
    assert (code, said in out, "was signed over other leaves: the log was changed or forked" in out) == (1, True, True)


async def rebuilt(file):
    storage = Storage(file, FULL)
    async with storage.write() as tx:
        await rebuild(tx)
    await storage.close()


def test_a_key_that_nobody_handed_over_ends_the_chain(spend_file, alone):
    index = one(spend_file, "SELECT leaf_index FROM audit_leaf WHERE kind = 'audit.key_rotated'")
    leaf = one(spend_file, "SELECT leaf FROM audit_leaf WHERE kind = 'audit.key_rotated'")
    said = json.loads(leaf)
    said["facts"]["signature"] = b64encode(b"\0" * 64).decode()
    forged = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    change(spend_file, "UPDATE audit_leaf SET leaf = ? WHERE leaf_index = ?", forged, index)
    code, out = alone(spend_file)
    assert (code, f"leaf {index}: the key before has not signed for this one" in out) == (1, True)


def test_a_word_about_rotation_is_no_rotation(spend_file, alone):
    last = one(spend_file, "SELECT max(leaf_index) FROM audit_leaf")
    leaf = one(spend_file, f"SELECT leaf FROM audit_leaf WHERE leaf_index = {last}")
    told = json.loads(leaf)
    told["facts"] = {"about": "audit.key_rotated"}
    written = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    change(spend_file, "UPDATE audit_leaf SET leaf = ? WHERE leaf_index = ?", written, last)
    assert "the key before" not in alone(spend_file)[1]


def test_a_log_that_was_cut_off_is_told_by_its_checkpoints_and_by_who_has_seen_more(gathered, spend_file, alone, seen):
    cut = gathered.size - 3
    change(spend_file, "DELETE FROM audit_leaf WHERE leaf_index >= ?", cut)
    asyncio.run(rebuilt(spend_file))
    code, out = alone(spend_file)
    assert (code, f"the log has only {cut}, it was cut off or rolled back" in out) == (1, True)
    change(spend_file, "DELETE FROM checkpoint WHERE size > ?", cut)
    assert alone(spend_file) == (0, "verified\n")
    code, out = alone(spend_file, *seen(gathered.seen_honest[0].note, gathered.seen_honest[1]))
    assert (code, f"a checkpoint from elsewhere of {gathered.size} leaves: the log has only" in out) == (1, True)


def test_a_fork_is_told_by_the_witness_that_saw_the_other(gathered, alone, seen):
    honest = seen(gathered.seen_honest[0].note, gathered.seen_honest[1])
    forked = seen(gathered.seen_forked[0].note, gathered.seen_forked[1])
    for file, fits, not_this in ((gathered.honest, honest, forked), (gathered.forked, forked, honest)):
        assert alone(file, *fits) == (0, "verified\n")
        code, out = alone(file, *not_this)
        assert (code, "was signed over other leaves: the log was changed or forked" in out) == (1, True)


def test_a_signature_that_was_flipped_is_told_as_wrong(spend_file, alone):
    change(
        spend_file,
        "UPDATE checkpoint SET note = replace(note, char(10) || char(10), char(10) || 'x' || char(10) || char(10))",
    )
    assert "does not hold: the signature is wrong" in alone(spend_file)[1]


def test_a_witness_that_has_not_signed_has_seen_nothing(gathered, spend_file, alone, seen):
    code, out = alone(spend_file, *seen(gathered.seen_honest[0].note, gathered.seen_forked[1]))
    assert (code, "has not signed it" in out) == (1, True)


@pytest.mark.parametrize("key", [STRANGER, "log+00000000+AAAA"])
def test_a_key_that_never_signed_is_told(gathered, spend_file, lines, proof, alone, key):
    for code, out in (
        alone(spend_file, "--key", key),
        alone(lines, "--key", key, by_line=True),
        alone(proof, "--key", key),
    ):
        assert (code, f"never signed with the key {key}" in out) == (1, True)


@pytest.mark.parametrize("key", ["log+00000000+AAAA", "x", "a+b+c"])
def test_what_is_no_public_key_is_told(key):
    with pytest.raises(ValueError):  # noqa: PT011 - each part of it fails in its own way
        standalone.key_of(key)


def test_an_unknown_gateway_has_no_log_here(spend_file, alone):
    code, out = alone(spend_file, "--gateway", "G9")
    assert (code, "cannot be verified" in out) == (1, True)


def test_a_log_without_a_signature_fits_itself_and_no_key(spend_file, lines, alone):
    change(spend_file, "DELETE FROM checkpoint")
    change(spend_file, "DELETE FROM audit_key")
    assert alone(spend_file) == (0, "verified\n")
    assert alone(spend_file, "--key", STRANGER)[0] == 1
    unsigned = [lines[0] | {"key": ""}, *(each for each in lines[1:] if "leaf" in each)]
    assert alone(unsigned, by_line=True) == (0, "verified\n")


def test_an_empty_log_verifies(alone):
    assert alone([{"origin": "toolcrib/northworks/G1", "key": ""}], by_line=True) == (0, "verified\n")


def test_a_leaf_that_is_gone_from_an_export_or_elsewhere_in_it_is_found(lines, alone):
    for forged in ([*lines[:5], *lines[6:]], [*lines[:5], lines[6], lines[5], *lines[7:]]):
        code, out = alone(forged, by_line=True)
        assert (code, "leaf 4 was exchanged" in out, "was signed over other leaves" in out) == (1, True, True)
    for broken in ([*lines[:-1], {}], [{}, *lines[1:]], [], [*lines, {"leaf": "!"}]):
        code, out = alone(broken, by_line=True)
        assert (code, "cannot be verified" in out) == (1, True)


def test_an_export_of_another_log_is_told(lines, alone):
    code, out = alone([lines[0] | {"origin": "toolcrib/northworks/G2"}, *lines[1:]], by_line=True)
    assert (code, "it is of another log" in out) == (1, True)


def test_each_forgery_of_a_proof_is_named(gathered, proof, alone):
    first, second = proof["leaves"][:2]
    reworded = b64encode(standalone.b64(first["leaf"]).replace(b"gateway", b"gatewax")).decode()
    for forged, said in (
        (proof | {"subject": "another"}, f"leaf {first['index']} is not about another"),
        (proof | {"origin": "another"}, "this is a proof from toolcrib/northworks/G1"),
        (proof | {"leaves": [first | {"index": second["index"]}]}, "does not stand in the log that was signed"),
        (proof | {"leaves": [first | {"leaf": reworded}]}, "does not stand in the log that was signed"),
        (proof | {"leaves": [first | {"proof": []}]}, "does not stand in the log that was signed"),
        (proof | {"leaves": [first | {"proof": first["proof"] * 2}]}, "does not stand in the log that was signed"),
        (proof | {"checkpoint": proof["checkpoint"].replace("toolcrib/", "toolbox/", 1)}, "a signature does not hold"),
        (proof | {"checkpoint": "x"}, "cannot be verified"),
        (proof | {"rotations": []}, "has not signed it"),
        (proof | {"key": STRANGER}, "cannot be verified"),
    ):
        code, out = alone(forged)
        assert (code, said in out) == (1, True), (said, out)
    code, out = alone(proof, "--witness", gathered.seen_forked[1])
    assert (code, "has not signed it" in out) == (1, True)


def test_what_is_not_there_cannot_be_verified(tmp_path, alone):
    code, out = alone(tmp_path / "nothing")
    assert (code, "nothing cannot be verified" in out) == (1, True)


async def test_a_proof_counts_what_is_younger_than_what_is_signed(gathered, spend_file):
    newest = one(spend_file, "SELECT max(number) FROM purchase_order")
    leaves = one(spend_file, f"SELECT count(*) FROM audit_leaf WHERE subject = '{newest}'")
    storage = Storage(spend_file, FULL)
    async with storage.write() as tx:
        proof = await export.prove(tx, OWNER, newest)
        assert (len(proof["leaves"]), proof["unsigned"]) == (leaves, 0)
        await tx.exec_driver_sql(f"DELETE FROM checkpoint WHERE size > {gathered.checkpoints[0]}")
        proof = await export.prove(tx, OWNER, newest)
        assert (proof["leaves"], proof["rotations"], proof["unsigned"]) == ([], [], leaves)
        await tx.exec_driver_sql("DELETE FROM checkpoint")
        with pytest.raises(export.NothingSigned):
            await export.prove(tx, OWNER, newest)
    await storage.close()


@pytest.mark.parametrize("other", [Owner(OWNER.plant, "G2"), Owner("southworks", OWNER.gateway_id)])
async def test_what_is_exported_is_one_gateways_alone(gathered, other):
    storage = Storage(gathered.honest, FULL, read_only=True)
    async with storage.read() as connection:
        assert [json.loads(line)["key"] async for line in export.lines(connection, other)] == [""]
        with pytest.raises(export.NothingSigned):
            await export.prove(connection, other, "policy")
    await storage.close()


async def test_an_export_of_a_gateway_that_did_nothing_says_so(spend, owner):
    async with spend.read() as connection:
        [only] = [json.loads(line) async for line in export.lines(connection, owner)]
    assert only == {"format": export.LOG_FORMAT, "origin": "toolcrib/northworks/G1", "key": ""}


async def test_a_log_of_more_rows_than_one_query_takes_is_exported_whole_and_in_its_order(spend, owner, now):
    async with spend.write() as tx:
        for number in range(CHUNK + 2):
            await log.append(
                tx, owner, "thing.done", f"thing-{number}", Actor(ActorKind.PERSON, "anna", "web"), {}, now
            )
    async with spend.read() as connection:
        _first, *leaves = [said_by(line) async for line in export.lines(connection, owner)]
    assert [each["index"] for each in leaves] == list(range(CHUNK + 2))
