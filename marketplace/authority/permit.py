"""The gate's single-use leave to spend. Without one, no adapter sends anything.

A permit is bound to one order's hash and its exact request bytes, ends soon and is used once. It is made by
`authority.issuing`, which an import contract opens to the gate alone; the seal keeps out whoever tries all the same.
Used once means twice over: one row for each send, which the gate writes in the transaction that moves the order to
`submitting`, and here the permit itself, which `require` takes away from whoever shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from weakref import WeakSet

_SEAL: Final = object()


class PermitRefused(Exception):
    """There is no leave, or it is not the gate's, has ended, was used, or is for another supplier; nothing was sent.

    `code` says why the gate gave none (see `authority.leave`); it is empty where a permit itself was refused.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, weakref_slot=True)
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


_UNUSED: Final[WeakSet[SpendPermit]] = WeakSet()
"""Permits that were issued and not shown yet; one that nobody holds any more is forgotten."""


def require(permit: SpendPermit, supplier: str, now: datetime) -> None:
    """Take the gate's own permit for this supplier, once, before it ends; `now` is plant time.

    An adapter calls this before its first byte. Raises `PermitRefused` for anything else: nothing may be sent then.
    """
    if not isinstance(permit, SpendPermit) or permit.seal is not _SEAL or permit.supplier != supplier:
        raise PermitRefused(f"no permit of the gate for {supplier}: nothing was sent")
    if now >= permit.ends_at:
        raise PermitRefused(f"the permit for {permit.reference} has ended: nothing was sent")
    if permit not in _UNUSED:
        raise PermitRefused(f"the permit for {permit.reference} was used before: nothing was sent again")
    _UNUSED.discard(permit)
