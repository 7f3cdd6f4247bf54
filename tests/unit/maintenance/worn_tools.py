"""Simulated cutting edges: wear that is known, and drives that feel it; rates and noise by chance from a seed."""

from __future__ import annotations

import numpy as np

from maintenance.wear_learning import WearHistory

ROWS = 60
CUT_ROWS = 15


def tool(seed: int, rows: int = ROWS, noise: float = 0.01, feeling: float = 0.002) -> WearHistory:
    """Return a tool whose first signal grows by `feeling` for each micrometre; the second knows nothing of wear.

    Its wear (20 micrometres of running-in, then 2 to 6 a row) and the level of its signals are its own.
    """
    rng = np.random.default_rng(seed)
    row = np.arange(1.0, rows + 1.0)
    wear = 20.0 * (1.0 - np.exp(-row / 5.0)) + rng.uniform(2.0, 6.0) * row
    level = np.exp(rng.normal(0.0, 0.3, 2))
    feels = np.column_stack((12.0 * level[0] * (1.0 + feeling * wear), 120.0 * level[1] * np.ones(rows)))
    clocks = np.column_stack((row, 1.0 + np.floor(row / CUT_ROWS)))
    return WearHistory(clocks, feels * np.exp(rng.normal(0.0, noise, (rows, 2))), wear)


def tools(count: int, first_seed: int = 0) -> list[WearHistory]:
    """Return different tools."""
    return [tool(first_seed + number) for number in range(count)]


def by_clock_alone(others: list[WearHistory], rows: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the mean wear of others at each row: the guess of one who hears no signal."""
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.mean([one.wear[:rows] for one in others], axis=0)
    return found
