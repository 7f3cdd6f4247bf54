"""Codes as sentences for people: rules of the gate, problems of orders, evidence of maintenance, states.

It promises a sentence for every code that the marketplace gives, and for a code of a newer or older program it says
the code itself with its figures. It renders when somebody reads, in the reader's language, and decides nothing;
parameters, some of them a supplier's words, are data and are never formatted twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from gettext import gettext as _
from typing import Final


def _later(text: str) -> str:
    """Mark a text for translation; it is translated when it is read."""
    return text


RULES: Final[Mapping[str, str]] = {
    "NO_POLICY": _later("No policy has been applied, so nothing may be bought."),
    "NO_MANDATE": _later("The policy grants no mandate, so there is no money to spend."),
    "MANDATE_ENDED": _later("The mandate ended at {until}."),
    "MACHINE_NOT_COVERED": _later("The mandate does not cover the machine {machine}."),
    "SUPPLIER_SUSPENDED": _later("The supplier {supplier} is suspended."),
    "MODE_WATCH": _later("{component} is only watched; nothing is bought for it."),
    "MODE_ADVISE": _later("For {component} only advice is given; nothing is bought."),
    "ORDER_EMPTY": _later("The order has no lines."),
    "VALUE_CEILING": _later("{value} is more than any order or line may ever be ({ceiling})."),
    "CLOCK_JUMPED": _later(
        "Plant time is {now}, but {mark} was seen last: a person must say that the clock is right "
        "(toolcrib clock accept)."
    ),
    "MODE_ASK": _later("For {component} a person wants to see every order."),
    "PROVENANCE_B": _later("The evidence came from {machine} over an unprotected connection, so a person decides."),
    "HISTORY_UNKNOWN": _later("How much the part in {component} has run is not known, so a person decides."),
    "FIRST_ORDER_AT_SUPPLIER": _later("It is the first order at {supplier}, and nobody vouches for that supplier yet."),
    "FIRST_PURCHASE_OF_ITEM": _later(
        "It is the first purchase of {item} from {supplier}, and nobody vouches for it yet."
    ),
    "QUOTATION_EXPIRED": _later("The quotation held until {quoted_until}; the price binds nobody any more."),
    "QUANTITY_DIFFERS": _later("The order is for {ordered} of {item}, but {wanted} is wanted."),
    "QUANTITY_ABSURD": _later("The order is for {ordered} of {item}, many times the {wanted} that are wanted."),
    "CURRENCY_DIFFERS": _later("The order is in {currency}, a limit or the last price is in {other}."),
    "RATE_MISSING": _later("A limit is in another currency, and the policy pins no rate for {currency}."),
    "CURRENCY_UNKNOWN": _later("The policy pins rates to {base}, but none for {currency}."),
    "RATE_STALE": _later("The rate of {rate} {base} for one {currency} is of {dated}, {days} days ago: too old."),
    "RATE_FUTURE": _later("The rate of {rate} {base} for one {currency} is dated {dated}, which has not come yet."),
    "AMOUNT_NEGATIVE": _later("Freight ({freight}) or fees ({fees}) are below zero."),
    "TAX_UNKNOWN": _later("Limits include tax, but the quotation does not say the tax on {total}."),
    "ORDER_LIMIT_EXCEEDED": _later("The total of {total} is above the limit of {limit} for one order."),
    "LAST_PRICE_UNKNOWN": _later("{item} was bought before, but the price then is not known."),
    "PRICE_COLLAR": _later("{item} costs {price}, more than {factor} times the last price of {last}."),
    "QUOTE_MISSING": _later("What the supplier quoted for {item} is not known."),
    "PRICE_ABOVE_QUOTE": _later("{item} would be ordered at {price}, but {quoted} was quoted."),
    "OWN_PRICE_UNKNOWN": _later("The plant has no price of its own for {item} to compare with."),
    "OWN_PRICE_DIFFERS": _later("{item} costs {price}; the plant itself reckons with {own}."),
    "DUPLICATE_ORDER": _later("{item} for {component} was ordered with {order} at {ordered_at} already."),
    "ORDER_PACE": _later("It would be more than {limit} orders in a {span} ({whose}); there were {count}."),
    "EXPOSURE_EXCEEDED": _later("With {total} more, more than {limit} would be ordered and not yet received."),
    "MISSING_LIMIT": _later("There is no limit for what may be spent on {machine} in a period."),
    "PERIOD_LIMIT_EXCEEDED": _later(
        "With {total} more, the limit of {limit} in {days} days for {machine} would be exceeded."
    ),
    "LIMIT_EXCEEDED": _later(
        "With {total} more, the limit of {limit} ({per}) for the {scope} {key} would be exceeded; {used} are used."
    ),
    "ORDER_COUNT_EXCEEDED": _later(
        "It would be one order more than the {limit} ({per}) that the {scope} {key} may have; there were {used}."
    ),
    "LIMIT_OVERDRAWN": _later(
        "Against the limit of {limit} ({per}) for the {scope} {key} stand {used} already: there is no room for {total}."
    ),
    "WITHIN_LIMITS": _later("The total of {total} is within the limit of {limit} for one order and within its period."),
    "ALREADY_DECIDED": _later("The order {order} no longer waits for an approval."),
    "NOT_AUTHORISED": _later("{person} may not approve orders."),
    "SELF_APPROVAL": _later("{person} asked for it, so somebody else must approve it."),
    "ORDER_CHANGED": _later("The order {order} is not the one that was shown; look at it again."),
    "OWN_LIMIT_EXCEEDED": _later("The total of {total} is above the own limit of {person} ({limit})."),
    "APPROVED_BY_PERSON": _later("{person} approved it."),
    "NOTHING_TO_SEND": _later("The order {order} is {state} and has nothing to send."),
    "ORDER_ALTERED": _later("The order {order} was changed after it was decided."),
    "NOT_RESERVED": _later("The order {order} has no reservation for what it costs."),
    "NOT_ALLOWED": _later("The order {order} is allowed by nobody as it stands."),
    "RESEND_OVER_LIMIT": _later(
        "The order {order} may be there already; to send it again the money must be there twice, and it is not."
    ),
    "LEAVE_TO_SEND": _later("The order {order} may be sent, for time number {send}."),
    "CLOCK_ACCEPTED": _later("{person} says that the plant's clock is right: {now}."),
}
"""What `authority` says to an order."""

STOPS: Final[Mapping[str, str]] = {
    "plant": _later("Buying is stopped for the whole plant since {since}."),
    "machine": _later("Buying is stopped for the machine {machine} since {since}."),
    "supplier": _later("Buying is stopped at the supplier {supplier} since {since}."),
    "component": _later("Buying is stopped for {component} since {since}."),
}
"""The rule `STOPPED`, by its parameter `scope`."""

HALTS: Final[Mapping[str, str]] = {
    "STOPPED": _later("Buying is stopped since {since}."),
    "STOPPED_BY_PERSON": _later("A person stopped it."),
    "STOPPED_BY_FILE": _later("The file STOP in the data directory stopped it."),
    "ALARM_UNACKNOWLEDGED": _later("A money alarm stopped it, because nobody acknowledged it in time."),
}
"""Why buying is stopped."""

_REACH: Final[Mapping[str, str]] = {
    "plant": _later("the whole plant"),
    "machine": _later("the machine {key}"),
    "supplier": _later("the supplier {key}"),
    "component": _later("the component {key}"),
}

ALARMS: Final[Mapping[str, str]] = {
    "OTHER_TERMS": _later(
        "{supplier} answered the order {order} with other terms than were ordered, and is suspended."
    ),
    "OUTCOME_OPEN": _later(
        "Nobody knows what became of the order {order} at {supplier}; its money stays reserved meanwhile."
    ),
    "APPROVED_NOT_PERMITTED": _later("The order {order} was approved, and the gate gave no leave to send it: {reason}"),
    "LEDGER_BROKEN": _later("The bookings of the order {order} do not fit its path: {reason}"),
    "GATE_CLOSED": _later("The order {order} is not stored as it was to be decided: {reason}"),
    "ORDER_ALTERED": _later("The order {order} is not what was decided on: {reason}"),
    "WITNESS_DISAGREES": _later("A witness has seen another audit log than this one: {reason}"),
    "CLOCK_WRONG": _later("The clock jumped by {jump}; time limits and windows may be wrong."),
}
"""What is wrong with money."""

ORDERING: Final[Mapping[str, str]] = {
    "RESTORE_CONFIRMED": _later("Buying goes on; for thirty days every order asks a person."),
    "NOTHING_TO_CONFIRM": _later("No restore waits for a confirmation; nothing changed."),
    "STILL_LOOKING": _later("Suppliers are still being asked what was bought since; look again in a minute."),
    "DENIED_BY_PERSON": _later("The order {order} was refused."),
    "PERMIT_REFUSED": _later("The gate gave no leave to send it, so a person decides anew."),
    "RESEND_REFUSED": _later(
        "It may have been placed, and the gate gives no leave to send it again: ask the supplier."
    ),
    "REJECTED_BY_SUPPLIER": _later("The supplier rejected it: {reason}"),
    "REJECTED_AFTER_UNKNOWN": _later("The supplier rejected it, but an earlier send may have been taken: ask there."),
    "REJECTED_AFTER_CONFIRMATION": _later("The supplier rejected it after having confirmed it."),
    "SUPPLIER_GONE": _later("Its supplier is no longer in the configuration."),
    "ANSWER_BEFORE_SENDING": _later("The supplier answered before anything was sent."),
    "ANSWER_AFTER_END": _later("The supplier still answered after the order had ended."),
    "OUTCOME_UNKNOWN": _later("Nobody could find out in time whether {supplier} has it: ask there."),
    "LOOKUP_NOT_USABLE": _later("What {supplier} says about it cannot be used: ask there."),
    "LOOKUP_UNAVAILABLE": _later("{supplier} could not be asked about it for too long: ask there by other means."),
    "RECONCILIATION_FAILED": _later("It could not be settled by the program; see the log."),
    "PARTLY_CONFIRMED": _later("The supplier takes on only {answered} of {ordered}: say what becomes of the rest."),
    "NOT_PARTLY_CONFIRMED": _later("No part of the order {order} was confirmed, so there is no part to accept."),
    "ORDER_DIFFERS": _later("The supplier has another order under this number: ask there whose it is."),
    "REFERENCE_TAKEN": _later(
        "The supplier has an order under this number that is not this one, sent by another gateway: ask there."
    ),
    "RESEND_OVER_LIMIT": _later(
        "It may have been placed, and sending it again would exceed a limit if both count: ask the supplier."
    ),
    "NOT_FOUND": _later("{supplier} does not find it, however often it was sent: ask there."),
    "CANCELLATION_OPEN": _later("Whether {supplier} has cancelled it could not be found out in time: ask there."),
    "NO_ANSWER": _later("It was sent on {since}, and the supplier has not said yes or no: ask there."),
    "SERVICE_BEFORE_PARTS": _later(
        "The visit is booked for {visit}, but its parts are promised for {parts}: move the visit, or get them sooner."
    ),
    "SERVICE_WITHOUT_PARTS": _later(
        "The visit is booked for {visit}, but nobody promises its parts any more: move the visit, or ask for them."
    ),
    "DELIVERY_LATE": _later("The goods were due on {since} and are not here: ask the supplier."),
    "INVOICE_MISSING": _later(
        "The goods came on {since}, and there is no invoice that agrees with them; the supplier is asked until {until}."
        " If none will come, settle the order."
    ),
    "DATE_FAR_AWAY": _later("The supplier named a date of another year or century; nothing changed."),
    "REFERENCE_ODD": _later("The reference in the answer has characters that no reference has."),
    "QUARANTINED": _later("The program failed at it again and again ({error}); it is left alone until released."),
    "RELEASED": _later("{order} is taken up again."),
    "NOT_QUARANTINED": _later("{order} was not set apart; there is nothing to release."),
    "INVOICE_DIFFERS": _later("The invoice of {invoiced} does not agree with the order of {ordered}."),
    "INVOICE_AFTER_END": _later("The order of {ordered} is closed, and the supplier sent another invoice: {invoice}."),
    "SETTLED": _later("The order {order} is settled and closed."),
    "NOT_SETTLABLE": _later("The order {order} is {state}; only what arrived or is disputed can be settled."),
    "PAID_BEYOND_ORDER": _later(
        "{paid} is not within what the order {order} binds; what is paid beyond it is an order of its own."
    ),
    "OVER_DELIVERY": _later("More came than was ordered, on line {lines}."),
    "NO_AWARD": _later("No supplier made an offer that could serve."),
    "CANCELLED": _later("The order {order} is off."),
    "NOT_CANCELLABLE": _later("The order {order} is {state} and cannot be cancelled from here."),
    "CANCELLATION_REFUSED": _later("The supplier did not cancel the order {order}: {reason}"),
    "CANCELLATION_UNKNOWN": _later("Whether the supplier cancelled the order {order} is not known yet."),
    "APPLIED": _later("The answer on the order {order} was taken in."),
    "WAITS": _later("The answer on the order {order} is kept until its time comes."),
    "WAITS_FOR_PERSON": _later("The answer is kept; a person decides on the order first."),
    "REPEATED": _later("That had been said before; nothing changed."),
    "REJECTED_TOO_LATE": _later("The supplier said no too late; nothing changed."),
    "UNKNOWN_REFERENCE": _later("The answer is for an order that nobody knows."),
    "UNREADABLE": _later("The answer cannot be read."),
    "OTHER_SUPPLIER": _later("The answer came from a supplier who has no part in the order."),
    "UNKNOWN_LINE": _later("The answer speaks of a line that the order does not have."),
    "TOO_MANY_LINES": _later("The answer has more lines than any order."),
    "ODD_QUANTITY": _later("A quantity in the answer is none that can be delivered."),
    "REFERENCE_TOO_LONG": _later("The reference in the answer is too long."),
    "NOT_RESOLVABLE": _later("The order {order} is {state}; there is nothing to resolve."),
    "REASON_MISSING": _later("A reason is needed."),
    "NOT_SENT_YET": _later("The order {order} is {state}; nothing was sent yet."),
    "NOT_WITHDRAWABLE": _later("The requisition {requisition} can no longer be withdrawn."),
    "WITHDRAWN": _later("The requisition {requisition} is withdrawn."),
    "REINSTATED": _later("The supplier {supplier} gets orders again."),
    "NOT_SUSPENDED": _later("The supplier {supplier} was not suspended."),
}
"""What may become of an order, and of an act of a person."""

ANSWERED: Final[Mapping[str, str]] = {
    "REFERENCE_DIFFERS": _later("The supplier answered under the number {answered} instead of {ordered}."),
    "LINES_DIFFER": _later("The supplier answered the lines {answered} instead of {ordered}."),
    "SKU_DIFFERS": _later("The supplier answered with {answered} instead of {ordered}."),
    "UNIT_DIFFERS": _later("The supplier counts in {answered} instead of {ordered}."),
    "QUANTITY_DIFFERS": _later("The supplier answered with {answered} instead of {ordered}."),
    "CURRENCY_DIFFERS": _later("The supplier answered in {answered} instead of {ordered}."),
    "PRICE_DIFFERS": _later("The supplier answered with a price of {answered} instead of {ordered}."),
    "TOTAL_DIFFERS": _later("The supplier answered with a total of {answered} instead of {ordered}."),
}
"""How a supplier's answer differs; told by its parameter `answered` from a rule of the same code."""

EVIDENCE: Final[Mapping[str, str]] = {
    "LEVEL": _later("{tag} stands at {value} {unit}; the limit is {limit} {unit}."),
    "LEVEL_TREND": _later(
        "{tag} stands at {value} {unit} and changes by {slope_per_day} {unit} a day; the limit is {limit} {unit}."
    ),
    "LEVEL_ESTIMATED": _later("{tag} is an estimate; it is usually off by {off} {unit}."),
    "LEVEL_DOUBTED": _later("{tag} is an estimate that cannot be believed now, so a person must look at the part."),
    "NO_LEVEL_YET": _later("{tag} has told nothing usable yet."),
    "FORETOLD": _later("The machine itself says by {tag} that it is due at {at}."),
    "NOT_FORETOLD": _later("{tag} has not told yet when it is due."),
    "USAGE": _later("It has run {used} of {rated} {unit}."),
    "USAGE_BY_CLOCK": _later("By its clock {clock} it has run {used} of {rated} {unit}."),
    "PAST_UNKNOWN": _later("How much it had run before is not known."),
    "CLOCK_PAST_UNKNOWN": _later("How much it had run before by its clock {clock} is not known."),
    "CLOCK_JUMPED_BACK": _later("The counter of its clock {clock} jumped back from {was}."),
    "CLOCK_JUMPED_AHEAD": _later("The counter of its clock {clock} jumped ahead."),
    "BASELINE": _later("Its healthy state is still being learned: {have} of {want} values are there."),
    "DEVIATION": _later(
        "It is {ratio} healthy scatters away from its own healthy state; about {failure} are usual at failure."
    ),
    "DEVIATION_TAG": _later("{tag} is {z} scatters away from where it was when healthy."),
    "COUNTER_JUMPED_BACK": _later("Its counter jumped back from {was}."),
    "COUNTER_JUMPED_AHEAD": _later("Its counter jumped ahead."),
    "COUNTER_RESET": _later("Its counter went back from {was} to {reading} {unit}, as after a new part."),
    "LEVEL_AS_NEW": _later("Its level went from {was} to {value} {unit}, as that of a new part."),
    "DEVIATION_GONE": _later("Its deviation, {was} at worst, is gone, as after a new part."),
    "NO_LIFE": _later("Which part is fitted is not known."),
    "MODEL": _later("By what {lives} ended lives of its kind taught (model {version}), {left} {unit} are left."),
    "LIFETIMES": _later("By what {lives} lives of such parts taught (model {version}), half reach {usual} {unit}."),
    "LIFETIMES_BY_CLOCK": _later(
        "By what {lives} lives of such parts taught (model {version}), half reach {usual} {unit} by its clock {clock}."
    ),
    "REGIME_UNSEEN": _later("It is run in a way in which nobody has seen it healthy."),
    "SENSOR_STUCK": _later(
        "{tag} has stood at {value} {unit} for far longer than it ever did; its sensor may be stuck. Look at it."
    ),
    "SENSOR_NOISY": _later("{tag} is {times} times as noisy as it was; its sensor may be failing."),
    "UNIT_SWAPPED": _later(
        "{tag} leapt as if {unit} and {other} had been swapped; what it told since is not counted. Look at its unit."
    ),
    "LEVEL_IMPLAUSIBLE": _later("{tag} tells {value} {unit}, which is hardly wear; look at its sensor and its unit."),
    "SIGNAL_STUCK": _later("{tag} has not moved for far longer than it ever did; its sensor may be stuck."),
    "SIGNALS_WILD": _later(
        "A signal is more than {scatters} healthy scatters away from where it was; a sensor or its unit may well be "
        "wrong. Look at it and at the part."
    ),
    "SIGNAL_ALONE": _later(
        "{tag} is {z} scatters away from where it was when healthy, and no other signal confirms that; its sensor may "
        "drift, or tell another unit."
    ),
    "SIGNAL_LEAPT": _later(
        "{tag} leapt by {z} healthy scatters within a few values, and there is no other signal that could confirm it. "
        "Is the sensor sound? Look at it and at the part."
    ),
    "MODES_CONTRADICT": _later(
        "Its evidence contradicts itself: {worn} says that it wears out, {new} that it is like new. Look at both."
    ),
    "NEVER_HEARD": _later("{tag} has not been heard yet."),
    "STALE": _later("{tag} has been silent for too long."),
    "JOB_CHOSEN": _later("Row {row} of the symptoms calls for {job}: {evidence} {tag}."),
    "REPORTED": _later("{by} reports: {symptom} ({at})."),
    "NOTED": _later("{by} notes: {symptom} ({at}); the symptoms of the config do not know it, so it chooses no job."),
    "FAILURE_SAID": _later("Row {row} of the symptoms takes it for failed: {symptom}."),
    "READING": _later("{value} was read on {at} and typed in."),
    "FAILURE_BEFORE_ARRIVAL": _later(
        "It fails before a part could be there with a probability of {probability}; {threshold} is the limit."
    ),
    "WAITING_COSTS_MORE": _later(
        "It fails before a part could be there with a probability of {probability}; waiting one more step would cost "
        "{waiting_costs} {currency} more than it saves."
    ),
    "FIT_NOW": _later(
        "The part is here, and should be fitted now: one more step would cost {waiting_costs} {currency} more than the "
        "use is worth."
    ),
    "SET_ASIDE": _later(
        "There is a part that is promised to nobody; it is set aside, because one would be ordered now if there were "
        "none. It is best fitted on {fit_by}."
    ),
    "FIT_LATER": _later(
        "The part is here, so nothing is ordered; the part that is fitted is worth using until {fit_by}."
    ),
    "ON_ITS_WAY": _later(
        "The part is on its way from {supplier} and expected in {here_after_hours} h; it is best fitted on {fit_by}. "
        "The one that is fitted fails before it is here with a probability of {probability}."
    ),
    "BEST_FROM": _later("By what it costs and how long it takes, {supplier} serves best."),
    "BEST_FITTED": _later("It is best fitted on {fit_by}, when the machine may be worked on."),
    "NOT_YET": _later(
        "It fails before a part could be there with a probability of {probability}; waiting still saves more than it "
        "costs."
    ),
}
"""What maintenance saw, and what timing makes of it."""

STATES: Final[Mapping[str, str]] = {
    "proposed": _later("proposed"),
    "awaiting_approval": _later("waits for a person's approval"),
    "approved": _later("approved"),
    "submitting": _later("being sent to the supplier"),
    "submitted": _later("sent; the supplier has it"),
    "unknown": _later("sent, but whether it arrived is not known; the supplier is being asked"),
    "needs_person": _later("needs a person"),
    "confirmed": _later("confirmed by the supplier"),
    "shipped": _later("shipped"),
    "received": _later("received"),
    "cancelling": _later("being cancelled"),
    "disputed": _later("received, but something is wrong: a person settles it"),
    "closed": _later("closed"),
    "denied": _later("refused"),
    "expired": _later("expired before it was sent"),
    "rejected": _later("rejected by the supplier"),
    "not_placed": _later("never placed"),
    "cancelled": _later("cancelled"),
}
"""Where an order stands, in a few words."""

SENTENCES: Final[Mapping[str, str]] = {**RULES, **HALTS, **ALARMS, **ORDERING, **EVIDENCE}
"""By stable code; the text in braces is a parameter."""


def sentence(code: str, parameters: Mapping[str, str]) -> str:
    """Return the sentence of a stable code; a parameter that is missing shows as a question mark."""
    text = ANSWERED.get(code) if "answered" in parameters else None
    text = STOPS.get(parameters.get("scope", "")) if code == "STOPPED" else text
    text = text or SENTENCES.get(code)
    if text is None and code.removeprefix("ORDER_").lower() in STATES:  # an act says where it has brought the order
        text, parameters = "{order}: {state}", {**parameters, "state": standing(code.removeprefix("ORDER_").lower())}
    if text is None:
        figures = ", ".join(f"{name} {value}" for name, value in parameters.items())
        return f"{code} ({figures})" if figures else code
    return _(text).format_map(defaultdict(lambda: "?", parameters))


def reasons(code: str, parameters: Mapping[str, str]) -> list[str]:
    """Return what timing says, in sentences: its verdict, then from whom it counts on the part and in which window it
    would be fitted, where either decided."""
    said = [sentence(code, parameters)]
    if "here_after_hours" in parameters:  # there is a part, and the verdict says so, and when it is fitted
        return said
    named = (("BEST_FROM", "supplier"), ("BEST_FITTED", "fit_by"))
    return said + [sentence(more, parameters) for more, name in named if parameters.get(name)]


def reach(scope: str, key: str) -> str:
    """Return how far a stop reaches, in a few words; `key` as people call it."""
    return _(_REACH[scope]).format(key=key) if scope in _REACH else f"{scope} {key}"


def standing(state: str) -> str:
    """Return where an order stands, in a few words."""
    return _(STATES[state]) if state in STATES else state
