"""Where spend permits are made: a room of its own, so that an import contract can keep everybody out but the gate.

`authority.gate` enters after it has written the row for one send. The suite that every supplier adapter must pass
(`suppliers.contract`) has a key, too: it buys from adapters under test and from nobody else. Nothing is decided here.
"""

from __future__ import annotations

from datetime import datetime

from marketplace.authority.permit import _SEAL, _UNUSED, SpendPermit  # the two that only this module may touch


def issue(
    *, id: str, supplier: str, reference: str, key: str, order_hash: str, request_bytes: bytes, ends_at: datetime
) -> SpendPermit:
    """Make a permit for one send."""
    permit = SpendPermit(id, supplier, reference, key, order_hash, request_bytes, ends_at, _SEAL)
    _UNUSED.add(permit)
    return permit
