"""Every storage fault that the tests only sample: python -m tests.campaigns.storage [--parts calls,power,system].

story   a purchase is cut before, within and after each of its transactions and around each word with the supplier
calls   the disk fails at the n-th storage call of a purchase, for all n, in four ways, once and for a while
power   the power is cut after the n-th system call of a purchase, for all n; of what was not synced nothing, a part
        by chance, or everything is left
system  the real gateway process, whose n-th write or sync fails in three ways, every `--step`-th n

The last line is one JSON object; the exit code is 0 only if every purchase was made exactly once, none was lost, and
every audit log verified.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy import create_engine

from gateway.storage import NORMAL, Storage
from marketplace import store
from tests.faults.failing_disk import Disk, Kind, purchase_on
from tests.faults.power import NOW, OWNER, STRACE, Left, disk_at, prepare, record, spend_bytes, start_after
from tests.faults.test_ordering_crash import PLOTS

WRITES = 320
"""Writes of a purchase to the spend database's files, about; beyond them an injection strikes nothing."""
SYNCS = 40


class Count:
    """What was tried, and what of it failed."""

    def __init__(self) -> None:
        self.tried: dict[str, int] = {}
        self.failed: list[str] = []

    @contextlib.contextmanager
    def one(self, part: str, where: str) -> Iterator[None]:
        """Count one trial; whatever goes wrong in it is a failure, named, and the others go on."""
        self.tried[part] = self.tried.get(part, 0) + 1
        try:
            yield
        except Exception as error:
            self.failed.append(f"{part}: {where}: {type(error).__name__}: {str(error)[:200]}")
            print(self.failed[-1], flush=True)


def calls(room: Path, count: Count, every: int) -> None:
    path = room / "spend.db"
    engine = create_engine(f"sqlite:///{path}")
    store.metadata.create_all(engine)
    engine.dispose()
    whole = Disk()
    asyncio.run(purchase_on(whole, path, NOW, OWNER))
    for kind in Kind:
        for lasts in (False, True):
            for at in range(0, len(whole.calls), every):
                with count.one("calls", f"{kind.name} at {at}, lasts {lasts}"):
                    asyncio.run(purchase_on(Disk(at, kind, lasts), path, NOW, OWNER))


def story(room: Path, count: Count, every: int) -> None:
    asyncio.run(_stories(room, count, every))


async def _stories(room: Path, count: Count, every: int) -> None:
    path = room / "story.db"
    engine = create_engine(f"sqlite:///{path}")
    store.metadata.create_all(engine)
    engine.dispose()
    storage = Storage(path, NORMAL)
    for name, plot in PLOTS.items():
        told = await plot.cuts(storage, NOW, OWNER)
        for at in range(0, len(told), every):
            with count.one("story", f"{name}, moment {at}, {told[at]}"):
                await plot.cut(storage, NOW, OWNER, at, told[at])
    await storage.close()


def power(room: Path, count: Count, every: int, seed: int) -> None:
    born, rng = room / "born", random.Random(seed)
    asyncio.run(prepare(born))
    base, told = spend_bytes(born), record(born)
    for cut in range(0, len(told) + 1, every):
        for left in Left:
            where = f"after call {cut}, {left.value} left"
            with count.one("power", where):
                asyncio.run(start_after(disk_at(base, told, cut), left, rng, room / "cut", born, where))


def system(room: Path, count: Count, step: int) -> None:
    from tests.faults.test_storage_system_calls import Injection

    for call, error, most in (
        ("pwrite64", "ENOSPC", WRITES),
        ("pwrite64", "EIO", WRITES),
        ("pwrite64", "EROFS", WRITES),
        ("fdatasync", "EIO", SYNCS),
    ):
        for first in range(1, most, step if call == "pwrite64" else max(step // 8, 1)):
            injection = Injection(call, error, first, 1 + first % 20)
            with count.one("system", str(injection)):
                asyncio.run(_one_process(room / f"{call}-{error}-{first}", injection))


async def _one_process(home: Path, injection: object) -> None:
    from tests.faults.bench import opened
    from tests.faults.test_storage_system_calls import Injection, purchase_on_calls

    assert isinstance(injection, Injection)
    home.mkdir()
    async with opened(home) as bench:
        await purchase_on_calls(bench, "bench/confirmed", injection)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="story,calls,power")
    parser.add_argument("--every", type=int, default=1, help="every how-manieth call or cut; 1 is all of them")
    parser.add_argument("--step", type=int, default=16, help="every how-manieth system call of a process")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    logging.disable(logging.CRITICAL)
    parts, count, began = asked.parts.split(","), Count(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="toolcrib-storage-") as name:
        room = Path(name)
        if "story" in parts:
            story(room, count, asked.every)
        if "calls" in parts:
            calls(room, count, asked.every)
        if "power" in parts and STRACE:
            power(room, count, asked.every, asked.seed)
        if "system" in parts and STRACE:
            system(room, count, asked.step)
    whole = bool(count.tried) and (STRACE is not None or not {"power", "system"} & set(parts))
    said = {"tried": count.tried, "failed": len(count.failed), "complete": whole, "seed": asked.seed}
    print(json.dumps({**said, "seconds": round(time.monotonic() - began, 1)}))
    return 0 if whole and not count.failed else 1


if __name__ == "__main__":
    raise SystemExit(main())
