"""What is wrong with the files is said at the start in one sentence, and nothing is made anew over it."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.build import open_gateway
from gateway.config import Config, load
from gateway.databases import open_databases, spend_file, telemetry_file
from gateway.marks import mark_file
from gateway.storage import StorageBroken
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PAGE = 4096
SITE = {
    "schema": 1,
    "site": {
        "plant": "northworks",
        "gateway": "N1",
        "name": "Northworks",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "country": "DE",
    },
    "organisation": {"name": "Northworks", "ship_to": "Gate 4", "contact": "Maintenance"},
    "web": {"port": 0},
}
GATEWAY = Actor(ActorKind.GATEWAY, "G1", "policy")

Worked = Callable[..., Awaitable[None]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "toolcrib.yaml").write_text(json.dumps(SITE))
    return load(tmp_path / "toolcrib.yaml")


@pytest.fixture
def work(config: Config) -> Worked:
    """A gateway starts, writes so many entries, and stops."""

    async def work(entries: int, subject: str = "1") -> None:
        async with open_gateway(config, clock=lambda: NOW) as gateway, gateway.databases.spend.write() as tx:
            for _ in range(entries):
                await log.append(tx, config.owner, "policy.applied", subject, GATEWAY, {}, NOW)

    return work


async def refusal(config: Config) -> str:
    """Start, and return the one sentence that it does not get any further."""
    with pytest.raises(StorageBroken) as found:
        async with open_gateway(config, clock=lambda: NOW):
            pass
    assert "\n" not in str(found.value)
    return str(found.value)


def alone(path: Path) -> None:
    """Leave nothing beside a database."""
    for each in path.parent.glob(f"{path.name}-*"):
        each.unlink()


async def test_a_page_of_chance_anywhere_is_found(config: Config, work: Worked):
    await work(3)
    path, rng = spend_file(config.directory), random.Random(1)
    alone(path)
    whole = path.read_bytes()
    for page in range(len(whole) // PAGE):
        path.write_bytes(whole[: page * PAGE] + rng.randbytes(PAGE) + whole[(page + 1) * PAGE :])
        sentence = await refusal(config)
        assert str(path) in sentence, page
        assert "do not delete it" in sentence, page
        alone(path)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9])
async def test_a_file_that_was_cut_off_is_found(config: Config, work: Worked, left: float):
    await work(3)
    path = spend_file(config.directory)
    alone(path)
    kept = path.read_bytes()[: int(path.stat().st_size * left)]
    path.write_bytes(kept)
    assert str(path) in await refusal(config)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("which", [spend_file, telemetry_file])
async def test_an_empty_file_is_a_loss_and_not_a_beginning(config: Config, work: Worked, which):
    await work(1)
    path = which(config.directory)
    path.write_bytes(b"")
    alone(path)
    assert "was here and is gone" in await refusal(config)
    assert path.stat().st_size == 0


async def test_an_empty_database_is_a_loss_and_not_a_beginning(config: Config, work: Worked):
    """A file that SQLite likes and that holds nothing of ours."""
    await work(1)
    path = spend_file(config.directory)
    path.unlink()
    alone(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (it TEXT)")
    assert "was here and is gone" in await refusal(config)


async def test_a_lost_write_ahead_log_is_found_by_the_mark(config: Config, work: Worked):
    """Somebody tidies up what lies beside the database, and with it the newest entries."""
    await work(2)
    path, kept = spend_file(config.directory), config.directory / "kept"
    kept.mkdir()
    shutil.copy(path, kept / "spend.db")
    await work(2)
    shutil.copy(kept / "spend.db", path)
    alone(path)
    sentence = await refusal(config)
    assert "is older than what ran here last" in sentence
    assert "toolcrib restore" in sentence


async def test_another_history_as_long_as_the_marked_one_is_found(config: Config, work: Worked, tmp_path: Path):
    await work(2)
    path = spend_file(config.directory)
    shutil.copytree(config.directory, tmp_path / "other")
    await work(2)
    shutil.copy(mark_file(config.directory), tmp_path / "mark")
    shutil.rmtree(config.directory)
    (tmp_path / "other").rename(config.directory)
    mark_file(config.directory).unlink()
    await work(3, "2")
    shutil.copy(tmp_path / "mark", mark_file(config.directory))
    assert "is not the one that ran here last" in await refusal(config)
    assert path.exists()


async def test_a_newer_database_than_the_mark_is_as_after_a_crash(config: Config, work: Worked):
    await work(2)
    old = mark_file(config.directory).read_bytes()
    await work(3)
    mark_file(config.directory).write_bytes(old)
    await work(1)
    assert mark_file(config.directory).read_bytes() != old


async def test_a_mark_that_cannot_be_read_is_none(config: Config, work: Worked):
    await work(2)
    mark_file(config.directory).write_bytes(b"{scrambled")
    await work(1)
    assert mark_file(config.directory).read_bytes().startswith(b'{"plant"')


@pytest.mark.parametrize("name", ["spend.db", "gateway.lock"])
async def test_a_name_that_is_taken_by_a_directory_is_named(tmp_path: Path, name: str):
    """As root no permission stands in the way, a directory does; the way through the code is the same."""
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(StorageBroken, match=name):
        async with open_databases(tmp_path):
            pass


async def test_a_read_only_directory_is_named(tmp_path: Path):
    home = tmp_path / "data"
    home.mkdir()
    home.chmod(0o500)
    try:
        (home / "trial").touch()
    except OSError:
        pass
    else:
        pytest.skip("this user may write everywhere")
    with pytest.raises(StorageBroken, match="cannot be opened"):
        async with open_databases(home):
            pass
