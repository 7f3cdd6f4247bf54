"""What a simulated supplier can tell of an order once it has taken it: by key, by look-up, or not at all.

The three kinds of suppliers that a buyer meets are settings of it. One knows an idempotency key again for as long as it
says; one knows no keys and finds orders by the buyer's reference, a while after it took them; one does neither, and
whoever sends it the same order twice has bought twice. It knows no shop: times in, verdicts out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Recall:
    """How far a supplier's memory reaches; the default is everything, at once and for ever. Times are plant time.

    keys: how long a key is known again; None: it looks at no keys. lookup_lag: how long after it was taken an order
    is missing from the index. looks_up: whether questions about orders are answered at all.
    """

    keys: timedelta | None = timedelta.max
    lookup_lag: timedelta = timedelta(0)
    looks_up: bool = True

    def knows_key(self, taken_at: datetime, now: datetime) -> bool:
        """Return whether the key of an order that was taken then is still known now."""
        return self.keys is not None and now - taken_at < self.keys

    def in_index(self, taken_at: datetime, now: datetime) -> bool:
        """Return whether an order that was taken then can be found now."""
        return now - taken_at >= self.lookup_lag
