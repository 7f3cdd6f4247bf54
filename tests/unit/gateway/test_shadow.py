"""A shadow decides as a gateway does, keeps what it would buy across restarts, and knows no supplier."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway import shadow
from gateway.backtest.wouldbe import Delivery, WatchedLife, WouldBuy
from gateway.build import Gateway, open_gateway
from gateway.commands.application import run
from gateway.config import load
from gateway.reload import fixed_sections
from maintenance.assets import Found, Life
from marketplace.store import purchase_order, requisition
from tests.journeys import test_small_plant as small_plant

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
CONFIG: dict[str, Any] = {**small_plant.CONFIG, "shadow": True}
POLICY = {**small_plant.POLICY, "modes": {"default": "buy"}}


class Plant:
    """A site in a directory, a time that moves only when somebody says so, and a gateway that may be begun again."""

    def __init__(self, home: Path) -> None:
        self.path, self.now = home / "toolcrib.yaml", NOW
        self.write(CONFIG)

    def write(self, config: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(config))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        async with open_gateway(load(self.path), clock=lambda: self.now) as gateway:
            yield gateway


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


class FullDisk:
    """Takes nothing that a shadow wants to keep, until it is mended."""

    def __init__(self, gateway: Gateway) -> None:
        assert gateway.shadow is not None
        self._shadow, self._works, self.refused = gateway.shadow, gateway.shadow._append, 0
        gateway.shadow._append = self._refuse  # type: ignore[method-assign]

    def _refuse(self, moved: object) -> None:
        self.refused += 1
        raise OSError(28, "No space left on device")

    def mend(self) -> None:
        self._shadow._append = self._works  # type: ignore[method-assign]


async def counted(gateway: Gateway) -> int:
    async with gateway.databases.spend.read() as tx:
        tables = (purchase_order, requisition)
        return sum([(await tx.execute(select(func.count()).select_from(each))).scalar_one() for each in tables])


async def test_a_shadow_says_what_it_would_buy_and_completes_it_when_the_part_fails(plant: Plant, capsys):
    async with plant.running() as gateway:
        assert gateway.purchasing.suppliers == {}
        assert "is a shadow" in gateway.status()["buying"]
        assert (await gateway.operations.policy_apply(json.dumps(POLICY), "anna", "test")).ok
        await gateway.operations.fitted("saw/wheel", "", "0 h", "", "anna", "test")
        disk = FullDisk(gateway)
        while not disk.refused:
            plant.now += timedelta(days=3)
            await gateway.pipeline.decide()
        assert gateway.status()["shadow"] == 0  # what is not kept was not said
        disk.mend()
        await gateway.pipeline.decide()
        assert gateway.status()["shadow"] == 1
        assert await counted(gateway) == 0
        bought_at = plant.now

    async with plant.running() as again:
        assert again.status()["shadow"] == 1
        plant.now += timedelta(days=4)
        await again.pipeline.decide()
        assert again.status()["shadow"] == 1
        await again.operations.fitted("saw/wheel", "", "0 h", "", "anna", "test", found="failed")
        assert await counted(again) == 0

    import asyncio

    assert await asyncio.to_thread(run, ["shadow", "-c", str(plant.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    (bought,) = found["purchases"]
    assert (bought["component"], bought["at"], bought["failed"]) == ("saw/wheel", bought_at.isoformat(), True)
    assert found["lives"] == {"ended": 1, "failed": 1, "uncounted": 0, "open": 0}
    assert found["comparisons"][0]["against"] == "what_happened"
    assert found["comparisons"][0]["interval"] is None


async def test_leaving_the_shadow_is_an_edit_and_a_restart(plant: Plant):
    config = load(plant.path)
    plant.write({**copy.deepcopy(CONFIG), "shadow": False})
    other = load(plant.path)
    assert fixed_sections(config, other) == ["shadow"]
    async with plant.running() as gateway:
        assert set(gateway.purchasing.suppliers) == {"huber"}
        assert gateway.status()["buying"] == "on"
        assert "shadow" not in gateway.status()


def life(number: int) -> WatchedLife:
    bought = WouldBuy(NOW, None, (("wheel", "2", "C62"),), "NOT_YET", {}, True, 62.0, "EUR")
    return WatchedLife("saw/wheel", str(number), NOW, True, bought, None, [Delivery(48.0, 1.0)])


def test_a_torn_line_costs_itself_and_the_newest_of_a_life_counts(tmp_path: Path):
    file = tmp_path / shadow.FILE
    old, new = life(1), life(1)
    new.rated_order = NOW + timedelta(hours=1)
    lines = [json.dumps(each.document()) for each in (old, new, life(2))]
    file.write_text("\n".join([*lines[:2], '{"component": "saw', "[]", lines[2]]))
    lives, count = shadow.read(file)
    assert list(lives.values()) == [new, life(2)]
    assert count == 5
    assert shadow.read(tmp_path / "none") == ({}, 0)


def test_what_goes_on_and_what_has_ended_are_told_apart():
    closed = Life("1", "saw/wheel", NOW, 0.0, removed_at=NOW + timedelta(hours=50), found=Found.FAILED)
    ended, going = shadow.completed([life(1), life(2)], [closed, Life("2", "saw/wheel", NOW)])
    assert [(each.watched.life, each.lived.hours, each.lived.failed) for each in ended] == [("1", 50.0, True)]
    assert [each.life for each in going] == ["2"]
