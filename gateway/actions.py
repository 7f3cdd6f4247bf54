"""What people may do, as one port: the page and the control socket act through it and through nothing else.

Each act names the person who does it and answers with an `Outcome`: done or refused, a code that stays the same for
ever, and one sentence. A refusal is an outcome, never an exception. Who may do what is decided behind this port too,
so that no caller can forget to ask. Amounts and quantities that people type come as text and are read behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from marketplace.money import Money


class Right(StrEnum):
    """What a person may do, as the config's `may` says it."""

    APPROVE = "approve"
    APPLY_POLICY = "apply_policy"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an act; `message` is for people: what happened, what follows, what to do next."""

    ok: bool
    code: str
    message: str

    def as_dict(self) -> dict[str, bool | str]:
        """Return the outcome for programs."""
        return {"ok": self.ok, "code": self.code, "message": self.message}


class HandReply(StrEnum):
    """What a supplier said on the phone, or what a person found out about an order that needs one.

    SETTLED: a dispute is over, or there will be no invoice; `total` is what is paid.
    PARTLY: the part that the supplier confirmed is taken, and the rest is needed again. NOT_PLACED: the supplier knows
    nothing of the order and will not deliver it; that opens another attempt. WITHDRAWN: it was placed and is off.
    """

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    PARTLY = "partly"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class HandAnswer:
    """A supplier's answer as a named person typed it.

    `total` is the net price that the supplier named; None: the price of the order, which the person has compared.
    `reason` is free text and goes to the erasable table.
    """

    reply: HandReply
    supplier_reference: str = ""
    total: Money | None = None
    promised_at: datetime | None = None
    reason: str = ""


class Actions(Protocol):
    """What changes anything. `person` is the id of a person of the config; `method` is web, socket or demo."""

    async def approve(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        """Sign exactly the order of this hash."""

    async def deny(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        """Refuse exactly the order of this hash; the same want is not raised again for a while."""

    async def cancel(self, number: str, person: str, method: str) -> Outcome:
        """Withdraw an order that was not sent, or ask the supplier to cancel it."""

    async def answered(self, number: str, answer: HandAnswer, person: str, method: str) -> Outcome:
        """Enter what a supplier said about an order."""

    async def release(self, subject: str, person: str, method: str) -> Outcome:
        """Let a purchase that was set apart, an order or a requisition, be taken up again."""

    async def received(
        self, number: str, quantities: Mapping[int, Decimal] | None, person: str, method: str
    ) -> Outcome:
        """Enter that goods arrived and were checked: quantities by line, or None for everything ordered."""

    async def reading(self, component: str, value: str, person: str, method: str, *, clock: str = "") -> Outcome:
        """Enter what a person read off a component, such as `1234 h` or `2.8 mm/s`.

        clock: which one, where the component wears by several and the unit alone does not tell.
        """

    async def fitted(
        self, component: str, serial: str, used: str | None, note: str, person: str, method: str, *, found: str = ""
    ) -> Outcome:
        """Enter that a part was fitted; `used` is what it had run before (`0 h` is new), None that nobody knows.

        found: how the part before was: failed, worn, half or like-new; "" when nothing is said of it.
        """

    async def symptom(self, component: str, said: str, person: str, method: str) -> Outcome:
        """Enter what a person sees, hears or smells of a component, in the words of the config's table or their own."""

    async def symptom_over(self, component: str, said: str, person: str, method: str) -> Outcome:
        """Take back what was entered so: it is over, or never was."""

    async def stock(self, item: str, quantity: str, person: str, method: str) -> Outcome:
        """Enter how many of an item are on the shelf, as counted."""

    async def prices(self, supplier: str, text: str, person: str, method: str) -> Outcome:
        """Enter the prices of a supplier who is asked by hand, given as the text of a CSV file."""

    async def stop(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        """Stop buying for the plant (no key), a machine, a supplier or a component; what was not sent is off."""

    async def resume(self, kind: str, key: str, reason: str, person: str, method: str) -> Outcome:
        """Lift the stop of exactly this scope."""

    async def acknowledge(self, alarm: str, note: str, person: str, method: str) -> Outcome:
        """Say that an alarm was seen: one about money stops nothing then, one about a condition never does."""

    async def shelve(self, alarm: str, span: str, reason: str, person: str, method: str) -> Outcome:
        """Put a condition alarm aside for a span such as `8 h`, saying why; it comes back by itself."""

    async def unshelve(self, alarm: str, person: str, method: str) -> Outcome:
        """Take a condition alarm from the shelf before its time."""

    async def clock_accept(self, person: str, method: str) -> Outcome:
        """Say that plant time is right although it has jumped; limits elapse by it from now on."""

    async def policy_apply(self, text: str, person: str, method: str) -> Outcome:
        """Put a policy, given as the text of its file, into force."""

    async def audit_rotate(self, person: str, method: str) -> Outcome:
        """Put a new key in the place of the one that signs the audit log; the old one hands over."""

    async def trust(self, connection: str, fingerprint: str, verdict: str, person: str, method: str) -> Outcome:
        """Let a machine's server in by its certificate, or throw it out; `verdict` is pinned or rejected."""

    async def reload(self, person: str, method: str) -> Outcome:
        """Read the config again and apply what differs; what stays the same sees nothing of it."""

    async def confirm_restore(self, person: str, method: str, *, new_epoch: bool = False) -> Outcome:
        """Let buying go on after a restore, having read what was lost.

        `new_epoch`: a witness has seen entries that are lost for good; the log says so and goes on under a new name.
        """
