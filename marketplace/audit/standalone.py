"""Verify a Toolcrib audit log without Toolcrib: its database, an export of it, or the proof of one order.

    python verify.py FILE [--key VKEY] [--seen NOTE ...] [--witness VKEY] [--gateway G1]

It prints what is wrong, each with its place, and exits 1; or one word (and where the log itself says that entries are
lost), and exits 0. --key is the log's public key, known from elsewhere: without it you learn only that the file fits
itself. --seen: a checkpoint such as a witness keeps, which the log must continue; --witness: its or a proof's witness.
Hashes are as of RFC 9162, notes as of C2SP (signed-note, tlog-checkpoint, tlog-cosignature).
"""

import argparse
import json
import sqlite3
import sys
from base64 import b64decode as b64
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Fault = (ValueError, KeyError, TypeError, IndexError, InvalidSignature)  # what a text that is none of ours gives
EPOCH, LOST = "audit.epoch", ("rolled_back", "forked")


def key_of(text: str) -> tuple[str, bytes, bytes]:
    """Return name, id and bytes of a public key; the first byte says what it signs: 1 logs, 4 what a witness saw."""
    name, told, raw = text.strip().split("+", 2)
    if sha(name.encode(), b"\n", b64(raw))[:4].hex() != told or len(b64(raw)) != 33:
        raise ValueError(f"{text!r} is no public key")
    return name, bytes.fromhex(told), b64(raw)


def signed_by(note: str, key: str) -> tuple[str, int, bytes]:
    """Return (origin, size, root) of a checkpoint that a key has signed."""
    (name, identity, public), (body, _, lines) = key_of(key), note.rpartition("\n\n")
    for line in lines.splitlines():
        who, _, raw = line.removeprefix("\u2014 ").partition(" ")
        if (who, b64(raw)[:4]) == (name, identity):
            at = b64(raw)[4:12] if public[:1] == b"\x04" else b""
            message = (f"cosignature/v1\ntime {int.from_bytes(at, 'big')}\n" if at else "") + f"{body}\n"
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(b64(raw)[4 + len(at) :], message.encode())
            origin, size, root = body.split("\n")[:3]
            return origin, int(size), b64(root)
    raise ValueError(f"{name} has not signed it")


def handed_over(said: Any, keys: list[tuple[int, str]]) -> str:
    """Return the key that a leaf hands over to, if the one before has signed for it and it has the right name."""
    old, new, names = keys[-1][1], str(said["facts"]["new"]), [key_of(key)[0] for _, key in keys]
    statement, name = f"toolcrib/audit-key-handover/v1\n{old}\n{new}\n".encode(), key_of(new)[0]
    Ed25519PublicKey.from_public_bytes(key_of(old)[2][1:]).verify(b64(said["facts"]["signature"]), statement)
    if name in names or not name.startswith(names[0] + "/") if said["kind"] == EPOCH else name != names[-1]:
        raise InvalidSignature("not for this name")
    return new


def sha(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def grown(peaks: list[bytes], node: bytes, size: int) -> list[bytes]:
    """Return the roots of the complete subtrees of a tree of `size` leaves with one more, largest first."""
    while size & 1:
        node, peaks, size = sha(b"\x01", peaks[-1], node), peaks[:-1], size >> 1
    return [*peaks, node]


def root_by(proof: list[str], node: bytes, index: int, size: int) -> bytes:
    """Return the root that a leaf's hash and its audit path give, b"" for a path of another length."""
    if size == 1 or not proof:
        return node if size == 1 and not proof else b""
    split, other = 1 << ((size - 1).bit_length() - 1), b64(proof[-1])
    if index < split:
        return sha(b"\x01", root_by(proof[:-1], node, index, split), other)
    return sha(b"\x01", other, root_by(proof[:-1], node, index - split, size - split))


def content(index: int, leaf: bytes, columns: Any, keys: list[tuple[int, str]]) -> Iterator[str]:
    """Yield in what a leaf's text differs from its place, and what it says is lost; take in a key that it hands to."""
    try:
        said = json.loads(leaf)
        at = round(datetime.fromisoformat(said["at"]).timestamp() * 1e6)
        if said["index"] != index:
            yield f"leaf {index} was exchanged: it says that it is leaf {said['index']}"
        elif columns not in (None, (said["plant"], said["gateway"], said["kind"], said["subject"], at)):
            yield f"leaf {index} is not in its place: its text and its row differ"
        if json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() != leaf:
            yield f"leaf {index} is not in canonical form"
        if said["kind"] == EPOCH:
            after, who, heard = said["facts"]["entries"], said["actor"]["id"], said["facts"]["witnesses"]
            lost = ", ".join(f"{each['witness']!r} ({each.get('seen')!r})" for each in heard if each["said"] in LOST)
            yield f"epoch began at entry {index} by {who!r}: entries after {after!r} that {lost} had seen are lost"
        if keys and said["kind"] in ("audit.key_rotated", EPOCH):
            keys.append((index + 1, handed_over(said, keys)))
    except InvalidSignature:
        yield f"leaf {index}: the key before has not signed for this one"
    except Fault:
        yield f"leaf {index} cannot be read"


def verify_log(log: Any, seen: list[str], witness: str, trusted: str) -> Iterator[str]:
    """Yield what is wrong with a log; of an export only the bytes of its leaves are known, and no tree."""
    origin, first, leaves, notes, tree = log
    keys, peaks, roots, size, shifted = [(0, first)] if first else [], list[bytes](), {"0": sha()}, 0, False
    wanted = {str(each) for each in (tree or ())[:1]} | {note.split("\n")[1] for note in notes + seen if "\n" in note}
    for count, (index, leaf, columns, stored, subtree) in enumerate(leaves):
        node = sha(b"\x00", leaf)
        if index != size:
            yield f"leaf {size} is missing" if index == size + 1 else f"leaves {size} to {index - 1} are missing"
        if tree and index >= tree[0]:
            yield f"leaf {index} was added: the tree has {tree[0]} leaves"
        if stored not in (None, node):
            yield f"leaf {index} was changed: its bytes do not give its hash"
        peaks, shifted = grown(peaks, node, count), shifted or index != size or stored not in (None, node)
        if subtree not in (None, peaks[-1]) and not shifted:
            yield f"leaf {index} was changed with its hash, or the subtree beside it: they do not fit"
            shifted = True
        yield from content(index, leaf, columns, keys)
        if str(size := index + 1) in wanted:
            roots[str(size)] = reduce(lambda right, left: sha(b"\x01", left, right), peaks[-2::-1], peaks[-1])
    if tree and tree != (size, roots.get(str(size)), b"".join(peaks)):
        yield f"the {size} leaves do not give the tree of {tree[0]} leaves that was kept"
    if (trusted and trusted not in dict(keys).values()) or (not keys and notes + seen):
        yield f"the log was never signed with the key {trusted}"
    for note in notes + seen if keys else []:
        where = f"a checkpoint{' from elsewhere' * (note in seen)} of {''.join(note.split(chr(10))[1:2])} leaves"
        try:
            said = signed_by(note, signer := [key for start, key in keys if start <= int(note.split("\n")[1])][-1])
            another = (said[0], origin) != (key_of(signer)[0], key_of(first)[0])
            if another or said[1] > size or (witness and note in seen and not signed_by(note, witness)):
                yield f"{where}: the log has only {size}, it was cut off or rolled back; or it is of another log"
            elif roots.get(str(said[1])) != said[2]:
                yield f"{where} was signed over other leaves: the log was changed or forked"
        except Fault as error:
            yield f"{where} does not hold: {str(error) or 'the signature is wrong'}"


def verify_proof(proof: Any, witness: str, trusted: str) -> Iterator[str]:
    keys = [(0, proof["key"])]
    for each in proof["rotations"]:
        keys.append((each["index"] + 1, handed_over(json.loads(b64(each["leaf"])), keys)))
    signer = [key for start, key in keys if start <= int(proof["checkpoint"].split("\n")[1])][-1]
    origin, size, root = [signed_by(proof["checkpoint"], key) for key in (witness, signer) if key][-1]
    other = (origin, proof["origin"]) != (key_of(signer)[0], key_of(proof["key"])[0])
    if other or (trusted and trusted not in dict(keys).values()):
        yield f"this is a proof from {origin}, which was never signed with the key {trusted}"
    for each in proof["rotations"] + proof["leaves"]:
        leaf = b64(each["leaf"])
        if root_by(each["proof"], sha(b"\x00", leaf), each["index"], size) != root:
            yield f"leaf {each['index']} does not stand in the log that was signed"
        yield from content(each["index"], leaf, None, [])
        if each in proof["leaves"] and json.loads(leaf)["subject"] != proof["subject"]:
            yield f"leaf {each['index']} is not about {proof['subject']}"


def database(path: Path, gateway: str) -> Any:
    opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    owner = next(
        o for o in opened.execute("SELECT DISTINCT plant, gateway_id FROM audit_leaf") if gateway in ("", o[1])
    )
    keys, notes, trees, rows = (
        opened.execute(f"SELECT * FROM {table} WHERE plant = ? AND gateway_id = ? ORDER BY 3", owner)  # noqa: S608
        for table in ("audit_key", "checkpoint", "audit_tree", "audit_leaf")
    )
    leaves = ((each[2], each[6], (*each[:2], *each[3:6]), *each[7:]) for each in rows)
    tree = next(((each[2], each[4], each[3]) for each in trees), (0,))
    return "/".join(("toolcrib", *owner)), next((each[3] for each in keys), ""), leaves, [row[3] for row in notes], tree


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seen", type=Path, action="append", default=[])
    for option in ("--key", "--witness", "--gateway"):
        parser.add_argument(option, default="")
    given = parser.parse_args(words)
    try:
        seen, trust = [path.read_text(encoding="utf-8") for path in given.seen], (given.witness, given.key)
        if given.file.read_bytes()[:6] == b"SQLite":
            found = [*verify_log(database(given.file, given.gateway), seen, *trust)]
        else:
            first, *lines = [json.loads(line) for line in given.file.read_text(encoding="utf-8").splitlines()]
            leaves = [(n, b64(each["leaf"]), None, None, None) for n, each in enumerate(lines) if "leaf" in each]
            log = (first["origin"], first["key"], leaves, [each["checkpoint"] for each in lines[len(leaves) :]], None)
            found = list(verify_proof(first, *trust) if "subject" in first else verify_log(log, seen, *trust))
    except (*Fault, OSError, sqlite3.Error, StopIteration) as error:
        found = [f"the file {given.file} cannot be verified: {str(error) or 'a signature does not hold'}"]
    broken = [each for each in found if not each.startswith("epoch ")]
    sys.stdout.write("\n".join(found if broken else [*found, "verified"]) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":  # pragma: no cover - an auditor's own process
    sys.exit(main(sys.argv[1:]))
