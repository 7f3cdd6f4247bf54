"""Alarms people can live with: a worn wheel is told with what to do, seen once, and still seen after a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway import views
from gateway.build import Gateway, open_gateway
from gateway.config import load
from maintenance.alarms.kinds import AlarmKind
from tests.journeys.test_small_plant import CONFIG, POLICY, PRICES

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def told(gateway: Gateway) -> dict[AlarmKind, views.ConditionView]:
    shown = views.conditions_view(gateway.alarms.overview(), gateway.clock())
    return {each.kind: each for each in shown.all}


async def test_a_worn_wheel_is_told_seen_shelved_and_remembered_and_moves_no_money(tmp_path: Path):
    path, now = tmp_path / "toolcrib.yaml", [NOW]
    path.write_text(json.dumps(CONFIG))
    async with open_gateway(load(path), clock=lambda: now[0]) as gateway:
        act = gateway.operations
        await gateway.pipeline.decide()
        assert told(gateway) == {}  # the past of the wheel is not known: nothing is claimed about its wear
        await act.policy_apply(json.dumps(POLICY), "anna", "socket")
        await act.prices("huber", PRICES, "ben", "socket")
        await act.fitted("saw/wheel", "", "1300 h", "as the book says", "ben", "socket")
        await gateway.pipeline.decide()
        await gateway.pipeline.decide()  # the order is proposed by now, and waits for a person
        found = told(gateway)
        assert set(found) == {AlarmKind.HEALTH_LOW, AlarmKind.DECIDE_BY_NEAR}
        assert "Approve or reject" in found[AlarmKind.DECIDE_BY_NEAR].action
        worn, due = found[AlarmKind.HEALTH_LOW].id, found[AlarmKind.DECIDE_BY_NEAR].id
        assert (await act.acknowledge(worn, "", "carl", "socket")).code == "NOT_AUTHORISED"
        assert (await act.shelve(due, "8 h", "later", "carl", "socket")).code == "NOT_AUTHORISED"
        assert (await act.unshelve(due, "carl", "socket")).code == "NOT_AUTHORISED"
        assert (await act.shelve(due, "soon", "later", "ben", "socket")).code == "SPAN_REFUSED"
        assert (await act.acknowledge(worn, "", "ben", "socket")).ok
        assert (await act.shelve(due, "8 h", "Huber calls back at noon", "ben", "socket")).ok
        assert (await act.acknowledge("0" * 32, "", "anna", "socket")).code == "ALARM_UNKNOWN"
        async with gateway.databases.spend.read() as tx:
            [before] = await views.orders(tx, gateway.config.owner)
        assert before.state == "awaiting_approval"
    now[0] += timedelta(hours=1)
    async with open_gateway(load(path), clock=lambda: now[0]) as gateway:
        await gateway.pipeline.decide()
        found = told(gateway)
        assert (found[AlarmKind.HEALTH_LOW].state, found[AlarmKind.HEALTH_LOW].seen_by) == ("acknowledged", "ben")
        assert found[AlarmKind.DECIDE_BY_NEAR].shelf.reason == "Huber calls back at noon"
        async with gateway.databases.spend.read() as tx:
            [order] = await views.orders(tx, gateway.config.owner)
        assert (order.number, order.state) == (before.number, "awaiting_approval")
        assert (await gateway.operations.unshelve(due, "ben", "socket")).ok
        approved = await gateway.operations.approve(order.number, order.order_hash, "anna", "", "web")
        assert approved.ok
        await gateway.pipeline.decide()
        assert told(gateway)[AlarmKind.DECIDE_BY_NEAR].state == "returned"  # somebody decided: only its notice is left
