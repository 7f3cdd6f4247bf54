"""What a simulated supplier does wrong, and how often: switched by tests, and by integrators over HTTP.

A fault holds for a number of requests that it applies to, or until it is cleared. Nothing is wrong by default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One thing that suppliers do wrong."""

    DROP_BEFORE_ACCEPT = "drop_before_accept"  # an order is read, forgotten, and the connection dropped
    DROP_AFTER_ACCEPT = "drop_after_accept"  # an order is taken, and the connection dropped without an answer
    SERVER_ERROR = "server_error"  # 500 instead of any answer, and nothing done
    SERVER_ERROR_AFTER_ACCEPT = "server_error_after_accept"  # an order is taken, and answered with 500
    SLOW = "slow"  # every answer takes `slow_seconds` of wall time
    GARBAGE = "garbage"  # bytes that mean nothing; an order is taken all the same
    ENDLESS = "endless"  # an answer that does not end
    OTHER_CURRENCY = "other_currency"  # quotes in US dollars
    PRICE_RISE = "price_rise"  # an order is confirmed a tenth dearer than it was quoted
    ANSWERS_TWICE = "answers_twice"  # every document comes twice
    FORGETS = "forgets"  # an order is answered, and never heard of again
    REFUSES = "refuses"  # orders are refused
    UNAVAILABLE = "unavailable"  # 503 to everything
    REDIRECTS = "redirects"  # everything has moved elsewhere
    SHIPS_NOTHING = "ships_nothing"  # orders are confirmed and never leave
    LOCKS_OUT = "locks_out"  # the token is no longer good


@dataclass(slots=True)
class Habits:
    """The faults that are switched on, with how many requests each still has to spoil; None is without end."""

    slow_seconds: float = 30.0
    _faults: dict[Fault, int | None] = field(default_factory=dict)

    def switch_on(self, fault: Fault, times: int | None = None) -> None:
        """Let a fault hold for the next `times` requests that it applies to, or until it is cleared."""
        self._faults[fault] = times

    def clear(self) -> None:
        """Behave again."""
        self._faults.clear()

    def active(self) -> dict[str, int | None]:
        """Return what is switched on."""
        return {str(fault): times for fault, times in self._faults.items()}

    def take(self, fault: Fault) -> bool:
        """Tell whether a fault holds now, and count it."""
        if fault not in self._faults:
            return False
        left = self._faults[fault]
        if left is None:
            return True
        if left <= 1:
            del self._faults[fault]
        else:
            self._faults[fault] = left - 1
        return left > 0
