"""The named fault points, and the power cut at them: around durable transactions and around suppliers' calls.

A transaction is named by every audit kind that is written in it: `before-commit:order.approved` is the last moment at
which nothing of it is durable, `after-commit:order.approved` the first at which all of it is. A call is named by what
is asked: `place:before-first-byte`, `place:request-left` (the bytes are in the kernel's hands),
`place:before-answer` (it has come, and nobody has read it). The product knows nothing of this: database and suppliers
are wrapped where the gateway is put together.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import ClientSession, TraceConfig
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.build import Around
from gateway.storage import Storage
from marketplace.audit.tree import flush
from marketplace.authority.permit import SpendPermit
from marketplace.documents import OrderResponse, PurchaseOrder, Quotation, RequestForQuotation, SupplierDocument
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.suppliers.supplier import Offer, Supplier

T = TypeVar("T")

NOTHING_SAID: Final = "bookkeeping"
"""The name of a transaction that writes no audit entry: sign-in links, when to ask again."""
KINDS: Final = (
    NOTHING_SAID,
    "life.began",
    "requisition.raised",
    *(f"requisition.{state}" for state in RequisitionState),
    "decision.made",
    "approval.given",
    "approval.refused",
    "permit.issued",
    "budget.committed",
    "budget.released",
    *(f"order.{state}" for state in OrderState),
    "answer.received",
    "answer.applied",
    "answer.set_aside",
)
CALLS: Final = ("quote", "place", "find", "documents", "cancel")
MOMENTS: Final = ("before-first-byte", "request-left", "before-answer")

SENDING: Final = frozenset({"permit.issued", "order.submitting", "order.submitted", "order.unknown"})


def named() -> list[str]:
    """Return every fault point by name."""
    commits = [f"{side}-commit:{kind}" for kind in KINDS for side in ("before", "after")]
    return commits + [f"{call}:{moment}" for call in CALLS for moment in MOMENTS]


def around_a_send() -> list[str]:
    """Return the fault points at which an order may be sent, or what became of it be lost: the worst that there are."""
    return [name for name in named() if name.startswith("place:") or name.partition(":")[2] in SENDING]


class Strike:
    """Kills its own process at the first fault point that is wanted, having written down which it was.

    skip: how many passings of wanted points are let by, so that not only the first work after a start is cut.
    """

    def __init__(self, wanted: Sequence[str], skip: int, fell: Path) -> None:
        self._wanted = frozenset(wanted)
        self._left = skip
        self._fell = fell

    def passing(self, *names: str) -> None:
        """Pass these fault points, all at the same moment."""
        hit = [name for name in names if name in self._wanted]
        if not hit:
            return
        if self._left > 0:
            self._left -= 1
            return
        self._fell.write_text("\n".join(hit))
        os.kill(os.getpid(), signal.SIGKILL)


class CutStorage(Storage):
    """A database with a fault point on either side of each commit."""

    def __init__(self, inner: Storage, strike: Strike) -> None:
        self.path = inner.path
        self._inner = inner
        self._strike = strike
        self._last: int | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Begin the one writing transaction."""
        async with self._inner.write() as tx:
            if self._last is None:
                self._last = (await tx.exec_driver_sql("SELECT max(rowid) FROM audit_leaf")).scalar_one() or 0
            yield tx
            last, kinds = await self._written(tx, self._last)
            self._strike.passing(*(f"before-commit:{kind}" for kind in kinds))
        self._last = last
        self._strike.passing(*(f"after-commit:{kind}" for kind in kinds))

    async def _written(self, tx: AsyncConnection, last: int) -> tuple[int, list[str]]:
        """Return the last audit entry that there is now, and the kinds of those after `last`."""
        await flush(tx)  # entries are kept until the commit
        query = "SELECT rowid, kind FROM audit_leaf WHERE rowid > ?"
        rows = [tuple(row) for row in await tx.exec_driver_sql(query, (last,))]
        if not rows:
            return last, [NOTHING_SAID]
        return max(rowid for rowid, _kind in rows), sorted({kind for _rowid, kind in rows})

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Begin a consistent read."""
        async with self._inner.read() as tx:
            yield tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CutSupplier:
    """A supplier whose line goes dead around its calls; keeps the promise of `Supplier`."""

    def __init__(self, inner: Supplier, strike: Strike) -> None:
        self.name = inner.name
        self.capabilities = inner.capabilities
        self._inner = inner
        self._strike = strike

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the exact request bytes of an order."""
        return self._inner.encode(order)

    async def search(self, text: str) -> Sequence[Offer]:
        """Return what the supplier offers under a text."""
        return await self._inner.search(text)

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Return an offer for every line of the request."""
        return await self._cut("quote", self._inner.quote(request))

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Send exactly `permit.request_bytes` once."""
        return await self._cut("place", self._inner.place(permit))

    async def find(self, reference: str) -> OrderResponse | None:
        """Return what the supplier knows of our order number."""
        return await self._cut("find", self._inner.find(reference))

    async def cancel(self, reference: str) -> OrderResponse:
        """Ask to cancel."""
        return await self._cut("cancel", self._inner.cancel(reference))

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """Return every document about our order."""
        return await self._cut("documents", self._inner.documents(reference))

    async def close(self) -> None:
        """Release what the adapter holds open."""
        await self._inner.close()

    async def _cut(self, call: str, work: Awaitable[T]) -> T:
        self._strike.passing(f"{call}:before-first-byte")
        answer = await work
        self._strike.passing(f"{call}:before-answer")
        return answer


def around(strike: Strike) -> Around:
    """Return what a gateway gets put around it so that it dies at the fault points of a strike."""
    listened: list[ClientSession] = []

    def supplier(made: Supplier) -> Supplier:
        session = getattr(made, "_session", None)  # an adapter's own; nobody else in the house has it
        if isinstance(session, ClientSession) and session not in listened:
            listened.append(session)
            session.trace_configs.append(_trace(strike))
        return CutSupplier(made, strike)

    return Around(spend=lambda storage: CutStorage(storage, strike), supplier=supplier)


def _trace(strike: Strike) -> TraceConfig:
    """Pass `request-left` once the last byte of a request has been handed to the kernel."""

    async def sent(_session: ClientSession, _context: Any, told: Any) -> None:
        call = call_of(told.method, told.url.path)
        loop = asyncio.get_running_loop()  # the bytes are written in this turn of the loop; the next finds them gone
        loop.call_soon(loop.call_soon, strike.passing, f"{call}:request-left")

    trace = TraceConfig()
    trace.on_request_headers_sent.append(sent)
    trace.freeze()
    return trace


def call_of(method: str, path: str) -> str:
    """Return which call of the supplier's port a request belongs to."""
    last = path.rstrip("/").rpartition("/")[2]
    if method == "POST":
        return {"orders": "place", "quotes": "quote"}.get(last, "cancel")
    return "documents" if last == "documents" else "find"
