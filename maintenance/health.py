"""Health assessment (ISO 13374 HA): one number from 1 (as new) to 0 (worn out), whatever wears.

Health is for people's eyes and for ordering a list; nothing is bought on it. Functions of their arguments alone.
"""

from __future__ import annotations


def of_usage(used: float, rated: float) -> float:
    """Return the share of the rated life that is left; both in one unit, `rated` above 0."""
    return _bounded(1.0 - used / rated)


def worn_share(value: float, as_new: float, limit: float) -> float:
    """Return how much of the way from new to the limit is gone: 0 as new, 1 at the limit, in either direction."""
    return (value - as_new) / (limit - as_new)


def of_level(value: float, as_new: float, limit: float) -> float:
    """Return the share of the way to the engineering limit that is left."""
    return _bounded(1.0 - worn_share(value, as_new, limit))


def of_deviation(deviation: float, failure: float) -> float:
    """Return health from the distance to the healthy self: 1 within half a healthy scatter, 0 at the failure level."""
    return _bounded(1.0 - max(deviation - 0.5, 0.0) / (failure - 0.5))


def _bounded(share: float) -> float:
    return min(max(share, 0.0), 1.0)
