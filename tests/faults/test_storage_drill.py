"""The restore drill: a gateway that buys, a backup in the middle, more purchases, disaster, restore.

Nothing is bought twice, and what the backup does not know is named. Process, files and suppliers are real.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import control_client
from gateway.backup import Source, make_backup
from gateway.databases import read_databases
from gateway.demo import plant
from gateway.marks import load_mark, mark_file
from gateway.restore import restore_backup, verify_backup
from marketplace.audit.verify import verify
from marketplace.ordering import numbers
from marketplace.suppliers.simulator.habits import Fault
from tests.faults.bench import Bench, bench

__all__ = ["bench"]  # the fixture

pytestmark = pytest.mark.timeout(120)

HAPPY = ("confirmed", "shipped", "received", "closed")


def bought(bench: Bench) -> list[str]:
    """What the supplier's own book says."""
    return sorted(each["reference"] for each in bench.market.shops["kontor"]._book.all("order"))


async def buy(bench: Bench, component: str) -> str:
    """Wait until a part is bought, by a person's leave where the policy asks for one, and return its order."""
    order = await bench.until_order(component, "awaiting_approval", *HAPPY)
    if order.state == "awaiting_approval":
        await bench.act("approve", {"number": order.number, "order_hash": order.order_hash})
    return (await bench.until_order(component, *HAPPY)).number


async def a_life_of_purchases(bench: Bench, target: Path) -> tuple[Path, dict[str, str]]:
    """Buy one part, let two more be on their way, back up, and then buy those."""
    await bench.act("fitted", {"component": "bench/confirmed", "used": "995 h"})
    numbers = {"before": await buy(bench, "bench/confirmed")}
    await bench.act("fitted", {"component": "bench/approved", "used": "995 h"})
    await bench.until_order("bench/approved", "awaiting_approval")
    habits = bench.market.shops["kontor"].habits
    habits.switch_on(Fault.UNAVAILABLE)
    await bench.act("fitted", {"component": "bench/shipped", "used": "995 h"})
    source = Source(bench.home, bench.home / "toolcrib.yaml", bench.home / "policy.yaml", bench.config.owner)
    backup = await asyncio.to_thread(make_backup, source, target, bench.clock())
    habits.clear()
    numbers["approved since"] = await buy(bench, "bench/approved")
    numbers["wanted since"] = await buy(bench, "bench/shipped")
    return backup, numbers


async def disaster(bench: Bench, last: int) -> None:
    """Kill the gateway once it has marked its last order, and lose both databases."""

    async def marked() -> bool:
        mark = load_mark(mark_file(bench.home))
        return mark is not None and mark.last_order >= last

    await bench.until(marked, "a mark of the last order")
    await bench.kill()
    for path in [*bench.home.glob("spend.db*"), *bench.home.glob("telemetry.db*")]:
        path.unlink()


async def status(bench: Bench) -> dict[str, Any]:
    return await asyncio.to_thread(control_client.status, bench.home)


async def until_looked(bench: Bench) -> dict[str, Any]:
    async def looked() -> bool:
        return bool((await status(bench))["restored"]["looked"])

    await bench.until(looked, "suppliers were asked")
    return await status(bench)


@pytest.mark.long
async def test_after_a_restore_nothing_is_bought_twice_and_what_is_lost_is_named(bench: Bench, tmp_path_factory):
    backup, orders = await a_life_of_purchases(bench, tmp_path_factory.mktemp("backups"))
    assert bought(bench) == sorted(orders.values())
    last = max(numbers.parse(each).counter for each in orders.values())
    await disaster(bench, last)
    assert (await verify_backup(backup)).problems == ()
    await restore_backup(backup, bench.home, datetime.fromisoformat(bench.clock().isoformat()))
    await bench.start()

    found = await until_looked(bench)
    assert found["buying"].startswith("Buying is stopped: this is a backup of")
    told = {each["order"] for each in found["restored"]["lost"]}
    assert told == {orders["approved since"], orders["wanted since"]}
    assert found["restored"]["entries_lost"] > 0
    assert found["restored"]["last_order_lost"] >= last
    assert bought(bench) == sorted(orders.values())
    held = await bench.order_for("bench/approved")
    assert held is not None
    assert held.state == "cancelled"

    await bench.act("confirm-restore", {})
    again = await bench.until_order("bench/shipped", "awaiting_approval")
    assert numbers.parse(again.number).counter > 1_000
    assert bought(bench) == sorted(orders.values())
    assert (await status(bench))["buying"] == "on"
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        audit = await verify(tx, bench.config.owner)
    assert audit.verified, audit.problems
    await bench.act("deny", {"number": again.number, "order_hash": again.order_hash}, plant.PERSON)
