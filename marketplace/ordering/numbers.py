"""Order numbers that survive a phone call: `TC-G1-000123-K`.

At most 20 characters of A-Z, 0-9 and hyphen: a prefix, the gateway's code, a counter and a check character. The check
is ISO/IEC 7064 MOD 37,36 over everything before it, hyphens left out: it catches every single wrong character and
nearly every swap of neighbours. Two gateways of a plant have different codes, so a number is unique in the plant. The
number is the only reference that a supplier ever sees; it is drawn once and never reused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.store import Owner, order_counter

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LENGTH_MAX: Final = 20
COUNTER_MAX: Final = 10**11 - 1
"""Eleven digits still fit into 20 characters; no gateway places so many orders."""
_FORM: Final = re.compile(r"TC-([A-Z0-9]{2})-([0-9]{6,11})-([A-Z0-9])")


@dataclass(frozen=True, slots=True)
class OrderNumber:
    """What a number says: which gateway drew it, and the how-manieth it was."""

    gateway: str
    counter: int

    def __str__(self) -> str:
        body = f"TC-{self.gateway}-{self.counter:06d}"
        return f"{body}-{check_character(body)}"


def check_character(text: str) -> str:
    """Return the ISO/IEC 7064 MOD 37,36 check character of a text; characters outside 0-9A-Z are left out."""
    product = 36
    for character in text:
        if character in ALPHABET:
            total = (product + ALPHABET.index(character)) % 36 or 36
            product = total * 2 % 37
    return ALPHABET[(1 - product) % 36]


def parse(text: str) -> OrderNumber:
    """Return what an order number says, however it was cased or spaced.

    Raises ValueError with a sentence for people when it is no order number or was misheard.
    """
    tidy = "".join(text.upper().split())
    match = _FORM.fullmatch(tidy)
    if match is None:
        raise ValueError(f"{text!r} is not an order number such as {OrderNumber('G1', 123)}")
    if check_character(tidy[:-2]) != match[3]:
        raise ValueError(f"{text!r} has a wrong check character: one character was misheard or mistyped")
    return OrderNumber(match[1], int(match[2]))


def format_number(gateway: str, counter: int) -> str:
    """Return an order number. Raises ValueError when the gateway's code or the counter do not fit into one."""
    if not re.fullmatch(r"[A-Z0-9]{2}", gateway):
        raise ValueError(f"a gateway's code is two of A-Z and 0-9, not {gateway!r}")
    if not 0 < counter <= COUNTER_MAX:
        raise ValueError(f"an order counter lies within 1 and {COUNTER_MAX}")
    return str(OrderNumber(gateway, counter))


async def draw(tx: AsyncConnection, owner: Owner) -> str:
    """Draw the gateway's next number in the caller's transaction: if that fails, the number was never drawn."""
    mine = (order_counter.c.plant == owner.plant) & (order_counter.c.gateway_id == owner.gateway_id)
    raised = update(order_counter).where(mine).values(last=order_counter.c.last + 1).returning(order_counter.c.last)
    counter = (await tx.execute(raised)).scalar_one_or_none()
    if counter is None:
        counter = 1
        await tx.execute(insert(order_counter).values(last=counter, **owner.columns))
    return format_number(owner.gateway_id, counter)
