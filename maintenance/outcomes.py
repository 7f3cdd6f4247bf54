"""What a part that was taken out proves of how long such parts last.

Four sentences of promise. A part that failed lived as long as it ran, and one that was called worn or half used up
lived about as much longer as the words say. Anything else proves only that it lasted so long: nothing is made up from
silence. A life whose use nobody knows proves nothing at all. Functions of their arguments: no clock, no chance, no I/O.
"""

from __future__ import annotations

from typing import Final

from maintenance.assets import Found
from maintenance.lifetimes import FinishedLife

WORN_SHARE: Final = 0.05
"""What is left of a part that is worn, in usual lives: as much as nobody can tell from nothing by looking at it."""
SEEN_SHARE: Final = 0.1
"""A life was seen to its end if no more than this share of it was left."""


def left(found: Found | None, run: float, usual: float) -> float | None:
    """Return what was left of a part, by use; None where it proves no more than that it lasted so long.

    run: what it had run, all in. usual: what such parts usually reach, or what it had run where nobody knows.
    """
    match found:
        case Found.FAILED:
            return 0.0
        case Found.WORN:
            return WORN_SHARE * usual
        case Found.HALF:
            return run
        case _:
            return None


def finished(found: Found | None, run: float, usual: float) -> FinishedLife:
    """Return the life as `maintenance.lifetimes` takes it: ended, or cut short."""
    rest = left(found, run, usual)
    return FinishedLife(run, False) if rest is None else FinishedLife(run + rest, True)


def seen_to_its_end(run: float, rest: float) -> bool:
    """Tell whether so little was left that one may say what deciding otherwise would have cost."""
    return run > 0 and rest <= SEEN_SHARE * (run + rest)
