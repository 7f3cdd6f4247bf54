"""Frames of lives, and what was learned from them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables; lives that have ended before teach nothing."""
    op.create_table(
        "frames",
        sa.Column("life", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signals", sa.Text(), nullable=False),
        sa.Column("stride", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("life", "place", name=op.f("pk_frames")),
    )
    op.create_index("ix_frames_at", "frames", ["at"])
    op.create_table(
        "model",
        sa.Column("kind", sa.String(length=150), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_model")),
    )


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
