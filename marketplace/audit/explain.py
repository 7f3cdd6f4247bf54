"""Why is there this order? In plain sentences, from what was kept when each thing was decided.

It promises to tell what wore, how likely it fails by when, who offered what, why this offer was taken, by which rule
or person it was allowed and what has happened since, and to invent nothing: what was not kept is not said. It only
reads. People appear by name while their row exists and by their opaque id after it was erased.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from gettext import gettext as _
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.accounts import StoredRow
from marketplace.audit.log import AuditEntry
from marketplace.documents import parse_timestamp
from marketplace.evidence import Weighing, weighed
from marketplace.money import Money, plain
from marketplace.ordering.reason import Recorded, evidence_of, recorded
from marketplace.sentences import reasons, sentence, standing
from marketplace.store import Owner, award_term, line_requisition, person, purchase_order, quotation, requisition

LEAVES_MAX: Final = 500
"""No order's story is longer; the newest are told."""
PIECE: Final = "C62"
KEYS: Final = frozenset({"supplier", "machine", "component", "item", "tag"})
"""Figures of a sentence that are keys of the config."""


class NothingKnown(LookupError):
    """There is no order of this number."""


@dataclass(frozen=True, slots=True)
class Story:
    """Why there is an order, in the order in which people ask; `recorded` is what each of its wants was raised on."""

    what: tuple[str, ...]
    wear: tuple[str, ...]
    offers: tuple[str, ...]
    choice: tuple[str, ...]
    authority: tuple[str, ...]
    since: tuple[str, ...]
    recorded: tuple[Recorded, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Everything, one after the other."""
        return [*self.what, *self.wear, *self.offers, *self.choice, *self.authority, *self.since]


async def why(connection: AsyncConnection, number: str, *, zone: tzinfo = UTC) -> list[str]:
    """Return plain sentences on why there is an order; times in the site's zone. Raises `NothingKnown`."""
    return (await tell(connection, number, zone=zone)).sentences


async def tell(
    connection: AsyncConnection, number: str, *, zone: tzinfo = UTC, called: Callable[[str], str] = str
) -> Story:
    """Return the same, by question; `called` gives what people call a supplier, machine, component or item by key.

    Raises `NothingKnown`.
    """
    query = select(purchase_order).where(purchase_order.c.number == number)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NothingKnown(_("There is no order {number}.").format(number=number))
    owner = Owner(row.plant, row.gateway_id)
    wants = await _requisitions(connection, number)
    leaves = await log.entries(connection, number, LEAVES_MAX, owner=owner)
    names = await _names(connection, owner)
    return Story(
        what=tuple(_what(row, called)),
        wear=tuple(line for want in wants for line in _wear(want, zone, called)),
        offers=tuple([line for want in wants for line in await _offers(connection, want, called)]),
        choice=tuple([line for want in wants for line in await _choice(connection, want, row.supplier, called)]),
        authority=tuple([line for leaf in leaves for line in await _authority(connection, leaf, names, zone, called)]),
        since=tuple(line for leaf in leaves for line in _since(leaf, zone)),
        recorded=_recorded(wants),
    )


def _recorded(wants: Sequence[StoredRow]) -> tuple[Recorded, ...]:
    """Return what wants were raised on, once for each life: the lines of one job rest on the same."""
    found = {(want.component, want.life): json.loads(want.reason) for want in reversed(wants)}
    each = (recorded(component, life, reason) for (component, life), reason in reversed(found.items()))
    return tuple(one for one in each if one is not None)


async def _requisitions(connection: AsyncConnection, number: str) -> list[StoredRow]:
    query = (
        select(requisition)
        .join(line_requisition, line_requisition.c.requisition == requisition.c.id)
        .where(line_requisition.c.order_number == number)
        .order_by(line_requisition.c.line, requisition.c.id)
    )
    return list((await connection.execute(query)).all())


async def _names(connection: AsyncConnection, owner: Owner) -> dict[str, str]:
    rows = await connection.execute(select(person.c.id, person.c.name).where(person.c.plant == owner.plant))
    return {row.id: row.name for row in rows}


def _named(parameters: Mapping[str, str], called: Callable[[str], str]) -> dict[str, str]:
    """Return the figures of a sentence with keys as people call them."""
    return {name: called(value) if name in KEYS else value for name, value in parameters.items()}


def _what(row: StoredRow, called: Callable[[str], str]) -> list[str]:
    document = json.loads(row.document)
    goods = ", ".join(
        f"{_amount(line['quantity'], line['unit'])} {line['description']} ({line['manufacturer']} {line['mpn']})"
        for line in document["lines"]
    )
    total = Money(row.total_minor, row.currency)
    said = _("Order {number} is {state}: {goods} from {supplier} for {total}.")
    supplier, state = called(row.supplier), standing(row.state)
    return [said.format(number=row.number, state=state, goods=goods, supplier=supplier, total=total)]


def _amount(quantity: str, unit: str) -> str:
    return f"{quantity} ×" if unit == PIECE else f"{quantity} {unit}"


def _wear(want: StoredRow, zone: tzinfo, called: Callable[[str], str]) -> list[str]:
    """Tell what wore and how likely it fails, by the figures that the requisition was raised on."""
    reason = json.loads(want.reason)
    weighings = weighed(evidence_of(reason), reason.get("health"), reason.get("belief", {}).get("life"))
    lines = [f"{called(want.component)}: {_reason(each, called)}" for each in weighings]
    lines = lines or [_("It was asked for by {who}.").format(who=want.asked_by)]
    figures = reason.get("parameters", {})
    verdict, *more = reasons(reason.get("code", ""), _dated(_named(figures, called), zone))
    if "here_after_hours" in figures:
        lines.append(verdict)
    elif "probability" in figures and "arrival_hours" in figures:
        lines.append(_likely(figures, want.created_at, zone))
    lines += more
    if figures.get("decide_by"):
        by = _time(parse_timestamp(figures["decide_by"]), zone)
        lines.append(_("To be in time it had to be decided by {time}.").format(time=by))
    if want.provenance == "B":
        lines.append(_("The evidence came over an unprotected connection."))
    return lines


def _dated(figures: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Return figures with the day of the fitting as people tell it."""
    fit_by = figures.get("fit_by")
    return {**figures, "fit_by": _time(parse_timestamp(fit_by), zone)} if fit_by else dict(figures)


def _reason(each: Weighing, called: Callable[[str], str]) -> str:
    """Tell one reason with its weight."""
    said = sentence(each.evidence.code, _named(each.evidence.parameters, called))
    return f"{said} {each.in_brackets()}".rstrip()


def _likely(figures: Mapping[str, str], raised_at: datetime, zone: tzinfo) -> str:
    arrival = raised_at + timedelta(hours=float(figures["arrival_hours"]))
    said = _("With a probability of {probability} it fails by {time}, when a part ordered then could be there; {why}.")
    return said.format(probability=_percent(figures["probability"]), time=_time(arrival, zone), why=_due(figures))


def _due(figures: Mapping[str, str]) -> str:
    if float(figures.get("waiting_costs", "-1")) >= 0:  # below zero it was the ceiling that decided
        costs = f"{figures['waiting_costs']} {figures['currency']}"
        return _("waiting one more step would have cost {costs} more than it saves").format(costs=costs)
    return _("buying is due from {threshold} on").format(threshold=_percent(figures.get("threshold", "")))


def _percent(share: str) -> str:
    return f"{float(share):.1%}".replace("%", " %") if share else "?"


def _time(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


async def _offers(connection: AsyncConnection, want: StoredRow, called: Callable[[str], str]) -> list[str]:
    """Tell what each supplier answered in the last round."""
    query = (
        select(quotation)
        .where(quotation.c.requisition == want.id)
        .order_by(quotation.c.round.desc(), quotation.c.supplier)
    )
    rows = (await connection.execute(query)).all()
    return [_offer(row, called(row.supplier)) for row in rows if row.round == rows[0].round]


def _offer(row: StoredRow, supplier: str) -> str:
    if row.outcome != "offered":
        return _("{supplier} made no offer: {detail}").format(supplier=supplier, detail=row.detail or row.outcome)
    per = Decimal(row.per)
    price = f"{row.unit_price:f} {row.currency}" + (f" / {plain(per)}" if per != 1 else "")
    said = _("{supplier} offered {quantity} at {price} each, freight {freight}, fees {fees}, in {days} days.").format(
        supplier=supplier,
        quantity=_amount(plain(row.quantity), row.unit).removesuffix(" ×"),
        price=price,
        freight=Money(row.freight_minor, row.currency),
        fees=Money(row.fees_minor, row.currency),
        days=plain(row.lead_time_days),
    )
    return said if not row.detail else f"{said} " + _("It cannot serve: {detail}").format(detail=row.detail)


async def _choice(
    connection: AsyncConnection, want: StoredRow, supplier: str, called: Callable[[str], str]
) -> list[str]:
    """Tell why the order's supplier was chosen, by the terms of the last award."""
    query = select(award_term).where(award_term.c.requisition == want.id).order_by(award_term.c.round.desc())
    rows = (await connection.execute(query)).all()
    last = [row for row in rows if row.round == rows[0].round]
    chosen = {row.term: row for row in last if row.supplier == supplier}
    second = {row.term: row for row in last if row.rank == 2}
    if not chosen:
        return []
    landed = _("{supplier} served best: {landed} with everything that it costs ({terms}).").format(
        supplier=called(supplier),
        landed=_sum(chosen),
        terms=", ".join(_term(row) for row in sorted(chosen.values(), key=_place)),
    )
    if not second:
        return [landed, _("No other offer could serve.")]
    return [landed, _against(chosen, second, called)]


def _against(chosen: Mapping[str, StoredRow], second: Mapping[str, StoredRow], called: Callable[[str], str]) -> str:
    """Tell what the runner-up would have cost more, and which term says so the loudest."""
    gaps = {term: row.minor - chosen[term].minor for term, row in second.items() if term in chosen}
    loudest = max(gaps, key=lambda term: gaps[term])
    runner_up = next(iter(second.values()))
    return _("{supplier} would have cost {more} more, above all by its {term} ({gap} more).").format(
        supplier=called(runner_up.supplier),
        more=_sum(second) - _sum(chosen),
        term=_name(loudest),
        gap=Money(gaps[loudest], runner_up.currency),
    )


def _sum(terms: Mapping[str, StoredRow]) -> Money:
    rows = list(terms.values())
    return Money(sum(row.minor for row in rows), rows[0].currency)


def _term(row: StoredRow) -> str:
    return f"{_name(row.term)} {Money(row.minor, row.currency)}"


def _place(row: StoredRow) -> tuple[int, str]:
    """Sort terms as people add them up; one of another version comes last."""
    known = list(_TERMS)
    return (known.index(row.term) if row.term in _TERMS else len(known), row.term)


_TERMS: Final = {
    "goods": lambda: _("goods"),
    "freight": lambda: _("freight"),
    "fees": lambda: _("fees"),
    "lateness": lambda: _("expected lateness"),
    "holding": lambda: _("time on the shelf"),
}
"""Called when read, so that the language is the reader's."""


def _name(term: str) -> str:
    return _TERMS[term]() if term in _TERMS else term


async def _authority(
    connection: AsyncConnection,
    leaf: AuditEntry,
    names: Mapping[str, str],
    zone: tzinfo,
    called: Callable[[str], str],
) -> list[str]:
    """Tell by which rule or person it was allowed, from the leaf that says so."""
    facts: Mapping[str, Any] = leaf.facts
    who, at = names.get(leaf.actor.id, leaf.actor.id), _time(leaf.at, zone)
    # other leaves call something else a verdict
    verdict = facts.get("verdict", {}) if leaf.kind.startswith(("decision.", "approval.")) else {}
    rule = sentence(verdict["rule"], _named(verdict["parameters"], called)) if verdict else ""
    match leaf.kind:
        case "decision.made":
            return [_DECIDED[verdict["outcome"]]().format(version=facts["policy"]["version"], rule=rule)]
        case "approval.given":
            said = _("{who} approved it at {time} ({method}).")
        case "approval.refused":
            said = _("{who} refused it at {time} ({method}).")
        case "approval.blocked":
            said = _("{who} tried to approve it at {time} ({method}), which did not count: {rule}")
        case _:
            return []
    told = said.format(who=who, time=at, method=leaf.actor.method, rule=rule)
    note = await log.written(connection, facts["note"]) if facts.get("note") else None
    return [told] if note is None else [told, _("{who} noted: {note}").format(who=who, note=note)]


_DECIDED: Final = {
    "approve": lambda: _("Policy version {version} allowed it: {rule}"),
    "ask": lambda: _("Policy version {version} asks for a person: {rule}"),
    "deny": lambda: _("Policy version {version} denied it: {rule}"),
}
"""Called when read, so that the language is the reader's."""


def _since(leaf: AuditEntry, zone: tzinfo) -> list[str]:
    """Tell one step of the order's path."""
    document, _dot, state = leaf.kind.partition(".")
    if document != "order":
        return []
    told = f"{_time(leaf.at, zone)}: {standing(state)}."
    code = leaf.facts.get("code") or leaf.facts.get("problem")
    return [f"{told} {sentence(code, leaf.facts.get('parameters', {}))}"] if code else [told]
