"""What is run in a process of its own: reads the frames of a kind's lives, judges, and answers with a verdict.

Task and verdict are pickled values, from and to the gateway that started this process, over pipes that nobody else
holds. The telemetry database is opened for reading only. It was started nice, and uses one core.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from gateway.learning.judging import judge
from gateway.learning.kinds import Wearing
from gateway.learning.task import Task, Verdict
from gateway.storage import NORMAL, Storage
from maintenance.frames import Frames, History
from maintenance.settings import DeviationWear
from maintenance.store import load_frames
from marketplace.store import Database


async def histories(telemetry: Database, task: Task) -> dict[str, History]:
    """Return the histories of a kind's lives; one that is broken, of other signals or of nothing teaches nothing."""
    found: dict[str, History] = {}
    if task.kind.by is not Wearing.DEVIATION:
        return found
    async with telemetry.read() as tx:
        for life in task.closed:
            case = task.cases.get(life.component)
            wear = None if case is None else case.settings.wear
            try:
                rows = await load_frames(tx, life.life)
                if isinstance(wear, DeviationWear) and rows and all(row.signals == wear.tags for row in rows):
                    frames = Frames.joined(row.frames for row in rows)
                    found[life.life] = frames.history(life.life, 0.0)
            except ValueError:
                continue
    return found


async def taught(path: Path, task: Task) -> Verdict:
    """Judge a kind by the lives in a telemetry database."""
    began = time.monotonic()
    telemetry = Storage(path, NORMAL, read_only=True)
    try:
        lives = await histories(telemetry, task)
    finally:
        await telemetry.close()
    verdict = judge(task, lives)
    return replace(verdict, seconds=time.monotonic() - began)


def main() -> None:
    """Answer one task."""
    path, task = pickle.load(sys.stdin.buffer)  # noqa: S301 - ourselves at both ends
    try:
        verdict = asyncio.run(taught(path, task))
    except Exception as error:
        traceback.print_exc()
        sys.exit(" ".join(repr(getattr(error, "orig", error)).split()))  # in one line: the gateway logs the last
    sys.stdout.buffer.write(pickle.dumps(verdict))
