"""Eight real processes on one file of SQLite: whoever races, no limit is exceeded by a cent."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import insert, select, update

from gateway.benchmarks.ledger import order_row, overspent
from marketplace.store import purchase_order, reservation, spend_limit
from tests.faults.reserving import race

PROCESSES, EACH, MINOR = 8, 12, 3_00
WAIT_S = 60.0
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.reserving"])


def start(path: Path, place: int) -> tuple[BaseProcess, Connection]:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=race, args=(theirs, path, place * EACH, (place + 1) * EACH, MINOR))
    process.start()
    return process, ours


def heard(line: Connection) -> object:
    assert line.poll(WAIT_S)
    return line.recv()


async def test_eight_processes_never_overspend(spend):
    async with spend.write() as tx:
        await tx.execute(insert(purchase_order), [order_row(number) for number in range(PROCESSES * EACH)])
    running = [start(spend.path, place) for place in range(PROCESSES)]
    try:
        assert [heard(line) for _process, line in running] == ["ready"] * PROCESSES
        for _process, line in running:
            line.send("go")
        reserved = sum(heard(line) for _process, line in running)
        for process, _line in running:
            process.join(WAIT_S)
        assert [process.exitcode for process, _line in running] == [0] * PROCESSES
    finally:
        for process, _line in running:
            process.kill()
            process.join()
    assert reserved == 100_00 // MINOR, "as many as fit, and not one more"
    async with spend.write() as tx:
        assert len((await tx.execute(select(reservation))).all()) == reserved
        assert await overspent(tx) == 0
        rows = {row.scope: row for row in await tx.execute(select(spend_limit))}
        assert rows["machine"].machine_used == rows["plant"].machine_used == reserved * MINOR <= 100_00
        assert rows["supplier"].machine_used == reserved
        await tx.execute(update(spend_limit).values(limit_value=0))
        assert await overspent(tx) > 0, "the counting itself"
