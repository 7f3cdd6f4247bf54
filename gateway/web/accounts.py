"""Who is looking: sign-in links that work once, and sessions that end.

A link belongs to one named person, works once, and ends ten minutes of wall time after it was made. A session ends when
nobody used it for two hours, and twelve hours after sign-in whatever happens. Only hashes of both secrets are stored,
so a copy of the database opens nothing, and neither secret is ever logged. Times here are wall time and arguments.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, MetaData, String, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions import Right
from marketplace.money import Money
from marketplace.store import Owner, PlantTime
from marketplace.store import metadata as marketplace

LINK_LIFE = timedelta(minutes=10)
IDLE_LIFE = timedelta(hours=2)
"""Longer than a walk through the hall, shorter than a shift."""
SESSION_LIFE = timedelta(hours=12)
"""A long shift; then a person says again who they are."""
TOUCH_EVERY = timedelta(minutes=1)
"""How far behind `seen_at` may be: a page that is looked at shall not write a row for each look."""
LINKS_MAX = 5
"""Open links of one person; making another closes the oldest."""
SESSIONS_MAX = 10
"""Open sessions of one person: telephone, office, control room, and room to spare."""
_SECRET_BYTES = 32

metadata = MetaData(naming_convention=marketplace.naming_convention)

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("plant", String(64), nullable=False),
    Column("gateway_id", String(64), nullable=False),
    Column("person", String(64), nullable=False, index=True),
    Column("made_at", PlantTime, nullable=False),
    Column("ends_at", PlantTime, nullable=False),
)
"""A row is an unused link; using it deletes it. Times are wall time."""

session = Table(
    "session",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("plant", String(64), nullable=False),
    Column("gateway_id", String(64), nullable=False),
    Column("person", String(64), nullable=False, index=True),
    Column("began_at", PlantTime, nullable=False),
    Column("seen_at", PlantTime, nullable=False),
    Column("ends_at", PlantTime, nullable=False),
)
"""An open session. Times are wall time."""


@dataclass(frozen=True, slots=True)
class Account:
    """A named person of the config, as the page knows them."""

    id: str
    name: str
    may: frozenset[str]
    approval_limit: Money | None = None

    def can(self, right: Right) -> bool:
        """Return whether the config grants this."""
        return right.value in self.may


@dataclass(frozen=True, slots=True)
class Session:
    """An open session: whose it is, and the secret that the cookie holds."""

    person: str
    secret: str
    seen_at: datetime
    ends_at: datetime

    @property
    def form_token(self) -> str:
        """What every form of this session must carry: bound to the secret, useless without it."""
        return hmac.new(self.secret.encode(), b"form", hashlib.sha256).hexdigest()

    def accepts(self, form_token: str) -> bool:
        """Compare a form's token in constant time."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


def digest(secret: str) -> str:
    """Return what is stored of a secret; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def issue_link(tx: AsyncConnection, owner: Owner, person: str, now: datetime) -> str:
    """Make a link's secret for a person; the caller shows it to that person and forgets it."""
    await tx.execute(delete(sign_in_link).where(sign_in_link.c.ends_at <= now))
    await _keep_newest(tx, sign_in_link, sign_in_link.c.made_at, person, LINKS_MAX - 1)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = {"hash": digest(secret), "person": person, "made_at": now, "ends_at": now + LINK_LIFE}
    await tx.execute(insert(sign_in_link).values(**row, **owner.columns))
    return secret


def link_path(secret: str) -> str:
    """Return the path of a link below the page's address."""
    return f"/sign-in/{secret}"


async def person_of_link(tx: AsyncConnection, owner: Owner, secret: str, now: datetime) -> str | None:
    """Return whose link this is while it works; looking does not use it up."""
    return (await tx.execute(select(sign_in_link.c.person).where(*_open_link(owner, secret, now)))).scalar_one_or_none()


async def sign_in(tx: AsyncConnection, owner: Owner, secret: str, now: datetime) -> Session | None:
    """Use a link up and open a session; None when it was used, has ended, or never was."""
    used = delete(sign_in_link).where(*_open_link(owner, secret, now)).returning(sign_in_link.c.person)
    person = (await tx.execute(used)).scalar_one_or_none()
    if person is None:
        return None
    await tx.execute(delete(session).where((session.c.ends_at <= now) | (session.c.seen_at <= now - IDLE_LIFE)))
    await _keep_newest(tx, session, session.c.seen_at, person, SESSIONS_MAX - 1)
    opened = Session(person, secrets.token_urlsafe(_SECRET_BYTES), now, now + SESSION_LIFE)
    row = {"hash": digest(opened.secret), "person": person, "began_at": now, "seen_at": now, "ends_at": opened.ends_at}
    await tx.execute(insert(session).values(**row, **owner.columns))
    return opened


async def session_of(tx: AsyncConnection, owner: Owner, secret: str, now: datetime) -> Session | None:
    """Return the open session of a cookie's secret, None when there is none or it has ended."""
    query = select(session.c.person, session.c.seen_at, session.c.ends_at).where(
        session.c.hash == digest(secret),
        session.c.plant == owner.plant,
        session.c.gateway_id == owner.gateway_id,
        session.c.ends_at > now,
        session.c.seen_at > now - IDLE_LIFE,
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Session(row.person, secret, row.seen_at, row.ends_at)


async def touch(tx: AsyncConnection, opened: Session, now: datetime) -> None:
    """Note that a session was used."""
    await tx.execute(update(session).where(session.c.hash == digest(opened.secret)).values(seen_at=now))


async def sign_out(tx: AsyncConnection, opened: Session) -> None:
    """End a session."""
    await tx.execute(delete(session).where(session.c.hash == digest(opened.secret)))


def _open_link(owner: Owner, secret: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    link = sign_in_link.c
    return (
        link.hash == digest(secret),
        link.plant == owner.plant,
        link.gateway_id == owner.gateway_id,
        link.ends_at > now,
    )


async def _keep_newest(tx: AsyncConnection, table: Table, age: Column[datetime], person: str, keep: int) -> None:
    mine = select(table.c.hash).where(table.c.person == person)
    kept = mine.order_by(age.desc()).limit(keep)
    await tx.execute(delete(table).where(table.c.person == person, table.c.hash.not_in(kept)))
