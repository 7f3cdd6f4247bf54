"""Every table of the marketplace, in the `spend` database.

Rules: each row carries `plant` and `gateway_id` and unique indexes include the plant, so that several gateways can
share one PostgreSQL; constraints are named; amounts are integers of minor units, decimals are texts, plant time is an
integer of microseconds since 1970 UTC, so that nothing depends on a dialect. Functions here open nothing: a
transaction is an argument.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Return plant time as it is stored. Raises ValueError for a naive time: a time without a zone is a guess."""
    if moment.tzinfo is None:
        raise ValueError("plant time is aware")
    return (moment - _EPOCH) // timedelta(microseconds=1)


class PlantTime(TypeDecorator[datetime]):
    """An aware UTC time as integer microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the aware time."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Exact(TypeDecorator[Decimal]):
    """A decimal as text: exact in every dialect."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Return the plain text."""
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Return the decimal."""
        return None if value is None else Decimal(value)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose row it is; every table of this package carries both."""

    plant: str
    gateway_id: str

    @property
    def columns(self) -> dict[str, str]:
        """The two columns, to be spread into an insert."""
        return {"plant": self.plant, "gateway_id": self.gateway_id}


AT_COMMIT: Final = "at_commit"
"""Under this name a writing transaction's `info` holds a fresh list of what it awaits, in order, before it commits:
each is called with the connection. What only needs to be written once for a transaction is kept there until then."""


class Database(Protocol):
    """The spend database, as the marketplace sees it: one writer at a time, any number of readers.

    Leaving `write()` without an exception has made everything in it durable; with one, nothing of it happened. A
    database that offers `AT_COMMIT` makes long transactions cheaper; without it everything is written at once.
    """

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin the one durable transaction."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Begin a consistent read."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _owner() -> tuple[Column[str], Column[str]]:
    return Column("plant", String(64), nullable=False), Column("gateway_id", String(64), nullable=False)


requisition = Table(
    "requisition",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("machine", String(64), nullable=False),
    Column("component", String(130), nullable=False),
    Column("life", String(64), nullable=False),
    Column("line", String(64), nullable=False),
    Column("item", String(64), nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("unit", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("open_slot", String(300)),  # component, life and line while open, null when ended: one open for each
    Column("provenance", String(1), nullable=False),
    Column("known", Boolean, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("needed_by", PlantTime),
    Column("reason", Text, nullable=False),  # JSON: the timing's figures and the need's evidence, by code
    Column("quoting_after", PlantTime),  # a failed round of quotes waits until then
    Column("attempt_group", Integer, nullable=False, server_default="1"),  # a person opens the next: "not placed"
    Column("problem", Text, nullable=False, server_default=""),  # code and parameters as JSON while a person is needed
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row, of the program at this requisition
    Column("quarantined_at", PlantTime),  # not touched from then on until a person releases it
    Column("created_at", PlantTime, nullable=False),
    Column("changed_at", PlantTime, nullable=False),
    UniqueConstraint("plant", "open_slot"),
    Index("ix_requisition_state", "plant", "state"),
)

slot_hold = Table(
    "slot_hold",
    metadata,
    *_owner(),
    Column("slot", String(300), nullable=False),
    Column("until", PlantTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("plant", "slot"),
)
"""After a person's refusal the same want is not raised again before `until`."""

quotation = Table(
    "quotation",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("requisition", ForeignKey("requisition.id"), nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("supplier", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),  # offered, unavailable, rejected, late, invalid
    Column("detail", Text, nullable=False),  # why there is no offer, for people; bounded
    Column("reference", String(100), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("quantity", Exact),
    Column("unit", String(3)),
    Column("unit_price", Exact),
    Column("per", Exact),
    Column("currency", String(3)),
    Column("freight_minor", BigInteger),
    Column("fees_minor", BigInteger),
    Column("lead_time_days", Exact),
    Column("available", Exact),
    Column("valid_until", PlantTime),
    Column("answered_at", PlantTime, nullable=False),
    UniqueConstraint("plant", "requisition", "round", "supplier"),
)

award_term = Table(
    "award_term",
    metadata,
    Column("requisition", ForeignKey("requisition.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("supplier", String(64), primary_key=True),
    Column("term", String(32), primary_key=True),  # goods, freight, fees, lateness, holding
    *_owner(),
    Column("minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("rank", Integer, nullable=False),  # 1 is the award, 2 the runner-up
)

purchase_order = Table(
    "purchase_order",
    metadata,
    Column("number", String(20), primary_key=True),
    *_owner(),
    Column("supplier", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON of PurchaseOrder.document()
    Column("order_hash", String(64), nullable=False),
    Column("key", String(64), nullable=False),  # idempotency key, bound to the number for ever
    Column("request_bytes", LargeBinary),
    Column("send_by", PlantTime),
    Column("sends", Integer, nullable=False, default=0),
    Column("first_sent_at", PlantTime),
    Column("last_sent_at", PlantTime),
    Column("clean_misses", Integer, nullable=False, default=0),  # look-ups that found nothing since the last send
    Column("provenance", String(1), nullable=False),
    Column("authority", String(8), nullable=False),  # policy, person, or empty before the decision
    Column("decided_by", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("quoted_until", PlantTime, nullable=False),
    Column("supplier_reference", String(100), nullable=False),
    Column("promised_at", PlantTime),
    Column("problem", Text, nullable=False),  # code and parameters as JSON when a person is needed, else empty
    Column("next_ask_at", PlantTime),  # reconciliation looks again at this time
    Column("attempt_group", Integer, nullable=False, server_default="1"),  # the requisition's when it was proposed
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row, of the program at this order
    Column("quarantined_at", PlantTime),  # not touched from then on until a person releases it
    Column("created_at", PlantTime, nullable=False),
    Column("changed_at", PlantTime, nullable=False),
    UniqueConstraint("plant", "number"),
    UniqueConstraint("plant", "key"),
    CheckConstraint("total_minor >= 0", name="total_not_negative"),
    Index("ix_purchase_order_state", "plant", "state"),
)

order_line = Table(
    "order_line",
    metadata,
    Column("order_number", ForeignKey("purchase_order.number"), primary_key=True),
    Column("number", Integer, primary_key=True),
    *_owner(),
    Column("item", String(64), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("unit", String(3), nullable=False),
    Column("unit_price", Exact, nullable=False),
    Column("per", Exact, nullable=False),
    Column("confirmed", Exact, nullable=False),
    Column("shipped", Exact, nullable=False),
    Column("received", Exact, nullable=False),
    Column("invoiced", Exact, nullable=False),
)

line_requisition = Table(
    "line_requisition",
    metadata,
    Column("order_number", String(20), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("requisition", ForeignKey("requisition.id"), primary_key=True, index=True),
    *_owner(),
    Column("quantity", Exact, nullable=False),  # how much of the line serves this requisition, in the line's unit
)

order_counter = Table(
    "order_counter",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("last", Integer, nullable=False),
)

spend_limit = Table(
    "spend_limit",
    metadata,
    Column("id", String(460), primary_key=True),  # plant/gateway/name, the name as `authority.limits` gives it
    *_owner(),
    Column("scope", String(16), nullable=False),  # order, component, machine, supplier, category, plant
    Column("key", String(130), nullable=False),  # which of them
    Column("per", String(8), nullable=False),  # day, month, total, or a rolling window such as 30 d
    Column("period", String(10), nullable=False),  # the day or month that is counted; empty without a calendar
    Column("measure", String(8), nullable=False),  # a currency, or orders
    Column("rolling_days", Integer),  # of a rolling window
    Column("limit_value", BigInteger, nullable=False),  # minor units, or a number of orders
    Column("ceiling", BigInteger, nullable=False),  # the limit, or what was booked when it was lowered below that
    Column("machine_used", BigInteger, nullable=False),  # booked by policy: never above the limit by a booking
    Column("person_used", BigInteger, nullable=False),  # booked by persons' approvals: narrows the machine's room
    CheckConstraint("machine_used >= 0 AND person_used >= 0 AND limit_value >= 0", name="not_negative"),
    CheckConstraint("machine_used <= ceiling", name="within_ceiling"),
    CheckConstraint("limit_value <= ceiling", name="ceiling_holds_limit"),
)

reservation = Table(
    "reservation",
    metadata,
    Column("order_number", ForeignKey("purchase_order.number"), primary_key=True),
    Column("send", Integer, primary_key=True),  # which send of the order it is for
    *_owner(),
    Column("machine", String(64), nullable=False),
    Column("component", String(130), nullable=False),
    Column("supplier", String(64), nullable=False),
    Column("categories", Text, nullable=False),  # JSON list
    Column("currency", String(3), nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("by_person", Boolean, nullable=False),
    Column("state", String(10), nullable=False),  # reserved, committed, released
    Column("booked_at", PlantTime, nullable=False),
    CheckConstraint("minor >= 0", name="not_negative"),
    Index("ix_reservation_booked_at", "plant", "gateway_id", "booked_at"),
)
"""Money kept for one send of an order, whatever limits there are: a new limit is counted from these."""

booking = Table(
    "booking",
    metadata,
    Column("order_number", String(20), primary_key=True),
    Column("send", Integer, primary_key=True),
    Column("limit_id", ForeignKey("spend_limit.id"), primary_key=True),
    *_owner(),
    Column("amount", BigInteger, nullable=False),  # in the limit's measure
    Column("by_person", Boolean, nullable=False),
    Column("state", String(10), nullable=False),  # reserved, committed, released, elapsed
    Column("booked_at", PlantTime, nullable=False),
    ForeignKeyConstraint(["order_number", "send"], ["reservation.order_number", "reservation.send"]),
    CheckConstraint("amount >= 0", name="not_negative"),
    Index("ix_booking_limit", "limit_id", "state", "booked_at"),
)
"""What a reservation takes of one limit."""

clock_mark = Table(
    "clock_mark",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("highest", PlantTime, nullable=False),
)
"""The highest plant time that was seen, or that a person has accepted."""

policy_version = Table(
    "policy_version",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("applied_by", String(64), nullable=False),
    Column("applied_at", PlantTime, nullable=False),
)

approval = Table(
    "approval",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("order_number", ForeignKey("purchase_order.number"), nullable=False, index=True),
    Column("order_hash", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("verdict", String(8), nullable=False),  # approve, deny
    Column("note", Text, nullable=False),
    Column("at", PlantTime, nullable=False),
)

permit = Table(
    "permit",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("order_number", ForeignKey("purchase_order.number"), nullable=False, index=True),
    Column("order_hash", String(64), nullable=False),
    Column("send", Integer, nullable=False),  # the how-manieth send it allows: one permit for each
    Column("issued_at", PlantTime, nullable=False),
    Column("ends_at", PlantTime, nullable=False),
    UniqueConstraint("plant", "order_number", "send"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_owner(),
    Column("supplier", String(64), nullable=False),
    Column("order_number", String(64), nullable=False),
    Column("kind", String(20), nullable=False),  # response, despatch, invoice, receipt
    Column(
        "fingerprint", String(64), nullable=False
    ),  # hash of kind, supplier and content: the same answer counts once
    Column("document", Text, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("received_at", PlantTime, nullable=False),
    Column("applied_at", PlantTime),
    Column("verdict", String(64), nullable=False),  # applied, or the code why it was set aside
    UniqueConstraint("plant", "fingerprint"),
    Index("ix_inbox_order_number", "plant", "order_number"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_owner(),
    Column("topic", String(32), nullable=False),  # order, requisition, stock: who listens is told what moved
    Column("subject", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("at", PlantTime, nullable=False),
)

stock_item = Table(
    "stock_item",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("gateway_id", String(64), nullable=False),
    Column("unit", String(3), nullable=False),
    Column("on_hand", Exact, nullable=False),
    Column("reserved", Exact, nullable=False),
    Column("in_transit", Exact, nullable=False),
)

stock_reservation = Table(
    "stock_reservation",
    metadata,
    Column("requisition", ForeignKey("requisition.id"), primary_key=True),
    *_owner(),
    Column("item", String(64), nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("state", String(10), nullable=False),  # reserved, fitted, returned
)

supplier_status = Table(
    "supplier_status",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("supplier", String(64), primary_key=True),
    Column("gateway_id", String(64), nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", PlantTime, nullable=False),
)

halt = Table(
    "halt",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("scope", String(10), nullable=False),  # plant, machine, supplier, component
    Column("key", String(130), nullable=False),  # of the machine, supplier or component; empty for the plant
    Column("open_scope", String(141)),  # scope and key while it stands, null when lifted: one stands for each
    Column("code", String(40), nullable=False),  # why: by a person, by the file, by an alarm
    Column("by", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("at", PlantTime, nullable=False),
    Column("note", String(64), nullable=False),  # digest of what the person wrote
    Column("alarm", String(32), nullable=False),  # the money alarm behind it, empty for none
    Column("lifted_at", PlantTime),
    Column("lifted_by", String(64)),
    UniqueConstraint("plant", "open_scope"),
)
"""Where buying is stopped until a named person lifts it."""

money_alarm = Table(
    "money_alarm",
    metadata,
    Column("id", String(32), primary_key=True),
    *_owner(),
    Column("code", String(40), nullable=False),
    Column("scope", String(10), nullable=False),
    Column("key", String(130), nullable=False),
    Column("subject", String(130), nullable=False),
    Column("parameters", Text, nullable=False),  # JSON: the figures of its sentence
    Column("raised_at", PlantTime, nullable=False),
    Column("acknowledge_by", PlantTime, nullable=False),
    Column("acknowledged_at", PlantTime),
    Column("acknowledged_by", String(64)),
    Column("halted", String(32), nullable=False),  # the stop that followed, empty for none
    Column("open_alarm", String(320)),  # code, scope and subject while open: raised once for each
    UniqueConstraint("plant", "open_alarm"),
)
"""Something about money is not as it must be; not acknowledged in time, it stops its scope."""

hand_price = Table(
    "hand_price",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("supplier", String(64), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("gateway_id", String(64), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("unit_price", Exact, nullable=False),
    Column("per", Exact, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("unit", String(3), nullable=False),
    Column("pack", Exact, nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("lead_time_days", Exact, nullable=False),
    Column("valid_until", PlantTime, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", PlantTime, nullable=False),
)
"""Prices of suppliers who are asked by hand, typed in or read from CSV by a named person."""

hand_answer = Table(
    "hand_answer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_owner(),
    Column("supplier", String(64), nullable=False),
    Column("order_number", String(20), nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", PlantTime, nullable=False),
)
"""What a supplier said on the phone about an order, as a named person typed it."""

audit_leaf = Table(
    "audit_leaf",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("leaf_index", Integer, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("subject", String(130), nullable=False),
    Column("at", PlantTime, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("subtree", LargeBinary(32), nullable=False),  # root of the largest complete subtree that ends with this leaf
    Index("ix_audit_leaf_subject", "plant", "gateway_id", "subject", "leaf_index"),
)

audit_tree = Table(
    "audit_tree",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # roots of the complete subtrees, 32 bytes each, largest first
    Column("root", LargeBinary(32), nullable=False),
)

audit_key = Table(
    "audit_key",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("from_size", Integer, primary_key=True),  # it signs trees of this many leaves and more, until the next
    Column("key", String(200), nullable=False),  # C2SP verifier key: name+id+base64
    Column("at", PlantTime, nullable=False),
)
"""Public keys alone; private ones stand in files, never here."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("size", Integer, primary_key=True),
    Column("note", Text, nullable=False),  # C2SP signed note
    Column("at", PlantTime, nullable=False),
)

cosignature = Table(
    "cosignature",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("size", Integer, primary_key=True),
    Column("witness", String(200), primary_key=True),  # the witness's verifier key
    Column("line", Text, nullable=False),  # the signature line, as the witness gave it
    Column("at", PlantTime, nullable=False),
)

free_text = Table(
    "free_text",
    metadata,
    Column("digest", String(64), primary_key=True),
    *_owner(),
    Column("salt", LargeBinary(16), nullable=False),
    Column("text", Text, nullable=False),
)
"""What people wrote; the audit holds only the salted hash, so that this row can be erased."""

person = Table(
    "person",
    metadata,
    Column("id", String(64), primary_key=True),
    *_owner(),
    Column("name", Text, nullable=False),
)
"""Names by opaque id, erasable."""
