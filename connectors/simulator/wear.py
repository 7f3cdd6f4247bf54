"""How parts wear: a gamma process with a rate of its own for every part.

A part's whole path from new (0) to worn out (1) is drawn when the part is made, on a grid of operating hours, and read
by interpolation. So wear depends on the seed, the number of the part and the hours it ran, and not on how often
somebody looked: two runs of the same seed fail at the same hour, whatever the speed of the machine that simulates them.

The gamma process is the usual law of gradual, irreversible wear (J. M. van Noortwijk, "A survey of the application of
gamma processes in maintenance", Reliability Engineering & System Safety 94, 2009); the log-normal life is the
unit-to-unit spread. Knows no machine, no signal and no clock.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, replace

STEPS = 200
"""Points of a path over an average life: fine enough that interpolation is far below the roughness of the wear."""


@dataclass(frozen=True, slots=True)
class WearLaw:
    """How the parts of one kind wear.

    `life` is the mean life in operating hours; `spread` the coefficient of variation of lives from part to part;
    `roughness` that of one part's wear around its own mean, over a whole life.
    """

    life: float
    spread: float = 0.12
    roughness: float = 0.04


@dataclass(frozen=True, slots=True)
class Part:
    """One part and its fate: `path` is its wear at multiples of `step` operating hours, from 0 until it passes 1."""

    number: int
    step: float
    path: tuple[float, ...]

    def wear_at(self, used: float) -> float:
        """Return the wear, 0 to 1, after so many operating hours."""
        place = max(used, 0.0) / self.step
        index = int(place)
        if index + 1 >= len(self.path):
            return 1.0
        here, there = self.path[index], self.path[index + 1]
        return min(here + (place - index) * (there - here), 1.0)

    def used_at(self, wear: float) -> float:
        """Return the operating hours at which a wear between 0 and 1 is reached."""
        if wear <= 0.0:
            return 0.0
        index = bisect_left(self.path, min(wear, 1.0))
        below, above = self.path[index - 1], self.path[index]
        return self.step * (index - 1 + (min(wear, 1.0) - below) / (above - below))

    @property
    def life(self) -> float:
        """Operating hours from new to worn out."""
        return self.used_at(1.0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A part in its place, and the operating hours it has run there."""

    part: Part
    used: float = 0.0

    @property
    def wear(self) -> float:
        """Between 0, as new, and 1, worn out."""
        return 1.0 if self.failed else self.part.wear_at(self.used)

    @property
    def hours_left(self) -> float:
        """Operating hours until it is worn out."""
        return max(self.part.life - self.used, 0.0)

    @property
    def failed(self) -> bool:
        """Whether the part is worn out."""
        return self.used >= self.part.life

    def advanced(self, hours: float) -> Slot:
        """Return the slot after so many more operating hours; wear stops at worn out."""
        return replace(self, used=min(self.used + max(hours, 0.0), self.part.life))

    def worn_out(self) -> Slot:
        """Return the slot with its part broken now."""
        return replace(self, used=self.part.life)


def chance(seed: int, component: str, number: int) -> random.Random:
    """Return the source of chance that belongs to one part of one component, the same in every process."""
    return random.Random(f"{seed}/{component}/{number}")


def make_part(law: WearLaw, number: int, rng: random.Random) -> Part:
    """Draw a part: its own mean life, log-normal around the law's, then the gamma path of its wear."""
    variance = math.log1p(law.spread**2)
    life = law.life * math.exp(rng.gauss(0.0, math.sqrt(variance)) - variance / 2)
    shape, scale = 1 / (law.roughness**2 * STEPS), law.roughness**2
    path = [0.0]
    while path[-1] < 1.0:
        path.append(path[-1] + rng.gammavariate(shape, scale))
    return Part(number, life / STEPS, tuple(path))


def fitted(law: WearLaw, component: str, *, seed: int, number: int, wear: float = 0.0) -> Slot:
    """Return a slot with part `number` of a component in it, new or already worn so far.

    Raises ValueError when `wear` is not between 0 and 1.
    """
    if not 0.0 <= wear <= 1.0:
        raise ValueError(f"{component}: wear {wear} is not between 0 and 1")
    part = make_part(law, number, chance(seed, component, number))
    return Slot(part, part.used_at(wear))
