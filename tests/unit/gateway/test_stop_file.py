"""The file STOP: what it demands, that it is heeded once for each state of it, and that nobody needs to be asked."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
import structlog

from gateway.stop_file import NAME, StopFile, demand, look, parse
from marketplace.audit import log
from marketplace.authority import halts
from marketplace.authority.scopes import PLANT, Scope, ScopeKind
from marketplace.ordering.stopping import Stopping

MILL = Scope(ScopeKind.MACHINE, "mill")
KONTOR = Scope(ScopeKind.SUPPLIER, "kontor")


def known(scope: Scope) -> bool:
    return scope in (PLANT, MILL, KONTOR)


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("", {PLANT}),
        ("\n  \n# smoke in hall 2\n", {PLANT}),
        ("plant\n", {PLANT}),
        ("machine mill\n", {MILL}),
        ("  MACHINE   mill  \n# and\nsupplier kontor", {MILL, KONTOR}),
        ("machine mil\n", {PLANT}),
        ("machine\n", {PLANT}),
        ("plant mill\n", {PLANT}),
        ("everything\nmachine mill\n", {PLANT, MILL}),
    ],
)
def test_a_line_stops_just_that_and_whatever_is_not_understood_stops_everything(text, scopes):
    assert parse(text, known) == scopes


def test_no_file_demands_nothing(tmp_path):
    assert look(tmp_path, known) is None


def test_a_file_says_whose_it_is(tmp_path):
    (tmp_path / NAME).touch()
    found = look(tmp_path, known)
    assert found is not None
    assert (found.scopes, found.uid) == ({PLANT}, os.getuid())


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _binary(path: Path) -> None:
    path.write_bytes(b"machine mill\xff")


def _huge(path: Path) -> None:
    path.write_text("machine mill\n" * 10_000)


@pytest.mark.parametrize("odd", [_directory, _dangling, _pipe, _socket, _binary, _huge])
def test_whatever_stands_there_under_that_name_stops_everything(tmp_path, odd, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's address is short
    odd(Path(NAME))
    found = look(tmp_path, known)
    assert found is not None
    assert found.scopes == {PLANT}


def test_a_directory_into_which_nobody_can_look_stops_everything(tmp_path):
    (tmp_path / "file").touch()
    found = look(tmp_path / "file", known)
    assert found is not None
    assert (found.scopes, found.mark) == ({PLANT}, ())


def test_a_demand_stands_beside_what_stood_there_and_never_narrows_it(tmp_path):
    directory = tmp_path / "data"
    assert demand(directory, MILL) == directory / NAME
    demand(directory, KONTOR)
    assert (directory / NAME).read_text() == "machine mill\nsupplier kontor\n"
    (directory / NAME).write_text("")
    demand(directory, MILL)
    assert parse((directory / NAME).read_text(), known) == {PLANT, MILL}
    assert [path.name for path in directory.iterdir()] == [NAME]


def test_a_demand_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        demand(tmp_path, MILL)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


class Told:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watched(tmp_path, spend, owner, now, told) -> StopFile:
    return StopFile(tmp_path, known, Stopping(spend, owner, lambda: now), told)


async def standing(spend, owner) -> set[Scope]:
    async with spend.read() as tx:
        return {halt.scope for halt in await halts.standing(tx, owner)}


async def test_a_file_is_heeded_once_for_each_state_of_it(tmp_path, spend, owner, watched, told):
    await watched.look()
    assert told.times == 0
    (tmp_path / NAME).write_text("machine mill\n")
    assert watched.demands(MILL)
    assert not watched.demands(PLANT)
    await watched.look()
    await watched.look()
    assert (await standing(spend, owner), told.times) == ({MILL}, 1)
    (tmp_path / NAME).write_text("machine mill\nsupplier kontor\n")
    await watched.look()
    assert (await standing(spend, owner), told.times) == ({MILL, KONTOR}, 2)
    async with spend.read() as tx:
        first, *_others = await log.entries(tx, kind="halt.set")
    assert (first.actor.kind, first.actor.method, first.facts["uid"]) == ("gateway", "file", os.getuid())


async def test_taking_the_file_away_lifts_nothing_and_bringing_it_back_is_heeded(tmp_path, spend, owner, watched, told):
    file = tmp_path / NAME
    file.touch()
    await watched.look()
    file.unlink()
    await watched.look()
    assert await standing(spend, owner) == {PLANT}
    assert not watched.demands(PLANT)
    file.touch()
    await watched.look()
    assert told.times == 2


async def test_a_file_that_nobody_can_read_is_heeded_at_every_look(tmp_path, spend, owner, now, told):
    (tmp_path / "file").touch()
    watched = StopFile(tmp_path / "file", known, Stopping(spend, owner, lambda: now), told)
    await watched.look()
    await watched.look()
    assert (await standing(spend, owner), told.times) == ({PLANT}, 2)
    assert watched.path == tmp_path / "file" / NAME


class Failing(Stopping):
    """A switch whose database fails a few times, and then does not."""

    failures = 3

    async def stop(self, *arguments, **options):
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        return await super().stop(*arguments, **options)


async def test_a_look_that_fails_is_repeated_and_said_once(tmp_path, spend, owner, now):
    heeded = asyncio.Event()
    watched = StopFile(tmp_path, known, Failing(spend, owner, lambda: now), heeded.set)
    (tmp_path / NAME).touch()
    with structlog.testing.capture_logs() as said:
        watching = asyncio.create_task(watched.run())
        await asyncio.wait_for(heeded.wait(), 10)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert await standing(spend, owner) == {PLANT}
    assert len([each for each in said if each["log_level"] == "error"]) == 1
