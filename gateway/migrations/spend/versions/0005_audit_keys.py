"""Audit keys, signed checkpoints and cosignatures; beside each leaf the subtree that ends with it, for proofs."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHUNK = 1_000


def upgrade() -> None:
    """Add the tables, and work out the subtree of every leaf that is there."""
    _tables()
    with op.batch_alter_table("audit_leaf") as batch:
        batch.add_column(sa.Column("subtree", sa.LargeBinary(length=32), nullable=True))
    _fill(op.get_bind())
    with op.batch_alter_table("audit_leaf") as batch:
        batch.alter_column("subtree", existing_type=sa.LargeBinary(length=32), nullable=False)


def _tables() -> None:
    def owner() -> tuple[sa.Column[str], sa.Column[str]]:
        return (
            sa.Column("plant", sa.String(length=64), nullable=False),
            sa.Column("gateway_id", sa.String(length=64), nullable=False),
        )

    op.create_table(
        "audit_key",
        *owner(),
        sa.Column("from_size", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "from_size", name=op.f("pk_audit_key")),
    )
    op.create_table(
        "checkpoint",
        *owner(),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "size", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "cosignature",
        *owner(),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("witness", sa.String(length=200), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "size", "witness", name=op.f("pk_cosignature")),
    )


def _fill(connection: sa.Connection) -> None:
    """Walk each log in order with the roots of its complete subtrees; hashes are taken as they are stored.

    A log that was tampered with is not judged here: verification names the place afterwards as before.
    """
    peaks: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
    last = ("", "", -1)
    after = sa.text(
        "SELECT plant, gateway_id, leaf_index, leaf_hash FROM audit_leaf "
        "WHERE plant > :plant OR (plant = :plant AND gateway_id > :gateway) "
        "OR (plant = :plant AND gateway_id = :gateway AND leaf_index > :index) "
        "ORDER BY plant, gateway_id, leaf_index LIMIT :chunk"
    )
    keep = sa.text(
        "UPDATE audit_leaf SET subtree = :subtree "
        "WHERE plant = :plant AND gateway_id = :gateway AND leaf_index = :index"
    )
    while True:
        place = dict(zip(("plant", "gateway", "index"), last, strict=True))
        rows = connection.execute(after, place | {"chunk": CHUNK}).all()
        for plant, gateway, index, leaf_hash in rows:
            subtree = _grow(peaks.setdefault((plant, gateway), []), leaf_hash)
            connection.execute(keep, {"subtree": subtree, "plant": plant, "gateway": gateway, "index": index})
        if len(rows) < CHUNK:
            return
        last = (rows[-1][0], rows[-1][1], rows[-1][2])


def _grow(peaks: list[tuple[int, bytes]], leaf_hash: bytes) -> bytes:
    height, node = 0, leaf_hash
    while peaks and peaks[-1][0] == height:
        node = hashlib.sha256(b"\x01" + peaks.pop()[1] + node).digest()
        height += 1
    peaks.append((height, node))
    return node


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
