"""A file of the schema before attempt groups, with purchases in it, is upgraded and means the same as before."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

from gateway.databases import open_databases, spend_file
from gateway.storage import FULL, Storage
from marketplace import store

REQUISITION = {
    "id": "r1", "plant": "northworks", "gateway_id": "G1", "machine": "mill", "component": "mill/spindle",
    "life": "life-1", "line": "bearing", "item": "bearing-7014", "quantity": "2.50", "unit": "C62", "state": "ordered",
    "open_slot": "mill/spindle|life-1|bearing", "provenance": "A", "known": 1, "mode": "buy", "asked_by": "mill",
    "reason": "{}", "created_at": 1, "changed_at": 2,
}  # fmt: skip
ORDER = {
    "number": "TC-G1-000001-8", "plant": "northworks", "gateway_id": "G1", "supplier": "huber", "machine": "mill",
    "state": "unknown", "currency": "EUR", "total_minor": 12300, "document": "{}", "order_hash": "0" * 64, "key": "k",
    "sends": 1, "clean_misses": 2, "provenance": "A", "authority": "policy", "decided_by": "G1", "rule": "",
    "policy_version": 1, "quoted_until": 9, "supplier_reference": "", "problem": "", "created_at": 1, "changed_at": 2,
}  # fmt: skip
LINE = {
    "order_number": ORDER["number"], "number": 1, "plant": "northworks", "gateway_id": "G1", "item": "bearing-7014",
    "sku": "L", "quantity": "3", "unit": "C62", "unit_price": "41", "per": "1", "confirmed": "0", "shipped": "0",
    "received": "0", "invoiced": "0",
}  # fmt: skip
LINK = {
    "order_number": ORDER["number"],
    "line": 1,
    "requisition": "r1",
    "plant": "northworks",
    "gateway_id": "G1",
}


def to_the_schema_before(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.migrations:spend")
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")
    rows = {"requisition": REQUISITION, "purchase_order": ORDER, "order_line": LINE, "line_requisition": LINK}
    for table, row in rows.items():
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


async def test_purchases_of_the_schema_before_are_first_attempts_of_whole_lines(tmp_path: Path, now: datetime):
    storage = Storage(spend_file(tmp_path), FULL)
    async with storage.write() as tx:
        await tx.run_sync(to_the_schema_before)
    await storage.close()
    async with open_databases(tmp_path) as databases, databases.spend.read() as tx:

        async def one(table: Any) -> Any:
            return (await tx.execute(select(table))).one()

        link, order, wanted = [
            await one(table) for table in (store.line_requisition, store.purchase_order, store.requisition)
        ]
        broken = (await tx.execute(text("PRAGMA foreign_key_check"))).all()
    assert link.quantity == wanted.quantity == Decimal("2.50")
    assert (order.state, order.clean_misses, order.attempt_group, order.failures) == ("unknown", 2, 1, 0)
    assert order.quarantined_at is None
    assert (wanted.state, wanted.attempt_group, wanted.failures, wanted.problem) == ("ordered", 1, 0, "")
    assert wanted.open_slot == REQUISITION["open_slot"]
    assert broken == []
