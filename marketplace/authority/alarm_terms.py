"""What can be wrong with money, by stable code, and how long a person may take to look. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class AlarmCode(StrEnum):
    """What can be wrong with money. The codes are stable: config, audit and translations rest on them."""

    OTHER_TERMS = "OTHER_TERMS"
    OUTCOME_OPEN = "OUTCOME_OPEN"
    APPROVED_NOT_PERMITTED = "APPROVED_NOT_PERMITTED"
    LEDGER_BROKEN = "LEDGER_BROKEN"
    GATE_CLOSED = "GATE_CLOSED"
    ORDER_ALTERED = "ORDER_ALTERED"
    WITNESS_DISAGREES = "WITNESS_DISAGREES"
    CLOCK_WRONG = "CLOCK_WRONG"


@dataclass(frozen=True, slots=True)
class AlarmTerms:
    """How long a person may take to acknowledge an alarm, in plant time; `by_code` goes before `default`."""

    default: timedelta = timedelta(hours=8)
    by_code: Mapping[str, timedelta] = field(default_factory=lambda: MappingProxyType({}))

    def within(self, code: str) -> timedelta:
        """Return the time for alarms of a code."""
        return self.by_code.get(code, self.default)


USUAL: Final = AlarmTerms()
