"""Eight real processes on one file of SQLite: whoever races, no limit is exceeded by a cent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import insert, select, update

from gateway.benchmarks.ledger import order_row, overspent
from marketplace.store import purchase_order, reservation, spend_limit

PROCESSES, EACH, MINOR = 8, 12, 3_00
ROOT = Path(__file__).parents[2]


def start(path: Path, place: int) -> subprocess.Popen[str]:
    words = (str(path), str(place * EACH), str((place + 1) * EACH), str(MINOR))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.reserving", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


async def test_eight_processes_never_overspend(spend):
    async with spend.write() as tx:
        await tx.execute(insert(purchase_order), [order_row(number) for number in range(PROCESSES * EACH)])
    running = [start(spend.path, place) for place in range(PROCESSES)]
    try:
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        reserved = sum(int(process.stdout.readline()) for process in running)
        assert [process.wait(timeout=60) for process in running] == [0] * PROCESSES
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert reserved == 100_00 // MINOR, "as many as fit, and not one more"
    async with spend.write() as tx:
        assert len((await tx.execute(select(reservation))).all()) == reserved
        assert await overspent(tx) == 0
        rows = {row.scope: row for row in await tx.execute(select(spend_limit))}
        assert rows["machine"].machine_used == rows["plant"].machine_used == reserved * MINOR <= 100_00
        assert rows["supplier"].machine_used == reserved
        await tx.execute(update(spend_limit).values(limit_value=0))
        assert await overspent(tx) > 0, "the counting itself"
