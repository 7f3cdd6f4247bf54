"""The revisions build exactly the tables that the code speaks of; older files are upgraded, newer ones refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from gateway import migrations
from gateway.databases import open_databases, spend_file
from gateway.storage import FULL, Storage, StorageBroken
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.merkle import Frontier, leaf_hash
from marketplace.audit.verify import verify
from marketplace.authority import alarms, halts
from marketplace.documents import canonical
from marketplace.store import Owner

DATABASES = sorted(migrations.HEADS)


def difference(connection: Connection, database: str) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, migrations.tables(database)))


@pytest.mark.parametrize("database", DATABASES)
async def test_a_new_file_is_what_the_code_speaks_of(tmp_path: Path, database: str):
    async with open_databases(tmp_path) as databases, getattr(databases, database).read() as connection:
        assert await connection.run_sync(difference, database) == []


@pytest.mark.parametrize("database", DATABASES)
async def test_all_revisions_together_build_what_the_code_speaks_of(tmp_path: Path, database: str):
    storage = Storage(tmp_path / "old.db", FULL)
    async with storage.write() as connection:
        await connection.run_sync(migrations.upgrade, database)
        assert await connection.run_sync(difference, database) == []
        assert await connection.run_sync(migrations.current) == migrations.HEADS[database]
    await storage.close()


@pytest.mark.parametrize("database", DATABASES)
def test_the_head_is_the_scripts_head(database: str):
    config = Config()
    config.set_main_option("script_location", f"gateway.migrations:{database}")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEADS[database]


def walk(connection: Connection, revision: str) -> None:
    """Bring a spend database to a revision, as an older version of the program did."""
    config = Config()
    config.set_main_option("script_location", "gateway.migrations:spend")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_a_plant_that_knew_no_stops_is_upgraded_with_its_orders_and_nothing_is_stopped(tmp_path: Path):
    storage = Storage(tmp_path / "old.db", FULL)
    async with storage.write() as connection:
        await connection.run_sync(walk, "0003")
        assert await connection.run_sync(migrations.current) == "0003"
        moved = "INSERT INTO outbox VALUES (7, 'northworks', 'G1', 'order', 'G1-1', 'confirmed', 1)"
        await connection.execute(text(moved))
    async with storage.write() as connection:
        await connection.run_sync(migrations.prepare, "spend")
    async with storage.write() as connection:
        owner, now = Owner("northworks", "G1"), datetime(2026, 3, 2, tzinfo=UTC)
        assert (await connection.execute(text("SELECT subject FROM outbox"))).scalars().all() == ["G1-1"]
        assert await halts.standing(connection, owner) == ()
        assert await alarms.open_alarms(connection, owner) == ()
        person = Actor(ActorKind.PERSON, "anna", "web")
        await halts.put(connection, owner, halts.PLANT, halts.BY_PERSON, person, now)
        await alarms.raise_alarm(connection, owner, alarms.AlarmCode.WITNESS_DISAGREES, halts.PLANT, "audit", now)
        for table in ("halt", "money_alarm"):  # whoever writes past us meets the index
            with pytest.raises(IntegrityError):
                async with connection.begin_nested():
                    columns = [row[1] for row in await connection.execute(text(f"PRAGMA table_info({table})"))]
                    same = ", ".join("'again'" if column == "id" else f'"{column}"' for column in columns)
                    await connection.execute(text(f"INSERT INTO {table} SELECT {same} FROM {table}"))
    await storage.close()


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path):
    async with open_databases(tmp_path) as databases, databases.spend.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageBroken, match="newer Toolcrib"):
        async with open_databases(tmp_path):
            pass


async def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path):
    async with open_databases(tmp_path):
        pass
    spend_file(tmp_path).unlink()
    with pytest.raises(StorageBroken, match="gone"):
        async with open_databases(tmp_path):
            pass
    assert not spend_file(tmp_path).exists()


async def test_two_gateways_do_not_share_a_directory(tmp_path: Path):
    async with open_databases(tmp_path):
        with pytest.raises(StorageBroken, match="another gateway"):
            async with open_databases(tmp_path):
                pass


def upgraded(connection: Connection, to: str) -> None:
    """Walk the spend database's revisions as far as one of them."""
    config = Config()
    config.set_main_option("script_location", "gateway.migrations:spend")
    config.attributes["connection"] = connection
    command.upgrade(config, to)


async def test_a_log_of_the_schema_before_is_upgraded_and_verifies(tmp_path: Path):
    owner, size = Owner("northworks", "G1"), 1_300  # more than is read at once
    storage = Storage(tmp_path / "old.db", FULL)
    async with storage.write() as connection:
        await connection.run_sync(upgraded, "0004")
        frontier = Frontier()
        for index in range(size):
            said = {"version": 1, "plant": "northworks", "gateway": "G1", "index": index, "kind": "thing.done"}
            said |= {"at": "1970-01-01T00:00:00.000000Z", "subject": "thing", "facts": {}}
            leaf = canonical(said | {"actor": {"kind": "gateway", "id": "G1", "method": "policy"}})
            frontier = frontier.append(leaf_hash(leaf))
            row = ("northworks", "G1", index, "thing.done", "thing", 0, leaf, leaf_hash(leaf))
            await connection.exec_driver_sql("INSERT INTO audit_leaf VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        kept = ("northworks", "G1", size, frontier.encode(), frontier.root)
        await connection.exec_driver_sql("INSERT INTO audit_tree VALUES (?, ?, ?, ?, ?)", kept)
        await connection.run_sync(migrations.upgrade, "spend")
    async with storage.write() as connection:
        actor = Actor(ActorKind.GATEWAY, "G1", "policy")
        await log.append(connection, owner, "thing.done", "thing", actor, {}, datetime(2026, 3, 2, tzinfo=UTC))
        found = await verify(connection)
    assert (found.entries, found.problems) == (size + 1, ())
    await storage.close()
