"""How a part was found that was taken out, what it had run, and how far kinds of parts have come in learning."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both to lives; of those that have ended before, nobody said anything."""
    with op.batch_alter_table("life") as batch:
        batch.add_column(sa.Column("found", sa.String(length=10), nullable=True))
        batch.add_column(sa.Column("ran", sa.Text(), nullable=True))
    op.create_table(
        "standing",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=150), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "kind", name=op.f("pk_standing")),
    )


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
