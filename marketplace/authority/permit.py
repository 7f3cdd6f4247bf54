"""The gate's single-use leave to spend. Without one, no adapter sends anything.

A permit is bound to one order's hash and its exact request bytes and ends soon. Only `authority.gate` may make one: an
import contract keeps others out, and the seal keeps out whoever tries all the same. That it is used once is a row
that the gate marks in the transaction which moves the order to `submitting`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_SEAL: Final = object()


class PermitRefused(Exception):
    """The permit is not the gate's, has ended, or is for other bytes; nothing was sent."""


@dataclass(frozen=True, slots=True)
class SpendPermit:
    """Leave to send these bytes to this supplier, once, before `ends_at` (plant time)."""

    id: str
    supplier: str
    reference: str
    key: str
    order_hash: str
    request_bytes: bytes
    ends_at: datetime
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise PermitRefused("a spend permit comes from the gate and from nowhere else")


def issue(
    *, id: str, supplier: str, reference: str, key: str, order_hash: str, request_bytes: bytes, ends_at: datetime
) -> SpendPermit:
    """Make a permit; `authority.gate` alone calls this, after it has marked the permit's row as used."""
    return SpendPermit(id, supplier, reference, key, order_hash, request_bytes, ends_at, _SEAL)


def require(permit: SpendPermit, supplier: str) -> None:
    """Refuse anything but the gate's own permit for this supplier. Raises `PermitRefused`."""
    if not isinstance(permit, SpendPermit) or permit.seal is not _SEAL or permit.supplier != supplier:
        raise PermitRefused(f"no permit of the gate for {supplier}: nothing was sent")
