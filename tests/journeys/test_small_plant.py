"""A small plant: no telemetry, one supplier on the telephone, three people. Whatever is known, somebody entered."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway import views
from gateway.actions import HandAnswer, HandReply
from gateway.build import Gateway, open_gateway
from gateway.config import load
from marketplace.audit.explain import why
from marketplace.audit.verify import verify
from marketplace.money import Money
from marketplace.store import requisition

PRICES = """item,sku,price,currency,unit,pack,freight,lead_time_days,valid_until
wheel,H-77,61.50,EUR,C62,1,4.90,2,2026-12-31
"""
POLICY = {
    "schema": 1,
    "mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "500 EUR", "until": "2027-12-31T00:00:00Z"},
    "window": {"days": 30, "per_machine": "2000 EUR"},
    "amounts": "net",
    "modes": {"default": "ask"},
}
CONFIG = {
    "schema": 1,
    "site": {
        "plant": "huberwerk",
        "gateway": "H1",
        "name": "Huberwerk",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "country": "DE",
    },
    "organisation": {"name": "Huberwerk", "ship_to": "Gate 1", "contact": "Anna, +49 711 555"},
    "people": {
        "anna": {"name": "Anna", "may": ["approve", "apply_policy", "operate"], "approval_limit": "1000 EUR"},
        "ben": {"name": "Ben", "may": ["operate"]},
        "carl": {"name": "Carl", "may": ["approve"], "approval_limit": "100 EUR"},
    },
    "web": {"port": 0},
    "machines": {
        "saw": {
            "name": "Saw",
            "components": {
                "wheel": {
                    "name": "Guide wheel",
                    "rated_life": "1000 h",
                    "wear": {"by": "usage", "hours_per_day": 8},
                    "job": {"title": "Change the wheel", "lines": {"wheel": {"item": "wheel", "quantity": 2}}},
                    "buying": {  # a failure costs little, so a wheel is bought when it wears, not for the shelf
                        "lead_time": "2 d",
                        "price": "62 EUR",
                        "standstill": "0.50 EUR/h",
                        "failure": "20 EUR",
                    },
                }
            },
        }
    },
    "items": {"wheel": {"manufacturer": "Rolf", "mpn": "R-77", "description": "Guide wheel", "unit": "C62"}},
    "suppliers": {"huber": {"adapter": "by_hand", "name": "Huber", "account": "331", "phone": "+49 711 1"}},
}


@dataclass
class Plant:
    gateway: Gateway
    now: datetime

    async def order(self) -> views.OrderView:
        async with self.gateway.databases.spend.read() as tx:
            (newest, *_others) = await views.orders(tx, self.gateway.config.owner)
        return newest

    async def step(self, **later: float) -> None:
        """Let plant time pass, decide, and take up what is open."""
        self.now += timedelta(**later)
        await self.gateway.pipeline.decide()
        await self.gateway.reconciliation.run_once()


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    path = tmp_path / "toolcrib.yaml"
    path.write_text(json.dumps(CONFIG))
    plant = Plant(None, datetime(2026, 3, 2, 8, tzinfo=UTC))  # type: ignore[arg-type]
    async with open_gateway(load(path), clock=lambda: plant.now) as gateway:
        plant.gateway = gateway
        yield plant


async def test_a_wheel_is_bought_over_the_telephone(plant: Plant):
    act = plant.gateway.operations
    assert not (await act.policy_apply(json.dumps(POLICY), "ben", "socket")).ok  # who may not, may not
    assert (await act.policy_apply(json.dumps(POLICY), "anna", "socket")).ok
    assert (await act.prices("huber", PRICES, "ben", "socket")).ok
    assert (await act.fitted("saw/wheel", "", "1300 h", "as the book says", "ben", "socket")).ok
    await plant.step(hours=1)

    order = await plant.order()
    assert (order.state, order.rule) == ("awaiting_approval", "MODE_ASK")
    assert order.total == Money.parse("127.90 EUR")

    refused = await act.approve(order.number, order.order_hash, "ben", "", "web")
    assert refused.code == "NOT_AUTHORISED"
    refused = await act.approve(order.number, order.order_hash, "carl", "", "web")
    assert refused.code == "OWN_LIMIT_EXCEEDED"
    refused = await act.approve(order.number, "0" * 64, "anna", "", "web")
    assert refused.code == "ORDER_CHANGED"
    assert (await act.approve(order.number, order.order_hash, "anna", "go", "web")).ok
    assert (await plant.order()).state == "submitted"

    await plant.step(hours=2)
    assert (await plant.order()).state == "submitted"  # nobody has telephoned yet
    promised = HandAnswer(HandReply.CONFIRMED, "A-991", None, plant.now + timedelta(days=2))
    assert (await act.answered(order.number, promised, "ben", "socket")).ok
    assert (await plant.order()).state == "confirmed"
    assert (await act.received(order.number, {1: Decimal(2)}, "ben", "socket")).ok
    assert (await plant.order()).state == "received"
    assert (await act.fitted("saw/wheel", "S-1", "0 h", "", "ben", "socket")).ok
    settled = HandAnswer(HandReply.SETTLED, total=Money.parse("120 EUR"), reason="they gave a discount")
    assert not (await act.answered(order.number, settled, "ben", "socket")).ok  # who may not approve, may not settle
    assert (await act.answered(order.number, settled, "anna", "socket")).code == "SETTLED"
    assert (await plant.order()).state == "closed"

    await plant.step(days=1)
    async with plant.gateway.databases.spend.read() as tx:
        assert len(await views.orders(tx, plant.gateway.config.owner)) == 1  # the new life needs nothing yet
        told = " ".join(await why(tx, order.number))
        audit = await verify(tx)
    assert "Huber" in told or "huber" in told
    assert "anna" in told.lower()
    assert audit.verified, audit.problems


@pytest.mark.parametrize("sooner", ["wheel", "guard"])
async def test_the_last_on_the_shelf_goes_to_whoever_needs_it_sooner(tmp_path: Path, sooner: str):
    """Two components want the same wheels in the same step, and the shelf has enough for one of them."""
    config = copy.deepcopy(CONFIG)
    components = config["machines"]["saw"]["components"]  # type: ignore[index]
    components["guard"] = components["wheel"] | {"name": "Guard wheel"}
    (tmp_path / "toolcrib.yaml").write_text(json.dumps(config))
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    async with open_gateway(load(tmp_path / "toolcrib.yaml"), clock=lambda: now) as gateway:
        act = gateway.operations
        assert (await act.policy_apply(json.dumps(POLICY), "anna", "socket")).ok
        assert (await act.prices("huber", PRICES, "ben", "socket")).ok
        assert (await act.stock("wheel", "2", "ben", "socket")).ok
        for name in components:
            used = "1900 h" if name == sooner else "1300 h"
            assert (await act.fitted(f"saw/{name}", "", used, "", "ben", "socket")).ok
        await gateway.pipeline.decide()
        async with gateway.databases.spend.read() as tx:
            rows = (await tx.execute(select(requisition.c.component, requisition.c.state))).all()
    late = "guard" if sooner == "wheel" else "wheel"
    assert {row.component: row.state for row in rows} == {f"saw/{sooner}": "fulfilled", f"saw/{late}": "proposed"}


async def test_another_price_on_the_telephone_stops_the_order_for_a_person(plant: Plant):
    act = plant.gateway.operations
    await act.policy_apply(json.dumps(POLICY), "anna", "socket")
    await act.prices("huber", PRICES, "ben", "socket")
    await act.fitted("saw/wheel", "", "1300 h", "", "ben", "socket")
    await plant.step(hours=1)
    order = await plant.order()
    await act.approve(order.number, order.order_hash, "anna", "", "web")
    dearer = HandAnswer(HandReply.CONFIRMED, "A-992", Money.parse("150 EUR"))
    assert not (await act.answered(order.number, dearer, "ben", "socket")).ok
    assert (await plant.order()).state == "needs_person"


async def test_what_is_on_the_shelf_is_not_bought(plant: Plant):
    act = plant.gateway.operations
    await act.policy_apply(json.dumps(POLICY), "anna", "socket")
    await act.prices("huber", PRICES, "ben", "socket")
    assert (await act.stock("wheel", "2", "ben", "socket")).ok
    await act.fitted("saw/wheel", "", "1300 h", "", "ben", "socket")
    await plant.step(hours=1)
    async with plant.gateway.databases.spend.read() as tx:
        assert await views.orders(tx, plant.gateway.config.owner) == []


SPARES = """item,sku,price,currency,unit,pack,freight,lead_time_days,valid_until
filter,F-1,60,EUR,C62,1,0,14,2026-12-31
spindle,S-1,22000,EUR,C62,1,0,14,2026-12-31
"""


def _part(name: str, price: str, standstill: str) -> dict[str, object]:
    return {
        "name": name,
        "rated_life": "8766 h",
        "wear": {"by": "usage", "hours_per_day": 24},
        "job": {"title": f"Change the {name}", "lines": {"part": {"item": name, "quantity": 1}}},
        "buying": {"lead_time": "14 d", "price": price, "standstill": standstill},
    }


async def test_a_cheap_critical_part_ends_up_on_the_shelf_and_a_costly_one_is_bought_on_condition(tmp_path: Path):
    """Nobody says which is which: both are as good as new, last as long and take as long to come."""
    config = copy.deepcopy(CONFIG)
    config["machines"]["saw"]["components"] = {  # type: ignore[index]
        "filter": _part("filter", "60 EUR", "2500 EUR/d"),
        "spindle": _part("spindle", "22000 EUR", "5000 EUR/d"),
    }
    config["items"] = {name: {"manufacturer": "Rolf", "mpn": name, "unit": "C62"} for name in ("filter", "spindle")}
    (tmp_path / "toolcrib.yaml").write_text(json.dumps(config))
    plant = Plant(None, datetime(2026, 3, 2, 8, tzinfo=UTC))  # type: ignore[arg-type]
    async with open_gateway(load(tmp_path / "toolcrib.yaml"), clock=lambda: plant.now) as gateway:
        plant.gateway, act = gateway, gateway.operations
        assert (await act.policy_apply(json.dumps(POLICY), "anna", "socket")).ok
        assert (await act.prices("huber", SPARES, "ben", "socket")).ok
        for name in ("filter", "spindle"):
            assert (await act.fitted(f"saw/{name}", "", "0 h", "", "ben", "socket")).ok
        await plant.step(hours=1)
        assert await wanted(gateway) == ["saw/filter"]

        order = await plant.order()
        assert (await act.approve(order.number, order.order_hash, "anna", "", "web")).ok
        assert (await act.received(order.number, {1: Decimal(1)}, "ben", "socket")).ok
        await plant.step(days=1)
        assert await wanted(gateway) == ["saw/filter"]  # it lies there, and nothing more is bought
        assert (await shown(gateway, plant.now))["saw/filter"].state == "to_be_fitted"

        assert (await act.fitted("saw/filter", "", "0 h", "the old one failed", "ben", "socket")).ok
        await plant.step(hours=1)
        assert await wanted(gateway) == ["saw/filter", "saw/filter"]  # the shelf is empty: the next one at once


async def wanted(gateway: Gateway) -> list[str]:
    async with gateway.databases.spend.read() as tx:
        return sorted((await tx.execute(select(requisition.c.component))).scalars())


async def shown(gateway: Gateway, now: datetime) -> dict[str, views.NeedView]:
    config = gateway.config
    plans = {
        key: views.ComponentPlan(key, "Saw", each.name, config.file.timing.terms(each.buying))
        for key, each in config.components.items()
        if each.buying is not None
    }
    async with gateway.databases.spend.read() as tx:
        found = await views.need_views(tx, config.owner, gateway.monitor.needs(now), plans, now)
    return {view.component: view for view in found}


async def test_a_refusal_is_not_asked_again_the_next_day(plant: Plant):
    act = plant.gateway.operations
    await act.policy_apply(json.dumps(POLICY), "anna", "socket")
    await act.prices("huber", PRICES, "ben", "socket")
    await act.fitted("saw/wheel", "", "1300 h", "", "ben", "socket")
    await plant.step(hours=1)
    order = await plant.order()
    assert (await act.deny(order.number, order.order_hash, "anna", "not now", "web")).ok
    await plant.step(days=1)
    assert (await plant.order()).number == order.number
    await plant.step(days=8)
    assert (await plant.order()).number != order.number


async def test_without_a_policy_nothing_is_asked_of_anybody(plant: Plant):
    act = plant.gateway.operations
    await act.prices("huber", PRICES, "ben", "socket")
    await act.fitted("saw/wheel", "", "900 h", "", "ben", "socket")
    await plant.step(hours=1)
    async with plant.gateway.databases.spend.read() as tx:
        assert await views.orders(tx, plant.gateway.config.owner) == []


async def test_a_person_who_may_says_that_the_clock_is_right(plant: Plant):
    act = plant.gateway.operations
    assert (await act.clock_accept("ben", "socket")).code == "NOT_AUTHORISED"
    plant.now += timedelta(days=400)
    said = await act.clock_accept("anna", "socket")
    assert (said.ok, said.code) == (True, "CLOCK_ACCEPTED")
    assert "2027-04-06" in said.message


@pytest.mark.parametrize(
    ("act", "arguments", "code"),
    [
        ("reading", ("saw/wheel", "12 bananas"), "READING_REFUSED"),
        ("reading", ("saw/belt", "12 h"), "COMPONENT_UNKNOWN"),
        ("stock", ("anvil", "2"), "ITEM_UNKNOWN"),
        ("stock", ("wheel", "-2"), "STOCK_REFUSED"),
        ("stock", ("wheel", "two"), "STOCK_REFUSED"),
        ("prices", ("nobody", PRICES), "SUPPLIER_UNKNOWN"),
        ("prices", ("huber", "item,sku\n"), "PRICES_REFUSED"),
        ("policy_apply", ("modes: [",), "POLICY_REFUSED"),
    ],
)
async def test_what_cannot_be_understood_is_refused_with_a_sentence(plant: Plant, act: str, arguments, code: str):
    outcome = await getattr(plant.gateway.operations, act)(*arguments, "anna", "socket")
    assert (outcome.ok, outcome.code) == (False, code)
    assert len(outcome.message) > 10
