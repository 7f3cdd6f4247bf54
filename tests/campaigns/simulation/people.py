"""The people of the plant: they approve, refuse, are late, find out, receive, fit, and change the rules.

What they say is true: who settles an order has called the supplier. An act that is lost with the gateway is done again
when they see that nothing came of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from marketplace import fulfilment, stock
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.authority.gate import Approver, PolicyRefused
from marketplace.authority.halts import BY_PERSON, Scope, ScopeKind
from marketplace.authority.policy import Mode, clock_jumped
from marketplace.documents import Invoice
from marketplace.money import Money
from marketplace.ordering.requisition import want_of
from marketplace.ordering.states import OrderState
from tests.campaigns.simulation.disk import healthy
from tests.campaigns.simulation.site import CATALOGUE, CURRENCY, Component, advice_on, economics
from tests.campaigns.simulation.suppliers import DAY, Entry, Pallet
from tests.unit.marketplace.fakes import EASY_GOING

if TYPE_CHECKING:
    from tests.campaigns.simulation.world import World

HOUR = 3600.0
ANNA = Approver("anna", may_approve=True, limit=Money(500_000, CURRENCY), may_apply_policy=True)
BERT = Approver("bert", may_approve=True, limit=Money(10_000, CURRENCY), may_apply_policy=False)
STOREMAN = Actor(ActorKind.PERSON, "carla", "page")
S = OrderState
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIMITS: list[dict[str, Any]] = [
    {"scope": "order", "amount": "500 EUR"},
    {"scope": "component", "each": True, "per": "7 d", "amount": "600 EUR"},
    {"scope": "machine", "key": "machine-3", "per": "total", "amount": "2000 EUR"},
    {"scope": "supplier", "each": True, "per": "month", "amount": "1500 EUR"},
    {"scope": "supplier", "key": "keyed", "per": "day", "count": 3},
    {"scope": "plant", "per": "day", "count": 12},
    {"scope": "plant", "per": "30 d", "amount": "9000 EUR"},
]
"""Limits of which a policy has some, beside that for each machine."""


def person(approver: Approver) -> Actor:
    """Return an approver as the one who acts."""
    return Actor(ActorKind.PERSON, approver.id, "page")


class People:
    """Everybody at once."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.pallets: list[Pallet] = []

    def begin(self) -> list[asyncio.Task[None]]:
        """Come to work; the tasks go on until they are called off."""
        rounds = (
            (self.office, 3 * HOUR),
            (self.warehouse, 4 * HOUR),
            (self.technician, 5 * HOUR),
            (self.meddle, 30 * HOUR),
            (self.rule, 90 * HOUR),
        )
        return [asyncio.create_task(self._round(work, every)) for work, every in rounds]

    async def _round(self, work: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 1.5) * every)
            await work()

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return healthy(self.world.connection).execute(query, parameters).fetchall()

    async def _act(self, name: str, begin: Callable[[], Awaitable[Any]]) -> Any:
        """Ask the gateway for something; it may be down, or die over it."""
        gateway = self.world.gateway
        if gateway is None or not gateway.alive:
            return None
        done = await gateway.act(name, begin())
        self.world.trace.tell("act", name, getattr(done, "code", done))
        return done

    # Orders.

    async def office(self) -> None:
        """Decide what waits for a decision, settle what needs a person."""
        query = "SELECT number, order_hash FROM purchase_order WHERE state = 'awaiting_approval' ORDER BY number"
        for number, order_hash in self._rows(query):
            await self._decide(number, order_hash)
        query = "SELECT number, supplier FROM purchase_order WHERE state = 'needs_person' ORDER BY number"
        for number, supplier in self._rows(query):
            await self._settle(number, supplier)
        for number, total in self._likely(
            "SELECT number, total_minor FROM purchase_order WHERE state = 'disputed' ORDER BY number"
        ):
            await self._act("settle", partial(self._agree, number, total))
        for (supplier,) in self._rows("SELECT supplier FROM supplier_status WHERE suspended ORDER BY supplier"):
            if self.rng.random() < 0.3:
                await self._act("reinstate", partial(self._reinstate, supplier))
        await self._type_in()
        await self._look_after()
        self._take_back()
        self._follow_parts()

    async def _look_after(self) -> None:
        """Look at what is set apart, at alarms, at stops and at the clock; some of it only the next time."""
        query = (
            "SELECT number FROM purchase_order WHERE quarantined_at IS NOT NULL"
            " UNION SELECT id FROM requisition WHERE quarantined_at IS NOT NULL ORDER BY 1"
        )
        for (subject,) in self._likely(query):
            await self._act("release", partial(self._release, subject))
        query = "SELECT id FROM money_alarm WHERE open_alarm IS NOT NULL ORDER BY raised_at, id"
        for (id,) in self._likely(query):
            await self._act("acknowledge", partial(self._acknowledge, id))
        query = "SELECT scope, key FROM halt WHERE open_scope IS NOT NULL ORDER BY at, id"
        for scope, key in self._likely(query):
            await self._act("resume", partial(self._resume, Scope(ScopeKind(scope), key)))
        if self.world.clock() == self.world.true_now() and self._clock_is_doubted():
            await self._act("clock accepted", self._accept_clock)

    def _likely(self, query: str) -> list[tuple[Any, ...]]:
        return [row for row in self._rows(query) if self.world.quiet or self.rng.random() < 0.6]

    def _clock_is_doubted(self) -> bool:
        rows = self._rows("SELECT highest FROM clock_mark")
        return bool(rows) and clock_jumped(EPOCH + timedelta(microseconds=rows[0][0]), self.world.clock())

    def _follow_parts(self) -> None:
        """Write to suppliers whose part was taken that they may send it."""
        query = "SELECT number FROM purchase_order WHERE supplier = ? AND state = 'confirmed' ORDER BY number"
        for book in self.world.books.values():
            for (number,) in self._rows(query, book.name) if book.character.short else ():
                for entry in book.live(number):
                    if entry.part is not None and not entry.kept:
                        book.settle_for_part(entry)

    def _take_back(self) -> None:
        """Who sees that a supplier has an order twice, after the first was confirmed, sends one back."""
        for book in self.world.books.values():
            query = (
                "SELECT number FROM purchase_order WHERE supplier = ? AND state IN ('confirmed', 'shipped', 'received')"
                " ORDER BY number"
            )
            for (number,) in self._rows(query, book.name) if book.forgets else ():
                for entry in book.live(number)[1:]:
                    book.take_back(entry)

    @property
    def _purchasing(self) -> Any:
        assert self.world.gateway is not None
        return self.world.gateway.purchasing

    @property
    def _stopping(self) -> Any:
        assert self.world.gateway is not None
        return self.world.gateway.stopping

    async def _release(self, subject: str) -> Any:
        return await self._purchasing.release(subject, person(ANNA))

    async def _acknowledge(self, id: str) -> Any:
        return (await self._stopping.acknowledge(id, person(ANNA))) is not None

    async def _resume(self, scope: Scope) -> Any:
        return (await self._stopping.resume(scope, person(ANNA))) is not None

    async def _accept_clock(self) -> str:
        gateway = self.world.gateway
        assert gateway is not None
        async with gateway.database.write() as tx:
            return (await gate.accept_clock(tx, self.world.owner, ANNA, self.world.clock())).rule

    async def _decide(self, number: str, order_hash: str) -> None:
        chance = self.rng.random()
        who = BERT if chance < 0.15 else ANNA
        shown = "0" * 64 if chance > 0.98 else order_hash  # a page that was open for too long
        if chance < 0.80 or chance > 0.98:
            await self._act("approve", lambda: self._purchasing.approve(number, shown, who, "page", "go"))
        elif chance < 0.86:
            await self._act("deny", lambda: self._purchasing.deny(number, shown, person(who), "too dear"))
        elif chance < 0.90:
            await self._act("cancel", lambda: self._purchasing.cancel(number, person(who)))

    async def _settle(self, number: str, supplier: str) -> None:
        """Call the supplier, who says how it is; what is still in the post is waited for."""
        book = self.world.books[supplier]
        if self.world.seconds < book.down_until or book.on_the_way.get(number):
            return
        live, again = book.live(number)[:1], book.live(number)[1:]
        for entry in again:
            book.take_back(entry)
        if not live:
            verdict = S.NOT_PLACED
        elif all(entry.kept for entry in live):
            verdict = S.CONFIRMED
        elif live[0].part is not None and self.rng.random() < 0.6:
            await self._act("take part", lambda: self._purchasing.accept_part(number, person(ANNA), "better than none"))
            return
        elif self.rng.random() < 0.5 or any(entry.shipped for entry in live):
            for entry in live:
                book.agree(entry)
            verdict = S.CONFIRMED
        else:
            for entry in live:
                book.call_off(entry)
            verdict = S.CANCELLED
        await self._act(
            f"resolve {verdict}", lambda: self._purchasing.resolve(number, verdict, person(ANNA), "called them")
        )

    async def _agree(self, number: str, total: int) -> Any:
        """Settle a dispute: now and then for less than was ordered."""
        paid = Money(total // 2, "EUR") if self.rng.random() < 0.3 else None
        return await self._purchasing.settle(number, person(ANNA), "agreed on the telephone", paid)

    async def _type_in(self) -> None:
        """Suppliers without documents write letters: enter their invoices."""
        for book in self.world.books.values():
            if book.character.capabilities.documents:
                continue
            for entry in book.entries:
                for invoice in [each for each in entry.said if isinstance(each, Invoice)]:
                    if self._typed(entry):
                        continue
                    await self._act("answered", partial(self._answered, invoice))

    async def _answered(self, invoice: Invoice) -> Any:
        return await self._purchasing.answered(invoice, person(ANNA))

    async def _reinstate(self, supplier: str) -> Any:
        return await self._purchasing.reinstate(supplier, person(ANNA))

    def _typed(self, entry: Entry) -> bool:
        query = "SELECT 1 FROM inbox WHERE order_number = ? AND kind = 'invoice' AND supplier = ?"
        return bool(self._rows(query, entry.reference, entry.supplier))

    # Goods.

    async def warehouse(self) -> None:
        """Take in what stands at the gate; who is not sure whether it was entered looks at the order first."""
        waiting, self.pallets = self.pallets, []
        for pallet in waiting:
            await self._receive(pallet)

    async def _receive(self, pallet: Pallet) -> None:
        if self.rng.random() < 0.05:  # a slip of the pen is told at once
            wrong = {99: Decimal(1)}
            await self._act("received", lambda: self._purchasing.received(pallet.reference, wrong, STOREMAN))
        before = self._received(pallet.reference)
        done = await self._act(
            "received", lambda: self._purchasing.received(pallet.reference, pallet.quantities, STOREMAN, "checked")
        )
        if (done is None and self._received(pallet.reference) == before) or (done is not None and not done.ok):
            self.pallets.append(pallet)

    def _received(self, number: str) -> list[tuple[Any, ...]]:
        return self._rows("SELECT number, received FROM order_line WHERE order_number = ? ORDER BY number", number)

    async def technician(self) -> None:
        """Fit what is here for a life; a machine that stands still waits for it."""
        ready = {
            (component, life)
            for component, life in self._rows(
                "SELECT component, life FROM requisition WHERE state = 'fulfilled' AND line = 'part'"
            )
        }
        for component in self.world.site.components:
            worn = self.world.seconds / 3600 > component.fails_h - 12 or self.rng.random() < 0.3
            if (component.key, component.life) in ready and worn:
                await self._fit(component)

    async def _fit(self, component: Component) -> None:
        life = component.life

        async def fitted() -> bool:
            gateway = self.world.gateway
            assert gateway is not None
            async with gateway.database.write() as tx:
                await fulfilment.fitted(tx, self.world.owner, component.key, life, STOREMAN, self.world.clock())
            return True

        if await self._act("fitted", fitted) or self._is_fitted(component):
            component.fit(self.rng, self.world.seconds / 3600)

    def _is_fitted(self, component: Component) -> bool:
        query = (
            "SELECT 1 FROM stock_reservation s JOIN requisition r ON r.id = s.requisition"
            " WHERE r.component = ? AND r.life = ? AND r.line = 'part' AND s.state = 'fitted'"
        )
        return bool(self._rows(query, component.key, component.life))

    # Whims.

    async def meddle(self) -> None:
        """Do something that nobody expected."""
        whims = self._cancel, self._another, self._count, self._withdraw, self._late_letter, self._stop, self._stop
        await self.rng.choice(whims)()

    async def _stop(self) -> None:
        """Somebody does not like what they see, and stops buying there."""
        machine = self.rng.choice(self.world.site.components)
        supplier = self.rng.choice(sorted(self.world.books))
        scopes = Scope(ScopeKind.PLANT), Scope(ScopeKind.MACHINE, machine.machine), Scope(ScopeKind.SUPPLIER, supplier)
        await self.stop(self.rng.choice((*scopes, Scope(ScopeKind.COMPONENT, machine.key))))

    async def stop(self, scope: Scope) -> None:
        """Stop buying within a scope."""
        self.world.trace.fault("stop", scope)

        async def stopped() -> str:
            done = await self._stopping.stop(scope, BY_PERSON, person(BERT), note="wait")
            return f"{len(done.cancelled)} cancelled"

        await self._act("stop", stopped)

    async def _cancel(self) -> None:
        rows = self._rows("SELECT number FROM purchase_order WHERE state IN ('confirmed', 'shipped') ORDER BY number")
        if rows:
            (number,) = self.rng.choice(rows)
            await self._act("cancel", lambda: self._purchasing.cancel(number, person(ANNA)))

    async def _another(self) -> None:
        """Somebody wants one more, whatever is on order: their name stands under it."""
        component = self.rng.choice(self.world.site.components)
        now = self.world.clock()
        need = component.need(now, self.world.seconds / 3600)
        want = want_of(need, need.lines[0], advice_on(need, now), Mode.BUY, economics(need.lines[0].item), "bert", now)
        await self._act("another", lambda: self._purchasing.want_now(want, person(BERT), override=True))

    async def _count(self) -> None:
        item = self.rng.choice(sorted(CATALOGUE))
        rows = self._rows("SELECT on_hand FROM stock_item WHERE item = ?", item)
        if not rows:
            return
        found = max(Decimal(rows[0][0]) + self.rng.choice((-1, 0, 1)), Decimal(0))

        async def counted() -> bool:
            gateway = self.world.gateway
            assert gateway is not None
            async with gateway.database.write() as tx:
                await stock.count(tx, self.world.owner, item, found, "C62", STOREMAN, self.world.clock())
            return True

        await self._act("counted", counted)

    async def _withdraw(self) -> None:
        rows = self._rows("SELECT id FROM requisition WHERE state = 'needed' ORDER BY created_at, id")
        if rows:
            (id,) = self.rng.choice(rows)
            await self._act("withdraw", lambda: self._purchasing.withdraw(id, person(ANNA)))

    async def _late_letter(self) -> None:
        """A letter arrives that was written long ago, about an order that has ended."""
        ended = [
            (entry, book)
            for book in self.world.books.values()
            for entry in book.entries
            if not entry.live or entry.at < self.world.seconds - 10 * DAY
        ]
        if ended:
            entry, book = self.rng.choice(ended)
            self.world.trace.fault("late letter", entry.reference)
            await self._act("answered", lambda: self._purchasing.answered(book.truth(entry), person(ANNA)))

    # Rules.

    async def rule(self) -> None:
        """Change the policy: more room, less than is booked already, another mode, or somebody may not."""
        who = BERT if self.rng.random() < 0.15 else ANNA
        await self.apply(self.policy(self.rng.choice((300, 600, 1200, 2500, 5000))), who)

    def policy(self, per_machine: int) -> dict[str, Any]:
        """Return a policy with this limit for each machine, in EUR."""
        rng = self.rng
        modes = {"default": "buy", f"machine-{rng.randrange(10)}": rng.choice(("ask", "advise", "buy"))}
        known = {name: sorted(CATALOGUE) for name in self.world.books}
        mandate = {"granted_by": "anna", "machines": ["*"], "per_order": f"{rng.choice((250, 800))} EUR"}
        limits = [each for each in LIMITS if rng.random() < 0.4]
        return {
            "schema": 1,
            "limits": limits,
            "time_zone": "Europe/Berlin",
            "checks": {} if self.world.strict else EASY_GOING,
            "mandate": mandate | {"until": "2032-12-31T00:00:00Z"},
            "window": {"days": rng.choice((7, 30)), "per_machine": f"{per_machine} EUR"},
            "modes": modes,
            "known": known,
        }

    async def apply(self, document: dict[str, Any], who: Approver) -> None:
        """Apply a policy document, or be told that one may not."""

        async def applied() -> str:
            gateway = self.world.gateway
            assert gateway is not None
            try:
                async with gateway.database.write() as tx:
                    version = await gate.apply_policy(tx, self.world.owner, document, who, self.world.clock())
            except PolicyRefused:
                return "refused"
            await gateway.purchasing.reconsider()
            return f"version {version}"

        await self._act("policy", applied)
