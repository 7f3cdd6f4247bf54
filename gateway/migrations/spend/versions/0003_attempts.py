"""Attempt groups, the share of a line for each requisition, quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every purchase so far is a first attempt, none was given up, and a line serves all that its requisition wants."""
    for table in ("requisition", "purchase_order"):
        op.add_column(table, sa.Column("attempt_group", sa.Integer(), nullable=False, server_default="1"))
        op.add_column(table, sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("quarantined_at", sa.BigInteger(), nullable=True))
    op.add_column("requisition", sa.Column("problem", sa.Text(), nullable=False, server_default=""))
    op.add_column("line_requisition", sa.Column("quantity", sa.String(length=40), nullable=True))
    op.execute(
        "UPDATE line_requisition SET quantity ="
        " (SELECT quantity FROM requisition WHERE requisition.id = line_requisition.requisition)"
    )
    with op.batch_alter_table("line_requisition", schema=None) as batch_op:
        batch_op.alter_column("quantity", existing_type=sa.String(length=40), nullable=False)
