"""Samples in blocks and segments instead of rows, the last value of every tag, and the marks of who writes.

The newest `CONVERTED_MAX` rows are converted, tag by tag, in some seconds; what is older is dropped, as a ring does,
and how much is said.
"""

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa
import structlog
from alembic import op

from connectors.samples import Ticks
from maintenance import curves, history

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CONVERTED_MAX = 1_000_000
"""About five seconds, and the last quarter of an hour of 1,000 tags a second, or a day of ten."""

log = structlog.get_logger()


def upgrade() -> None:
    """Make the new tables, carry over what was kept, drop the old one."""
    _make()
    dropped = _convert(op.get_bind())
    if dropped:
        log.warning("the oldest samples were dropped at the upgrade of the telemetry database", samples=dropped)
    with op.batch_alter_table("sample", schema=None) as batch_op:
        batch_op.drop_index("ix_sample_receive_time")
        batch_op.drop_index("ix_sample_tag")
    op.drop_table("sample")


def _make() -> None:
    op.create_table(
        "latest",
        sa.Column("tag", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.Column("source", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("provenance", sa.String(length=1), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_latest")),
    )
    op.create_table(
        "mark",
        sa.Column("reader", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_mark")),
    )
    op.create_table(
        "block",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bundle", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block")),
    )
    op.create_index("ix_block_bundle", "block", ["bundle", "id", "samples"])
    op.create_index("ix_block_received", "block", ["received"])
    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tag", sa.Integer(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=True),
        sa.Column("highest", sa.Float(), nullable=True),
        sa.Column("final", sa.Float(), nullable=True),
        sa.Column("bad", sa.Boolean(), nullable=False),
        sa.Column("minutes", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
    )
    op.create_index("ix_segment_tag", "segment", ["tag", "first", "last"])
    op.create_index("ix_segment_received", "segment", ["received"])


def _convert(connection: sa.Connection) -> int:
    """Carry over the newest rows; returns how many older ones are left behind."""
    newest = connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM sample")).scalar_one()
    after = {"after": max(0, newest - CONVERTED_MAX)}
    for (number,) in connection.execute(sa.text("SELECT id FROM tag ORDER BY id")).all():
        last = None
        for stretch, received in _stretches(connection, number, after):
            connection.execute(sa.insert(history.segment), history.segments_of(stretch, int(received.max())))
            last = stretch, received
        if last is not None:
            row = history.latest_rows(*last)[-1]
            connection.execute(sa.insert(history.latest).values(row))
    dropped: int = connection.execute(sa.text("SELECT count(*) FROM sample WHERE id <= :after"), after).scalar_one()
    return dropped


def _stretches(connection: sa.Connection, number: int, after: dict[str, int]) -> Iterator[tuple[curves.Stretch, Ticks]]:
    query = sa.text(
        "SELECT source_time, receive_time, value, quality, provenance FROM sample "
        "WHERE tag = :tag AND id > :after ORDER BY source_time, id"
    )
    found = connection.execute(query, {"tag": number} | after)
    while rows := found.fetchmany(20 * history.SEGMENT_SAMPLES):
        source, received, values, quality, provenance = zip(*rows, strict=True)
        ticks, came = np.array(source, np.int64) * 10, np.array(received, np.int64) * 10
        yield (
            curves.Stretch(
                np.full(len(rows), number, np.int32),
                ticks,
                np.array([np.nan if value is None else value for value in values]),
                curves.delays_of(ticks, came),
                np.array(quality, np.uint8) | np.where(np.array(provenance) == "B", 4, 0).astype(np.uint8),
            ),
            came,
        )


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
