"""The exact bytes of an order are on the disk before the first of them leaves: shown by the kernel, call by call.

A process buys over real HTTP under `strace`. What counts is the moment at which the kernel says that the disk has it
(`fdatasync` of the write-ahead log returned), against the moment at which the first byte of the order is handed to the
supplier's socket.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketplace.suppliers.simulator.market import Market

ROOT = Path(__file__).parents[2]
TRACED = "pwrite64,write,fdatasync,fsync,sendto,sendmsg,writev"
SYNCS = ("fdatasync", "fsync")
SENDS = ("sendto", "sendmsg", "write", "writev")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which is not installed here")


@dataclass(frozen=True)
class Call:
    """One system call: `begun` and `ended` are lines of the trace, which is written in the order of the kernel."""

    name: str
    target: str
    text: str
    begun: int
    ended: int


def calls(trace: str) -> Iterator[Call]:
    """Yield the calls of a trace of several threads, in the order in which they began."""
    open_calls: dict[str, tuple[str, int]] = {}
    found = []
    for index, line in enumerate(trace.splitlines()):
        thread, _space, said = line.partition(" ")
        said = said.strip()
        if said.endswith("<unfinished ...>"):
            open_calls[thread] = said, index
            continue
        begun = index
        if said.startswith("<... "):
            first, begun = open_calls.pop(thread, ("", index))
            said = first + said
        match = re.match(r"(\w+)\(\d+<((?:[^>]|->)*)>", said)
        if match:
            found.append(Call(match[1], match[2], said, begun, index))
    yield from sorted(found, key=lambda call: call.begun)


async def trace_of_a_purchase(tmp_path: Path, now: str, market: Market) -> tuple[dict[str, str], list[Call]]:
    told = tmp_path / "trace.txt"
    child = await asyncio.create_subprocess_exec(
        "strace", "-f", "-qq", "-yy", "-s", "8192", "-e", f"trace={TRACED}", "-o", told,
        sys.executable, "-m", "tests.faults.one_purchase",
        tmp_path / "data", market.ready.addresses["kontor"], market.ready.tokens["kontor"], now,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    out, err = await asyncio.wait_for(child.communicate(), 100)
    assert child.returncode == 0, err.decode()[-2000:]
    bought = json.loads(out.decode().splitlines()[-1])
    return bought, list(calls(told.read_text(errors="replace")))


def test_calls_that_were_interrupted_are_put_together():
    told = (
        "7 fdatasync(3</data/spend.db-wal> <unfinished ...>\n"
        '8 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "POST /orders", 12, 0, NULL, 0) = 12\n'
        "7 <... fdatasync resumed>) = 0\n"
    )
    sync, send = calls(told)
    assert (sync.name, sync.target, sync.begun, sync.ended) == ("fdatasync", "/data/spend.db-wal", 0, 2)
    assert (send.name, send.begun) == ("sendto", 1)


async def test_the_disk_has_the_exact_bytes_before_the_first_of_them_leaves(tmp_path, now, capsys):
    async with Market(tmp_path / "market", clock=lambda: now) as market:
        bought, made = await trace_of_a_purchase(tmp_path, now.isoformat(), market)
    assert bought["state"] in ("submitted", "confirmed"), bought
    sent = [
        call for call in made if call.name in SENDS and call.target.startswith("TCP") and "POST /orders" in call.text
    ]
    assert len(sent) == 1
    (first,) = sent
    assert bought["key"] in first.text
    body = [
        call
        for call in made
        if call.name in SENDS and call.target.startswith("TCP") and bought["order_hash"] in call.text
    ]
    assert body
    assert min(call.begun for call in body) >= first.begun  # not a byte of the order before its first line
    log = [call for call in made if call.target.endswith("spend.db-wal")]
    exact = [
        call for call in log if call.name == "pwrite64" and f'order_hash\\":\\"{bought["order_hash"]}' in call.text
    ]
    assert exact, "the exact request bytes were never written to the write-ahead log"
    intent = exact[0]
    assert intent.ended < first.begun
    synced = [call for call in log if call.name in SYNCS and intent.ended < call.begun and call.ended < first.begun]
    assert synced, "the first byte left before the disk had the intent"
    assert all("= 0" in call.text for call in synced)
    late = [call for call in log if call.name == "pwrite64" and synced[-1].ended < call.begun < first.begun]
    assert late == [], "something was still being written, and not yet safe, when the first byte left"
    with capsys.disabled():
        print(f"\nwritten at call {intent.begun}, on the disk at {synced[-1].ended}, first byte at {first.begun}")
