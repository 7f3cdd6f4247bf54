"""Forms as values: which fields there are, what was typed, and how typed text becomes values.

Pure: parsing here promises either a value or a sentence that says what to type instead; it acts on nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from gettext import gettext as _
from zoneinfo import ZoneInfo

from multidict import MultiMapping

from gateway.actions import HandAnswer, HandReply
from gateway.i18n import number
from gateway.views import OrderView
from maintenance.assets import Found
from marketplace.money import Money, to_decimal

TEXT_MAX = 200
NOTE_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list to choose from."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, what it asks for, how to answer, and what was typed."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"  # text, number, date, choice, note
    choices: tuple[Choice, ...] = ()
    value: str = ""
    required: bool = True
    most: int = TEXT_MAX


@dataclass(frozen=True, slots=True)
class Form:
    """A page with one form."""

    title: str
    lead: str
    button: str
    fields: tuple[Field, ...]
    error: str = ""
    back: str = "/enter"
    texts: tuple[str, ...] = field(default=())  # to be read out, such as an order on the phone

    def filled(self, typed: Mapping[str, str], error: str) -> Form:
        """Return the form with what was typed and why it was not taken."""
        kept = tuple(replace(each, value=typed.get(each.name, "")) for each in self.fields)
        return replace(self, fields=kept, error=error)


class Unreadable(ValueError):
    """What was typed cannot be read; `str()` says what to type."""


def typed(form: Form, posted: MultiMapping[object]) -> dict[str, str]:
    """Return what was typed into the form's fields. Raises `Unreadable`: missing, too long, or no such choice."""
    values = {}
    for each in form.fields:
        raw = posted.get(each.name, "")
        value = raw.strip() if isinstance(raw, str) else ""
        if each.required and not value:
            raise Unreadable(_("“{field}” is missing.").format(field=each.label))
        if len(value) > each.most:
            raise Unreadable(_("“{field}” is longer than {n} characters.").format(field=each.label, n=each.most))
        if value and each.kind == "choice" and value not in {choice.value for choice in each.choices}:
            raise Unreadable(_("“{field}”: choose one of the list.").format(field=each.label))
        values[each.name] = value
    return values


def raw(form: Form, posted: MultiMapping[object]) -> dict[str, str]:
    """Return what was typed, unread and bounded, to be shown again."""
    return {each.name: str(posted.get(each.name, ""))[: each.most] for each in form.fields}


def reading_form(components: Sequence[Choice], chosen: str = "") -> Form:
    """Ask for a reading."""
    return Form(
        title=_("Enter a reading"),
        lead=_("For machines without telemetry: what you read off a counter or measured, with its unit."),
        button=_("Enter reading"),
        fields=(
            Field("component", _("Component"), kind="choice", choices=tuple(components), value=chosen),
            Field("value", _("Reading"), _("A number and its unit, such as 1234 h or 2.8 mm/s")),
            Field("clock", _("Clock"), _("Its name, only where a part has several in this unit"), required=False),
        ),
    )


def fitted_form(components: Sequence[Choice], chosen: str = "") -> Form:
    """Ask what was fitted."""
    return Form(
        title=_("A part was fitted"),
        lead=_("This ends the life of the part before and begins a new one. Nothing is bought by it."),
        button=_("Enter fitting"),
        fields=(
            Field("component", _("Component"), kind="choice", choices=tuple(components), value=chosen),
            Field("serial", _("Serial number"), _("If the part has one"), required=False),
            Field(
                "used",
                _("Already used"),
                _("0 h for a new part; empty if nobody knows, then a person is asked before anything is bought for it"),
                required=False,
                value="0 h",
            ),
            Field(
                "found",
                _("How was the part before?"),
                _("What you see on it teaches when to buy the next one; leave it open if you cannot tell"),
                kind="choice",
                choices=(
                    Choice(Found.FAILED, _("It had failed")),
                    Choice(Found.WORN, _("Worn: it would not have lasted much longer")),
                    Choice(Found.HALF, _("About half of it was left")),
                    Choice(Found.LIKE_NEW, _("Like new")),
                ),
                required=False,
            ),
            Field("note", _("Note"), kind="note", required=False, most=NOTE_MAX),
        ),
    )


def stock_form(items: Sequence[Choice], chosen: str = "") -> Form:
    """Ask what is on the shelf."""
    return Form(
        title=_("Count the shelf"),
        lead=_("What is there is used before anything is bought."),
        button=_("Enter stock"),
        fields=(
            Field("item", _("Item"), kind="choice", choices=tuple(items), value=chosen),
            Field("quantity", _("On the shelf"), _("As counted just now"), kind="number"),
        ),
    )


def received_form(orders: Sequence[OrderView], chosen: str = "") -> Form:
    """Ask which order arrived."""
    choices = tuple(Choice(order.number, order_label(order)) for order in orders)
    return Form(
        title=_("Goods arrived"),
        lead=_("Choose the order on the delivery note. Count and look before you enter it."),
        button=_("Next"),
        fields=(Field("number", _("Order"), kind="choice", choices=choices, value=chosen),),
    )


def order_label(order: OrderView) -> str:
    """Return an order as people tell it from others."""
    return f"{order.number} - {', '.join(line.description or line.item for line in order.lines)}"


def counted_form(order: OrderView) -> Form:
    """Ask how much of each line arrived."""
    fields = tuple(
        Field(
            f"line-{line.number}",
            line.description or line.item,
            _("{n} ordered, {received} received before").format(
                n=number(line.quantity), received=number(line.received)
            ),
            kind="number",
            value=f"{max(line.quantity - line.received, Decimal(0)):f}",
        )
        for line in order.lines
    )
    return Form(
        title=_("What arrived of {number}?").format(number=order.number),
        lead=_("Only what is there and sound. What is missing stays open."),
        button=_("Enter receipt"),
        fields=fields,
        back=f"/orders/{order.number}",
    )


def answer_form(order: OrderView, supplier: str, texts: tuple[str, ...]) -> Form:
    """Ask what a supplier said about an order."""
    replies = (
        Choice(HandReply.CONFIRMED, _("They confirmed it")),
        Choice(HandReply.PARTLY, _("They deliver the part that they confirmed; the rest is needed again")),
        Choice(HandReply.RECEIVED, _("They have it, and will confirm later")),
        Choice(HandReply.REJECTED, _("They do not take it")),
        Choice(HandReply.NOT_PLACED, _("They know nothing of it and will not deliver it")),
        Choice(HandReply.WITHDRAWN, _("They had it, and it is off")),
    )
    return Form(
        title=_("What did {supplier} say?").format(supplier=supplier),
        lead=_("Your name stands beside this answer. Another price than ordered goes back to whoever approves."),
        button=_("Enter answer"),
        fields=(
            Field("reply", _("Answer"), kind="choice", choices=replies),
            Field("supplier_reference", _("Their reference"), required=False, most=100),
            Field(
                "total",
                _("Net price they named"),
                _("In {currency}; leave empty if it is the price of the order").format(currency=order.currency),
                required=False,
            ),
            Field("promised", _("Delivery date they named"), kind="date", required=False),
            Field("reason", _("What they said"), kind="note", required=False, most=NOTE_MAX),
        ),
        back=f"/orders/{order.number}",
        texts=texts,
    )


def settle_form(order: OrderView, supplier: str, texts: tuple[str, ...]) -> Form:
    """Ask how an order whose goods are here came to its end."""
    return Form(
        title=_("How was it settled with {supplier}?").format(supplier=supplier),
        lead=_("Your name stands beside it, and the order is closed."),
        button=_("Settle"),
        fields=(
            Field("reply", _("Answer"), kind="choice", choices=(Choice(HandReply.SETTLED, _("It is settled")),)),
            Field(
                "total",
                _("Net sum that is paid"),
                _("In {currency}; leave empty to keep all that the order binds").format(currency=order.currency),
                required=False,
            ),
            Field("reason", _("Why"), kind="note", most=NOTE_MAX),
        ),
        back=f"/orders/{order.number}",
        texts=texts,
    )


def answer_of(values: Mapping[str, str], currency: str, zone: ZoneInfo) -> HandAnswer:
    """Return the answer that was typed. Raises `Unreadable`."""
    return HandAnswer(
        reply=HandReply(values["reply"]),
        supplier_reference=values.get("supplier_reference", ""),
        total=_money(values["total"], currency) if values["total"] else None,
        promised_at=_noon(values["promised"], zone) if values.get("promised") else None,
        reason=values["reason"],
    )


def _money(text: str, currency: str) -> Money:
    try:
        found = Money.parse(text if text[-1:].isalpha() else f"{text} {currency}")
    except ValueError:
        message = _("“{text}” is not an amount; type it such as 1234.50, without separators.")
        raise Unreadable(message.format(text=text)) from None
    if found.currency != currency:
        raise Unreadable(
            _("The order is in {currency}; a price in another cannot be compared.").format(currency=currency)
        )
    return found


def _noon(text: str, zone: ZoneInfo) -> datetime:
    """A day as people name it: noon there, so that no time zone moves it to another day."""
    try:
        return datetime.combine(date.fromisoformat(text), time(12), zone).astimezone(UTC)
    except ValueError:
        raise Unreadable(_("“{text}” is not a date; type it such as 2026-03-31.").format(text=text)) from None


def quantities_of(values: Mapping[str, str], order: OrderView) -> dict[int, Decimal]:
    """Return the counted quantities by line. Raises `Unreadable`."""
    counted = {line.number: quantity_of(values[f"line-{line.number}"]) for line in order.lines}
    if not any(counted.values()):
        raise Unreadable(_("Nothing arrived then; there is nothing to enter."))
    return counted


def quantity_of(text: str) -> Decimal:
    """Return a counted quantity, 0 or above. Raises `Unreadable`."""
    try:
        found = to_decimal(text.replace(",", "."))
    except ValueError:
        raise Unreadable(_("“{text}” is not a number.").format(text=text)) from None
    if found < 0:
        raise Unreadable(_("A quantity is not below zero."))
    return found
