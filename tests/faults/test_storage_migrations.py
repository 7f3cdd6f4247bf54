"""A database of each older schema, with purchases in it: upgraded at the start, whole, and bought on with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from gateway.databases import open_databases, spend_file
from gateway.migrations import HEADS
from gateway.storage import StorageBroken
from marketplace.audit.verify import verify
from tests.faults.old_schemas import LEFT, OWNER, SCHEMAS, go_on, load


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", "gateway.migrations:spend")
    return config


REVISIONS = sorted(each.revision for each in ScriptDirectory.from_config(scripts()).walk_revisions())
RECORDED = sorted(path.stem.removeprefix("spend-") for path in SCHEMAS.glob("spend-*.sql"))


def bring_to(revision: str, path: Path) -> None:
    """Make a file of a schema: recorded by a version that had it, or upgraded from the newest before it that was."""
    load(max(each for each in RECORDED if each <= revision), path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = scripts()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def orders(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT number, state, total_minor, order_hash, key, request_bytes FROM purchase_order ORDER BY number"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_file_of_each_schema_is_upgraded_with_its_purchases_and_bought_on_with(tmp_path: Path, revision: str):
    path = spend_file(tmp_path)
    bring_to(revision, path)
    before = orders(path)
    assert [row[1] for row in before] == LEFT
    async with open_databases(tmp_path) as databases:
        assert orders(path) == before
        async with databases.spend.read() as tx:
            upgraded = await verify(tx, OWNER)
        assert upgraded.verified, upgraded.problems
        plant, supplier = await go_on(databases.spend)
        assert await plant.states() == ["closed", "confirmed", "confirmed", "confirmed", "confirmed"]
        assert sorted(supplier.bought) == [row.number for row in await plant.orders()]
        after = [(row.number, row.total_minor, row.order_hash, row.key) for row in await plant.orders()]
        assert after == [(number, total, hash, key) for number, _state, total, hash, key, _bytes in before]
        async with databases.spend.read() as tx:
            bought = await verify(tx, OWNER)
        assert bought.verified, bought.problems
    kept = path.with_name(f"{path.name}.schema-{revision}")
    assert kept.exists() == (revision != HEADS["spend"])
    if kept.exists():
        assert orders(kept) == before


async def test_an_upgrade_that_cannot_keep_the_older_file_is_not_begun(tmp_path: Path):
    path = spend_file(tmp_path)
    bring_to(REVISIONS[0], path)
    (tmp_path / f"spend.db.schema-{REVISIONS[0]}.new").mkdir()
    with pytest.raises(StorageBroken, match="nothing was changed"):
        async with open_databases(tmp_path):
            pass
    assert [row[1] for row in orders(path)] == LEFT


async def test_an_upgrade_that_was_begun_again_keeps_the_first_copy(tmp_path: Path):
    path = spend_file(tmp_path)
    bring_to(REVISIONS[0], path)
    kept = path.with_name(f"{path.name}.schema-{REVISIONS[0]}")
    kept.write_bytes(b"the copy of the first attempt")
    async with open_databases(tmp_path):
        pass
    assert kept.read_bytes() == b"the copy of the first attempt"
