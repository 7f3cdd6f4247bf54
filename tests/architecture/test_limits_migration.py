"""A file of schema 0001 with budgets and bookings in it: nothing that was booked is lost when limits become rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, select, text

from gateway import migrations
from gateway.storage import FULL, Storage
from marketplace.authority import gate, ledger
from marketplace.authority.ledger import BookingState
from marketplace.ordering.states import Effect
from marketplace.store import Owner, booking, reservation, spend_limit

NOW_US = 1_772_438_400_000_000
"""2026-03-02 08:00 UTC."""
NOW = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=NOW_US)
OWNER = Owner("northworks", "G1")

_ORDER = """
INSERT INTO purchase_order (number, plant, gateway_id, supplier, machine, state, currency, total_minor, document,
    order_hash, key, sends, clean_misses, provenance, authority, decided_by, rule, policy_version, quoted_until,
    supplier_reference, problem, created_at, changed_at)
VALUES (:number, 'northworks', 'G1', 'shop', 'mill', 'confirmed', 'EUR', :minor, '{}', 'h', :number, 1, 0, 'A',
    'policy', 'G1', '', 1, :now, '', '', :now, :now)
"""
_BUDGET = """
INSERT INTO budget (id, plant, gateway_id, scope, window_days, currency, limit_minor, machine_minor, person_minor)
VALUES ('northworks:machine:mill:' || :currency, 'northworks', 'G1', 'machine:mill:' || :currency, 30, :currency, :most,
    :machine, :person)
"""
_BOOKING = """
INSERT INTO booking (order_number, budget, plant, gateway_id, minor, by_person, state, booked_at)
VALUES (:number, 'northworks:machine:mill:' || :currency, 'northworks', 'G1', :minor, :person, :state, :now)
"""
_WANT = """
INSERT INTO requisition (id, plant, gateway_id, machine, component, life, line, item, quantity, unit, state, provenance,
    known, mode, asked_by, reason, created_at, changed_at)
VALUES ('r1', 'northworks', 'G1', 'mill', 'mill/spindle', '', '', 'x', '1', 'C62', 'ordered', 'A', true, 'buy', 'G1',
    '{}', :now, :now)
"""
_LINK = """
INSERT INTO line_requisition (order_number, line, requisition, plant, gateway_id)
VALUES ('A', 1, 'r1', 'northworks', 'G1')
"""
BOOKINGS = [
    ("A", "EUR", 700_00, False, "reserved"),
    ("B", "EUR", 200_00, False, "committed"),
    ("C", "EUR", 100_00, False, "elapsed"),
    ("D", "EUR", 50_00, True, "committed"),
    ("E", "EUR", 30_00, False, "released"),
    ("F", "EUR", 20_00, False, "released"),
    ("F", "USD", 25_00, True, "reserved"),
]
"""F came back to the gate and was approved in another currency: what is live is what it holds."""


def to_0001(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "gateway.migrations:spend")
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


@pytest.fixture
async def old(tmp_path: Path):
    storage = Storage(tmp_path / "spend.db", FULL)
    async with storage.write() as connection:
        await connection.run_sync(to_0001)
        for number in sorted({number for number, *_rest in BOOKINGS}):
            await connection.execute(text(_ORDER), {"number": number, "minor": 1, "now": NOW_US})
        euros = {"currency": "EUR", "most": 800_00, "machine": 900_00, "person": 50_00}
        await connection.execute(text(_BUDGET), euros)
        await connection.execute(text(_BUDGET), {"currency": "USD", "most": 0, "machine": 0, "person": 25_00})
        for number, currency, minor, person, state in BOOKINGS:
            row = {"number": number, "currency": currency, "minor": minor, "person": person, "state": state}
            await connection.execute(text(_BOOKING), row | {"now": NOW_US})
        await connection.execute(text(_WANT), {"now": NOW_US})
        await connection.execute(text(_LINK))
    yield storage
    await storage.close()


async def test_budgets_become_limits_and_bookings_reservations(old):
    async with old.write() as connection:
        await connection.run_sync(migrations.upgrade, "spend")
    async with old.read() as tx:
        limits = (await tx.execute(select(spend_limit).order_by(spend_limit.c.id))).all()
        assert [(row.id, row.per, row.rolling_days, row.limit_value, row.ceiling) for row in limits] == [
            ("northworks/G1/machine:mill:30 d:EUR", "30 d", 30, 800_00, 900_00),
            ("northworks/G1/machine:mill:30 d:USD", "30 d", 30, 0, 0),
        ]
        for row in limits:
            assert await ledger.counted(tx, row.id) == (row.machine_used, row.person_used)
        assert [(row.machine_used, row.person_used) for row in limits] == [(900_00, 50_00), (0, 25_00)]
        held = {row.order_number: row for row in await tx.execute(select(reservation))}
        assert {number: (row.minor, row.currency, row.state) for number, row in held.items()} == {
            "A": (700_00, "EUR", "reserved"),
            "B": (200_00, "EUR", "committed"),
            "C": (100_00, "EUR", "committed"),
            "D": (50_00, "EUR", "committed"),
            "E": (30_00, "EUR", "released"),
            "F": (25_00, "USD", "reserved"),
        }
        assert (held["A"].component, held["B"].component, held["D"].by_person) == ("mill/spindle", "", True)
        assert held["A"].booked_at == NOW
        states = {row.order_number: row.state for row in await tx.execute(select(booking))}
        assert states["C"] == BookingState.ELAPSED


async def test_what_was_booked_before_is_settled_after(old):
    async with old.write() as connection:
        await connection.run_sync(migrations.upgrade, "spend")
        await gate.settle(connection, OWNER, "A", Effect.COMMIT, NOW)
        await gate.settle(connection, OWNER, "B", Effect.RELEASE, NOW)
        await gate.settle(connection, OWNER, "F", Effect.RELEASE, NOW)
        limits = (await connection.execute(select(spend_limit).order_by(spend_limit.c.id))).all()
    assert [(row.machine_used, row.person_used, row.ceiling) for row in limits] == [(700_00, 50_00, 800_00), (0, 0, 0)]
