"""How well the wear of a cutting tool is told from what the lathe's controller says anyway.

Each recorded tool in turn is left out: a model is learned from the others, every choice in it made among them alone,
and then follows that tool second by second, from what was said up to that second. It hears three signals of the drives,
each against the tool's own first ten seconds, and two clocks: seconds of cutting, and cuts begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.simulator.recordings import Recording, read_recordings
from connectors.simulator.tool_wear import (
    CHANNELS,
    CROSS_TORQUE,
    FEED_CURRENT,
    SPINDLE_POWER,
    SPINDLE_TORQUE,
    WEAR,
    ToolWear,
)
from maintenance.features import Vector
from maintenance.wear_estimate import NINETY, WearEstimate, WearMeter
from maintenance.wear_learning import WearHistory, learn

Flags = NDArray[np.bool_]

HEARD: Final = (FEED_CURRENT, SPINDLE_TORQUE, SPINDLE_POWER)
NEW_CUT: Final = 6.0
"""A step of the cross slide's torque, in its own unit, that says it stands at another diameter: within a cut it moves
by 3.5 at most, from one to the next by 9 at least. Another machine has its own, or a counter of cuts."""


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What was believed of one tool second by second, and what it was, in micrometres."""

    mean: Vector
    deviation: Vector
    known: Flags
    wear: Vector

    @property
    def error(self) -> Vector:
        """The absolute error."""
        error: Vector = np.abs(self.mean - self.wear)
        return error

    @property
    def within(self) -> Flags:
        """Whether the wear was within the interval said to hold nine in ten."""
        within: Flags = self.error <= NINETY * self.deviation
        return within


def measure(directory: Path) -> dict[str, Any]:
    """Return errors in micrometres, and the share of true wear within nine-in-ten intervals, of tools left out.

    Raises RecordingError for a file that cannot be used, ValueError for fewer than four tools.
    """
    histories = {tool.unit: history(tool) for tool in read_recordings(directory, formats=[ToolWear()])}
    followed = {tool: follow(tool, histories) for tool in histories}
    errors = {str(tool): float(one.error.mean()) for tool, one in followed.items()}
    return {
        "tools": len(followed),
        "mae_um": round(_share([one.error for one in followed.values()]), 1),
        "mae_mean_of_tools_um": round(sum(errors.values()) / len(errors), 1),
        "mae_by_tool": {tool: round(error, 1) for tool, error in errors.items()},
        "coverage_90": round(_share([one.within for one in followed.values()]), 3),
        "known": round(_share([one.known for one in followed.values()]), 3),
    }


def history(tool: Recording) -> WearHistory:
    """Return a recorded tool as a history of clocks, signals and wear."""
    table = dict(zip(CHANNELS, np.array(tool.rows).T, strict=True))
    seconds = np.arange(1.0, len(tool) + 1.0)
    cuts = 1.0 + np.cumsum(np.abs(np.diff(table[CROSS_TORQUE], prepend=table[CROSS_TORQUE][0])) > NEW_CUT)
    signals = np.column_stack([table[name] for name in HEARD])
    return WearHistory(np.column_stack((seconds, cuts)), signals, table[WEAR])


def follow(tool: int, histories: Mapping[int, WearHistory]) -> Followed:
    """Return what a model of the other tools believes of one, second by second."""
    meter = WearMeter.new(learn([each for number, each in histories.items() if number != tool]))
    own = histories[tool]
    said: list[WearEstimate] = [
        meter.take(clocks, signals) for clocks, signals in zip(own.clocks.tolist(), own.signals.tolist(), strict=True)
    ]
    return Followed(
        np.array([each.mean for each in said]),
        np.array([each.deviation for each in said]),
        np.array([each.known for each in said]),
        own.wear,
    )


def _share(columns: Sequence[Vector | Flags]) -> float:
    return float(np.concatenate(columns).mean())
