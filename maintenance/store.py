"""The tables of maintenance: what must never be lost, and what may lose its last second.

`durable` (lives, fittings, typed readings, what people report) belongs into the spend database, so that a life and its
audit entry commit together; `telemetry` (snapshots, needs, frames of lives, what was learned of them, and the ring of
samples in `history`) lies beside it. Rows of `durable` carry plant and gateway. Times are integers of microseconds
since 1970 UTC, constraints are named, nothing depends on a dialect. Functions take an open connection and open nothing;
whoever changes a life writes the audit entry in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator

from maintenance.assets import Fitting, FittingState, Found, Life
from maintenance.documents import need_document, need_of
from maintenance.frames import Frames
from maintenance.needs import Need
from maintenance.picture import Picture
from maintenance.symptoms import Report

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
CHUNK = 500
"""Rows or keys in one statement; SQLite allows at least 999 parameters."""


class PlantTime(TypeDecorator[datetime]):
    """An aware UTC time as integer microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times: a time without a zone is a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("plant time is aware")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the aware time."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class Owner(Protocol):
    """Whose row it is: the plant and the gateway."""

    @property
    def columns(self) -> dict[str, str]:
        """The columns `plant` and `gateway_id`."""


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

durable = MetaData(naming_convention=_NAMES)
telemetry = MetaData(naming_convention=_NAMES)


def _owner() -> tuple[Column[str], Column[str]]:
    return Column("plant", String(64), nullable=False), Column("gateway_id", String(64), nullable=False)


life = Table(
    "life",
    durable,
    Column("id", String(64), primary_key=True),
    *_owner(),
    Column("component", String(130), nullable=False),
    Column("fitted_at", PlantTime, nullable=False),
    Column("used_before", Float),  # null: nobody knows
    Column("serial", String(100), nullable=False),
    Column("counters", Text, nullable=False),  # JSON: counter to reading at fitting
    Column("removed_at", PlantTime),
    Column("open_slot", String(130)),  # the component while fitted, null when removed: one part in one slot
    Column("found", String(10)),  # null: nothing was said
    Column("ran", Text),  # JSON: clock to what it had run when removed; null while nobody has asked
    UniqueConstraint("plant", "open_slot"),
    Index("ix_life_component", "plant", "component"),
)

fitting = Table(
    "fitting",
    durable,
    Column("id", String(64), primary_key=True),
    *_owner(),
    Column("component", String(130), nullable=False),
    Column("at", PlantTime, nullable=False),
    Column("state", String(10), nullable=False),
    Column("by", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("serial", String(100), nullable=False),
    Index("ix_fitting_component", "plant", "component"),
)

reading = Table(
    "reading",
    durable,
    Column("id", Integer, primary_key=True, autoincrement=True),
    *_owner(),
    Column("component", String(130), nullable=False),
    Column("value", Float, nullable=False),
    Column("at", PlantTime, nullable=False),
    Column("by", String(64), nullable=False),
    Index("ix_reading_component", "plant", "component", "at"),
)

symptom = Table(
    "symptom",
    durable,
    Column("plant", String(64), primary_key=True),
    Column("component", String(130), primary_key=True),
    Column("known_as", String(400), primary_key=True),  # what is said, case folded
    Column("gateway_id", String(64), nullable=False),
    Column("said", String(100), nullable=False),
    Column("at", PlantTime, nullable=False),
    Column("by", String(64), nullable=False),
)
"""What people report of the parts that are in their slots now; what is over is no longer here."""

snapshot = Table(
    "snapshot",
    telemetry,
    Column("component", String(130), primary_key=True),
    Column("at", PlantTime, nullable=False),
    Column("document", Text, nullable=False),
)

need = Table(
    "need",
    telemetry,
    Column("component", String(130), primary_key=True),
    Column("at", PlantTime, nullable=False),
    Column("document", Text, nullable=False),
    Column("picture", Text, nullable=False),
)


frames = Table(
    "frames",
    telemetry,
    Column("life", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("component", String(130), nullable=False),
    Column("at", PlantTime, nullable=False),  # when it was last written
    Column("signals", Text, nullable=False),  # JSON: their names in order
    Column("stride", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_frames_at", "at"),
)

model = Table(
    "model",
    telemetry,
    Column("kind", String(150), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("at", PlantTime, nullable=False),
    Column("document", Text, nullable=False),
)


async def open_life(connection: AsyncConnection, owner: Owner, new: Life) -> None:
    """Open a life. Raises sqlalchemy.exc.IntegrityError while another part is in the slot."""
    row = {
        "id": new.id,
        "component": new.component,
        "fitted_at": new.fitted_at,
        "used_before": new.used_before,
        "serial": new.serial,
        "counters": json.dumps(new.counters, sort_keys=True),
        "removed_at": new.removed_at,
        "open_slot": new.component if new.removed_at is None else None,
    }
    await connection.execute(insert(life).values(**owner.columns, **row))


async def close_life(
    connection: AsyncConnection,
    owner: Owner,
    component: str,
    at: datetime,
    found: Found | None = None,
    ran: Mapping[str, float] | None = None,
) -> str | None:
    """Close the life in a slot and return its id, or None when the slot was empty; see `Life` for `found` and `ran`."""
    mine = (life.c.plant == owner.columns["plant"]) & (life.c.open_slot == component)
    closed: str | None = (await connection.execute(select(life.c.id).where(mine))).scalar_one_or_none()
    said = {"found": found, "ran": json.dumps(dict(ran or {}), sort_keys=True)}
    await connection.execute(update(life).where(mine).values(removed_at=at, open_slot=None, **said))
    return closed


async def lives(connection: AsyncConnection, owner: Owner, component: str | None = None) -> list[Life]:
    """Return the plant's lives, oldest first, of one component or of all."""
    query = select(life).where(life.c.plant == owner.columns["plant"]).order_by(life.c.fitted_at, life.c.id)
    if component is not None:
        query = query.where(life.c.component == component)
    return [
        Life(
            id=row.id,
            component=row.component,
            fitted_at=row.fitted_at,
            used_before=row.used_before,
            serial=row.serial,
            counters=json.loads(row.counters),
            removed_at=row.removed_at,
            found=None if row.found is None else Found(row.found),
            ran=json.loads(row.ran or "{}"),
        )
        for row in await connection.execute(query)
    ]


async def open_lives(connection: AsyncConnection, owner: Owner) -> dict[str, Life]:
    """Return the life now in each slot, by component."""
    return {one.component: one for one in await lives(connection, owner) if one.removed_at is None}


async def save_fitting(connection: AsyncConnection, owner: Owner, act: Fitting) -> None:
    """Write a fitting, or its newer state under the same id."""
    row = {
        "component": act.component,
        "at": act.at,
        "state": act.state.value,
        "by": act.by,
        "evidence": act.evidence,
        "serial": act.serial,
    }
    mine = (fitting.c.id == act.id) & (fitting.c.plant == owner.columns["plant"])
    if (await connection.execute(update(fitting).where(mine).values(**row))).rowcount == 0:
        await connection.execute(insert(fitting).values(id=act.id, **owner.columns, **row))


async def fittings(connection: AsyncConnection, owner: Owner, component: str | None = None) -> list[Fitting]:
    """Return the plant's fittings, oldest first, of one component or of all."""
    query = select(fitting).where(fitting.c.plant == owner.columns["plant"]).order_by(fitting.c.at, fitting.c.id)
    if component is not None:
        query = query.where(fitting.c.component == component)
    return [
        Fitting(row.id, row.component, row.at, FittingState(row.state), row.by, row.evidence, row.serial)
        for row in await connection.execute(query)
    ]


async def record_reading(
    connection: AsyncConnection, owner: Owner, component: str, value: float, at: datetime, by: str
) -> None:
    """Keep a reading that a person typed in; `by` is an opaque person id."""
    await connection.execute(insert(reading).values(**owner.columns, component=component, value=value, at=at, by=by))


async def readings(
    connection: AsyncConnection, owner: Owner, component: str, limit: int = 100
) -> list[tuple[datetime, float, str]]:
    """Return the newest typed readings of a component, oldest first: when, what, by whom."""
    query = (
        select(reading.c.at, reading.c.value, reading.c.by)
        .where(reading.c.plant == owner.columns["plant"], reading.c.component == component)
        .order_by(reading.c.at.desc(), reading.c.id.desc())
        .limit(limit)
    )
    return [(row.at, row.value, row.by) for row in await connection.execute(query)][::-1]


async def keep_report(connection: AsyncConnection, owner: Owner, component: str, report: Report) -> None:
    """Keep what a person reports. Raises sqlalchemy.exc.IntegrityError when somebody has reported it before."""
    row = {"said": report.said, "known_as": report.said.casefold(), "at": report.at, "by": report.by}
    await connection.execute(insert(symptom).values(**owner.columns, component=component, **row))


async def drop_reports(connection: AsyncConnection, owner: Owner, component: str, said: str | None = None) -> int:
    """Forget a symptom of a component, or all of them; returns how many went."""
    mine = (symptom.c.plant == owner.columns["plant"]) & (symptom.c.component == component)
    if said is not None:
        mine &= symptom.c.known_as == said.casefold()
    return (await connection.execute(delete(symptom).where(mine))).rowcount


async def reports(connection: AsyncConnection, owner: Owner) -> dict[str, tuple[Report, ...]]:
    """Return what people report by component, oldest first."""
    query = select(symptom).where(symptom.c.plant == owner.columns["plant"]).order_by(symptom.c.at, symptom.c.known_as)
    found: dict[str, tuple[Report, ...]] = {}
    for row in await connection.execute(query):
        found[row.component] = (*found.get(row.component, ()), Report(row.said, row.at, row.by))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class FrameRow:
    """A row of frames of one life; `place` counts the rows of a life, `stride` is how many one frame may be of."""

    life: str
    place: int
    component: str
    signals: tuple[str, ...]
    stride: int
    frames: Frames


async def save_frames(connection: AsyncConnection, rows: Iterable[FrameRow], at: datetime) -> None:
    """Write rows of frames, in the place of those that have it."""
    written = [
        {
            "life": row.life,
            "place": row.place,
            "component": row.component,
            "at": at,
            "signals": json.dumps(row.signals),
            "stride": row.stride,
            "held": len(row.frames),
            "content": row.frames.content(),
        }
        for row in rows
    ]
    if not written:
        return
    old = (frames.c.life == bindparam("old_life")) & (frames.c.place == bindparam("old_place"))
    places = [{"old_life": row["life"], "old_place": row["place"]} for row in written]
    await connection.execute(delete(frames).where(old), places)
    await connection.execute(insert(frames), written)


async def load_frames(connection: AsyncConnection, life: str, *, newest: bool = False) -> list[FrameRow]:
    """Return the rows of a life in order, or the newest alone. Raises ValueError for one that is broken."""
    query = select(frames).where(frames.c.life == life).order_by(frames.c.place.desc()).limit(1 if newest else None)
    found = []
    for row in await connection.execute(query):
        signals = tuple(json.loads(row.signals))
        kept = Frames.of(row.content, row.held, len(signals))
        found.append(FrameRow(row.life, row.place, row.component, signals, row.stride, kept))
    return found[::-1]


async def drop_frames(connection: AsyncConnection, life: str) -> None:
    """Forget the frames of one life."""
    await connection.execute(delete(frames).where(frames.c.life == life))


async def forget_frames(connection: AsyncConnection, before: datetime) -> int:
    """Forget the lives of which no frame was written since a time; returns how many rows went."""
    recent = select(frames.c.life).where(frames.c.at >= before)
    return (await connection.execute(delete(frames).where(frames.c.life.not_in(recent)))).rowcount


async def save_model(connection: AsyncConnection, kind: str, version: str, document: str, at: datetime) -> None:
    """Keep what was learned of a kind beside what was known before."""
    await connection.execute(delete(model).where(model.c.kind == kind, model.c.version == version))
    await connection.execute(insert(model).values(kind=kind, version=version, at=at, document=document))


async def drop_models(connection: AsyncConnection, kind: str, but: str) -> None:
    """Forget what was learned of a kind, but for one version."""
    await connection.execute(delete(model).where(model.c.kind == kind, model.c.version != but))


async def load_model(connection: AsyncConnection, kind: str, version: str) -> str | None:
    """Return the document of a version, None where it is gone."""
    query = select(model.c.document).where(model.c.kind == kind, model.c.version == version)
    found: str | None = (await connection.execute(query)).scalar_one_or_none()
    return found


async def save_snapshots(connection: AsyncConnection, states: Mapping[str, dict[str, Any]], at: datetime) -> None:
    """Keep the newest state of each component; see `Monitor.snapshot`."""
    rows = [{"component": key, "at": at, "document": _dump(state)} for key, state in states.items()]
    await _replace(connection, snapshot, rows)


async def load_snapshots(connection: AsyncConnection) -> dict[str, dict[str, Any]]:
    """Return the newest state of each component; see `Monitor.restore`."""
    rows = await connection.execute(select(snapshot.c.component, snapshot.c.document))
    return {row.component: json.loads(row.document) for row in rows}


async def save_needs(connection: AsyncConnection, needs: Iterable[tuple[Need, Picture]]) -> None:
    """Keep the newest need and picture of each component."""
    rows = [
        {
            "component": one.component,
            "at": one.as_of,
            "document": _dump(need_document(one)),
            "picture": _dump(picture.document()),
        }
        for one, picture in needs
    ]
    await _replace(connection, need, rows)


async def load_needs(connection: AsyncConnection) -> dict[str, tuple[Need, Picture]]:
    """Return the newest need and picture of each component, exactly as they were."""
    rows = await connection.execute(select(need).order_by(need.c.component))
    return {
        row.component: (need_of(json.loads(row.document)), Picture.of_document(json.loads(row.picture))) for row in rows
    }


async def _replace(connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Put rows in the place of those with the same component."""
    if not rows:
        return
    await connection.execute(
        delete(table).where(table.c.component == bindparam("old")), [{"old": row["component"]} for row in rows]
    )
    await connection.execute(insert(table), rows)


def _dump(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
