"""What people report of the parts that are in their slots now."""

import sqlalchemy as sa
from alembic import op

import maintenance.store

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; nobody has reported anything before."""
    op.create_table(
        "symptom",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("known_as", sa.String(length=400), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("said", sa.String(length=100), nullable=False),
        sa.Column("at", maintenance.store.PlantTime(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("plant", "component", "known_as", name=op.f("pk_symptom")),
    )


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
