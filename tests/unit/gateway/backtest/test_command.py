"""`toolcrib backtest` as people and programs run it: it says what it found, and it reaches nobody."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.commands.application import run
from gateway.config import Config
from gateway.databases import open_databases
from gateway.historian import READER
from gateway.recordings import tables
from maintenance import history
from maintenance.history import Numbered, flush_of

from .conftest import START

Recording = Callable[[Sequence[float]], Path]
_seen: list[tuple[str, str]] = []
_watching = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event.startswith(("socket.", "sqlite3.connect", "subprocess.", "os.system")):
        _seen.append((event, str(arguments)))


sys.addaudithook(_hook)


@contextmanager
def reaching() -> Iterator[list[tuple[str, str]]]:
    """Collect every socket, process and database that this interpreter opens meanwhile."""
    global _watching
    _seen.clear()
    _watching = True
    try:
        yield _seen
    finally:
        _watching = False


def orders(tmp_path: Path, lines: str) -> str:
    file = tmp_path / "orders.csv"
    file.write_text("time,component,event,cost\n" + lines)
    return str(file)


def test_a_backtest_reaches_nobody_and_leaves_nothing(site: Config, recording: Recording, tmp_path: Path, capsys):
    file = recording([980, 990])
    before = sorted(tmp_path.rglob("*"))
    with reaching() as reached:
        assert run(["backtest", str(site.path), "--telemetry", str(file), "--new", "--json"]) == 0
    assert reached == []
    assert sorted(tmp_path.rglob("*")) == before
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["complete"] is True
    assert [each["component"] for each in found["purchases"]] == ["press/belt"] * 2
    assert found["lives"] == {"ended": 1, "failed": 0, "uncounted": 0, "open": 1}
    assert [(each["kind"], each["phase"], each["code"]) for each in found["learning"]] == [
        ("bearing-7014", "bound", "TOO_FEW_LIVES"),
        ("press/lamp", "bound", "TOO_FEW_LIVES"),
    ]
    assert [(each["against"], each["interval"]) for each in found["comparisons"]] == [("at_rated_life", None)]


def test_the_watch_over_sockets_bites():
    import socket

    with reaching() as reached:
        socket.socket().close()
    assert [event for event, _ in reached] == ["socket.__new__"]


def test_people_read_what_would_have_been_bought_and_why(site: Config, recording: Recording, tmp_path: Path, capsys):
    file = recording([980, 400])
    told = orders(tmp_path, f"{(START + timedelta(hours=984)).isoformat()},press/belt,failed,500 EUR\n")
    assert run(["backtest", str(site.path), "--telemetry", str(file), "--orders", told, "--new"]) == 0
    said = capsys.readouterr()
    assert "2 bearing-7014" in said.out
    assert "waiting one more step would cost" in said.out
    assert "Against what really happened, over 1 life of 1 component" in said.out
    assert "too few lives for an interval" in said.out
    assert said.err == ""  # no terminal, no progress


def test_ctrl_c_ends_it_with_what_was_found_so_far(
    site: Config, recording: Recording, capsys, monkeypatch: pytest.MonkeyPatch
):
    whole = tables.batches

    def cut(*arguments: Any) -> Iterator[Batch]:
        yield from whole(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "batches", cut)
    assert run(["backtest", str(site.path), "--telemetry", str(recording([980, 200])), "--new", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["complete"], found["lives"]["ended"]) == (False, 1)
    assert "Ended by hand" in said.err


def test_what_cannot_be_used_is_said_with_its_place_and_ends_with_2(
    site: Config, recording: Recording, tmp_path: Path, capsys
):
    file = recording([100])
    broken = orders(tmp_path, "soon,press/belt,fitted,\n")
    assert run(["backtest", str(site.path), "--telemetry", str(file), "--orders", broken]) == 2
    assert "orders.csv:2: 'soon' is no time" in capsys.readouterr().err
    assert run(["backtest", str(site.path), "--telemetry", broken]) == 2
    assert "nothing here is a tag of the config" in capsys.readouterr().err
    for option in ("--from", "--step"):
        assert run(["backtest", str(site.path), "--telemetry", str(file), option, "soon"]) == 2


def test_only_the_time_between_from_and_to_is_played(site: Config, recording: Recording, capsys):
    words = ["backtest", str(site.path), "--telemetry", str(recording([300])), "--json"]
    assert run([*words, "--from", "2026-01-03T00:00Z", "--to", "2026-01-05T00:00Z", "--step", "6 h"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["from"][:10], found["to"][:13]) == ("2026-01-03", "2026-01-04T12")
    assert found["telemetry"]["values"] == 8
    assert found["decisions"] == 6


async def test_a_gateways_own_store_gives_what_a_file_gives(site: Config, recording: Recording, tmp_path: Path, capsys):
    file = recording([980, 100])
    data = tmp_path / "data"
    await keep(file, data)
    (data / "spend.db").unlink()  # what was spent is not needed, hence not looked at
    import asyncio

    def both() -> list[dict[str, Any]]:
        found = []
        for source in (file, data):
            assert run(["backtest", str(site.path), "--telemetry", str(source), "--new", "--json"]) == 0
            found.append(json.loads(capsys.readouterr().out))
        return found

    by_file, by_store = await asyncio.to_thread(both)
    assert by_store["purchases"] == by_file["purchases"]
    assert by_store["telemetry"]["values"] == by_file["telemetry"]["values"]


async def keep(file: Path, data: Path) -> None:
    """Write what a file says into the store of a gateway."""
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    samples = [
        Sample(f"press/{tag}", float(row[place]), Quality.GOOD, *2 * [_moment(row[0])], Provenance.A)
        for row in rows
        for place, tag in ((1, "hours"), (2, "belt"))
    ]
    batch = Batch.of("hall", samples)
    async with open_databases(data) as opened, opened.telemetry.write() as tx:
        numbered = Numbered()
        numbered.learn(batch.keys, await history.tag_ids(tx, batch.keys))
        await history.save_flush(tx, flush_of([batch], numbered), READER, ("journal", 1))


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)
