"""The power fails: a purchase is told in a process whose system calls are recorded, and the disk is rebuilt at a cut.

The recording (strace) holds every write and sync of the spend database in their order, and every word to the
supplier. At a cut, what was synced is there; of what was written since, nothing, everything, or a part chosen by
chance: any of the writes, the last of them torn at a sector. That is more than disks do, and all they may do.
Run as a program this is the recorded process; nothing here is a test.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

from gateway.databases import open_databases, spend_file
from marketplace.store import Owner
from tests.faults.test_ordering_crash import expect_one_purchase, recover, tell
from tests.unit.marketplace.fakes import Clock, Plant, ReceivingSupplier

NOW: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OWNER: Final = Owner("northworks", "G1")
SECTOR: Final = 512
SPEND, WAL, SAID = "spend.db", "spend.db-wal", "said.log"
STRACE: Final = shutil.which("strace")
TRACED: Final = "pwrite64,write,fdatasync,fsync,ftruncate"


class Left(Enum):
    """What of the writes that were not synced is on the disk after the cut."""

    NOTHING = "nothing"
    SOME = "some"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Event:
    """One system call: a write (where, what), a truncation (to where), a sync, or a word to the supplier."""

    file: str
    kind: str
    offset: int = 0
    data: bytes = b""


class TellingSupplier(ReceivingSupplier):
    """Writes down what it was sent before it does anything with it: the first byte has left."""

    said: int

    async def place(self, permit: Any) -> Any:
        line = {"reference": permit.reference, "key": permit.key, "bytes": permit.request_bytes.decode()}
        os.write(self.said, json.dumps(line).encode() + b"\n")
        return await super().place(permit)

    def remember(self, line: bytes) -> None:
        """Take an order into the book as `place` has done before the cut."""
        said = json.loads(line)
        reference, key, content = said["reference"], said["key"], said["bytes"].encode()
        self.sent.append((reference, key, content))
        if key not in self._by_key:
            response = self.response(json.loads(content))
            self.bought.append(reference)
            self._by_key[key] = response
            self.answers.setdefault(reference, []).append(response)


async def live(directory: Path) -> None:
    """Tell a whole purchase on real databases."""
    clock = Clock(NOW)
    supplier = TellingSupplier("supplier-1", clock)
    supplier.said = os.open(directory / SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with open_databases(directory) as databases:
        plant = Plant(databases.spend, OWNER, clock, {"supplier-1": supplier})
        await plant.apply_policy()
        await tell(plant)
        await expect_one_purchase(plant, "not cut at all")


async def prepare(directory: Path) -> None:
    """Make empty databases, closed and checkpointed."""
    async with open_databases(directory):
        pass


def record(directory: Path) -> list[Event]:
    """Tell a purchase in a recorded process and return its system calls."""
    assert STRACE is not None
    trace = directory / "trace"
    command = [STRACE, "-f", "-qq", "-y", "-xx", "-s", "1000000", "-e", f"trace={TRACED}", "-o", str(trace)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = [*command, sys.executable, "-m", "tests.faults.power", str(directory)]
    subprocess.run(told, check=True, env=environment, timeout=120)
    return list(events(trace.read_text().splitlines()))


_CALL: Final = re.compile(r"(\d+)\s+(\w+)\(\d+<([^>]*)>(.*)")
_RESUMED: Final = re.compile(r"(\d+)\s+<\.\.\. (\w+) resumed>(.*)")


def events(lines: Sequence[str]) -> Iterator[Event]:
    """Yield what was done to the spend database and said to the supplier; a sync counts when it has returned."""
    open_calls: dict[str, str] = {}
    for line in lines:
        if resumed := _RESUMED.match(line):
            line = open_calls.pop(resumed[1], "") + resumed[3]
        elif line.endswith("<unfinished ...>"):
            open_calls[line.split(maxsplit=1)[0]] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        found = _CALL.match(line)
        event = _event(found[2], _plain(found[3]), found[4]) if found and "= -1" not in line[-40:] else None
        if event is not None:
            yield event


def _plain(text: str) -> str:
    """The name of a file; newer versions of strace write it in hexadecimal as well."""
    plain = bytes.fromhex(text.replace("\\x", "")).decode() if text.startswith("\\x") else text
    return plain.rpartition("/")[2]


def _event(call: str, name: str, rest: str) -> Event | None:
    if name not in (SPEND, WAL, SAID):
        return None
    if call in ("fdatasync", "fsync"):
        return Event(name, "sync")
    if call == "ftruncate":
        return Event(name, "truncate", int(rest.strip(", ").split(")")[0]))
    data = bytes.fromhex(rest.split('"')[1].replace("\\x", ""))
    offset = int(rest.rsplit(")", 1)[0].rsplit(",", 1)[1]) if call == "pwrite64" else 0
    return Event(name, "said" if name == SAID else "write", offset, data)


@dataclass
class Disk:
    """What is on the disk, what is only on its way there, and what the supplier has heard."""

    files: dict[str, bytearray]
    pending: dict[str, list[Event]] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)

    def take(self, event: Event) -> None:
        if event.kind == "said":
            self.said.append(event.data)
        elif event.kind == "sync":
            for each in self.pending.pop(event.file, []):
                self._apply(each)
            self.files.setdefault(event.file, bytearray())
        else:
            self.pending.setdefault(event.file, []).append(event)

    def _apply(self, event: Event, length: int | None = None) -> None:
        content = self.files.setdefault(event.file, bytearray())
        if event.kind == "truncate":
            del content[event.offset :]
            return
        data = event.data[:length]
        content.extend(b"\0" * (event.offset - len(content)))
        content[event.offset : event.offset + len(data)] = data

    def cut(self, left: Left, rng: random.Random) -> dict[str, bytes]:
        """Return the files as the next start finds them."""
        after = Disk({name: bytearray(content) for name, content in self.files.items()})
        for writes in self.pending.values():
            kept = [each for each in writes if left is Left.ALL or (left is Left.SOME and rng.random() < 0.5)]
            for each in kept:
                torn = left is Left.SOME and each is kept[-1] and each.kind == "write"
                after._apply(each, rng.randrange(0, len(each.data) + 1, SECTOR) if torn else None)
        return {name: bytes(content) for name, content in after.files.items()}


def disk_at(base: bytes, told: Sequence[Event], cut: int) -> Disk:
    """Return the disk after the first `cut` system calls of a recording."""
    disk = Disk({SPEND: bytearray(base)})
    for event in told[:cut]:
        disk.take(event)
    return disk


async def start_after(disk: Disk, left: Left, rng: random.Random, room: Path, born: Path, where: str) -> None:
    """Start on what the cut has left, with a supplier that forgets nothing, and expect one whole purchase."""
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(born, room, ignore=shutil.ignore_patterns("spend*", "trace", SAID))
    for name, content in disk.cut(left, rng).items():
        (room / name).write_bytes(content)
    clock = Clock(NOW + timedelta(hours=3))
    supplier = TellingSupplier("supplier-1", clock)
    supplier.said = os.open(os.devnull, os.O_WRONLY)
    for line in disk.said:
        supplier.remember(line)
    try:
        async with open_databases(room) as databases:
            plant = Plant(databases.spend, OWNER, clock, {"supplier-1": supplier})
            await _forgets_nothing(plant, disk.said, where)
            if not await plant.rows(_policies()):
                await plant.apply_policy()
            await recover(plant)
            await expect_one_purchase(plant, where)
    finally:
        os.close(supplier.said)


def _policies() -> Any:
    from marketplace.store import policy_version

    return policy_version


async def _forgets_nothing(plant: Plant, said: Sequence[bytes], where: str) -> None:
    """What was said to a supplier was written down before: the order, its key and its very bytes."""
    known = {row.number: row for row in await plant.orders()}
    for line in said:
        heard = json.loads(line)
        row = known.get(heard["reference"])
        assert row is not None, where
        assert (row.key, row.request_bytes) == (heard["key"], heard["bytes"].encode()), where
        assert row.state not in ("proposed", "awaiting_approval", "approved"), where


def spend_bytes(directory: Path) -> bytes:
    """Return the spend database of a closed data directory."""
    return spend_file(directory).read_bytes()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
