"""Bugs planted on purpose, so that everybody sees the invariants fail: a checker that cannot fail shows nothing.

Each is a small lie in a wrapper of the harness, told once something is there to lie about. The program is untouched.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from marketplace.authority.permit import SpendPermit
from marketplace.authority.scopes import PLANT
from marketplace.documents import OrderResponse
from marketplace.suppliers.supplier import OutcomeUnknown
from tests.campaigns.simulation import ledger_view
from tests.campaigns.simulation.disk import healthy
from tests.campaigns.simulation.suppliers import SimulatedSupplier

if TYPE_CHECKING:
    from tests.campaigns.simulation.world import World

WAIT: Final = 20
"""Orders that are left alone first, so that the books are full when they are broken."""


class Sabotage:
    """None: everything is left as it is."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.done = 0

    async def prepare(self) -> None:
        """Bring about what there must be to lie about."""

    def before_commit(self) -> None:
        """The program is about to commit."""

    def around(self, supplier: SimulatedSupplier) -> SimulatedSupplier:
        """Return the adapter that the gateway gets."""
        return supplier

    def _some(self, state: str) -> str | None:
        rows = self._cursor.execute(
            "SELECT number FROM purchase_order WHERE state = ? ORDER BY number", (state,)
        ).fetchall()
        ripe = self.world.checker.orders >= WAIT and not self.done and rows
        return str(self.rng.choice(rows)[0]) if ripe else None

    @property
    def _cursor(self) -> sqlite3.Cursor:
        return healthy(self.world.connection)


class _Books(Sabotage):
    """Breaks the books of an order in some state, within a transaction of the program's."""

    state = "confirmed"
    act: Callable[[sqlite3.Cursor, str], bool]

    def before_commit(self) -> None:
        number = self._some(self.state)
        if number is not None:
            self.done += type(self).act(self._cursor, number)


class ReleasesTwice(_Books):
    """What an order held is given back once more."""

    act = staticmethod(ledger_view.give_back_again)


class ForgetsReservation(_Books):
    """An order that is at a supplier has no reservation any more."""

    state = "unknown"
    act = staticmethod(ledger_view.forget)


class Overspends(_Books):
    """An order takes more room than its limit has."""

    state = "approved"
    act = staticmethod(ledger_view.overspend)


def _edit(cursor: sqlite3.Cursor, _number: str) -> bool:
    other = "CAST(replace(CAST(leaf AS TEXT), 'gateway', 'getaway') AS BLOB)"
    return cursor.execute(f"UPDATE audit_leaf SET leaf = {other} WHERE leaf_index = 40").rowcount > 0


class LiftsStop(Sabotage):
    """A stop is gone, and nobody has said so."""

    async def prepare(self) -> None:
        while self.world.checker.orders < WAIT:
            await asyncio.sleep(3600)
        await self.world.people.stop(PLANT)

    def before_commit(self) -> None:
        lifted = "UPDATE halt SET open_scope = NULL WHERE scope = 'plant' AND open_scope IS NOT NULL"
        self.done += self._cursor.execute(lifted).rowcount


class EditsAudit(_Books):
    """Somebody rewrites an entry of the log."""

    act = staticmethod(_edit)


def _skip(cursor: sqlite3.Cursor, number: str) -> bool:
    return cursor.execute("UPDATE purchase_order SET state = 'denied' WHERE number = ?", (number,)).rowcount > 0


class MovesAside(_Books):
    """A state is written past the tables."""

    act = staticmethod(_skip)


class _Rogue(SimulatedSupplier):
    """An adapter that goes its own way."""

    sabotage: Sabotage


class _WithoutPermit(_Rogue):
    async def place(self, permit: SpendPermit) -> OrderResponse:
        response = await super().place(permit)
        if self.sabotage.world.checker.orders >= WAIT and not self.sabotage.done:
            self.sabotage.done += 1
            await self.send(permit.reference, permit.key + "-again", permit.request_bytes, "answered", "forged")
        return response


class _Blindly(_Rogue):
    async def place(self, permit: SpendPermit) -> OrderResponse:
        try:
            return await super().place(permit)
        except OutcomeUnknown:
            self.sabotage.done += 1
            return await self.send(permit.reference, permit.key, permit.request_bytes, "answered", permit.id)


class _Edited(_Rogue):
    async def send(self, reference: str, key: str, request: bytes, fate: str, permit: str) -> OrderResponse:
        self.sabotage.done += 1
        return await super().send(reference, key, request.replace(b'"quantity":"', b'"quantity":"4'), fate, permit)


class _Adapters(Sabotage):
    rogue: type[_Rogue]

    def around(self, supplier: SimulatedSupplier) -> SimulatedSupplier:
        made = self.rogue(supplier.gateway, supplier.book)
        made.sabotage = self
        return made


class _Losing(_Rogue):
    def _fate(self) -> str:
        without_key = self.capabilities.idempotency_key is None
        return "lost" if without_key and not self.sabotage.done else super()._fate()


class BooksOnce(_Books):
    """An order that may be bought twice has money for one."""

    state = "submitting"
    act = staticmethod(ledger_view.book_once)

    def around(self, supplier: SimulatedSupplier) -> SimulatedSupplier:
        made = _Losing(supplier.gateway, supplier.book)
        made.sabotage = self
        return made


class SendsWithoutPermit(_Adapters):
    """An adapter sends once more, on a permit of its own making."""

    rogue = _WithoutPermit


class ResendsBlindly(_Adapters):
    """An adapter takes silence for failure, and sends again."""

    rogue = _Blindly


class EditsBytes(_Adapters):
    """An adapter sends other bytes than were permitted."""

    rogue = _Edited


KINDS: Final[dict[str, type[Sabotage]]] = {
    "none": Sabotage,
    "releases-twice": ReleasesTwice,
    "forgets-reservation": ForgetsReservation,
    "overspends": Overspends,
    "books-once": BooksOnce,
    "lifts-stop": LiftsStop,
    "edits-audit": EditsAudit,
    "moves-aside": MovesAside,
    "sends-without-permit": SendsWithoutPermit,
    "resends-blindly": ResendsBlindly,
    "edits-bytes": EditsBytes,
}


def planted(name: str, world: Any, rng: random.Random) -> Sabotage:
    """Return a sabotage by name."""
    return KINDS[name](world, rng)
