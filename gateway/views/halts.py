"""Stops that stand and alarms that nobody has acknowledged, with who, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.texts import text_of
from marketplace.audit import log
from marketplace.authority import alarms, halts
from marketplace.authority.alarms import Alarm
from marketplace.authority.halts import Halt
from marketplace.store import Owner


@dataclass(frozen=True, slots=True)
class HaltView:
    """One stop that stands; `note` is what the person wrote, empty when nothing or when it was erased."""

    id: str
    scope: str
    key: str
    code: str
    by: str
    method: str
    at: datetime
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the stop for programs."""
        return {
            "id": self.id,
            "scope": self.scope,
            "key": self.key,
            "code": self.code,
            "by": self.by,
            "method": self.method,
            "at": text_of(self.at),
            "note": self.note or None,
        }


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One open alarm; `halted`: its time was over, and its scope was stopped."""

    id: str
    code: str
    scope: str
    key: str
    subject: str
    parameters: Mapping[str, str]
    raised_at: datetime
    acknowledge_by: datetime
    halted: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the alarm for programs."""
        return {
            "id": self.id,
            "code": self.code,
            "scope": self.scope,
            "key": self.key,
            "subject": self.subject,
            "parameters": dict(self.parameters),
            "raised_at": text_of(self.raised_at),
            "acknowledge_by": text_of(self.acknowledge_by),
            "halted": self.halted,
        }


async def standing(spend: AsyncConnection, owner: Owner) -> list[HaltView]:
    """Return every stop that stands in the plant, the oldest first."""
    return [await _halt_view(spend, each) for each in await halts.standing(spend, owner)]


async def _halt_view(spend: AsyncConnection, halt: Halt) -> HaltView:
    note = await log.written(spend, halt.note) if halt.note else None
    scope = halt.scope
    return HaltView(halt.id, str(scope.kind), scope.key, halt.code, halt.by, halt.method, halt.at, note or "")


async def open_alarms(spend: AsyncConnection, owner: Owner) -> list[AlarmView]:
    """Return every alarm that nobody has acknowledged, the oldest first."""
    return [_alarm_view(each) for each in await alarms.open_alarms(spend, owner)]


def _alarm_view(alarm: Alarm) -> AlarmView:
    return AlarmView(
        id=alarm.id,
        code=alarm.code,
        scope=str(alarm.scope.kind),
        key=alarm.scope.key,
        subject=alarm.subject,
        parameters=alarm.parameters,
        raised_at=alarm.raised_at,
        acknowledge_by=alarm.acknowledge_by,
        halted=bool(alarm.halted),
    )
