"""Every table of the spend database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "audit_leaf",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("leaf_index", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=130), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "leaf_index", name=op.f("pk_audit_leaf")),
    )
    with op.batch_alter_table("audit_leaf", schema=None) as batch_op:
        batch_op.create_index("ix_audit_leaf_subject", ["plant", "gateway_id", "subject", "leaf_index"], unique=False)

    op.create_table(
        "audit_tree",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", name=op.f("pk_audit_tree")),
    )
    op.create_table(
        "budget",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=130), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("machine_minor", sa.BigInteger(), nullable=False),
        sa.Column("person_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("machine_minor >= 0 AND person_minor >= 0", name=op.f("ck_budget_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
        sa.UniqueConstraint("plant", "scope", "window_days", name=op.f("uq_budget_plant_scope_window_days")),
    )
    op.create_table(
        "free_text",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_free_text")),
    )
    op.create_table(
        "hand_answer",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_answer")),
    )
    with op.batch_alter_table("hand_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hand_answer_order_number"), ["order_number"], unique=False)

    op.create_table(
        "hand_price",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("unit_price", sa.String(length=40), nullable=False),
        sa.Column("per", sa.String(length=40), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("unit", sa.String(length=3), nullable=False),
        sa.Column("pack", sa.String(length=40), nullable=False),
        sa.Column("freight_minor", sa.BigInteger(), nullable=False),
        sa.Column("lead_time_days", sa.String(length=40), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "supplier", "item", name=op.f("pk_hand_price")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("order_number", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("plant", "fingerprint", name=op.f("uq_inbox_plant_fingerprint")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_order_number", ["plant", "order_number"], unique=False)

    op.create_table(
        "order_counter",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", name=op.f("pk_order_counter")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_table(
        "policy_version",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("applied_by", sa.String(length=64), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "gateway_id", "version", name=op.f("pk_policy_version")),
    )
    op.create_table(
        "purchase_order",
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("order_hash", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("request_bytes", sa.LargeBinary(), nullable=True),
        sa.Column("send_by", sa.BigInteger(), nullable=True),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("first_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("last_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("clean_misses", sa.Integer(), nullable=False),
        sa.Column("provenance", sa.String(length=1), nullable=False),
        sa.Column("authority", sa.String(length=8), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("quoted_until", sa.BigInteger(), nullable=False),
        sa.Column("supplier_reference", sa.String(length=100), nullable=False),
        sa.Column("promised_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("next_ask_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("total_minor >= 0", name=op.f("ck_purchase_order_total_not_negative")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_purchase_order")),
        sa.UniqueConstraint("plant", "key", name=op.f("uq_purchase_order_plant_key")),
        sa.UniqueConstraint("plant", "number", name=op.f("uq_purchase_order_plant_number")),
    )
    with op.batch_alter_table("purchase_order", schema=None) as batch_op:
        batch_op.create_index("ix_purchase_order_state", ["plant", "state"], unique=False)

    op.create_table(
        "requisition",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("life", sa.String(length=64), nullable=False),
        sa.Column("line", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("open_slot", sa.String(length=300), nullable=True),
        sa.Column("provenance", sa.String(length=1), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("needed_by", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("quoting_after", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requisition")),
        sa.UniqueConstraint("plant", "open_slot", name=op.f("uq_requisition_plant_open_slot")),
    )
    with op.batch_alter_table("requisition", schema=None) as batch_op:
        batch_op.create_index("ix_requisition_state", ["plant", "state"], unique=False)

    op.create_table(
        "slot_hold",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.String(length=300), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.UniqueConstraint("plant", "slot", name=op.f("uq_slot_hold_plant_slot")),
    )
    op.create_table(
        "stock_item",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=3), nullable=False),
        sa.Column("on_hand", sa.String(length=40), nullable=False),
        sa.Column("reserved", sa.String(length=40), nullable=False),
        sa.Column("in_transit", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("plant", "item", name=op.f("pk_stock_item")),
    )
    op.create_table(
        "supplier_status",
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant", "supplier", name=op.f("pk_supplier_status")),
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("order_hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_number"], ["purchase_order.number"], name=op.f("fk_approval_order_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    with op.batch_alter_table("approval", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_order_number"), ["order_number"], unique=False)

    op.create_table(
        "award_term",
        sa.Column("requisition", sa.String(length=32), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("term", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["requisition"], ["requisition.id"], name=op.f("fk_award_term_requisition")),
        sa.PrimaryKeyConstraint("requisition", "round", "supplier", "term", name=op.f("pk_award_term")),
    )
    op.create_table(
        "booking",
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("budget", sa.String(length=160), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("booked_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("minor >= 0", name=op.f("ck_booking_not_negative")),
        sa.ForeignKeyConstraint(["budget"], ["budget.id"], name=op.f("fk_booking_budget")),
        sa.ForeignKeyConstraint(["order_number"], ["purchase_order.number"], name=op.f("fk_booking_order_number")),
        sa.PrimaryKeyConstraint("order_number", "budget", name=op.f("pk_booking")),
    )
    op.create_table(
        "line_requisition",
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("requisition", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["requisition"], ["requisition.id"], name=op.f("fk_line_requisition_requisition")),
        sa.PrimaryKeyConstraint("order_number", "line", "requisition", name=op.f("pk_line_requisition")),
    )
    with op.batch_alter_table("line_requisition", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_line_requisition_requisition"), ["requisition"], unique=False)

    op.create_table(
        "order_line",
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=3), nullable=False),
        sa.Column("unit_price", sa.String(length=40), nullable=False),
        sa.Column("per", sa.String(length=40), nullable=False),
        sa.Column("confirmed", sa.String(length=40), nullable=False),
        sa.Column("shipped", sa.String(length=40), nullable=False),
        sa.Column("received", sa.String(length=40), nullable=False),
        sa.Column("invoiced", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["order_number"], ["purchase_order.number"], name=op.f("fk_order_line_order_number")),
        sa.PrimaryKeyConstraint("order_number", "number", name=op.f("pk_order_line")),
    )
    op.create_table(
        "permit",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("order_hash", sa.String(length=64), nullable=False),
        sa.Column("send", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_number"], ["purchase_order.number"], name=op.f("fk_permit_order_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permit")),
        sa.UniqueConstraint("plant", "order_number", "send", name=op.f("uq_permit_plant_order_number_send")),
    )
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permit_order_number"), ["order_number"], unique=False)

    op.create_table(
        "quotation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("requisition", sa.String(length=32), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=True),
        sa.Column("unit", sa.String(length=3), nullable=True),
        sa.Column("unit_price", sa.String(length=40), nullable=True),
        sa.Column("per", sa.String(length=40), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("freight_minor", sa.BigInteger(), nullable=True),
        sa.Column("fees_minor", sa.BigInteger(), nullable=True),
        sa.Column("lead_time_days", sa.String(length=40), nullable=True),
        sa.Column("available", sa.String(length=40), nullable=True),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["requisition"], ["requisition.id"], name=op.f("fk_quotation_requisition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotation")),
        sa.UniqueConstraint(
            "plant", "requisition", "round", "supplier", name=op.f("uq_quotation_plant_requisition_round_supplier")
        ),
    )
    with op.batch_alter_table("quotation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quotation_requisition"), ["requisition"], unique=False)

    op.create_table(
        "stock_reservation",
        sa.Column("requisition", sa.String(length=32), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["requisition"], ["requisition.id"], name=op.f("fk_stock_reservation_requisition")),
        sa.PrimaryKeyConstraint("requisition", name=op.f("pk_stock_reservation")),
    )
    op.create_table(
        "fitting",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("serial", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fitting")),
    )
    with op.batch_alter_table("fitting", schema=None) as batch_op:
        batch_op.create_index("ix_fitting_component", ["plant", "component"], unique=False)

    op.create_table(
        "life",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("fitted_at", sa.BigInteger(), nullable=False),
        sa.Column("used_before", sa.Float(), nullable=True),
        sa.Column("serial", sa.String(length=100), nullable=False),
        sa.Column("counters", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("open_slot", sa.String(length=130), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_life")),
        sa.UniqueConstraint("plant", "open_slot", name=op.f("uq_life_plant_open_slot")),
    )
    with op.batch_alter_table("life", schema=None) as batch_op:
        batch_op.create_index("ix_life_component", ["plant", "component"], unique=False)

    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("component", sa.String(length=130), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading")),
    )
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.create_index("ix_reading_component", ["plant", "component", "at"], unique=False)

    op.create_table(
        "session",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_person"), ["person"], unique=False)

    op.create_table(
        "sign_in_link",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("plant", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sign_in_link")),
    )
    with op.batch_alter_table("sign_in_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_link_person"), ["person"], unique=False)


def downgrade() -> None:
    """A backup is the way back; there is no other."""
    raise RuntimeError("restore the backup that was made before the upgrade")
