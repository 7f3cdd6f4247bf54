"""Notes as the standard's own example has them, and everything that is none."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from marketplace.audit import checkpoint, note
from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.note import KeyKind, Note, NoteBroken, Signature, VerifierKey

PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SECRET = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
ROOT = base64.b64encode(b"r" * 32).decode()
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 - as the specification prints it


@pytest.fixture
def key():
    return VerifierKey.parse(PUBLIC)


@pytest.fixture
def secret():
    return Ed25519PrivateKey.from_private_bytes(SECRET)


def test_the_note_of_the_go_package_is_read_verified_and_signed_alike(key, secret):
    found = note.parse(f"{TEXT}\n{LINE}")
    assert [(each, str(line)) for each, line in note.verify(found, [key])] == [(key, LINE)]
    assert str(Note(TEXT, (note.sign(TEXT, "PeterNeumann", secret),))) == str(found) == f"{TEXT}\n{LINE}"
    assert (str(key), note.verifier_of("PeterNeumann", KeyKind.LOG, secret)) == (PUBLIC, key)


def test_the_cosigned_checkpoint_of_the_specification_is_read_and_written_alike():
    found = SignedCheckpoint.parse(COSIGNED)
    assert (found.checkpoint.origin, found.checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.note.signatures[1].seconds == 1679315147
    assert str(found.note) == COSIGNED
    assert found.checkpoint.text == found.note.text


def test_a_cosignature_holds_for_its_text_and_its_time_alone(secret):
    public = note.verifier_of("w.example/1", KeyKind.WITNESS, secret)
    line = note.cosign(TEXT, "w.example/1", secret, 1_700_000_000)
    assert note.verify(Note(TEXT, (line,)), [public]) == [(public, line)]
    assert line.seconds == 1_700_000_000
    later = Signature(line.name, line.id, (1_700_000_001).to_bytes(8, "big") + line.signed[8:])
    for forged in (Note(TEXT, (later,)), Note(TEXT + "x\n", (line,))):
        with pytest.raises(NoteBroken, match="does not hold"):
            note.verify(forged, [public])


def test_signatures_of_others_are_ignored_and_a_wrong_one_of_a_known_key_is_not(key, secret):
    other = Ed25519PrivateKey.generate()
    foreign, good = note.sign(TEXT, "other", other), note.sign(TEXT, key.name, secret)
    assert note.verify(Note(TEXT, (foreign, good)), [key]) == [(key, good)]
    with pytest.raises(NoteBroken, match="no key that is trusted"):
        note.verify(Note(TEXT, (foreign,)), [key])
    with pytest.raises(NoteBroken, match="does not hold"):
        note.verify(Note(TEXT + "more\n", (good,)), [key])


def test_a_signature_is_on_a_note_once(secret):
    line, other = note.sign(TEXT, "a", secret), note.sign(TEXT, "b", secret)
    assert Note(TEXT, (line,)).also([line, other, other]) == Note(TEXT, (line, other))


@given(st.binary(min_size=32, max_size=32), st.sampled_from(KeyKind))
@example(b"\xfb\xef\xbe" * 10 + b"xx", KeyKind.LOG)  # its base64 is full of the sign that parts a key
def test_a_key_is_written_and_read_alike(public, kind):
    key = VerifierKey("name", kind, public)
    assert VerifierKey.parse(f" {key}\n") == key


def test_a_checkpoint_says_whose_signatures_are_on_it(key, secret):
    said = SignedCheckpoint.parse(COSIGNED)
    there = note.sign(said.note.text, key.name, secret)
    assert not said.signed_by(key)
    assert SignedCheckpoint(said.checkpoint, said.note.also([there])).signed_by(key)


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n\n", "a\n\nb\n", "a\tb\n\n" + LINE, TEXT + "\n" + LINE.rstrip("\n"), "x" * 70_000 + "\n\n" + LINE,
     "a\n\n" + LINE * 65, "a\n\n— name !!!!\n",
     "a\n\n— na+me AAAAAAAA\n", "a\n\n— name AAAA\n", "a\n\n- name AAAAAAAA\n", "a\n\nname AAAAAAAA\n",
     "a\n\n— na me AAAAAAAA\n", "a\n\n—  AAAAAAAA\n", "a\n\n— name\n", "a\n\n— name AAAAAA==\n",
     "a\n\n— name AAAA!AAAA\n"],
)  # fmt: skip
def test_what_is_no_note_is_refused(text):
    with pytest.raises(NoteBroken):
        note.parse(text)


def test_a_text_may_hold_empty_lines_and_only_the_last_one_ends_it():
    assert note.parse(f"a\n\nb\n\n{LINE}").text == "a\n\nb\n"


def test_the_longest_note_and_the_most_signatures_are_taken_and_not_one_more():
    filling = "x" * (note.NOTE_MAX - len(f"\n\n{LINE}".encode()))
    assert note.parse(f"{filling}\n\n{LINE}").text == f"{filling}\n"
    with pytest.raises(NoteBroken):
        note.parse(f"{filling}x\n\n{LINE}")
    assert len(note.signatures(LINE * note.SIGNATURES_MAX)) == note.SIGNATURES_MAX
    with pytest.raises(NoteBroken):
        note.signatures(LINE * (note.SIGNATURES_MAX + 1))


@pytest.mark.parametrize("name", ["", "a+b", "a b", "a\u00a0b", "a\tb", "a\x01b"])
def test_a_key_has_a_name_that_a_signature_line_can_hold(name):
    with pytest.raises(NoteBroken, match="no name"):
        VerifierKey(name, KeyKind.LOG, b"k" * 32)


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "a+00000000+!!",
     "a+00000000+", "a+00000000+AhpcTlE=",
     "a+00000000+ARpc", "a b+00000000+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(NoteBroken):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "a\n1\n", f"a\nx\n{ROOT}\n", f"a\n01\n{ROOT}\n", "a\n1\n!\n", "a\n1\nAAAA\n", f"\n1\n{ROOT}\n",
     f"a\n1\n{ROOT}", f"a\n-1\n{ROOT}\n", f"a\n{'9' * 21}\n{ROOT}\n", f"a\n1\n{ROOT}\nmore", f"a\n1\n{ROOT}\n\nmore\n",
     f"a\n\u0661\n{ROOT}\n", f"a\n1\n{ROOT[:8]}!{ROOT[8:]}\n"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteBroken):
        checkpoint.parse(text)


def test_lines_after_the_third_are_taken_as_they_come():
    said = Checkpoint("a", 0, b"\0" * 32)
    assert checkpoint.parse(said.text + "more\n") == said
    assert SignedCheckpoint(said, Note(said.text, ())).signed_by(VerifierKey.parse(PUBLIC)) is False
