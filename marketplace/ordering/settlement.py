"""What became of an order that was sent: asked of its supplier, by our reference only, and never guessed.

    unknown      ask the supplier; found: adopt, if it says what we said. Not found: under an idempotency key that the
                 supplier declares, and that is young, send the same bytes again. Without one, and only with a look-up:
                 wait out its window from the end of the last send, then three clean misses, then send the same bytes
                 once more, which begins the window anew; `sends_max` sends in all. With neither a person must find out
    cancelling   ask the supplier; "still on" counts past the window, and nothing is sent again, whatever it says

What a supplier does not declare it cannot do. Each of these waits has an end, and at the end stands a person; until
then the order keeps its reservation. Whoever calls holds the order's lock and has just read its row.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Row

from marketplace.documents import OrderResponse, Reply
from marketplace.ordering.edges import REFERENCE_TAKEN, gateway_actor, move_order, problem, problem_code
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.states import OrderState
from marketplace.suppliers.supplier import Supplier, SupplierError, SupplierUnavailable

S = OrderState
_log = structlog.get_logger()

KEY_YOUNG: Final = 0.9
"""A key is trusted for nine tenths of its declared life: clocks differ, and a send takes time."""
_NOTHING: Final = object()


class Settlement:
    """Asks suppliers about orders, and does what their declared capabilities then allow."""

    def __init__(self, purchasing: Purchasing) -> None:
        self._database = purchasing.database
        self._owner = purchasing.owner
        self._sending = purchasing.sending
        self._terms = purchasing.terms
        self._clock = purchasing.clock

    async def without_supplier(self, row: Row[Any]) -> None:
        """The config lost the supplier of an open order: only a person can find out now."""
        if row.state == S.SUBMITTING:
            await self._sending.lose(row.number, "interrupted")
        if row.state == S.CANCELLING:
            await self._give_up_cancelling(row, "SUPPLIER_GONE")
        else:
            await self._sending.give_to_person(row.number, S.UNKNOWN, "SUPPLIER_GONE", supplier=row.supplier)

    # What became of an order that nobody knows of?

    async def settle(self, row: Row[Any], supplier: Supplier) -> None:
        """Walk the rules of the header for one unknown order."""
        number, can = row.number, supplier.capabilities
        if can.documents and await self._fetch(row, supplier) and await self._settled(number):
            return
        if can.lookup_window is not None:
            found = await self._ask(row, supplier)
            if found is not _NOTHING:
                return
            row = await self._count_miss(row, supplier)
        taken = problem_code(row.problem) == REFERENCE_TAKEN  # what is there under our number may be another's
        if not taken and self._key_is_young(row, supplier):
            await self._sending.send(number, S.UNKNOWN, key_proven=True)
        elif can.lookup_window is None:
            code = REFERENCE_TAKEN if taken else "OUTCOME_UNKNOWN"
            await self._sending.give_to_person(number, S.UNKNOWN, code, supplier=row.supplier)
        elif row.clean_misses >= self._terms.misses_wanted:
            await self._not_there(row, taken)
        elif self._is_overdue(row, supplier):
            await self._sending.give_to_person(number, S.UNKNOWN, "OUTCOME_UNKNOWN", supplier=row.supplier)

    async def _settled(self, number: str) -> bool:
        return bool((await self._sending.row(number)).state != S.UNKNOWN)

    def _is_overdue(self, row: Row[Any], supplier: Supplier) -> bool:
        """Past the window and the longest wait: from here on a person looks for it."""
        window = supplier.capabilities.lookup_window
        assert window is not None
        return bool(self._clock() > (row.last_sent_at or row.changed_at) + window + self._terms.unknown_max)

    async def _ask(self, row: Row[Any], supplier: Supplier) -> object:
        """Look an unknown order up: adopt what is found; `_NOTHING` for a clean miss, None when nobody can tell."""
        try:
            found = await self._find(row.number, supplier)
        except Exception as error:  # a look-up changes nothing: whatever went wrong, ask again
            await self._cannot_tell(row, supplier, error)
            return None
        if found is None:
            return _NOTHING
        await self._sending.take_asked(supplier.name, row.number, found)
        if not await self._settled(row.number):
            await self._sending.give_to_person(row.number, S.UNKNOWN, "LOOKUP_NOT_USABLE", supplier=row.supplier)
        return found

    async def _find(self, number: str, supplier: Supplier) -> OrderResponse | None:
        async with asyncio.timeout(self._terms.wire_timeout.total_seconds()):
            return await supplier.find(number)

    async def _cannot_tell(self, row: Row[Any], supplier: Supplier, error: Exception) -> None:
        _log.info("lookup_failed", order=row.number, supplier=row.supplier, error=type(error).__name__)
        if self._is_overdue(row, supplier):
            await self._sending.give_to_person(row.number, S.UNKNOWN, "LOOKUP_UNAVAILABLE", supplier=row.supplier)
        else:
            await self._sending.set(row.number, next_ask_at=self._clock() + self._terms.ask_again, clean_misses=0)

    async def _count_miss(self, row: Row[Any], supplier: Supplier) -> Row[Any]:
        """A miss counts once the look-up must know; until then it only means "not yet".

        The window begins when the last send was given up, not when it began: its bytes may have left until then.
        """
        now, window = self._clock(), supplier.capabilities.lookup_window
        assert window is not None
        knows_at = row.changed_at + window
        ripe = now >= knows_at
        later = now + self._terms.ask_again if ripe else knows_at
        await self._sending.set(row.number, clean_misses=row.clean_misses + int(ripe), next_ask_at=later)
        return await self._sending.row(row.number)

    def _key_is_young(self, row: Row[Any], supplier: Supplier) -> bool:
        """Whether the supplier declares keys, still remembers this one, and has not been tried too often with it."""
        life, now = supplier.capabilities.idempotency_key, self._clock()
        if life is None or row.first_sent_at is None or not self._may_go_again(row, now):
            return False
        return bool(now < row.first_sent_at + life * KEY_YOUNG)

    def _may_go_again(self, row: Row[Any], now: datetime) -> bool:
        return bool(row.sends < self._terms.sends_max and row.send_by is not None and now < row.send_by)

    async def _not_there(self, row: Row[Any], taken: bool) -> None:
        """The look-up is sure: the same bytes may go once more, and its window begins anew. Too often is a person's."""
        if taken:
            await self._sending.give_to_person(row.number, S.UNKNOWN, REFERENCE_TAKEN, supplier=row.supplier)
        elif self._may_go_again(row, self._clock()):
            await self._sending.send(row.number, S.UNKNOWN)
        else:
            await self._sending.give_to_person(row.number, S.UNKNOWN, "NOT_FOUND", supplier=row.supplier)

    # What else has a supplier to say?

    async def called_off(self, row: Row[Any], supplier: Supplier) -> None:
        """Ask what became of a cancellation; "still on" counts once the look-up must know of it."""
        if self._clock() >= row.changed_at + self._terms.cancel_within:
            await self._give_up_cancelling(row, "CANCELLATION_OPEN")
            return
        await self._sending.set(row.number, next_ask_at=self._clock() + self._terms.ask_again)
        window = supplier.capabilities.lookup_window
        found = await self._look(row, supplier) if window is not None else None
        if found is not None and window is not None:
            knows = self._clock() >= row.changed_at + window
            if knows or found.reply is Reply.REJECTED:
                await self._sending.take_asked(supplier.name, row.number, found)
        if supplier.capabilities.documents:
            await self._fetch(row, supplier)

    async def _give_up_cancelling(self, row: Row[Any], code: str) -> None:
        """Nobody can find out: a person does. Never by way of what sends an unknown order again."""
        now, actor = self._clock(), gateway_actor(self._owner, "clock")
        said = {"code": code, "parameters": {"supplier": row.supplier}}
        noted = problem(code, {"supplier": row.supplier})
        async with self._database.write() as tx:
            await move_order(tx, self._owner, row.number, S.CANCELLING, S.UNKNOWN, actor=actor, at=now, facts=said)
            await move_order(
                tx,
                self._owner,
                row.number,
                S.UNKNOWN,
                S.NEEDS_PERSON,
                actor=actor,
                at=now,
                facts=said,
                problem=noted,
                next_ask_at=None,
            )

    async def poll(self, row: Row[Any], supplier: Supplier) -> None:
        if supplier.capabilities.documents:
            await self._fetch(row, supplier)
        else:
            found = await self._look(row, supplier)
            if found is not None:
                await self._sending.take_asked(supplier.name, row.number, found)

    async def _look(self, row: Row[Any], supplier: Supplier) -> OrderResponse | None:
        """Return what a supplier knows of an order that it has; None when it cannot be asked now, or does not say."""
        try:
            return await self._find(row.number, supplier)
        except (SupplierError, TimeoutError) as error:
            _log.info("lookup_failed", order=row.number, supplier=row.supplier, error=type(error).__name__)
            return None

    async def _fetch(self, row: Row[Any], supplier: Supplier) -> bool:
        """Take every document about an order into the inbox; False when the supplier cannot be asked now."""
        try:
            async with asyncio.timeout(self._terms.wire_timeout.total_seconds()):
                documents = await supplier.documents(row.number)
        except (SupplierUnavailable, TimeoutError) as error:
            _log.info("documents_unavailable", order=row.number, supplier=row.supplier, error=type(error).__name__)
            return False
        for document in documents:
            if row.state == S.UNKNOWN:
                await self._sending.take_asked(supplier.name, row.number, document)
            else:
                await self._sending.take(supplier.name, document)
        return True
