"""Each in a process of its own: what was loaded cannot be unloaded."""

import subprocess
import sys
from pathlib import Path

import pytest

WORKS = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import text
from gateway.databases import open_databases
import gateway.build, connectors.opcua, connectors.modbus

async def main():
    async with open_databases(Path(sys.argv[1])) as databases:
        async with databases.spend.write() as tx:
            await tx.execute(text("CREATE TABLE t (x INTEGER)"))
            await tx.execute(text("INSERT INTO t VALUES (7)"))
        async with databases.spend.read() as tx:
            assert (await tx.execute(text("SELECT x FROM t"))).scalar_one() == 7

asyncio.run(main())
"""


def run(code: str, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(directory)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_lean_gateway_works_and_has_loaded_neither_rich_nor_the_orm(tmp_path):
    ends = "print([name for name in ('rich', 'pygments', 'typer', 'sqlalchemy.orm') if name in sys.modules])"
    assert run("from gateway.lean import trim; trim()" + WORKS + ends, tmp_path) == "[]\n"


def test_a_library_that_has_changed_is_loaded_whole(tmp_path):
    changed = """
import sys, types
import sqlalchemy.util.concurrency as concurrency
shim = concurrency._concurrency_shim
del concurrency._concurrency_shim
from gateway.lean import trim
trim()
concurrency._concurrency_shim = shim
"""
    ends = "print('sqlalchemy.orm' in sys.modules)"
    assert run(changed + WORKS + ends, tmp_path) == "True\n"


@pytest.mark.parametrize("first", ["import structlog", "import sqlalchemy.ext.asyncio", "import rich"])
def test_what_is_loaded_already_is_left_alone(tmp_path, first):
    run(f"{first}; from gateway.lean import trim; trim()" + WORKS, tmp_path)
