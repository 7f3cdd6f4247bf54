"""Limits as rows, with what is used of each; reservations by send; the highest plant time that was seen.

Each machine's budget becomes the limit of its rolling window, and each order's booking the reservation of its first
send with what it takes of that limit. Nothing that is booked is lost. The limits are set by the policy again when one
is applied; until then they are what the budgets were.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables, carry everything over, drop the old ones."""
    op.rename_table("booking", "booking_before")
    _make_limits()
    _make_reservations()
    _make_bookings()
    op.create_table(
        "clock_mark",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", name=op.f("pk_clock_mark")),
    )
    for statement in (_LIMITS, _RESERVATIONS, _BOOKINGS, _RECOUNT):
        op.execute(sa.text(statement))
    op.drop_table("booking_before")
    op.drop_table("budget")


def _make_limits() -> None:
    op.create_table(
        "spend_limit",
        sa.Column("id", sa.String(length=460), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=130), nullable=False),
        sa.Column("per", sa.String(length=8), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("measure", sa.String(length=8), nullable=False),
        sa.Column("rolling_days", sa.Integer(), nullable=True),
        sa.Column("limit_value", sa.BigInteger(), nullable=False),
        sa.Column("ceiling", sa.BigInteger(), nullable=False),
        sa.Column("machine_used", sa.BigInteger(), nullable=False),
        sa.Column("person_used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "machine_used >= 0 AND person_used >= 0 AND limit_value >= 0", name=op.f("ck_spend_limit_not_negative")
        ),
        sa.CheckConstraint("machine_used <= ceiling", name=op.f("ck_spend_limit_within_ceiling")),
        sa.CheckConstraint("limit_value <= ceiling", name=op.f("ck_spend_limit_ceiling_holds_limit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spend_limit")),
    )


def _make_reservations() -> None:
    op.create_table(
        "reservation",
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("send", sa.Integer(), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("booked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("minor >= 0", name=op.f("ck_reservation_not_negative")),
        sa.ForeignKeyConstraint(["order_number"], ["purchase_order.number"], name=op.f("fk_reservation_order_number")),
        sa.PrimaryKeyConstraint("order_number", "send", name=op.f("pk_reservation")),
    )
    op.create_index("ix_reservation_booked_at", "reservation", ["plant", "gateway_id", "booked_at"])


def _make_bookings() -> None:
    op.create_table(
        "booking",
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("send", sa.Integer(), nullable=False),
        sa.Column("limit_id", sa.String(length=460), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("booked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_booking_not_negative")),
        sa.ForeignKeyConstraint(["limit_id"], ["spend_limit.id"], name=op.f("fk_booking_limit_id")),
        sa.ForeignKeyConstraint(
            ["order_number", "send"],
            ["reservation.order_number", "reservation.send"],
            name=op.f("fk_booking_order_number_send"),
        ),
        sa.PrimaryKeyConstraint("order_number", "send", "limit_id", name=op.f("pk_booking")),
    )
    op.create_index("ix_booking_limit", "booking", ["limit_id", "state", "booked_at"])


_MACHINE = "substr(budget.scope, 9, length(budget.scope) - 12)"
"""Of a scope such as `machine:mill:EUR`."""
_ID = (
    f"budget.plant || '/' || budget.gateway_id || '/machine:' || {_MACHINE}"
    " || ':' || budget.window_days || ' d:' || budget.currency"
)

_LIMITS = f"""
INSERT INTO spend_limit (id, plant, gateway_id, scope, key, per, period, measure, rolling_days, limit_value, ceiling,
    machine_used, person_used)
SELECT {_ID}, plant, gateway_id, 'machine', {_MACHINE}, window_days || ' d', '', currency, window_days, limit_minor,
    CASE WHEN machine_minor > limit_minor THEN machine_minor ELSE limit_minor END, machine_minor, person_minor
FROM budget
"""  # noqa: S608 - our own text, and no value in it

_LAST = """
NOT EXISTS (SELECT 1 FROM booking_before AS other WHERE other.order_number = b.order_number AND other.budget <> b.budget
    AND ((other.state <> 'released') > (b.state <> 'released')
        OR ((other.state <> 'released') = (b.state <> 'released')
            AND (other.booked_at > b.booked_at OR (other.booked_at = b.booked_at AND other.budget > b.budget)))))
"""
"""An order that came back to the gate may have been booked twice: what is live, or else newest, is what it holds."""

_RESERVATIONS = f"""
INSERT INTO reservation (order_number, send, plant, gateway_id, machine, component, supplier, categories, currency,
    minor, by_person, state, booked_at)
SELECT b.order_number, 1, b.plant, b.gateway_id, o.machine,
    coalesce((SELECT min(r.component) FROM line_requisition AS l JOIN requisition AS r ON r.id = l.requisition
        WHERE l.order_number = b.order_number), ''),
    o.supplier, '[]', budget.currency, b.minor, b.by_person,
    CASE b.state WHEN 'elapsed' THEN 'committed' ELSE b.state END, b.booked_at
FROM booking_before AS b JOIN purchase_order AS o ON o.number = b.order_number JOIN budget ON budget.id = b.budget
WHERE {_LAST}
"""  # noqa: S608 - our own text, and no value in it

_BOOKINGS = f"""
INSERT INTO booking (order_number, send, limit_id, plant, gateway_id, amount, by_person, state, booked_at)
SELECT b.order_number, 1, {_ID}, b.plant, b.gateway_id, b.minor, b.by_person, b.state, b.booked_at
FROM booking_before AS b JOIN budget ON budget.id = b.budget
WHERE {_LAST}
"""  # noqa: S608 - our own text, and no value in it

_SUM = """
coalesce((SELECT sum(amount) FROM booking WHERE booking.limit_id = spend_limit.id AND booking.by_person = {}
    AND booking.state IN ('reserved', 'committed')), 0)
"""
_RECOUNT = f"""
UPDATE spend_limit SET machine_used = {_SUM.format("false")}, person_used = {_SUM.format("true")},
    ceiling = CASE WHEN {_SUM.format("false")} > limit_value THEN {_SUM.format("false")} ELSE limit_value END
"""  # noqa: S608 - our own text, and no value in it
