"""Condition alarms on a gateway: told from its connections, durable with what persons did, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.alarm_watch import AlarmPlan, AlarmWatch, waits_for_person
from gateway.databases import Databases, open_databases
from gateway.live import Board, Link
from maintenance.alarms import store
from maintenance.alarms.rules import Rules
from maintenance.alarms.states import AlarmState
from maintenance.monitor import Monitor
from marketplace.authority.policy import Mode
from marketplace.store import Owner

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLAN = AlarmPlan(Owner("northworks", "G1"), Rules(), {"mill": "hall"}, {"hall": 12}, {"hall": 3})
LOST = Link("hall", False, NOW, "no answer")


@dataclass
class Site:
    """A gateway's alarms, with a clock to turn."""

    databases: Databases
    now: datetime = NOW
    board: Board = field(default_factory=Board)
    watch: AlarmWatch = field(init=False)

    async def start(self) -> None:
        """Begin, as after any restart."""
        opened, monitor = self.databases, Monitor({})
        self.watch = AlarmWatch(PLAN, opened.telemetry, opened.spend, monitor, self.board, lambda: self.now)
        await self.watch.begin()

    async def pass_time(self, span: timedelta) -> None:
        self.now += span
        await self.watch.look_at_connections()

    @property
    def alarm(self):
        [only] = self.watch.book.alarms.values()
        return only


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    async with open_databases(directory) as databases:
        made = Site(databases)
        await made.start()
        made.board.notify(LOST)
        yield made


async def test_what_persons_did_survives_a_restart_and_is_in_the_journal(tmp_path: Path):
    async with site(tmp_path) as here:
        await here.pass_time(MINUTE)
        assert here.watch.overview().waiting == 0  # the on-delay is two minutes
        await here.pass_time(MINUTE)
        assert (here.alarm.state, here.alarm.parameters["tags"]) == (AlarmState.UNACKNOWLEDGED, "12")
        assert (await here.watch.acknowledge(here.alarm.id, "on it", "anna")).code == "ALARM_ACKNOWLEDGED"
        await here.start()
        assert (here.alarm.state, here.alarm.seen_by) == (AlarmState.ACKNOWLEDGED, "anna")
        assert (await here.watch.shelve(here.alarm.id, 8 * HOUR, "rebuilding", "ben")).code == "ALARM_SHELVED"
        await here.start()
        assert (here.alarm.shelf.by, here.alarm.shelf.until) == ("ben", here.now + 8 * HOUR)
        await here.pass_time(8 * HOUR)
        assert here.alarm.state is AlarmState.UNACKNOWLEDGED
        async with here.databases.telemetry.read() as tx:
            told = [(each.event, each.by, each.reason) for each in await store.entries(tx)][::-1]
            assert len(await store.entries(tx, key="connection_lost|hall", limit=2)) == 2
        assert told == [
            ("raise", "", ""), ("acknowledge", "anna", "on it"), ("shelve", "ben", "rebuilding"),
            ("return_active", "", ""),
        ]  # fmt: skip


async def test_whoever_watches_is_told_and_nothing_is_written_while_nothing_changes(tmp_path: Path):
    async with site(tmp_path) as here, here.board.watch() as watcher:
        await here.pass_time(2 * MINUTE)
        assert "alarms" in await watcher.changes()
        async with here.databases.telemetry.read() as tx:
            first = await store.load(tx)
        await here.pass_time(MINUTE)
        here.board.tell({"orders"})
        assert await watcher.changes() == {"orders"}
        async with here.databases.telemetry.read() as tx:
            assert await store.load(tx) == first


async def test_a_refusal_changes_nothing_and_says_why(tmp_path: Path):
    async with site(tmp_path) as here:
        await here.pass_time(2 * MINUTE)
        known = here.alarm.id
        assert here.watch.knows(known)
        assert not here.watch.knows("a" * 32)
        for code, done in (
            ("ALARM_UNKNOWN", await here.watch.acknowledge("a" * 32, "", "anna")),
            ("ALARM_REFUSED", await here.watch.shelve(known, 31 * DAY, "long", "anna")),
            ("ALARM_REFUSED", await here.watch.shelve(known, HOUR, "", "anna")),
            ("ALARM_REFUSED", await here.watch.unshelve(known, "anna")),
        ):
            assert (done.ok, done.code) == (False, code)
        assert here.alarm.state is AlarmState.UNACKNOWLEDGED


class Broken:
    def write(self):
        raise OSError("the disk is full")

    read = write


async def test_what_was_not_written_down_does_not_count(tmp_path: Path):
    async with site(tmp_path) as here:
        await here.pass_time(2 * MINUTE)
        kept, here.watch._telemetry = here.watch._telemetry, Broken()
        with pytest.raises(OSError, match="full"):
            await here.watch.acknowledge(here.alarm.id, "", "anna")
        assert here.alarm.state is AlarmState.UNACKNOWLEDGED
        here.watch._telemetry = kept
        assert (await here.watch.acknowledge(here.alarm.id, "", "anna")).ok


async def test_a_fault_in_a_step_stops_nothing_and_is_made_good_at_the_next(tmp_path: Path):
    async with site(tmp_path) as here:
        kept, here.watch._telemetry, here.now = here.watch._telemetry, Broken(), NOW + HOUR
        with capture_logs() as told:
            await here.watch.look([], {}, here.now)
            await AlarmWatch(PLAN, Broken(), Broken(), Monitor({}), here.board, lambda: NOW).begin()
        assert [line["log_level"] for line in told] == ["error", "error"]
        here.watch._telemetry = kept
        await here.watch.look([], {}, here.now + MINUTE)
        await here.start()
        assert here.alarm.state is AlarmState.UNACKNOWLEDGED


async def test_the_journal_forgets_its_oldest_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "JOURNAL_MAX", 3)
    async with site(tmp_path) as here:
        await here.pass_time(2 * MINUTE)
        for _time in range(3):
            await here.watch.shelve(here.alarm.id, HOUR, "again", "anna")
            await here.watch.unshelve(here.alarm.id, "anna")
        async with here.databases.telemetry.read() as tx:
            assert [each.event for each in await store.entries(tx)] == ["return_active", "shelve", "return_active"]


@pytest.mark.parametrize(
    ("state", "mode", "careful", "waits"),
    [
        ("", Mode.ASK, False, True), ("", Mode.ADVISE, False, True), ("", Mode.WATCH, False, False),
        ("", Mode.BUY, False, False), ("", Mode.BUY, True, True), ("awaiting_approval", Mode.BUY, False, True),
        ("confirmed", Mode.ASK, False, False), ("to_be_fitted", Mode.ASK, True, False),
        ("needs_person", Mode.WATCH, False, True), ("quoting", Mode.ASK, False, True),
    ],
)  # fmt: skip
def test_a_decision_waits_for_a_person_or_for_nobody(state, mode, careful, waits):
    assert waits_for_person(state, mode, careful=careful) is waits
