"""What an auditor does: verify, prove, export, witness; and the verifier that needs none of us agrees."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from gateway.cli import main
from gateway.databases import open_databases
from marketplace.audit import epochs
from marketplace.audit.notary import Notary
from tests.campaigns.tamper.campaign import STANDALONE
from tests.campaigns.tamper.evidence import BEGAN, OWNER, gather
from tests.unit.marketplace.fakes import ANNA

SITE = {"plant": "northworks", "gateway": "G1", "name": "N", "time_zone": "UTC", "currency": "EUR", "country": "DE"}


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """A plant of six purchases, a rotated key, and two witnesses; the second saw a fork."""
    directory = tmp_path_factory.mktemp("evidence")
    return directory, asyncio.run(gather(directory, purchases=6, apart=2))


@pytest.fixture
def plant(gathered, tmp_path, monkeypatch):
    """A copy of it with a config, to do with as a test likes."""

    class Plant:
        evidence = gathered[1]
        data = tmp_path / "data"
        spend = tmp_path / "data/spend.db"

        def change(self, statement, *values):
            with sqlite3.connect(self.spend) as connection:
                connection.execute(statement, values)
            connection.close()

    shutil.copytree(gathered[0] / "honest", Plant.data)
    (tmp_path / "toolcrib.yaml").write_text(json.dumps({"schema": 1, "site": SITE}))
    monkeypatch.chdir(tmp_path)
    return Plant()


@pytest.fixture
def say(capsys):
    """Run a command; returns its exit code and what it said."""

    def say(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out + err

    return say


def alone(*words):
    """Run the standalone verifier as an auditor does, in a Python that knows nothing of us."""
    done = subprocess.run([sys.executable, "-I", STANDALONE, *map(str, words)], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def seen(tmp_path, evidence, *which):
    words = []
    for number, name in enumerate(which):
        note, key = getattr(evidence, name)
        (tmp_path / f"seen-{number}").write_text(str(note.note))
        words += ["--seen", tmp_path / f"seen-{number}", "--witness", key]
    return words


def test_what_was_not_touched_verifies_in_every_way(plant, say, tmp_path):
    key, witness = plant.evidence.key, seen(tmp_path, plant.evidence, "seen_honest")
    for words in ((), ("--quick",), ("--key", key, *witness), ("--quick", "--key", key, *witness)):
        code, said = say("audit", "verify", "--json", *words)
        assert (code, json.loads(said)["problems"]) == (0, [])
        assert json.loads(said)["entries"] == plant.evidence.size
    assert alone(plant.spend, "--key", key, *witness) == (0, "verified\n")
    assert alone(plant.spend, "--gateway", "G1") == (0, "verified\n")


@pytest.mark.parametrize("quick", [(), ("--quick",)])
@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE audit_leaf SET leaf = CAST(leaf || x'20' AS BLOB) WHERE leaf_index = 7", "leaf 7 was changed"),
        ("DELETE FROM audit_leaf WHERE leaf_index = 7", "leaf 7 is missing"),
        ("DELETE FROM audit_leaf WHERE leaf_index BETWEEN 7 AND 9", "leaves 7 to 9 are missing"),
        ("UPDATE audit_leaf SET leaf_index = 9000 WHERE leaf_index = 7", "leaf 9000 was added"),
    ],
)
def test_both_verifiers_name_the_same_place(plant, say, statement, place, quick):
    plant.change(statement)
    code, said = say("audit", "verify", *quick)
    assert (code, place in said) == (1, True)
    code, said = alone(plant.spend)
    assert (code, place in said) == (1, True)


def test_every_decision_is_replayed_to_the_byte_and_a_changed_order_shows(plant, say):
    code, said = say("audit", "replay", "--json")
    found = json.loads(said.splitlines()[-1])
    assert code == 0
    assert found["decisions"] == found["identical"] > 0
    plant.change("UPDATE purchase_order SET document = replace(document, '\"total\":', '\"total\" :')")
    code, said = say("audit", "replay")
    assert code == 1
    assert "the order's text is not the one that was decided on" in said
    wants = found["decisions"] // 2  # when to buy and from whom: as many as verdicts and permits on orders
    assert f"{wants} of {found['decisions']} decisions" in said.splitlines()[-1]


def test_a_key_that_never_signed_is_told_by_both(plant, say):
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    for code, said in (say("audit", "verify", "--key", other), alone(plant.spend, "--key", other)):
        assert (code, "never signed with the key" in said) == (1, True)


def test_a_fork_is_told_by_the_witness_that_saw_the_other(plant, say, tmp_path):
    words = seen(tmp_path, plant.evidence, "seen_honest", "seen_forked")
    code, said = say("audit", "verify", *words)
    assert (code, "the log was forked" in said) == (1, True)
    for name, code in (("seen_honest", 0), ("seen_forked", 1)):
        assert alone(plant.spend, *seen(tmp_path, plant.evidence, name))[0] == code


def test_an_order_is_proven_without_the_database(plant, say, tmp_path):
    with sqlite3.connect(plant.spend) as connection:
        [number] = connection.execute("SELECT number FROM purchase_order ORDER BY number LIMIT 1").fetchone()
    connection.close()
    code, said = say("audit", "prove", number)
    proof = json.loads(said)
    assert (code, proof["unsigned"], len(proof["rotations"])) == (0, 0, 1)
    bundle = tmp_path / "proof.json"
    bundle.write_text(said)
    witness = plant.evidence.seen_honest[1]
    assert alone(bundle, "--key", plant.evidence.key, "--witness", witness) == (0, "verified\n")
    assert alone(bundle, "--key", "a+b+c")[0] == 1
    assert alone(bundle, "--witness", plant.evidence.seen_forked[1])[0] == 1
    for forged in (
        proof | {"subject": "another"},
        proof | {"origin": "another"},
        proof | {"leaves": [proof["leaves"][0] | {"index": proof["leaves"][1]["index"]}]},
        proof | {"leaves": [proof["leaves"][0] | {"proof": []}]},
        proof | {"checkpoint": proof["checkpoint"].replace("toolcrib/", "toolbox/", 1)},
        proof | {"rotations": []},
    ):
        bundle.write_text(json.dumps(forged))
        assert alone(bundle)[0] == 1


def test_an_order_that_is_not_there_cannot_be_proven(plant, say):
    assert say("audit", "prove", "TC-G1-999999-X")[0] == 1
    plant.change("DELETE FROM checkpoint")
    code, said = say("audit", "prove", "TC-G1-999999-X")
    assert (code, "nothing was signed yet" in said) == (1, True)


def test_nothing_is_proven_from_a_log_with_a_gap(plant, say):
    with sqlite3.connect(plant.spend) as connection:
        [number] = connection.execute("SELECT number FROM purchase_order ORDER BY number LIMIT 1").fetchone()
        connection.execute("DELETE FROM audit_leaf WHERE leaf_index IN (0, 1, 3, 7, 15, 31)")
    connection.close()
    code, said = say("audit", "prove", number)
    assert (code, "nothing can be proven" in said) == (1, True)


@pytest.mark.parametrize("to", [".", "log.jsonl"])
def test_an_export_is_the_whole_log(plant, say, tmp_path, to):
    code, said = say("audit", "export", to, "--json")
    file = tmp_path / json.loads(said)["file"]
    assert code == 0
    assert alone(file, "--key", plant.evidence.key) == (0, "verified\n")
    lines = file.read_text().splitlines()
    for forged in (
        lines[:5] + lines[6:],
        [*lines[:5], lines[6], lines[5], *lines[7:]],
        lines[:-1] + lines[:0] + ["{}"],
    ):
        file.write_text("\n".join(forged))
        assert alone(file)[0] == 1


def test_an_export_that_cannot_be_written_says_so(plant, say):
    code, said = say("audit", "export", "nowhere/log.jsonl")
    assert (code, "cannot be written" in said) == (1, True)
    assert "wrote" in say("audit", "export", "log.jsonl")[1]


def test_the_verifier_is_printed_as_it_is_short_and_imports_nothing_of_ours(plant, say):
    code, said = say("audit", "verifier")
    assert (code, said) == (0, STANDALONE.read_text())
    assert len(said.splitlines()) < 200
    imports = [line for line in said.splitlines() if line.startswith(("import ", "from "))]
    assert not any(name in line for line in imports for name in ("marketplace", "gateway", "sqlalchemy"))
    assert alone(plant.data / "nothing")[0] == 1


def test_keys_are_listed_for_auditors(plant, say):
    code, said = say("audit", "keys", "--json")
    first, second = json.loads(said)
    assert (code, first["from_size"], first["key"]) == (0, 0, str(plant.evidence.key))
    assert second["from_size"] > 0
    assert str(plant.evidence.key) in say("audit", "keys")[1]


def test_rotation_needs_a_running_gateway(plant, say):
    assert say("audit", "rotate")[0] == 1


def test_mistakes_in_what_is_known_from_elsewhere_are_told(plant, say, tmp_path):
    (tmp_path / "rubbish").write_text("rubbish")
    assert say("audit", "verify", "--key", "x")[0] == 2
    assert say("audit", "verify", "--seen", "rubbish")[0] == 2
    assert say("audit", "verify", "--witness", str(plant.evidence.seen_honest[1]))[0] == 2


def test_a_witness_answers_a_folder_from_another_computer(plant, say, tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    note = plant.evidence.seen_honest[0].note
    (folder / "plant.G1.request").write_text(f"old 0\n\n{note}")
    keys = [each["key"] for each in json.loads(say("audit", "keys", "--json")[1])]
    words = ["audit", "witness", "--name", "w", "--state", "elsewhere", "--log", keys[0], "--log", keys[1]]
    assert "signs with w+" in say(*words)[1]
    public = json.loads(say(*words, "--json")[1])["key"]
    code, said = say(*words, "--folder", folder, "--json")
    assert (code, json.loads(said)) == (0, [{"request": "plant.G1.request", "status": 200}])
    assert public.split("+")[1] in " ".join(path.name for path in folder.iterdir())
    assert json.loads(say(*words, "--folder", folder, "--json")[1]) == []
    for text, verdict in ((f"old 3\n\n{note}", "does not continue"), ("rubbish", "no request")):
        (folder / "plant.G1.request").write_text(text)
        code, said = say(*words, "--folder", folder)
        assert (code, verdict in said) == (1, True)
    assert say(*words, "--folder", tmp_path / "nowhere")[0] == 0
    assert say("audit", "witness", "--name", "a b", "--state", "elsewhere", "--log", keys[0])[0] == 1


async def begin_epoch(plant, key_file):
    """Let the plant's log go on in a new epoch, as after a restore to nine entries."""
    async with open_databases(plant.data) as databases:
        notary = Notary(databases.spend, OWNER, key_file, lambda: BEGAN)
        await epochs.begin(notary, ANNA, 9, [("w.example/1", "rolled_back", 15), ("w.example/2", "away", None)])
        await notary.sign()


def test_a_new_epoch_is_told_by_verify_show_and_the_verifier(gathered, plant, say):
    key_file = plant.data / "audit.key"
    shutil.copy(gathered[0] / "audit.key", key_file)
    asyncio.run(begin_epoch(plant, key_file))
    told = f"epoch began at entry {plant.evidence.size} by '{ANNA.id}': entries after 9 that "
    lost = f"{told}witness 'w.example/1' had seen (15) are lost"
    for words in ((), ("--quick",)):
        code, said = say("audit", "verify", *words)
        assert (code, said.splitlines()[0], "verified; root" in said) == (0, lost, True)
        assert json.loads(say("audit", "verify", "--json", *words)[1])["breaks"] == [lost]
    assert say("audit", "show")[1].splitlines()[-1] == lost
    code, out = alone(plant.spend)
    assert (code, out) == (0, f"{told}'w.example/1' (15) had seen are lost\nverified\n")
    newest = json.loads(say("audit", "keys", "--json")[1])[-1]
    assert newest["key"].startswith("toolcrib/northworks/G1/20260302T080000Z+")
