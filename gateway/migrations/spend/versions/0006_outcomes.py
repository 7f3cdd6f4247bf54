"""How a part was found that was taken out, and what it had run."""

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


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
