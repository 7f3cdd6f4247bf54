"""The gate's codes as sentences for people.

It promises a sentence for every code that `policy`, `mandate` and `approval` may give, and for a code that a newer or
older program wrote it says the code itself. It renders when somebody reads, in the reader's language, and decides
nothing; parameters are data and are never formatted twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from gettext import gettext as _
from typing import Final


def _later(text: str) -> str:
    """Mark a text for translation; it is translated when it is read."""
    return text


SENTENCES: Final[Mapping[str, str]] = {
    "NO_POLICY": _later("No policy has been applied, so nothing may be bought."),
    "NO_MANDATE": _later("The policy grants no mandate, so there is no money to spend."),
    "MANDATE_ENDED": _later("The mandate ended at {until}."),
    "MACHINE_NOT_COVERED": _later("The mandate does not cover the machine {machine}."),
    "SUPPLIER_SUSPENDED": _later("The supplier {supplier} is suspended."),
    "MODE_WATCH": _later("{component} is only watched; nothing is bought for it."),
    "MODE_ADVISE": _later("For {component} only advice is given; nothing is bought."),
    "ORDER_EMPTY": _later("The order has no lines."),
    "MODE_ASK": _later("For {component} a person wants to see every order."),
    "PROVENANCE_B": _later("The evidence came from {machine} over an unprotected connection, so a person decides."),
    "HISTORY_UNKNOWN": _later("How much the part in {component} has run is not known, so a person decides."),
    "FIRST_ORDER_AT_SUPPLIER": _later("It is the first order at {supplier}, and nobody vouches for that supplier yet."),
    "FIRST_PURCHASE_OF_ITEM": _later(
        "It is the first purchase of {item} from {supplier}, and nobody vouches for it yet."
    ),
    "QUOTATION_EXPIRED": _later("The quotation held until {quoted_until}; the price binds nobody any more."),
    "QUANTITY_DIFFERS": _later("The order is for {ordered} of {item}, but {wanted} is wanted."),
    "CURRENCY_DIFFERS": _later("The order is in {currency}, a limit or the last price is in {other}."),
    "AMOUNT_NEGATIVE": _later("Freight ({freight}) or fees ({fees}) are below zero."),
    "TAX_UNKNOWN": _later("Limits include tax, but the quotation does not say the tax on {total}."),
    "ORDER_LIMIT_EXCEEDED": _later("The total of {total} is above the limit of {limit} for one order."),
    "LAST_PRICE_UNKNOWN": _later("{item} was bought before, but the price then is not known."),
    "PRICE_COLLAR": _later("{item} costs {price}, more than {factor} times the last price of {last}."),
    "MISSING_LIMIT": _later("There is no limit for what may be spent on {machine} in a period."),
    "PERIOD_LIMIT_EXCEEDED": _later(
        "With {total} more, the limit of {limit} in {days} days for {machine} would be exceeded."
    ),
    "WITHIN_LIMITS": _later("The total of {total} is within the limit of {limit} for one order and within its period."),
    "ALREADY_DECIDED": _later("The order {order} no longer waits for an approval."),
    "NOT_AUTHORISED": _later("{person} may not approve orders."),
    "SELF_APPROVAL": _later("{person} asked for it, so somebody else must approve it."),
    "ORDER_CHANGED": _later("The order {order} is not the one that was shown; look at it again."),
    "OWN_LIMIT_EXCEEDED": _later("The total of {total} is above the own limit of {person} ({limit})."),
    "APPROVED_BY_PERSON": _later("{person} approved it."),
}
"""By stable code; the text in braces is a parameter of the decision."""


def sentence(rule: str, parameters: Mapping[str, str]) -> str:
    """Return the sentence of a rule's code; a parameter that is missing shows as a question mark."""
    text = SENTENCES.get(rule)
    if text is None:
        figures = ", ".join(f"{name} {value}" for name, value in parameters.items())
        return f"{rule} ({figures})" if figures else rule
    return _(text).format_map(defaultdict(lambda: "?", parameters))
