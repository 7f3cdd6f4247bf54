"""How far a kind of parts may go by itself, a word each, so that a config can say it.

*bound*: the rule that needs no history. *adaptable*: that rule with what lives taught of patience or of lifetimes.
*autonomous*: a learned model.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What money may follow; in this order."""

    BOUND = "bound"
    ADAPTABLE = "adaptable"
    AUTONOMOUS = "autonomous"
