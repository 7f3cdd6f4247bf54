"""Who may stop and who may lift; on a whole gateway, in one process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway import build, views
from gateway.build import Gateway, open_gateway
from gateway.config import load
from gateway.yaml_file import Mistakes
from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmCode
from marketplace.authority.scopes import Scope, ScopeKind
from marketplace.store import audit_leaf
from tests.journeys.test_small_plant import CONFIG

SAW = Scope(ScopeKind.MACHINE, "saw")
PEOPLE = {
    "anna": {"name": "Anna", "may": ["approve"], "approval_limit": "1000 EUR"},
    "paula": {"name": "Paula", "may": ["apply_policy"]},
    "ben": {"name": "Ben", "may": ["operate"]},
    "guest": {"name": "Guest"},
}


@dataclass
class Plant:
    gateway: Gateway
    now: datetime

    async def stops(self) -> list[str]:
        async with self.gateway.databases.spend.read() as tx:
            return [f"{each.scope} {each.key}".strip() for each in await views.standing(tx, self.gateway.config.owner)]

    async def alarms(self) -> list[views.AlarmView]:
        async with self.gateway.databases.spend.read() as tx:
            return await views.open_alarms(tx, self.gateway.config.owner)

    async def alarm(self) -> str:
        async with self.gateway.databases.spend.write() as tx:
            code, owner = AlarmCode.OUTCOME_OPEN, self.gateway.config.owner
            return await alarms.raise_alarm(tx, owner, code, SAW, "H1-1", self.now)


def site(tmp_path: Path, **sections: object) -> Path:
    path = tmp_path / "toolcrib.yaml"
    path.write_text(json.dumps({**CONFIG, "people": PEOPLE, **sections}))
    return path


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    plant = Plant(None, datetime(2026, 3, 2, 8, tzinfo=UTC))  # type: ignore[arg-type]
    async with open_gateway(load(site(tmp_path)), clock=lambda: plant.now) as gateway:
        plant.gateway = gateway
        yield plant


@pytest.mark.parametrize(("person", "may"), [("anna", True), ("paula", True), ("ben", True), ("guest", False)])
async def test_whoever_has_any_right_may_stop(plant, person, may):
    outcome = await plant.gateway.operations.stop("plant", "", "smoke", person, "web")
    assert (outcome.ok, outcome.code) == ((True, "STOPPED") if may else (False, "NOT_AUTHORISED"))
    assert await plant.stops() == (["plant"] if may else [])


@pytest.mark.parametrize(
    ("person", "may"), [("anna", True), ("paula", True), ("ben", False), ("guest", False), ("nobody", False)]
)
async def test_to_lift_or_acknowledge_takes_a_right_over_money(plant, person, may):
    act = plant.gateway.operations
    await act.stop("machine", "saw", "", "ben", "web")
    alarm = await plant.alarm()
    lifted = await act.resume("machine", "saw", "repaired", person, "socket")
    seen = await act.acknowledge(alarm, "seen", person, "socket")
    assert (lifted.ok, seen.ok) == (may, may)
    assert (await plant.stops(), len(await plant.alarms())) == (([], 0) if may else (["machine saw"], 1))


@pytest.mark.parametrize(
    ("kind", "key"),
    [("machine", "sow"), ("supplier", "nobody"), ("component", "saw/belt"), ("plant", "saw"), ("hall", "2")],
)
async def test_what_the_config_does_not_know_is_refused_not_silently_stopped(plant, kind, key):
    outcome = await plant.gateway.operations.stop(kind, key, "", "anna", "web")
    assert (outcome.ok, outcome.code) == (False, "SCOPE_UNKNOWN")
    assert f"{kind} {key}" in outcome.message
    assert await plant.stops() == []


@pytest.mark.parametrize(
    ("kind", "key"), [("plant", ""), ("machine", "saw"), ("supplier", "huber"), ("component", "saw/wheel")]
)
async def test_every_scope_of_the_config_can_be_stopped_and_lifted(plant, kind, key):
    act = plant.gateway.operations
    assert (await act.stop(kind, key, "", "anna", "web")).message.startswith("Buying is stopped: ")
    assert (await act.stop(kind, key, "", "ben", "web")).message.startswith("Buying was stopped already: ")
    assert (await act.resume(kind, key, "", "anna", "web")).code == "STOP_LIFTED"
    assert (await act.resume(kind, key, "", "anna", "web")).code == "NOT_STOPPED"


async def test_what_is_no_scope_is_not_stopped(plant):
    outcome = await plant.gateway.operations.resume("hall", "2", "", "anna", "web")
    assert outcome.code == "NOT_STOPPED"


async def test_a_stop_is_not_lifted_while_the_file_demands_it(plant):
    act, file = plant.gateway.operations, plant.gateway.stop_file.path
    file.write_text("machine saw\n")
    await plant.gateway.stop_file.look()
    await act.stop("supplier", "huber", "", "anna", "web")
    refused = await act.resume("machine", "saw", "", "anna", "web")
    assert (refused.ok, refused.code) == (False, "STOP_FILE_THERE")
    assert str(file) in refused.message
    assert (await act.resume("supplier", "huber", "", "anna", "web")).ok  # the file says nothing of it
    file.unlink()
    assert (await act.resume("machine", "saw", "", "anna", "web")).ok


async def test_a_file_of_odd_lines_stops_the_plant_of_this_config(plant):
    plant.gateway.stop_file.path.write_text("machine sow\n")
    await plant.gateway.stop_file.look()
    assert await plant.stops() == ["plant"]


async def test_the_file_is_heeded_before_a_door_opens(tmp_path):
    loaded = load(site(tmp_path))
    loaded.directory.mkdir()
    (loaded.directory / "STOP").touch()
    async with open_gateway(loaded) as gateway, gateway.databases.spend.read() as tx:
        [stop] = await views.standing(tx, loaded.owner)
    assert (stop.scope, stop.code, stop.method) == ("plant", "STOPPED_BY_FILE", "file")


async def test_an_alarm_that_is_not_open_cannot_be_acknowledged(plant):
    assert (await plant.gateway.operations.acknowledge("a" * 32, "", "anna", "web")).code == "ALARM_UNKNOWN"


async def test_an_alarm_without_an_answer_stops_its_scope_at_the_next_pass(plant):
    alarm = await plant.alarm()
    plant.now += timedelta(hours=8)
    await build._reconcile(plant.gateway)
    assert await plant.stops() == ["machine saw"]
    seen = await plant.gateway.operations.acknowledge(alarm, "", "anna", "web")
    assert "stands until it is lifted" in seen.message
    assert await plant.stops() == ["machine saw"]


async def test_a_clock_that_jumps_is_an_alarm_for_the_plant_and_each_jump_is_its_own(plant):
    for days in (366, -366):
        plant.now += timedelta(days=days)
        await plant.gateway.money_watch.look()
    found = await plant.alarms()
    assert [(each.code, each.scope, each.halted) for each in found] == [("CLOCK_WRONG", "plant", False)] * 2
    plant.now += timedelta(hours=9)
    await plant.gateway.money_watch.look()
    assert await plant.stops() == ["plant"]


async def test_a_clock_that_went_back_while_the_gateway_was_off_is_an_alarm(tmp_path):
    loaded, now = load(site(tmp_path)), datetime(2026, 3, 2, 8, tzinfo=UTC)
    async with open_gateway(loaded, clock=lambda: now) as gateway:
        await gateway.operations.stop("machine", "saw", "", "anna", "web")
    for later, alarms_then in ((timedelta(days=365), 0), (-timedelta(minutes=4), 0), (-timedelta(days=365), 1)):
        plant = Plant(None, now + later)  # type: ignore[arg-type]
        async with open_gateway(loaded, clock=lambda plant=plant: plant.now) as gateway:
            plant.gateway = gateway
            assert len(await plant.alarms()) == alarms_then
            assert await plant.stops() == ["machine saw"]


async def test_a_log_that_cannot_be_read_at_start_stops_no_watch(plant):
    await plant.gateway.operations.stop("plant", "", "", "anna", "web")
    async with plant.gateway.databases.spend.write() as tx:
        await tx.execute(update(audit_leaf).values(leaf=b"?"))
    await plant.gateway.money_watch.begin()
    assert await plant.stops() == ["plant"]


async def test_what_fails_while_alarms_are_looked_after_stops_no_pass(plant):
    await plant.alarm()
    plant.now += timedelta(hours=9)
    sound, plant.gateway.stopping.database = plant.gateway.stopping.database, Closed()
    await build._reconcile(plant.gateway)
    assert await plant.stops() == []
    plant.gateway.stopping.database = sound
    await build._reconcile(plant.gateway)
    assert await plant.stops() == ["machine saw"]


class Closed:
    """A database that cannot be read."""

    def read(self):
        raise OSError("disk gone")


def test_the_time_for_each_alarm_is_the_sites(tmp_path):
    within = {"default": "4 h", "OTHER_TERMS": "30 min"}
    terms = load(site(tmp_path, alarms={"acknowledge_within": within})).file.alarms.terms()
    assert terms.within(AlarmCode.CLOCK_WRONG) == timedelta(hours=4)
    assert terms.within(AlarmCode.OTHER_TERMS) == timedelta(minutes=30)
    assert load(site(tmp_path)).file.alarms.terms().within("X") == timedelta(hours=8)


def test_an_alarm_that_does_not_exist_is_a_mistake_of_the_config(tmp_path):
    with pytest.raises(Mistakes, match="is no alarm; there are default, APPROVED_NOT_PERMITTED"):
        load(site(tmp_path, alarms={"acknowledge_within": {"SMOKE": "1 h"}}))
