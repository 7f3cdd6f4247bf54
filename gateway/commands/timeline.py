"""A belief as a line of characters, for a terminal: when it fails, by when to decide, when a part is here."""

from __future__ import annotations

from gettext import gettext as _
from typing import TYPE_CHECKING, Final

from gateway import i18n
from gateway.views.foresight import EARLY, EARLY_HALF, EVEN, LATE, LATE_HALF

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from gateway.views.foresight import Foresight

WIDTH: Final = 60
"""Characters of the line: fits a terminal of 80."""


def timeline(seen: Foresight, zone: ZoneInfo) -> list[str]:
    """Return the lines of the picture with its legend; [] where nothing lies ahead within what is known."""
    marks = [each for each in (*seen.fails, seen.decide_by, seen.arrives) if each is not None and each > seen.now]
    if not marks:
        return []
    end = max(marks)
    if seen.fails[LATE] is None:  # what is not known ahead goes on beyond the line
        end += (end - seen.now) / 6

    def place(at: datetime) -> int:
        return min(max(round((at - seen.now) / (end - seen.now) * (WIDTH - 1)), 0), WIDTH - 1)

    lane, above = [" "] * WIDTH, [" "] * WIDTH
    for low, high, shade in ((EARLY, LATE, "░"), (EARLY_HALF, LATE_HALF, "▒")):
        first, last = seen.fails[low], seen.fails[high]
        if first is not None:
            start, stop = place(first), place(end if last is None else last)
            lane[start : stop + 1] = shade * (stop + 1 - start)
    for at, row, sign in ((seen.fails[EVEN], lane, "█"), (seen.arrives, above, "A"), (seen.decide_by, above, "D")):
        if at is not None:
            row[place(at)] = sign
    begin, close = i18n.day(seen.now, zone), i18n.day(end, zone)
    drawn = ["".join(above), "".join(lane), "─" * WIDTH, begin + close.rjust(WIDTH - len(begin))]
    return [line.rstrip() for line in drawn if line.strip()] + _legend(seen, zone)


def _legend(seen: Foresight, zone: ZoneInfo) -> list[str]:
    told = [_("░ fails, 10 to 90 %   ▒ 25 to 75 %   █ even odds")] if seen.fails[EARLY] else []
    if seen.decide_by is not None:
        told.append(_("D decide by {day}").format(day=i18n.day(seen.decide_by, zone)))
    if seen.arrives is not None:
        told.append(_("A part is here {day}").format(day=i18n.day(seen.arrives, zone)))
    return told
