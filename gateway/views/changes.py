"""What would change an advice, in sentences: computed anew by `marketplace.sensitivity` when somebody looks.

It costs some dozen advices, 10 to 20 ms, so it runs beside the event loop and only for the one need or order that a
page or a command shows.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from gettext import gettext as _
from typing import Final
from zoneinfo import ZoneInfo

from gateway import i18n
from maintenance.needs import Belief
from marketplace.sensitivity import Change, Input, nearest_changes, unit_hours
from marketplace.timing import TimingTerms

WORTH_TELLING: Final = timedelta(days=1)
"""A date that is nearer says no more than that it could wait."""


async def changes(belief: Belief, terms: TimingTerms, now: datetime, zone: ZoneInfo) -> list[str]:
    """Return what would turn the advice at `now` round, the smallest change first; [] where nothing near does."""
    found = await asyncio.to_thread(nearest_changes, belief, terms, now)
    return [sentence(each, terms, now, zone) for each in found]


def sentence(change: Change, terms: TimingTerms, now: datetime, zone: ZoneInfo) -> str:
    """Return one change as a sentence."""
    condition = _condition(change, terms).format_map(_figures(change))
    if change.buy:
        return _("It would be due at once if {condition}.").format(condition=condition)
    if change.decide_by is None or change.decide_by - now < WORTH_TELLING:
        return _("It could wait if {condition}.").format(condition=condition)
    until = i18n.day(change.decide_by, zone)
    return _("It could wait until {day} if {condition}.").format(day=until, condition=condition)


def _condition(change: Change, terms: TimingTerms) -> str:
    match change.input:
        case Input.LEAD_TIME if len({each.supplier for each in terms.supplies}) > 1:
            return _("every supplier took {times} times as long to deliver")
        case Input.LEAD_TIME:
            return _("a part took {value} to come instead of {was}")
        case Input.APPROVAL:
            return _("an approval took {value} instead of {was}")
        case Input.STANDSTILL if terms.costs is None or not terms.costs.standstill:
            return _("a failure cost {value} more than a planned replacement instead of {was}")
        case Input.STANDSTILL:
            return _("an hour of standstill cost {value} instead of {was}, and a failure {share} {more}")
        case Input.PRICE:
            return _("the part cost {value} instead of {was}, and keeping it {share} {more}")
        case Input.REMAINING if change.factor >= 2.0:
            return _("what is left of its life were {times} times as long")
        case Input.REMAINING:
            return _("what is left of its life were {share} {longer}")


def _figures(change: Change) -> dict[str, str]:
    rise = change.factor > 1.0
    return {
        "value": _value(change, change.value),
        "was": _value(change, change.was),
        "share": i18n.percent(abs(change.factor - 1.0)),
        "times": i18n.number(Decimal(f"{change.factor:.3g}")),
        "more": _("more") if rise else _("less"),
        "longer": _("longer") if rise else _("shorter"),
    }


def _value(change: Change, value: float) -> str:
    if change.input in (Input.LEAD_TIME, Input.APPROVAL):
        unit = unit_hours(change.input, change.was)
        told = i18n.number(Decimal(f"{value / unit:.3g}").normalize())
        return _("{n} d").format(n=told) if unit > 1.0 else _("{n} h").format(n=told)
    return f"{i18n.number(value, 2 if value < 100 else 0)}\N{NO-BREAK SPACE}{change.currency}"
