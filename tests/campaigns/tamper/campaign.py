"""Every way of tampering, drawn by chance: what is done, and where it must be found.

Each sample is done and verified inside of one transaction of the real database, which is then undone: the verifier is
the program's own, on a real file. Some samples are committed to a copy instead, for the standalone verifier.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.merkle import leaf_hash
from marketplace.audit.seals import Trust
from marketplace.audit.verify import verify
from tests.campaigns.tamper.evidence import OWNER, Evidence, opened, rebuild, rewrite

STANDALONE_SHARE = 50
"""One in so many samples is also shown to the standalone verifier, in a process of its own."""
STANDALONE = Path(__file__).parents[3] / "marketplace/audit/standalone.py"


class Undone(Exception):
    """Ends a transaction that must leave nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was done; `places` are entries of which one must be named, `needs` what whoever verifies must know."""

    what: str
    places: range
    needs: str = ""


Act = Callable[[AsyncConnection, Evidence, random.Random], Awaitable[Sample]]


async def _run(tx: AsyncConnection, statement: str, **parameters: Any) -> None:
    await tx.execute(text(statement), parameters)


async def _value(tx: AsyncConnection, column: str, index: int) -> Any:
    found = await tx.execute(text(f"SELECT {column} FROM audit_leaf WHERE leaf_index = :i"), {"i": index})
    return found.scalar_one()


def _flipped(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) * 8)
    return raw[: at // 8] + bytes([raw[at // 8] ^ 1 << at % 8]) + raw[at // 8 + 1 :]


async def flip_a_bit(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    index, column = (
        rng.randrange(evidence.size),
        rng.choice(["leaf", "leaf", "leaf_hash", "subtree", "kind", "subject"]),
    )
    value = await _value(tx, column, index)
    raw = value if isinstance(value, bytes) else value.encode()
    kind = "BLOB" if isinstance(value, bytes) else "TEXT"
    await _run(
        tx,
        f"UPDATE audit_leaf SET {column} = CAST(:v AS {kind}) WHERE leaf_index = :i",
        v=_flipped(raw, rng),
        i=index,
    )
    return Sample(f"a bit of {column} of {index}", range(index, index + 1))


async def change_with_hash(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    index = rng.randrange(evidence.size)
    changed = _flipped(await _value(tx, "leaf", index), rng)
    statement = "UPDATE audit_leaf SET leaf = :leaf, leaf_hash = :hash WHERE leaf_index = :i"
    await _run(tx, statement, leaf=changed, hash=leaf_hash(changed), i=index)
    return Sample(f"bytes and hash of {index}", range(index, index + 1))


async def change_time(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    index = rng.randrange(evidence.size)
    await _run(tx, "UPDATE audit_leaf SET at = at + :d WHERE leaf_index = :i", d=1 << rng.randrange(62), i=index)
    return Sample(f"the time of {index}", range(index, index + 1))


async def delete_some(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    count = rng.choice([1, 1, 2, 10])
    first = rng.randrange(evidence.size - count)
    await _run(tx, "DELETE FROM audit_leaf WHERE leaf_index BETWEEN :a AND :b", a=first, b=first + count - 1)
    return Sample(f"{count} from {first} on missing", range(first, first + count))


async def delete_and_close_up(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    index = rng.randrange(evidence.size)
    await _run(tx, "DELETE FROM audit_leaf WHERE leaf_index = :i", i=index)
    await _shift(tx, index, -1)
    return Sample(f"{index} missing, the others moved up", range(index, index + 1))


async def _shift(tx: AsyncConnection, after: int, by: int) -> None:
    """Move entries; in two steps, because two entries never have one index."""
    await _run(tx, "UPDATE audit_leaf SET leaf_index = -1 - leaf_index WHERE leaf_index > :i", i=after)
    await _run(tx, "UPDATE audit_leaf SET leaf_index = -1 - leaf_index + :by WHERE leaf_index < 0", by=by)


async def add_at_the_end(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    await _copy(tx, rng.randrange(evidence.size), evidence.size)
    return Sample(f"{evidence.size} added", range(evidence.size, evidence.size + 1))


async def add_in_between(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    index = rng.randrange(evidence.size - 1)
    await _shift(tx, index, 1)
    await _copy(tx, index, index + 1)
    return Sample(f"{index + 1} put in", range(index + 1, index + 2))


async def _copy(tx: AsyncConnection, source: int, to: int) -> None:
    columns = "kind, subject, at, leaf, leaf_hash, subtree"
    await _run(
        tx,
        f"INSERT INTO audit_leaf SELECT plant, gateway_id, :to, {columns} FROM audit_leaf WHERE leaf_index = :source",
        to=to,
        source=source,
    )


async def swap(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    first, second = sorted(rng.sample(range(evidence.size), 2))
    for before, after in ((first, -1), (second, first), (-1, second)):
        await _run(tx, "UPDATE audit_leaf SET leaf_index = :b WHERE leaf_index = :a", a=before, b=after)
    return Sample(f"{first} and {second} swapped", range(first, first + 1))


async def truncate(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    """Cut off the end, tree and all, but not what was signed."""
    size = rng.randrange(1, evidence.size)
    await _run(tx, "DELETE FROM audit_leaf WHERE leaf_index >= :s", s=size)
    if rng.random() < 0.5:
        await rebuild(tx)
    return Sample(f"cut off at {size}", range(size, evidence.size + 1))


async def change_the_tree(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    column = rng.choice(["frontier", "root", "size"])
    if column == "size":
        await _run(tx, "UPDATE audit_tree SET size = size + :d", d=rng.choice([-1, 1, 64]))
    else:
        raw = (await tx.execute(text(f"SELECT {column} FROM audit_tree"))).scalar_one()
        await _run(tx, f"UPDATE audit_tree SET {column} = :v", v=_flipped(raw, rng))
    return Sample(f"the kept {column}", range(evidence.size + 65))


async def change_a_seal(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    table, column = rng.choice([("checkpoint", "note"), ("cosignature", "line"), ("audit_key", "key")])
    rows = (await tx.execute(text(f"SELECT rowid, {column} FROM {table}"))).all()
    row = rng.choice(rows)
    letters = [n for n, each in enumerate(row[1]) if each.isalnum()]
    at = rng.choice(letters[: len(letters) - 4])  # the last letters of base64 may hold no bit of ours
    other = rng.choice([each for each in "abcXYZ019" if each != row[1][at]])
    await _run(
        tx, f"UPDATE {table} SET {column} = :v WHERE rowid = :r", v=row[1][:at] + other + row[1][at + 1 :], r=row[0]
    )
    return Sample(f"a letter of a {table}", range(evidence.size + 1))


async def rewrite_signed(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    """Change an entry with everything that hangs on it, but for what was signed."""
    index = rng.randrange(evidence.size)
    await rewrite(tx, index)
    signed = min(size for size in evidence.checkpoints if size > index)
    return Sample(f"{index} rewritten", range(signed, signed + 1))


async def roll_back(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    """Bring the whole log back to an earlier state, checkpoints and keys too: only a witness remembers."""
    size = rng.choice([each for each in evidence.checkpoints if each < evidence.size])
    await _run(tx, "DELETE FROM audit_leaf WHERE leaf_index >= :s", s=size)
    for table in ("checkpoint", "cosignature"):
        await _run(tx, f"DELETE FROM {table} WHERE size > :s", s=size)
    await _run(tx, "DELETE FROM audit_key WHERE from_size > :s", s=size)
    await rebuild(tx)
    return Sample(f"rolled back to {size}", range(size, evidence.size + 1), "witness")


async def fork(tx: AsyncConnection, evidence: Evidence, rng: random.Random) -> Sample:
    """Nothing is done here: one of two databases that were both signed is shown to whoever asks both witnesses."""
    return Sample("forked", range(evidence.size, evidence.size + 1), "two")


ACTS: tuple[Act, ...] = (
    flip_a_bit, change_with_hash, change_time, delete_some, delete_and_close_up, add_at_the_end, add_in_between, swap,
    truncate, change_the_tree, change_a_seal, rewrite_signed, roll_back, fork,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one sample."""

    sample: Sample
    problems: tuple[str, ...]

    @property
    def found(self) -> bool:
        return bool(self.problems)

    @property
    def placed(self) -> bool:
        """Whether a sentence names an entry, a range of them or a size where it was done."""
        return any(set(span) & set(self.sample.places) for problem in self.problems for span in named(problem))


def named(problem: str) -> list[range]:
    """Return the places that a sentence names."""
    if "keys" in problem or "tree" in problem:
        return [range(1 << 14)]
    if between := re.search(r"leaves (\d+) to (\d+)", problem):
        return [range(int(between[1]), int(between[2]) + 1)]
    return [range(int(number), int(number) + 1) for number in re.findall(r"\b\d+\b", problem)]


def trust_for(sample: Sample, evidence: Evidence) -> Trust:
    return {"witness": evidence.trust, "two": evidence.two}.get(sample.needs, Trust((evidence.key,)))


async def try_once(storage: Any, evidence: Evidence, act: Act, rng: random.Random) -> Verdict:
    """Do one thing to a database, verify, and undo it."""
    verdict: Verdict | None = None
    try:
        async with storage.write() as tx:
            sample = await act(tx, evidence, rng)
            found = await verify(tx, OWNER, trust_for(sample, evidence))
            verdict = Verdict(sample, found.problems)
            raise Undone
    except Undone:
        assert verdict is not None
        return verdict


async def standalone(evidence: Evidence, act: Act, rng: random.Random, directory: Path) -> tuple[Sample, str]:
    """Do one thing to a copy, and let the standalone verifier look at it: returns what it says is wrong."""
    copy = directory / "tampered.db"
    shutil.copyfile(rng.choice([evidence.honest, evidence.forked]) if act is fork else evidence.honest, copy)
    async with opened(copy) as storage, storage.write() as tx:
        sample = await act(tx, evidence, rng)
    arguments = ["--key", str(evidence.key)]
    seen = {"witness": (evidence.seen_honest,), "two": (evidence.seen_honest, evidence.seen_forked)}
    for number, (signed, _key) in enumerate(seen.get(sample.needs, ())):
        note = directory / f"seen-{number}"
        note.write_text(str(signed.note), encoding="utf-8")
        arguments += ["--seen", str(note)]
    with sqlite3.connect(copy) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    done = subprocess.run(
        [sys.executable, "-I", str(STANDALONE), str(copy), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return sample, "" if done.returncode == 0 else done.stdout + done.stderr


def share(work: tuple[Evidence, Path, range, int]) -> list[str]:
    return asyncio.run(tamper(*work))


async def tamper(evidence: Evidence, directory: Path, samples: range, seed: int) -> list[str]:
    """Do each sample and return a line for each that was not found, or not where it was done."""
    own = directory / f"share-{samples.start}"
    own.mkdir()
    copies = [own / "honest.db", own / "forked.db"]
    for source, copy in zip((evidence.honest, evidence.forked), copies, strict=True):
        shutil.copyfile(source, copy)
    mine = replace(evidence, honest=copies[0], forked=copies[1])
    lost = []
    async with opened(copies[0]) as honest, opened(copies[1]) as forked:
        for number in samples:
            rng = random.Random(f"{seed}-{number}")
            act = ACTS[number % len(ACTS)]
            verdict = await try_once(rng.choice([honest, forked]) if act is fork else honest, mine, act, rng)
            if not verdict.found or not verdict.placed:
                what = "NOT PLACED" if verdict.found else "NOT FOUND"
                lost.append(f"{what}: sample {number} of seed {seed}: {verdict.sample.what}: {verdict.problems[:3]}")
            if number % STANDALONE_SHARE < 1:
                alone = ACTS[number // STANDALONE_SHARE % len(ACTS)]
                sample, said = await standalone(evidence, alone, rng, own)
                if alone is not change_a_seal and not Verdict(sample, tuple(said.splitlines())).placed:
                    lost.append(f"NOT FOUND alone: sample {number} of seed {seed}: {sample.what}: {said[:300]}")
    return lost
