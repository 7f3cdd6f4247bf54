"""The stop switch and money alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables; nothing is stopped and no alarm is open in a plant that knew neither."""
    op.create_table(
        "halt",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=130), nullable=False),
        sa.Column("open_scope", sa.String(length=141), nullable=True),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=64), nullable=False),
        sa.Column("alarm", sa.String(length=32), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_halt")),
        sa.UniqueConstraint("plant", "open_scope", name=op.f("uq_halt_plant_open_scope")),
    )
    op.create_table(
        "money_alarm",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=130), nullable=False),
        sa.Column("subject", sa.String(length=130), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledge_by", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("halted", sa.String(length=32), nullable=False),
        sa.Column("open_alarm", sa.String(length=320), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_alarm")),
        sa.UniqueConstraint("plant", "open_alarm", name=op.f("uq_money_alarm_plant_open_alarm")),
    )
