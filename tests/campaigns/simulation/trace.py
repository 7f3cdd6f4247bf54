"""What happened, event by event: the figure by which two runs of one seed are the same run."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 60
"""Events before a violation that are shown with it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: in which month, after which event, and how."""

    seed: int
    event: int
    code: str
    text: str


class Trace:
    """Counts and hashes events; remembers the last ones."""

    def __init__(self, seed: int, now: Callable[[], float], violations_max: int = 10) -> None:
        self.seed = seed
        self.events = 0
        self.kinds: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.recent: deque[str] = deque(maxlen=KEPT)
        self._now = now
        self._hash = hashlib.sha256()
        self._violations_max = violations_max

    def tell(self, kind: str, *details: object) -> None:
        """Something happened."""
        self.events += 1
        self.kinds[kind] += 1
        line = " ".join([str(self.events), f"{self._now():.6f}", kind, *map(str, details)])
        self._hash.update(line.encode() + b"\n")
        self.recent.append(line)

    def fault(self, kind: str, *details: object) -> None:
        """Something went wrong on purpose."""
        self.faults[kind] += 1
        self.tell(f"fault:{kind}", *details)

    def violated(self, code: str, text: str) -> None:
        """An invariant does not hold."""
        if len(self.violations) < self._violations_max:
            self.violations.append(Violation(self.seed, self.events, code, text))
            self.recent.append(f"  *** {code}: {text}")

    @property
    def hash(self) -> str:
        """SHA-256 over every event so far, hexadecimal."""
        return self._hash.hexdigest()
