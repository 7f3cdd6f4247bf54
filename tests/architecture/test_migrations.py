"""The revisions build exactly the tables that the code speaks of; older files are upgraded, newer ones refused."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway import migrations
from gateway.databases import open_databases, spend_file
from gateway.storage import StorageBroken
from gateway.web.accounts import metadata as accounts
from maintenance.store import durable, telemetry
from marketplace.store import metadata as marketplace

TABLES = {"spend": [marketplace, durable, accounts], "telemetry": [telemetry]}


@pytest.mark.parametrize("database", sorted(TABLES))
async def test_the_newest_revision_is_what_the_code_speaks_of(tmp_path: Path, database: str):
    async with open_databases(tmp_path) as databases:
        async with getattr(databases, database).read() as connection:
            difference = await connection.run_sync(
                lambda sync: compare_metadata(
                    MigrationContext.configure(sync, opts={"compare_type": True}), TABLES[database]
                )
            )
    assert difference == []


@pytest.mark.parametrize("database", sorted(TABLES))
def test_the_head_is_the_scripts_head(database: str):
    config = Config()
    config.set_main_option("script_location", f"gateway.migrations:{database}")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEADS[database]


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
