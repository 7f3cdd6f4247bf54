"""A power cut in the middle of a purchase: what was said to a supplier is never forgotten, and is said once.

Here a sample of the cuts; `python -m tests.campaigns.storage` takes every one.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.power import SAID, STRACE, WAL, Event, Left, disk_at, prepare, record, spend_bytes, start_after

pytestmark = pytest.mark.skipif(STRACE is None, reason="strace, which records system calls, is not installed")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[Event]]:
    born = tmp_path_factory.mktemp("power") / "data"
    asyncio.run(prepare(born))
    base = spend_bytes(born)
    return born, base, record(born)


async def test_the_intent_is_on_the_disk_before_the_first_byte_leaves(recording):
    """Shown by the order of system calls: between the last write to the log and the word, there is a sync."""
    _born, _base, told = recording
    (said,) = [index for index, event in enumerate(told) if event.file == SAID]
    before = [event.kind for event in told[:said] if event.file == WAL]
    assert "write" in before
    assert before[-1] == "sync"


async def test_a_power_cut_at_any_call_forgets_nothing_and_buys_once(recording, tmp_path: Path):
    born, base, told = recording
    rng = random.Random(7)
    turns = [index for index, event in enumerate(told) if event.kind in ("sync", "said")]
    assert len(turns) > 12
    before, after = [(cut, Left.SOME) for cut in turns[::4]], [(cut + 1, Left.NOTHING) for cut in turns[2::4]]
    anywhere = [(cut, left) for cut in rng.sample(range(len(told)), 1) for left in Left]
    for cut, left in before + after + anywhere:
        await start_after(disk_at(base, told, cut), left, rng, tmp_path / "cut", born, f"call {cut}, {left}")


async def test_without_syncs_the_same_cut_forgets_what_was_said(recording, tmp_path: Path):
    """The control: the harness finds what a database that does not sync would lose."""
    born, base, told = recording
    asleep = [event for event in told if event.kind != "sync"]
    (said,) = [index for index, event in enumerate(asleep) if event.file == SAID]
    disk = disk_at(base, asleep, said + 1)
    with pytest.raises(AssertionError, match="no syncs"):
        await start_after(disk, Left.NOTHING, random.Random(7), tmp_path / "cut", born, "no syncs")
