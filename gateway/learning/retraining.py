"""Has a kind judged anew beside the gateway: in a fresh process, nice and on one core, never on the event loop."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Final

from gateway.learning.task import Task, Verdict

LIMIT_S: Final = 900.0
"""A hundred lives take seconds; whatever takes longer than this hangs."""
NICENESS: Final = 10
BEGIN: Final = "import os; os.nice({niceness}); from gateway.learning.pupil import main; main()"
"""It is nice before it loads anything: that alone takes half a second."""
ONE_CORE: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class NotJudged(Exception):
    """A kind was not judged; `str()` says why. What was believed before goes on."""


async def retrained(path: Path, task: Task) -> Verdict:
    """Return the verdict on a kind, by the lives in the telemetry database at `path`. Raises `NotJudged`."""
    pupil = await asyncio.to_thread(_started)
    try:
        return await asyncio.to_thread(_answered, pupil, pickle.dumps((path, task)))
    finally:
        pupil.kill()  # where it is cut off it must not go on alone; after an answer this does nothing


def _started() -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", BEGIN.format(niceness=NICENESS)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | ONE_CORE)  # noqa: S603 - ourselves


def _answered(pupil: subprocess.Popen[bytes], asked: bytes) -> Verdict:
    with pupil:
        try:
            answer, complaint = pupil.communicate(asked, LIMIT_S)
        except subprocess.TimeoutExpired as error:
            pupil.kill()
            raise NotJudged(f"it took longer than {LIMIT_S:.0f} s") from error
    if pupil.returncode:
        said = complaint.decode(errors="replace").strip().splitlines() or [f"it ended with {pupil.returncode}"]
        raise NotJudged(said[-1][:200])
    verdict: Verdict = pickle.loads(answer)  # noqa: S301 - ourselves at both ends
    return verdict
