"""Lives that wear as machines do: signals drift ever faster towards a failure, on noise, each unit a little else."""

from __future__ import annotations

import numpy as np

from maintenance.frames import History

SIGNALS = ("a", "b", "c", "d", "e", "f")
WIDE = tuple(f"s{number}" for number in range(14))
"""As many as a turbofan has that say anything."""
DIRECTION = np.array([1.0, -0.8, 0.6, 0.0, 1.2, -0.5])
"""How far wear moves each signal, in healthy scatters times five; the fourth says nothing."""


def life(unit: int, *, seed: int = 0, usual: int = 150) -> History:
    """A life of about `usual` frames; its seed and number decide everything."""
    chance = np.random.default_rng([seed, unit])
    length = int(usual * chance.uniform(0.7, 1.4))
    left = np.arange(length - 1, -1, -1.0)
    wear = 5.0 * np.exp(-left / (0.2 * usual))
    offset = chance.normal(0, 0.3, len(SIGNALS))
    frames = 100.0 + offset + wear[:, None] * DIRECTION + chance.normal(0, 1.0, (length, len(SIGNALS)))
    return History(f"unit-{unit}", frames, np.arange(1.0, length + 1))


def wide(unit: int) -> History:
    """A life of about 200 frames of fourteen signals."""
    several = [life(unit, seed=seed, usual=200) for seed in range(3)]
    frames = min(len(each.use) for each in several)
    together = np.hstack([each.frames[-frames:] for each in several])[:, : len(WIDE)]
    return History(f"unit-{unit}", together, np.arange(1.0, frames + 1))


def lives(count: int, *, seed: int = 0) -> list[History]:
    """So many lives."""
    return [life(unit, seed=seed) for unit in range(count)]
