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


UNUSED = ("rich", "pygments", "typer", "sqlalchemy.orm", "asyncua.server", "asyncua.pubsub", "anyio.abc", "jinja2")
LATER = (
    "gateway.backtest",
    "gateway.recordings",
    "gateway.learning.judging",
    "maintenance.learning",
    "maintenance.boosting",
)
"""Ours: for a shadow, for whoever learns, and where something was learned."""


def test_a_lean_gateway_works_and_has_loaded_nothing_that_it_does_not_use(tmp_path):
    ends = f"print([name for name in {UNUSED + LATER} if name in sys.modules])"
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


@pytest.mark.parametrize(
    "wanted",
    [
        "from asyncua import Server, Client, Node, ua",
        "import asyncua; asyncua.Client, asyncua.Server",
        "from asyncua.server import Server",
        "from asyncua import uamethod; from asyncua.client.client import Client",
        "import asyncua; asyncua.ua.NodeId(1), asyncua.Node, asyncua.Server, asyncua.__version__",
    ],
)
def test_whoever_wants_more_of_the_opcua_stack_gets_it_whole(tmp_path, wanted):
    run(f"from gateway.lean import trim; trim(); {wanted}", tmp_path)


def test_what_the_opcua_stack_has_not_is_missed_as_ever(tmp_path):
    missing = (
        "import asyncua; print(hasattr(asyncua, 'Nothing'), hasattr(asyncua, 'Nothing'), hasattr(asyncua, 'Server'))"
    )
    assert run(f"from gateway.lean import trim; trim(); {missing}", tmp_path) == "False False True\n"


SELDOM = [
    pytest.param(f"import {name}", marks=pytest.mark.long) for name in ("structlog", "sqlalchemy.ext.asyncio", "rich")
]
"""What is left alone in the same way; a process each."""


@pytest.mark.parametrize("first", ["import asyncua", *SELDOM])
def test_what_is_loaded_already_is_left_alone(tmp_path, first):
    run(f"{first}; from gateway.lean import trim; trim()" + WORKS, tmp_path)


HELD = """
import gc, sys
def resident_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024
before = resident_mb()
columns, small = [], []
for _ in range(1_000):
    columns.append(bytearray(b"1") * 65_536)
    small.append(bytearray(b"1") * 600)
assert resident_mb() > before + 50
columns.clear()
print(resident_mb() < before + 10)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system tells the memory of a process on Linux")
@pytest.mark.parametrize(("first", "given_back"), [("", False), ("from gateway.lean import *; return_memory()", True)])
def test_freed_columns_go_back_to_the_system_where_glibc_would_keep_them(first: str, given_back: bool, tmp_path: Path):
    assert run(f"{first}\n{HELD}", tmp_path) == f"{given_back}\n"
